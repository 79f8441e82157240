-- Other resources have a say: what may be moved, and what happens when an item is used.

Hooks = {}

local usable = {}
local moves = {}

exports('RegisterUsable', function(name, fn)
    if not Items[name] then return false end
    usable[name] = { owner = GetInvokingResource(), run = fn }
    return true
end)

--- fn({ source, from, to, name, count }) → false forbids it.
exports('RegisterMoveHook', function(fn)
    moves[#moves + 1] = { owner = GetInvokingResource(), run = fn }
    return #moves
end)

function Hooks.mayMove(payload)
    for i = 1, #moves do
        local ok, answer = pcall(moves[i].run, payload)
        if not ok then
            print(('^1hook of %s: %s^0'):format(moves[i].owner, answer))
        elseif answer == false then
            return false
        end
    end
    return true
end

--- Whether the item is used up.
function Hooks.use(src, slot)
    local handler = usable[slot.name]
    if not handler then return false end
    local ok, answer = pcall(handler.run, src, { name = slot.name, metadata = slot.metadata })
    if not ok then
        print(('^1use of %s (%s): %s^0'):format(slot.name, handler.owner, answer))
        return false
    end
    return answer == true
end

AddEventHandler('onResourceStop', function(resource)
    for i = #moves, 1, -1 do
        if moves[i].owner == resource then table.remove(moves, i) end
    end
    for _, name in ipairs(lib.table.sortedKeys(usable)) do
        if usable[name].owner == resource then usable[name] = nil end
    end
end)
