Config = {
    -- entries kept in memory
    keep = 6000,
    -- entries read back from last night's archive, and how many of them per tick
    archive = 5500,
    archivePage = 150,
    -- staff with the tablet in hand
    staff = 30,
}
