-- State bags as scripts index them: `GlobalState.weather = 'rain'`, `Player(1).state:set('job', 'police', true)`.

local host = ...
local error, setmetatable, string_format, tonumber, tostring, type =
    error, setmetatable, string.format, tonumber, tostring, type
local get_value, set_state, ensure_bag = GetStateBagValue, host.set_state, host.ensure_bag

-- Their extension types in MessagePack.
local ENTITY, PLAYER = 41, 42

local function state_bag(name)
    local function set(_, key, value, replicated) set_state(name, key, value, replicated) end
    return setmetatable({}, {
        __index = function(_, key)
            if key == 'set' then return set end
            return get_value(name, key)
        end,
        __newindex = function(_, key, value) set_state(name, key, value, true) end,
    })
end

GlobalState = state_bag('global')

local entity = {
    __ext = ENTITY,
    __index = function(self, key)
        if key ~= 'state' then return nil end
        EnsureEntityStateBag(self.__data)
        return state_bag(string_format('entity:%d', NetworkGetNetworkIdFromEntity(self.__data)))
    end,
    __newindex = function() error('Setting values on Entity is not supported at this time.', 2) end,
}

local player = {
    __ext = PLAYER,
    __index = function(self, key)
        if key ~= 'state' then return nil end
        return state_bag(string_format('player:%d', self.__data))
    end,
    __newindex = function() error('Setting values on Player is not supported at this time.', 2) end,
}

host.references.entity, host.references.player = entity, player

function Entity(handle)
    if type(handle) == 'number' then return setmetatable({ __data = handle }, entity) end
    return handle
end

function Player(source)
    if type(source) == 'number' or type(source) == 'string' then
        return setmetatable({ __data = tonumber(source) }, player)
    end
    return source
end

function EnsureEntityStateBag(handle)
    ensure_bag(string_format('entity:%d', NetworkGetNetworkIdFromEntity(handle)))
end

function GetEntityFromStateBagName(name)
    local id = tonumber(tostring(name):match('^entity:(%d+)$'))
    if id then return NetworkGetEntityFromNetworkId(id) end
    return tonumber(tostring(name):match('^localEntity:(%d+)$')) or 0
end
