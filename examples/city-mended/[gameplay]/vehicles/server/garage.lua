Garage = {
    stored = {},
    world = {},
    byPlate = {},
    models = json.decode(LoadResourceFile(GetCurrentResourceName(), 'data/models.json')),
}

local function plate(n)
    return ('%02d%s%03d'):format(n % 89 + 10, string.char(65 + n % 26, 65 + n // 26 % 26, 65 + n // 7 % 26), n % 1000)
end

--- What the world says about parked vehicles goes into what the garage knows.
function Garage.mergeParked(parked)
    local merged = 0
    for _, vehicle in ipairs(parked) do
        local stored = Garage.byPlate[vehicle.plate]
        if stored then
            stored.fuel = vehicle.fuel
            stored.x, stored.y = vehicle.x, vehicle.y
        else
            Garage.stored[#Garage.stored + 1] = vehicle
            Garage.byPlate[vehicle.plate] = vehicle
        end
        merged = merged + 1
    end
    return merged
end

local function sighting(n)
    local model = Garage.models[n % #Garage.models + 1]
    return { plate = plate(n), model = model.name, fuel = model.tank * 0.8, x = n % 61 * 14.0, y = n % 53 * 17.0 }
end

-- once in a while we look at everything that is parked out there
RegisterNetEvent('vehicles:worldSync')
AddEventHandler('vehicles:worldSync', function()
    Garage.mergeParked(Garage.world)
end)

CreateThread(function()
    local n = 0
    while n < Config.parked do
        for _ = 1, Config.parkedPage do
            n = n + 1
            local vehicle = sighting(n)
            Garage.world[n] = sighting(n)
            Garage.stored[n] = vehicle
            Garage.byPlate[vehicle.plate] = vehicle
        end
        Wait(0)
    end
end)

RegisterCommand('garage', function()
    print(('%d vehicles in the garage'):format(#Garage.stored))
end, true)
