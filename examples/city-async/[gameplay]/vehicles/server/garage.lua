Garage = {
    stored = {},
    world = {},
    models = json.decode(LoadResourceFile(GetCurrentResourceName(), 'data/models.json')),
}

local function plate(n)
    return ('%02d%s%03d'):format(n % 89 + 10, string.char(65 + n % 26, 65 + n // 26 % 26, 65 + n // 7 % 26), n % 1000)
end

--- Where each plate of one list stands in another; false where it does not. As slow as ever, and not in the tick.
local function find(plates, among)
    local places = {}
    for n, plate in ipairs(plates) do
        places[n] = false
        for at, other in ipairs(among) do
            if other == plate then
                places[n] = at
                break
            end
        end
    end
    return places
end

local function plates_of(vehicles)
    local plates = {}
    for n, vehicle in ipairs(vehicles) do plates[n] = vehicle.plate end
    return plates
end

--- What the world says about parked vehicles goes into what the garage knows.
function Garage.mergeParked(parked)
    local places = Async.Await(Async.Run(find, plates_of(parked), plates_of(Garage.stored)))
    -- Meanwhile ticks went by. Nobody takes a vehicle out of the list, so places still hold.
    for n, vehicle in ipairs(parked) do
        local stored = Garage.stored[places[n]]
        if stored then
            stored.fuel = vehicle.fuel
            stored.x, stored.y = vehicle.x, vehicle.y
        else
            Garage.stored[#Garage.stored + 1] = vehicle
        end
    end
    return #parked
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
            Garage.world[n] = sighting(n)
            Garage.stored[n] = sighting(n)
        end
        Wait(0)
    end
end)

RegisterCommand('garage', function()
    print(('%d vehicles in the garage'):format(#Garage.stored))
end, true)
