Config = {
    -- entries kept in memory
    keep = 8000,
    -- entries read back from last night's archive, and how many of them per tick
    archive = 7500,
    archivePage = 250,
    -- staff, police and ambulance people with the tablet in hand
    viewers = 72,
}
