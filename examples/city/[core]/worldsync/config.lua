Config = {
    startHour = 8,
    -- game minutes per real second
    speed = 2,
    -- seconds between two weathers
    weatherEvery = 6,
}
