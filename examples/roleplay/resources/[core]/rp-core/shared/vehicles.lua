Vehicles = {
    blista = { label = 'Blista', price = 1200, type = 'automobile', class = 'compact', hash = `blista` },
    asea = { label = 'Asea', price = 1500, type = 'automobile', class = 'sedan', hash = `asea` },
    premier = { label = 'Premier', price = 2200, type = 'automobile', class = 'sedan', hash = `premier` },
    bison = { label = 'Bison', price = 3400, type = 'automobile', class = 'van', hash = `bison` },
    sultan = { label = 'Sultan', price = 9800, type = 'automobile', class = 'sport', hash = `sultan` },
    faggio = { label = 'Faggio', price = 400, type = 'bike', class = 'moped', hash = `faggio` },
    bati = { label = 'Bati 801', price = 7200, type = 'bike', class = 'bike', hash = `bati` },
    police = { label = 'Cruiser', price = 0, type = 'automobile', class = 'service', hash = `police`, job = 'police' },
    ambulance = { label = 'Ambulance', price = 0, type = 'automobile', class = 'service', hash = `ambulance`,
        job = 'ambulance' },
    boxville2 = { label = 'Parcel van', price = 0, type = 'automobile', class = 'service', hash = `boxville2`,
        job = 'courier' },
    dinghy = { label = 'Dinghy', price = 5200, type = 'boat', class = 'boat', hash = `dinghy` },
}

VehiclesByHash = {}
for model, vehicle in pairs(Vehicles) do
    vehicle.model = model
    VehiclesByHash[vehicle.hash] = vehicle
end
