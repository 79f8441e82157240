-- Callbacks that nobody registered: the client waits for an answer, so it gets one.

local known = {}

RegisterNetEvent('rp-lib:cb:ask', function(name, key, ...)
    local src = source
    if type(name) ~= 'string' or type(key) ~= 'string' then return end

    local owner = known[name]
    if not owner or GetResourceState(owner) ~= 'started' then
        return TriggerClientEvent('rp-lib:cb:return', src, key, false, ('no such callback: %s'):format(name))
    end

    TriggerEvent(('rp-lib:cb:run:%s'):format(name), src, key, ...)
end)

exports('registerCallback', function(name)
    known[name] = GetInvokingResource()
end)

AddEventHandler('onResourceStop', function(resource)
    local gone = {}
    for name, owner in pairs(known) do
        if owner == resource then gone[#gone + 1] = name end
    end
    for i = 1, #gone do known[gone[i]] = nil end
end)
