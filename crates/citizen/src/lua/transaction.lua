-- `startTransaction` of oxmysql: the function it is given makes queries that all happen, or none.
local begin, run, finish = ...

return function(_, queries)
    local number = begin()
    local function query(sql, values)
        return run(number, sql, values)
    end
    local connection = setmetatable({ query = query, execute = query }, {
        __call = function(_, sql, values) return query(sql, values) end,
    })
    local ok, answer = pcall(queries, connection)
    local committed = finish(number, ok and answer ~= false)
    if not ok then error(answer, 0) end
    return committed
end
