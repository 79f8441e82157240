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
local sites = {
    { name = 'mine', x = 1800.0, y = -650.0 }, { name = 'garage', x = 230.0, y = 60.0 },
    { name = 'depot', x = 640.0, y = -120.0 }, { name = 'hospital', x = 340.0, y = 210.0 },
    { name = 'station', x = 440.0, y = 150.0 },
}
local atWork = {}

AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        local nearest, best
        for _, site in ipairs(sites) do
            local distance = (update.x - site.x) ^ 2 + (update.y - site.y) ^ 2
            if not best or distance < best then
                nearest, best = site.name, distance
            end
        end
        atWork[update.unit] = nearest
    end
end)
