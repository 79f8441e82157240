local core = exports['rp-core']

local function bagOf(src)
    local id = Moves.bag(src)
    return id and Store.get(id, 'player')
end

exports('AddItem', function(src, name, count, metadata)
    local bag = bagOf(src)
    if not bag then return false, 'no bag' end
    local ok, problem = bag:add(name, count or 1, metadata)
    if ok then core:Notify(src, ('+%d %s'):format(count or 1, Items[name].label)) end
    return ok, problem
end)

exports('RemoveItem', function(src, name, count, metadata)
    local bag = bagOf(src)
    if not bag then return false, 'no bag' end
    return bag:remove(name, count or 1, metadata)
end)

exports('GetItemCount', function(src, name, metadata)
    local bag = bagOf(src)
    return bag and bag:count(name, metadata) or 0
end)

exports('CanCarryItem', function(src, name, count, metadata)
    local bag = bagOf(src)
    return bag ~= nil and bag:canCarry(name, count or 1, metadata)
end)

exports('GetInventory', function(src)
    local bag = bagOf(src)
    return bag and bag:view()
end)

exports('AddToStash', function(name, item, count, metadata)
    return Store.get(('stash:%s'):format(name), 'stash'):add(item, count, metadata)
end)

--- Trunks go with their car.
exports('ClearTrunk', function(plate)
    Store.close(('trunk:%s'):format(plate))
end)
