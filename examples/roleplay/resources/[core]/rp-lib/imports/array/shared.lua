local Array = {}
Array.__index = Array

function Array.new(...)
    return setmetatable({ ... }, Array)
end

function Array.from(list)
    return setmetatable(table.clone(list), Array)
end

function Array:push(...)
    local extra <const> = table.pack(...)
    for i = 1, extra.n do self[#self + 1] = extra[i] end
    return #self
end

function Array:map(fn)
    local out = table.create(#self, 0)
    for i = 1, #self do out[i] = fn(self[i], i) end
    return setmetatable(out, Array)
end

function Array:filter(fn)
    local out = {}
    for i = 1, #self do
        if fn(self[i], i) then out[#out + 1] = self[i] end
    end
    return setmetatable(out, Array)
end

function Array:find(fn)
    for i = 1, #self do
        if fn(self[i], i) then return self[i], i end
    end
end

function Array:reduce(fn, start)
    local value = start
    for i = 1, #self do value = fn(value, self[i], i) end
    return value
end

function Array:forEach(fn)
    for i = 1, #self do fn(self[i], i) end
    return self
end

function Array:slice(first, last)
    local out = {}
    for i = first or 1, math.min(last or #self, #self) do out[#out + 1] = self[i] end
    return setmetatable(out, Array)
end

function Array:sorted(less)
    local out = Array.from(self)
    table.sort(out, less)
    return out
end

return Array
