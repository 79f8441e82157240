-- Each resource keeps its tables in its own sql folder; this runs them once at start.

Database = {}

--- The statements of a script: comments go, strings are not looked into because our files have no semicolons there.
local function statements(text)
    local lines = {}
    for line in text:gmatch('[^\r\n]+') do
        if not line:match('^%s*%-%-') then lines[#lines + 1] = line end
    end
    local list = {}
    for statement in table.concat(lines, '\n'):gmatch('[^;]+') do
        statement = lib.string.trim(statement)
        if #statement > 0 then list[#list + 1] = statement end
    end
    return list
end

function Database.migrate(resource, file)
    local text = LoadResourceFile(resource, file)
    if not text then error(('%s has no file %s'):format(resource, file), 2) end
    local list = statements(text)
    for i = 1, #list do
        MySQL.query.await(list[i])
    end
    return #list
end

local ready = promise.new()

MySQL.ready(function()
    Database.migrate(cache.resource, 'sql/rp-core.sql')
    ready:resolve(true)
    TriggerEvent('rp-core:server:databaseReady')
end)

--- Waits until the tables of this resource are there.
function Database.wait()
    return Citizen.Await(ready)
end

exports('Migrate', function(file)
    -- asked before anything is waited for: afterwards nobody is calling
    local resource = GetInvokingResource() or cache.resource
    Database.wait()
    return Database.migrate(resource, file)
end)
