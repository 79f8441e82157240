local core = exports['rp-core']

AddEventHandler('rp-core:server:loaded', function(src, citizenid)
    local bag = Store.get(('player:%s'):format(citizenid), 'player')
    if bag.fresh then
        bag.fresh = false
        for _, entry in ipairs(Config.starter) do
            local metadata = entry[1] == 'id_card' and { citizenid = citizenid, name = core:GetName(src) } or nil
            bag:add(entry[1], entry[2], metadata)
        end
    end
    bag.viewers[src] = true
    TriggerClientEvent('rp-inventory:client:setup', src, bag:view(), Drops.all())
end)

AddEventHandler('rp-core:server:unloading', function(src, citizenid)
    Store.close(('player:%s'):format(citizenid))
end)

local open = {}

local function close(src)
    local inventory = open[src] and Store.peek(open[src])
    if inventory then inventory.viewers[src] = nil end
    open[src] = nil
end

lib.callback.register('rp-inventory:open', function(src, id)
    local inventory = Moves.reach(src, id)
    if not inventory then return false end
    close(src)
    if inventory.id ~= Moves.bag(src) then
        open[src] = inventory.id
        inventory.viewers[src] = true
    end
    return inventory:view()
end)

RegisterNetEvent('rp-inventory:server:close', function()
    close(source)
end)

lib.callback.register('rp-inventory:move', function(src, data)
    return Moves.move(src, data)
end)

lib.callback.register('rp-inventory:give', function(src, data)
    return Moves.give(src, data)
end)

RegisterNetEvent('rp-inventory:server:use', function(slot)
    local src = source
    Moves.use(src, slot)
end)

lib.callback.register('rp-inventory:drop', function(src, slot, count)
    local bag = Moves.reach(src, 'player')
    local item = bag?.items?[slot]
    count = type(count) == 'number' and math.tointeger(count) or item?.count
    if not item or not count or count < 1 or count > item.count then return false end
    local name, metadata = item.name, item.metadata
    bag:take(slot, count)
    bag:touch()
    return Drops.create(src, name, count, metadata)
end)

AddEventHandler('playerDropped', function()
    close(source)
end)

RegisterCommand('giveitem', function(src, args)
    local target = args[1] == 'me' and src or tonumber(args[1])
    local count = math.tointeger(tonumber(args[3]) or 1)
    if not target or not Items[args[2] or ''] or not count then
        return print('giveitem <id|me> <item> [count]')
    end
    exports['rp-inventory']:AddItem(target, args[2], count)
end, true)
