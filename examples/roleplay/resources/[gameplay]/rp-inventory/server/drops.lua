-- What lies on the ground: an object in the world and an inventory nobody writes down.

Drops = {}

local drops = {}
local number = 0
local vehicles = {}

function Drops.get(id)
    return drops[id]
end

--- Vehicles tell their plate by their state; the entity is looked up once.
function Drops.vehicleByPlate(plate)
    local known = vehicles[plate]
    if known and DoesEntityExist(known) then return known end
    for _, vehicle in ipairs(GetAllVehicles()) do
        if Entity(vehicle).state.plate == plate then
            vehicles[plate] = vehicle
            return vehicle
        end
    end
end

AddEventHandler('entityRemoved', function(entity)
    for _, plate in ipairs(lib.table.sortedKeys(vehicles)) do
        if vehicles[plate] == entity then vehicles[plate] = nil end
    end
end)

function Drops.create(src, name, count, metadata)
    local ped = GetPlayerPed(src)
    if ped == 0 then return false end
    local coords = GetEntityCoords(ped) - vec3(0.0, 0.0, 0.9)

    number += 1
    local id = ('drop:%d'):format(number)
    local object = CreateObjectNoOffset(Items[name].hash, coords.x, coords.y, coords.z, true, true, false)
    if object and object ~= 0 then
        SetEntityRoutingBucket(object, GetPlayerRoutingBucket(src))
        Entity(object).state:set('drop', id, true)
    end
    Store.temporary(id, 'drop'):add(name, count, metadata)
    drops[id] = { id = id, coords = coords, object = object, at = os.time() }
    TriggerClientEvent('rp-inventory:client:drop', -1, id, coords)
    return id
end

function Drops.remove(id)
    local drop = drops[id]
    if not drop then return end
    drops[id] = nil
    Store.drop(id)
    if drop.object and DoesEntityExist(drop.object) then DeleteEntity(drop.object) end
    TriggerClientEvent('rp-inventory:client:dropGone', -1, id)
end

lib.cron.every(5, function()
    local now = os.time()
    for _, id in ipairs(lib.table.sortedKeys(drops)) do
        local inventory = Store.peek(id)
        local empty = not inventory or not next(inventory.items)
        if empty or now - drops[id].at > Config.dropSeconds then Drops.remove(id) end
    end
end, 'sweep the streets')

function Drops.all()
    local list = {}
    for _, id in ipairs(lib.table.sortedKeys(drops)) do
        list[#list + 1] = { id = id, coords = drops[id].coords }
    end
    return list
end

AddEventHandler('onResourceStop', function(resource)
    if resource ~= cache.resource then return end
    for _, id in ipairs(lib.table.sortedKeys(drops)) do
        local object = drops[id].object
        if object and DoesEntityExist(object) then DeleteEntity(object) end
    end
end)
