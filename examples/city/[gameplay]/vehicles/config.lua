Config = {
    -- vehicles in the city, most of them parked
    parked = 4800,
    parkedPage = 300,
    fuelPerKm = 0.4,
}
