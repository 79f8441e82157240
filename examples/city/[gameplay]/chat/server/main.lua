local lastMessage = {}

local function say(src, channel, text)
    local now = GetGameTimer()
    if lastMessage[src] and now - lastMessage[src] < 200 then
        return -- flood
    end
    lastMessage[src] = now
    text = Filter.clean(text)
    TriggerEvent('chat:said', src, channel, text)
    TriggerClientEvent('chat:addMessage', -1, { channel = channel, args = { src, text } })
end

RegisterNetEvent('chat:message')
AddEventHandler('chat:message', function(src, text)
    say(src, 'local', text)
end)

RegisterCommand('ooc', function(src, args)
    say(src, 'ooc', table.concat(args, ' '))
end, false)

RegisterCommand('announce', function(_, args)
    TriggerClientEvent('chat:addMessage', -1, { channel = 'announce', args = { table.concat(args, ' ') } })
end, true)

AddEventHandler('framework:playerLoaded', function(src, player)
    TriggerClientEvent('chat:addMessage', -1, { args = { player.name .. ' is in the city.' } })
end)

AddEventHandler('framework:playerDropped', function(src)
    lastMessage[src] = nil
end)

AddEventHandler('worldsync:hour', function(hour)
    TriggerClientEvent('chat:addMessage', -1, { args = { ('It is %d o\'clock.'):format(hour) } })
end)
