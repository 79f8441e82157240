-- What a player does for his money: deliver, dig, repair.
local rewards = { trucker = 120, miner = 80, taxi = 60, mechanic = 95, police = 110, ambulance = 110 }
local done = {}

RegisterNetEvent('jobs:taskDone')
AddEventHandler('jobs:taskDone', function(src)
    local player = exports.framework:getPlayer(src)
    if not player or not player.onDuty then return end
    local reward = rewards[player.job]
    if not reward then return end
    done[src] = (done[src] or 0) + 1
    exports.banking:deposit(src, reward, 'wage ' .. player.job)
    if player.job == 'miner' then
        TriggerEvent('jobs:mined', src, 'iron', 1)
    end
end)

AddEventHandler('framework:playerDropped', function(src)
    done[src] = nil
end)
