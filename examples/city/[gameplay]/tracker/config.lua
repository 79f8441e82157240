Config = {
    first = 2300,
    every = 7000,
    -- vehicles with a GPS, and screens that show them
    units = 60,
    screens = 150,
}
