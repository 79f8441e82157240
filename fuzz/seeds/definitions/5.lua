-- The few shapes of SQL our scripts use. Anything else is an error, better loud than wrong.

local function later(cb, ...)
    if not cb then return end
    local result = { ... }
    SetTimeout(math.random(Config.latency.min, Config.latency.max), function()
        cb(table.unpack(result))
    end)
end

local function select(sql, params)
    local name, rest = sql:match('^SELECT %* FROM (%w+)(.*)$')
    if not name then
        error(('cannot read this query: %s'):format(sql))
    end
    local column = rest:match('^ WHERE (%w+) = %?$')
    if column then
        return Tables.find(name, column, { params[1] })
    end
    column = rest:match('^ WHERE (%w+) IN %(%?%)$')
    if column then
        return Tables.find(name, column, params[1])
    end
    if rest == '' then
        return Tables.all(name)
    end
    error(('cannot read this query: %s'):format(sql))
end

function query(sql, params, cb)
    later(cb, select(sql, params or {}))
end

function insert(name, row, cb)
    later(cb, Tables.insert(name, row))
end

function update(name, column, value, changes, cb)
    later(cb, Tables.change(name, column, value, changes))
end
