-- Slots and weights: pure functions over the table of an inventory, no world in here.

local slots = {}

--- Weight of one slot, metadata included.
function slots.weight(slot)
    local item = Items[slot.name]
    return (item.weight + (slot.metadata?.weight or 0)) * slot.count
end

--- Sum over all slots.
function slots.total(items)
    local sum = 0
    for _, slot in pairs(items) do sum += slots.weight(slot) end
    return sum
end

local function same(slot, name, metadata)
    return slot.name == name and lib.table.matches(slot.metadata or {}, metadata or {})
end
slots.same = same

--- A slot the item goes on top of, else the first empty one.
function slots.place(items, size, name, metadata)
    local empty
    for i = 1, size do
        local slot = items[i]
        if not slot then
            empty = empty or i
        elseif Items[name].stack and same(slot, name, metadata) then
            return i
        end
    end
    return empty
end

--- How many there are of an item; with metadata, only those that match.
function slots.count(items, name, metadata)
    local sum = 0
    for _, slot in pairs(items) do
        if slot.name == name and (not metadata or same(slot, name, metadata)) then sum += slot.count end
    end
    return sum
end

--- What goes into the database: a list, in the order of the slots.
function slots.pack(items, size)
    local list = {}
    for i = 1, size do
        local slot = items[i]
        if slot then
            list[#list + 1] = { slot = i, name = slot.name, count = slot.count, metadata = slot.metadata }
        end
    end
    return list
end

function slots.unpack(list)
    local items = {}
    for i = 1, #list do
        local row = list[i]
        if Items[row.name] then
            items[row.slot] = { name = row.name, count = row.count, metadata = row.metadata }
        end
    end
    return items
end

return slots
