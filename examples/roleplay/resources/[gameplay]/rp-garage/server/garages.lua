local core = exports['rp-core']
local busy = {}

lib.callback.register('rp-garage:list', function(src, name)
    local citizenid = core:GetCitizenId(src)
    if not citizenid or not (Config.garages[name] or name == 'impound') then return {} end
    WaitForVehicles()
    local rows = MySQL.query.await([[
        SELECT id, plate, model, fuel, engine, body, km FROM player_vehicles
        WHERE owner = @owner AND garage = @garage AND stored = 1 ORDER BY id
    ]], { ['@owner'] = citizenid, ['@garage'] = name })
    for i = 1, #rows do rows[i].label = Vehicles[rows[i].model]?.label or rows[i].model end
    return rows
end)

--- The spawn point nobody stands on.
local function freeSpawn(garage)
    local vehicles = GetAllVehicles()
    for _, spawn in ipairs(garage.spawns) do
        local taken = false
        for i = 1, #vehicles do
            if #(GetEntityCoords(vehicles[i]) - spawn.xyz) < 2.5 then
                taken = true
                break
            end
        end
        if not taken then return spawn end
    end
    return garage.spawns[1]
end

lib.callback.register('rp-garage:take', function(src, plate)
    local citizenid = core:GetCitizenId(src)
    if type(plate) ~= 'string' or not citizenid or busy[plate] then return false, 'not possible' end
    busy[plate] = true

    local row = MySQL.single.await('SELECT * FROM player_vehicles WHERE plate = ? AND owner = ? AND stored = 1', {
        plate, citizenid,
    })
    local garage = row and Config.garages[row.garage]
    if not garage or not Near(src, garage.coords) then
        busy[plate] = nil
        return false, 'it is not here'
    end

    local vehicle = SpawnVehicle(row, freeSpawn(garage), citizenid)
    busy[plate] = nil
    if not vehicle then return false, 'the door is jammed' end

    MySQL.update('UPDATE player_vehicles SET stored = 0 WHERE id = ?', { row.id })
    SetPedIntoVehicle(GetPlayerPed(src), vehicle.entity, -1)
    TriggerClientEvent('rp-garage:client:taken', src, vehicle.netId, row.mods and json.decode(row.mods))
    return vehicle.netId
end)

lib.callback.register('rp-garage:store', function(src, netId, name)
    local garage = Config.garages[name]
    local entity = type(netId) == 'number' and NetworkGetEntityFromNetworkId(netId) or 0
    if not garage or entity == 0 or not DoesEntityExist(entity) then return false, 'no such vehicle' end
    local vehicle = Out[Entity(entity).state.plate]
    if not vehicle or vehicle.owner ~= core:GetCitizenId(src) then return false, 'it is not yours' end
    if #(GetEntityCoords(entity) - garage.coords) > Config.reach * 2 then return false, 'too far away' end
    return vehicle:store(name) == 1
end)

lib.callback.register('rp-garage:release', function(src, plate)
    local citizenid = core:GetCitizenId(src)
    if type(plate) ~= 'string' or not citizenid or not Near(src, Config.impound.coords) then return false end
    if not core:RemoveMoney(src, 'cash', Config.impound.fee, 'impound') then return false end
    local changed = MySQL.update.await(
        "UPDATE player_vehicles SET garage = 'legion' WHERE plate = ? AND owner = ? AND garage = 'impound'",
        { plate, citizenid }
    )
    if changed ~= 1 then
        core:AddMoneyByCitizenId(citizenid, 'cash', Config.impound.fee, 'refund')
        return false
    end
    return true
end)
