-- Everything lives in memory. A table is a list of rows and one index per column that is asked for.
Tables = {}

local tables = {}

local function open(name)
    local t = tables[name]
    if not t then
        t = { rows = {}, indexes = {}, nextId = 1 }
        tables[name] = t
    end
    return t
end

local function put(index, key, row)
    if key == nil then return end
    local bucket = index[key]
    if not bucket then
        bucket = {}
        index[key] = bucket
    end
    bucket[#bucket + 1] = row
end

local function indexOf(t, column)
    local index = t.indexes[column]
    if not index then
        index = {}
        for _, row in ipairs(t.rows) do
            put(index, row[column], row)
        end
        t.indexes[column] = index
    end
    return index
end

function Tables.insert(name, row)
    local t = open(name)
    row.id = row.id or t.nextId
    t.nextId = math.max(t.nextId, row.id) + 1
    t.rows[#t.rows + 1] = row
    for column, index in pairs(t.indexes) do
        put(index, row[column], row)
    end
    return row.id
end

function Tables.all(name)
    return open(name).rows
end

--- rows of `name` where `column` is one of `values`
function Tables.find(name, column, values)
    local index = indexOf(open(name), column)
    local found = {}
    for _, value in ipairs(values) do
        for _, row in ipairs(index[value] or {}) do
            found[#found + 1] = row
        end
    end
    return found
end

--- `changes` must not touch indexed columns
function Tables.change(name, column, value, changes)
    local rows = Tables.find(name, column, { value })
    for _, row in ipairs(rows) do
        for key, new in pairs(changes) do
            row[key] = new
        end
    end
    return #rows
end
