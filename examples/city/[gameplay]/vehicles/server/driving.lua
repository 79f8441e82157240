-- Fuel and distance of those who drive just now.
local driving = {}

RegisterNetEvent('vehicles:enter')
AddEventHandler('vehicles:enter', function(src)
    local player = exports.framework:getPlayer(src)
    if not player then return end
    local owned = DB.await('SELECT * FROM vehicles WHERE owner = ?', { player.citizenid })
    local model = Garage.models[src % #Garage.models + 1]
    if #owned == 0 then
        DB.insert('vehicles', { owner = player.citizenid, model = model.name })
    end
    driving[src] = { fuel = model.tank, distance = 0.0, since = GetGameTimer() }
    TriggerEvent('vehicles:entered', src, model.name)
end)

RegisterNetEvent('vehicles:leave')
AddEventHandler('vehicles:leave', function(src)
    local trip = driving[src]
    if not trip then return end
    driving[src] = nil
    TriggerEvent('vehicles:left', src, trip.distance)
end)

CreateThread(function()
    while true do
        Wait(1000)
        for src, trip in pairs(driving) do
            local km = 0.015 + math.random() * 0.01
            trip.distance = trip.distance + km
            trip.fuel = trip.fuel - km * Config.fuelPerKm
            if trip.fuel <= 0 then
                TriggerEvent('vehicles:leave', src)
            end
        end
    end
end)

AddEventHandler('framework:playerDropped', function(src)
    driving[src] = nil
end)

AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        local trip = driving[update.unit]
        if trip then
            trip.x, trip.y = update.x, update.y
        end
    end
end)

exports('isDriving', function(src)
    return driving[src] ~= nil
end)
