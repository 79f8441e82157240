-- What players do with their hands.

local slots = lib.require 'modules.slots'
local core = exports['rp-core']

Moves = {}

local function here(src)
    local ped = GetPlayerPed(src)
    return ped ~= 0 and GetEntityCoords(ped) or nil
end

--- The id of the bag of a player.
function Moves.bag(src)
    local citizenid = core:GetCitizenId(src)
    return citizenid and ('player:%s'):format(citizenid)
end

local stashes = {}
for _, stash in ipairs(Config.stashes) do stashes[stash.name] = stash end

--- The inventory a client names, if its player may reach it.
function Moves.reach(src, id)
    if id == 'player' then
        local bag = Moves.bag(src)
        return bag and Store.get(bag, 'player')
    end

    local kind, name = tostring(id):match('^(%a+):(.+)$')
    local point = here(src)
    if not point then return end

    if kind == 'stash' then
        local stash = stashes[name]
        if not stash or #(point - stash.coords) > Config.reach then return end
        if stash.job and core:GetJob(src)?.name ~= stash.job then return end
        local suffix = stash.personal and (':%s'):format(core:GetCitizenId(src)) or ''
        return Store.get(('stash:%s%s'):format(name, suffix), 'stash')
    elseif kind == 'trunk' then
        local vehicle = Drops.vehicleByPlate(name)
        if not vehicle or #(point - GetEntityCoords(vehicle)) > Config.reach then return end
        if Entity(vehicle).state.locked then return end
        return Store.get(id, 'trunk')
    elseif kind == 'drop' then
        local drop = Drops.get(id)
        if not drop or #(point - drop.coords) > Config.reach then return end
        return Store.peek(id)
    end
end

local function number(value)
    return type(value) == 'number' and math.tointeger(value) or nil
end

--- From one slot of one inventory to another.
function Moves.move(src, data)
    if type(data) ~= 'table' then return false, 'what?' end
    local from, to = Moves.reach(src, data.from), Moves.reach(src, data.to)
    local fromSlot, toSlot, count = number(data.fromSlot), number(data.toSlot), number(data.count)
    if not from or not to or not fromSlot then return false, 'out of reach' end

    local slot = from.items[fromSlot]
    if not slot then return false, 'nothing there' end
    count = math.min(count or slot.count, slot.count)
    if count < 1 then return false, 'wrong count' end

    if not Hooks.mayMove({ source = src, from = from.id, to = to.id, name = slot.name, count = count }) then
        return false, 'not allowed'
    end

    if from == to then
        local target = toSlot and from.items[toSlot]
        if toSlot == fromSlot or not toSlot or toSlot < 1 or toSlot > from.slots then return false, 'where to?' end
        if target and not (Items[slot.name].stack and slots.same(target, slot.name, slot.metadata)) then
            -- two kinds of things change places
            from.items[fromSlot], from.items[toSlot] = target, slot
            from:touch()
            return true
        end
    elseif to.weight + slots.weight({ name = slot.name, count = count, metadata = slot.metadata }) > to.maxWeight then
        return false, 'too heavy'
    end

    local name, metadata = slot.name, slot.metadata
    from:take(fromSlot, count)
    local ok, problem = to:add(name, count, metadata, toSlot)
    if not ok then
        from:add(name, count, metadata, from.items[fromSlot] == nil and fromSlot or nil)
        return false, problem
    end
    from:touch()
    return true
end

function Moves.use(src, at)
    at = number(at)
    local bag = Moves.reach(src, 'player')
    local slot = at and bag?.items?[at]
    if not slot or not Items[slot.name].usable then return false end
    if Hooks.use(src, slot) and bag.items[at] == slot then
        bag:take(at, 1)
        bag:touch()
    end
    return true
end

function Moves.give(src, data)
    if type(data) ~= 'table' then return false, 'what?' end
    local target, at, count = number(data.target), number(data.slot), number(data.count) or 1
    local bag = Moves.reach(src, 'player')
    local slot = bag?.items?[at]
    local theirs = target and Moves.reach(target, 'player')
    if not slot or not theirs or count < 1 or slot.count < count then return false, 'not possible' end
    if #(here(src) - here(target)) > Config.reach then return false, 'too far away' end
    if not theirs:canCarry(slot.name, count, slot.metadata) then return false, 'too heavy' end

    local name, metadata = slot.name, slot.metadata
    bag:take(at, count)
    bag:touch()
    theirs:add(name, count, metadata)
    core:Notify(target, ('You were given %d × %s.'):format(count, Items[name].label))
    return true
end
