-- One container of things.

local slots = lib.require 'modules.slots'

Inventory = lib.class('Inventory')

---@param id string player:…, stash:…, trunk:…, drop:…
---@param kind string
---@param items table?
function Inventory:constructor(id, kind, items)
    local limits = Config[kind]
    self.id = id
    self.kind = kind
    self.items = items or {}
    self.slots = limits.slots
    self.maxWeight = limits.weight
    self.weight = slots.total(self.items)
    self.changed = false
    self.viewers = {}
    self.touchedAt = os.time()
end

function Inventory:touch()
    self.changed = true
    self.touchedAt = os.time()
    for _, src in ipairs(lib.table.sortedKeys(self.viewers)) do
        TriggerClientEvent('rp-inventory:client:refresh', src, self.id, self:view())
    end
end

function Inventory:canCarry(name, count, metadata)
    local item = Items[name]
    if not item then return false end
    local weight = slots.weight({ name = name, count = count, metadata = metadata })
    return self.weight + weight <= self.maxWeight and slots.place(self.items, self.slots, name, metadata) ~= nil
end

--- Puts items in; false with the reason when they do not fit.
function Inventory:add(name, count, metadata, at)
    local item = Items[name]
    if not item then return false, 'no such item' end
    if type(count) ~= 'number' or count < 1 or count % 1 ~= 0 then return false, 'wrong count' end
    count = math.tointeger(count)

    if not item.stack and count > 1 then
        -- each takes a slot of its own
        for i = 1, count do
            local ok, problem = self:add(name, 1, metadata)
            if not ok then return i > 1, problem end
        end
        return true
    end

    local weight = slots.weight({ name = name, count = count, metadata = metadata })
    if self.weight + weight > self.maxWeight then return false, 'too heavy' end

    local place = at or slots.place(self.items, self.slots, name, metadata)
    if not place or place < 1 or place > self.slots then return false, 'no room' end

    local slot = self.items[place]
    if slot then
        if not item.stack or not slots.same(slot, name, metadata) then return false, 'the slot is taken' end
        slot.count += count
    else
        self.items[place] = { name = name, count = count, metadata = metadata }
    end
    self.weight += weight
    self:touch()
    return true, place
end

--- Takes items out, from one slot or from wherever they are.
function Inventory:remove(name, count, metadata, at)
    count = math.tointeger(count)
    if not count or count < 1 then return false, 'wrong count' end

    if at then
        local slot = self.items[at]
        if not slot or slot.name ~= name or slot.count < count then return false, 'not there' end
        self:take(at, count)
        self:touch()
        return true
    end

    if slots.count(self.items, name, metadata) < count then return false, 'not enough' end
    local left = count
    for i = self.slots, 1, -1 do
        local slot = self.items[i]
        if left > 0 and slot and slot.name == name and (not metadata or slots.same(slot, name, metadata)) then
            local taken = math.min(left, slot.count)
            self:take(i, taken)
            left -= taken
        end
    end
    self:touch()
    return true
end

function Inventory:take(at, count)
    local slot = self.items[at]
    self.weight -= slots.weight({ name = slot.name, count = count, metadata = slot.metadata })
    slot.count -= count
    if slot.count == 0 then self.items[at] = nil end
end

function Inventory:count(name, metadata)
    return slots.count(self.items, name, metadata)
end

function Inventory:view()
    return {
        id = self.id,
        kind = self.kind,
        slots = self.slots,
        weight = self.weight,
        maxWeight = self.maxWeight,
        items = slots.pack(self.items, self.slots),
    }
end

--- A row for the database.
function Inventory:row()
    local list = slots.pack(self.items, self.slots)
    local count = 0
    for i = 1, #list do count += list[i].count end
    return { self.id, json.encode(list), count, self.weight, self.touchedAt }
end
