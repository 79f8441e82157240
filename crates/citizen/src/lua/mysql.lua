-- `MySQL` for scripts: the interface of oxmysql's library, with the names of mysql-async beside.
local resource = GetCurrentResourceName()
local exported = exports.oxmysql

MySQL = MySQL or {}
MySQL.Async, MySQL.Sync = {}, {}

local function checked(query, wanted)
    if type(query) ~= wanted then
        error(("First argument expected %s, received '%s'"):format(wanted, tostring(query)), 3)
    end
    return query
end

-- a method can be called with a callback, and has `await`, which answers
local function method(name)
    local wanted = name == 'transaction' and 'table' or 'string'
    return setmetatable({ await = exported['await:' .. name], method = name }, {
        __call = function(_, query, parameters, callback)
            return exported[name](exported, checked(query, wanted), parameters, callback)
        end,
    })
end

for _, name in ipairs { 'query', 'single', 'scalar', 'insert', 'update', 'prepare', 'rawExecute', 'transaction', 'execute', 'fetch' } do
    MySQL[name] = method(name)
end

for alias, name in pairs {
    fetchAll = 'query', fetchScalar = 'scalar', fetchSingle = 'single', insert = 'insert', execute = 'update',
    transaction = 'transaction', prepare = 'prepare',
} do
    MySQL.Async[alias] = MySQL[name]
    MySQL.Sync[alias] = MySQL[name].await
end

local function store(query, callback)
    checked(query, 'string')
    if callback then return callback(query) end
    return query
end

MySQL.Async.store, MySQL.Sync.store = store, store

MySQL.ready = setmetatable({
    await = function() return exported:awaitConnection() end,
}, {
    __call = function(_, callback) CreateThreadNow(callback) end,
})

function MySQL.startTransaction(queries)
    return exported:startTransaction(queries, resource)
end
