-- A bag is a list of slots: { name, count, quality }
Bags = { list = {} }

function Bags.open(src)
    local bag = Bags.list[src]
    if not bag then
        bag = { slots = {}, weight = 0 }
        Bags.list[src] = bag
    end
    return bag
end

function Bags.drop(src)
    Bags.list[src] = nil
end

local function slotOf(bag, name)
    for i, slot in ipairs(bag.slots) do
        if slot.name == name then
            return slot, i
        end
    end
end

function Bags.add(src, name, count)
    local item = Items[name]
    if not item or count < 1 then return false end
    local bag = Bags.open(src)
    if bag.weight + item.weight * count > Config.maxWeight then
        return false
    end
    local slot = slotOf(bag, name)
    if slot then
        slot.count = slot.count + count
    else
        bag.slots[#bag.slots + 1] = { name = name, count = count, quality = 100 }
    end
    bag.weight = bag.weight + item.weight * count
    TriggerEvent('inventory:changed', src, name, count)
    return true
end

function Bags.remove(src, name, count)
    local bag = Bags.open(src)
    local slot, at = slotOf(bag, name)
    if not slot or slot.count < count then
        return false
    end
    slot.count = slot.count - count
    if slot.count == 0 then
        table.remove(bag.slots, at)
    end
    bag.weight = bag.weight - Items[name].weight * count
    TriggerEvent('inventory:changed', src, name, -count)
    return true
end

function Bags.count(src, name)
    local slot = slotOf(Bags.open(src), name)
    return slot and slot.count or 0
end

exports('addItem', Bags.add)
exports('removeItem', Bags.remove)
exports('countItem', Bags.count)
