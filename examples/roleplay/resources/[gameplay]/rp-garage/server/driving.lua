-- What happens on the road: fuel, kilometres, locks, repairs.

local core = exports['rp-core']

CreateThread(function()
    WaitForVehicles()
    while true do
        Wait(Config.tick)
        for _, plate in ipairs(lib.table.sortedKeys(Out)) do
            local vehicle = Out[plate]
            if vehicle:exists() and vehicle:drive() > 0.0 then
                local state = Entity(vehicle.entity).state
                if math.abs((state.fuel or 0) - vehicle.fuel) >= 0.1 then
                    state:set('fuel', math.floor(vehicle.fuel * 10) / 10, true)
                end
                if vehicle.fuel <= 0.0 then
                    local driver = GetPedInVehicleSeat(vehicle.entity, -1)
                    if driver ~= 0 and IsPedAPlayer(driver) then
                        TriggerClientEvent('rp-garage:client:empty', NetworkGetEntityOwner(vehicle.entity), plate)
                    end
                end
            end
        end
    end
end)

RegisterNetEvent('rp-garage:server:lock', function(netId)
    local src = source
    if type(netId) ~= 'number' then return end
    local entity = NetworkGetEntityFromNetworkId(netId)
    if entity == 0 or not DoesEntityExist(entity) or not Near(src, GetEntityCoords(entity), 10.0) then return end
    local state = Entity(entity).state
    local keys = exports['rp-inventory']:GetItemCount(src, 'keys', { plate = state.plate })
    if keys == 0 and state.owner ~= core:GetCitizenId(src) then return end
    state:set('locked', not state.locked, true)
    SetVehicleDoorsLocked(entity, state.locked and 2 or 1)
end)

RegisterNetEvent('rp-garage:server:refuel', function(netId, litres)
    local src = source
    if type(netId) ~= 'number' or type(litres) ~= 'number' or litres ~= litres then return end
    local entity = NetworkGetEntityFromNetworkId(netId)
    local vehicle = entity ~= 0 and Out[Entity(entity).state.plate]
    if not vehicle or not Near(src, GetEntityCoords(entity), 10.0) then return end
    litres = math.min(100.0 - vehicle.fuel, litres)
    if litres <= 0 then return end
    if core:RemoveMoney(src, 'cash', math.ceil(litres * 2), 'fuel') then
        vehicle.fuel += litres
        Entity(entity).state:set('fuel', vehicle.fuel, true)
    end
end)

--- The kit mends the nearest vehicle.
CreateThread(function()
    exports['rp-inventory']:RegisterUsable('repairkit', function(src)
        local ped = GetPlayerPed(src)
        if ped == 0 then return false end
        local here = GetEntityCoords(ped)
        local nearest, distance = nil, 6.0
        for _, entity in ipairs(GetAllVehicles()) do
            local away = #(GetEntityCoords(entity) - here)
            if away < distance then nearest, distance = entity, away end
        end
        if not nearest then return false end
        TriggerClientEvent('rp-garage:client:repair', NetworkGetEntityOwner(nearest),
            NetworkGetNetworkIdFromEntity(nearest))
        return true
    end)
end)

AddEventHandler('entityCreating', function(entity)
    -- cars nobody asked for do not drive in the rooms where characters are chosen
    if GetEntityRoutingBucket(entity) >= 1000 and GetEntityType(entity) == 2 then CancelEvent() end
end)
