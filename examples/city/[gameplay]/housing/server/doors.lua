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

-- gates open when a car comes near
local gates = {
    { x = 55.0, y = 12.0 }, { x = 210.0, y = 140.0 }, { x = 388.0, y = -60.0 },
    { x = 720.0, y = 310.0 }, { x = 1105.0, y = -420.0 }, { x = 1900.0, y = -700.0 },
}
local near = {}

AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        for i, gate in ipairs(gates) do
            if math.abs(update.x - gate.x) < 10.0 and math.abs(update.y - gate.y) < 10.0 then
                near[i] = update.unit
            end
        end
    end
end)
