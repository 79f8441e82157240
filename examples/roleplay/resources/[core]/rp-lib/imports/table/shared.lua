local module = {}

--- A copy of the table and of the tables in it.
function module.deepClone(value)
    if type(value) ~= 'table' then return value end
    local copy = table.clone(value)
    for key, item in pairs(copy) do
        if type(item) == 'table' then copy[key] = module.deepClone(item) end
    end
    return copy
end

--- Whether a list has the value, or all values of another list.
function module.contains(list, value)
    if type(value) ~= 'table' then
        for i = 1, #list do
            if list[i] == value then return true end
        end
        return false
    end
    local set = {}
    for i = 1, #list do set[list[i]] = true end
    for i = 1, #value do
        if not set[value[i]] then return false end
    end
    return true
end

--- What `second` has goes over `first`; numbers are added where `add` says so.
function module.merge(first, second, add)
    for key, right in pairs(second) do
        local left = first[key]
        local kind = type(left)
        if kind == 'table' and type(right) == 'table' then
            module.merge(left, right, add)
        elseif add and kind == 'number' and type(right) == 'number' then
            first[key] += right
        else
            first[key] = right
        end
    end
    return first
end

function module.size(map)
    local count = 0
    for _ in pairs(map) do count += 1 end
    return count
end

--- Keys in order, so that whoever walks them always does it the same way.
function module.sortedKeys(map)
    local keys = table.create(8, 0)
    for key in pairs(map) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b)
        if type(a) == type(b) then return a < b end
        return type(a) < type(b)
    end)
    return keys
end

function module.matches(a, b)
    local kind = type(a)
    if kind ~= type(b) then return false end
    if kind ~= 'table' then return a == b end
    for key, value in pairs(a) do
        if not module.matches(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

return module
