-- Included by other resources as '@rp-lib/init.lua'. `lib.table` loads imports/table the first time it is said.

if lib then return end

local library <const> = 'rp-lib'
local side <const> = IsDuplicityVersion() and 'server' or 'client'

if GetResourceState(library) ~= 'started' and GetCurrentResourceName() ~= library then
    error(('^1%s has to be started before %s^0'):format(library, GetCurrentResourceName()), 0)
end

local function noop() end

--- Both halves of a module are one chunk: locals of shared.lua are seen by server.lua.
local function loadModule(self, module)
    local folder = ('imports/%s'):format(module)
    local own = LoadResourceFile(library, ('%s/%s.lua'):format(folder, side))
    local shared = LoadResourceFile(library, ('%s/shared.lua'):format(folder))
    local source = shared and own and ('%s\n%s'):format(shared, own) or shared or own

    if not source then return end

    local chunk, problem = load(source, ('@@%s/%s/%s.lua'):format(library, folder, shared and 'shared' or side))
    if not chunk then
        return error(('\n^1Error importing module (%s): %s^0'):format(folder, problem), 3)
    end

    local result = chunk()
    rawset(self, module, result == nil and noop or result)
    return self[module]
end

lib = setmetatable({
    name = library,
    context = side,
}, {
    __index = function(self, module)
        local found = rawget(self, module)
        if found ~= nil then return found end
        return loadModule(self, module)
    end,
    __call = function(self, module)
        return self[module]
    end,
})

cache = {
    resource = GetCurrentResourceName(),
    started = GetGameTimer(),
}
