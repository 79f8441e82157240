-- What the display looks like is the player's choice; it is kept in the key-value store.

local defaults <const> = { scale = 1.0, minimap = true, speed = 'kmh', voice = true }

local function key(src)
    local license = GetPlayerIdentifierByType(src, 'license')
    return license and ('settings:%s'):format(license)
end

local function read(src)
    local text = key(src) and GetResourceKvpString(key(src))
    return lib.table.merge(table.clone(defaults), text and json.decode(text) or {})
end

lib.callback.register('rp-hud:settings', read)

RegisterNetEvent('rp-hud:server:settings', function(settings)
    local src = source
    local name = key(src)
    if not name or type(settings) ~= 'table' then return end
    local kept = {}
    for field, value in pairs(defaults) do
        if type(settings[field]) == type(value) then kept[field] = settings[field] end
    end
    SetResourceKvp(name, json.encode(kept))
    TriggerClientEvent('rp-hud:client:settings', src, read(src))
end)

--- Asks the player's game where the waypoint is; nil when there is none or no answer comes.
exports('GetWaypoint', function(src)
    local answer = lib.callback.await('rp-hud:waypoint', src, 3000)
    return answer and vec3(answer.x, answer.y, answer.z)
end)

RegisterCommand('forgetsettings', function()
    local handle = StartFindKvp('settings:')
    local found = {}
    repeat
        local name = FindKvp(handle)
        if name then found[#found + 1] = name end
    until not name
    EndFindKvp(handle)
    for i = 1, #found do DeleteResourceKvp(found[i]) end
    print(('%d settings are forgotten'):format(#found))
end, true)
