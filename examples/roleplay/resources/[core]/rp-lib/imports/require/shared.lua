-- lib.require 'server.modules.weight' loads server/modules/weight.lua of this resource, or of another:
-- lib.require '@rp-core.shared.items'. A file runs once for each resource that asks.

local loaded = {}
local loading <const> = {}

local function locate(module)
    local resource, rest = module:match('^@([^.]+)%.(.+)$')
    resource = resource or GetCurrentResourceName()
    return resource, ('%s.lua'):format((rest or module):gsub('%.', '/'))
end

return function(module)
    local known = loaded[module]
    if known == loading then
        error(("circular dependency while loading module '%s'"):format(module), 2)
    elseif known ~= nil then
        return known
    end

    local resource, path = locate(module)
    local source = LoadResourceFile(resource, path)
    if not source then
        error(("module '%s' not found: no file '@%s/%s'"):format(module, resource, path), 2)
    end

    local chunk, problem = load(source, ('@@%s/%s'):format(resource, path), 't', _ENV)
    if not chunk then error(problem, 2) end

    loaded[module] = loading
    local result = chunk(module)
    loaded[module] = result == nil and true or result
    return loaded[module]
end
