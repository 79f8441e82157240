AddEventHandler('framework:playerLoaded', function(src, player)
    History.add('join', src, player.name .. ' joined', { citizenid = player.citizenid, job = player.job })
end)

AddEventHandler('framework:playerDropped', function(src, citizenid, reason)
    History.add('leave', src, 'left: ' .. reason, { citizenid = citizenid })
end)

AddEventHandler('framework:moneyChanged', function(src, account, amount, reason)
    if math.abs(amount) >= 500 then
        History.add('money', src, reason or 'no reason given', { account = account, amount = amount })
    end
end)

AddEventHandler('chat:said', function(src, channel, text)
    History.add('chat', src, text, { channel = channel })
end)

AddEventHandler('framework:saved', function(saved)
    History.add('server', 0, ('saved %d players'):format(saved))
end)

local lastSeen = {}
AddEventHandler('tracker:positions', function(updates)
    local now = GetGameTimer()
    for _, update in ipairs(updates) do
        lastSeen[update.unit] = now
    end
end)
