local onDuty = {}

RegisterNetEvent('jobs:duty')
AddEventHandler('jobs:duty', function(src, state)
    if exports.framework:setDuty(src, state) then
        onDuty[src] = state or nil
        TriggerClientEvent('jobs:duty', src, state)
    end
end)

AddEventHandler('framework:playerDropped', function(src)
    onDuty[src] = nil
end)

AddEventHandler('framework:jobChanged', function(src)
    onDuty[src] = nil
end)

exports('isOnDuty', function(src)
    return onDuty[src] == true
end)

exports('countOnDuty', function()
    local n = 0
    for _ in pairs(onDuty) do n = n + 1 end
    return n
end)

-- who is at work, for the boss menu
local atWork = {}
AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        atWork[update.unit] = update.x > 0
    end
end)
