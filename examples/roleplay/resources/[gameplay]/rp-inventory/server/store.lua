-- Inventories are read when somebody needs them, and written when they changed.

local slots = lib.require 'modules.slots'

Store = {}

local loaded = {}
local loading = {}
local ready = promise.new()

MySQL.ready(function()
    exports['rp-core']:Migrate('sql/rp-inventory.sql')
    ready:resolve(true)
end)

local query <const> = [[
    INSERT INTO inventories (name, items, count, weight, changed) VALUES (?, ?, ?, ?, ?)
    ON DUPLICATE KEY UPDATE items = VALUES(items), count = VALUES(count), weight = VALUES(weight),
        changed = VALUES(changed)
]]

--- The inventory if it is in memory.
function Store.peek(id)
    return loaded[id]
end

--- The inventory, read from the database the first time. Two who ask at once get the same one.
function Store.get(id, kind)
    local inventory = loaded[id]
    if inventory then return inventory end

    local waiting = loading[id]
    if waiting then return Citizen.Await(waiting) end

    local arrived = promise.new()
    loading[id] = arrived
    Citizen.Await(ready)
    local text = MySQL.scalar.await('SELECT items FROM inventories WHERE name = ?', { id })
    inventory = Inventory:new(id, kind, text and slots.unpack(json.decode(text)) or nil)
    inventory.fresh = text == nil
    loaded[id] = inventory
    loading[id] = nil
    arrived:resolve(inventory)
    return inventory
end

--- An inventory that is never written: what lies on the ground.
function Store.temporary(id, kind)
    local inventory = Inventory:new(id, kind)
    inventory.temporary = true
    loaded[id] = inventory
    return inventory
end

function Store.drop(id)
    loaded[id] = nil
end

--- Writes what changed, in one batch, and forgets what nobody looked at for a while.
function Store.save()
    local rows, now = {}, os.time()
    for _, id in ipairs(lib.table.sortedKeys(loaded)) do
        local inventory = loaded[id]
        if inventory.changed and not inventory.temporary then
            rows[#rows + 1] = inventory:row()
            inventory.changed = false
        elseif not inventory.temporary and inventory.kind ~= 'player' and not next(inventory.viewers)
            and now - inventory.touchedAt > 300 then
            loaded[id] = nil
        end
    end
    if #rows > 0 then MySQL.prepare.await(query, rows) end
    return #rows
end

--- Writes one and lets it go.
function Store.close(id)
    local inventory = loaded[id]
    if not inventory then return end
    loaded[id] = nil
    if inventory.changed then MySQL.prepare(query, { inventory:row() }) end
end

lib.cron.every(Config.saveSeconds, Store.save, 'save inventories')

AddEventHandler('onResourceStop', function(resource)
    if resource ~= cache.resource then return end
    for _, id in ipairs(lib.table.sortedKeys(loaded)) do
        local inventory = loaded[id]
        if inventory.changed and not inventory.temporary then MySQL.prepare(query, { inventory:row() }) end
    end
end)
