local doors = {}

RegisterNetEvent('housing:door')
AddEventHandler('housing:door', function(src, house)
    local player = exports.framework:getPlayer(src)
    if not player then return end
    local rows = DB.await('SELECT * FROM houses WHERE id = ?', { house })
    if not rows[1] or rows[1].owner ~= player.citizenid then
        TriggerClientEvent('chat:addMessage', src, { args = { 'This is not your door.' } })
        return
    end
    doors[house] = not doors[house]
    TriggerClientEvent('housing:door', -1, house, doors[house])
end)

-- lights go on when a car comes near
local near = {}
AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        near[update.unit] = update.y < 100.0
    end
end)
