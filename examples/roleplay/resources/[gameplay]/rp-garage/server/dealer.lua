local core = exports['rp-core']

function Near(src, place, reach)
    local ped = GetPlayerPed(src)
    return ped ~= 0 and #(GetEntityCoords(ped) - place) <= (reach or Config.reach)
end

lib.callback.register('rp-garage:catalogue', function()
    local list = {}
    for _, model in ipairs(lib.table.sortedKeys(Vehicles)) do
        local vehicle = Vehicles[model]
        if vehicle.price > 0 then
            list[#list + 1] = { model = model, label = vehicle.label, price = vehicle.price, class = vehicle.class }
        end
    end
    return list
end)

lib.callback.register('rp-garage:buy', function(src, model)
    local vehicle = type(model) == 'string' and Vehicles[model]
    if not vehicle or vehicle.price == 0 or not Near(src, Config.dealer) then return false, 'not for sale' end
    local citizenid = core:GetCitizenId(src)
    if not citizenid then return false, 'who are you?' end

    WaitForVehicles()
    local plate = FreshPlate()
    if not core:RemoveMoney(src, 'bank', vehicle.price, ('bought a %s'):format(vehicle.label)) then
        return false, 'not enough money'
    end

    local id = MySQL.insert.await('INSERT INTO player_vehicles (owner, plate, model, mods) VALUES (?, ?, ?, ?)', {
        citizenid, plate, model, json.encode({ colour = { math.random(0, 159), math.random(0, 159) }, extras = {} }),
    })
    if not id then
        core:AddMoneyByCitizenId(citizenid, 'bank', vehicle.price, 'refund')
        return false, 'the dealer is closed'
    end
    exports['rp-inventory']:AddItem(src, 'keys', 1, { plate = plate })
    lib.logger(src, 'vehicle', '{who} bought {model} {plate}', { who = citizenid, model = model, plate = plate })
    return plate
end)

--- A vehicle changes hands: the paper says so before the money moves back.
lib.callback.register('rp-garage:transfer', function(src, plate, target)
    target = tonumber(target)
    local from, to = core:GetCitizenId(src), target and core:GetCitizenId(target)
    if type(plate) ~= 'string' or not from or not to or from == to then return false end
    local changed = MySQL.update.await('UPDATE player_vehicles SET owner = ? WHERE plate = ? AND owner = ?', {
        to, plate, from,
    })
    if changed ~= 1 then return false end
    local vehicle = Out[plate]
    if vehicle then
        vehicle.owner = to
        Entity(vehicle.entity).state:set('owner', to, true)
    end
    local inventory = exports['rp-inventory']
    if inventory:RemoveItem(src, 'keys', 1, { plate = plate }) then
        inventory:AddItem(target, 'keys', 1, { plate = plate })
    end
    return true
end)
