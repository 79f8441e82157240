local minutes = Config.startHour * 60

local function clock()
    return minutes // 60 % 24, minutes % 60
end

exports('getTime', clock)

CreateThread(function()
    while true do
        Wait(1000)
        minutes = minutes + Config.speed
        local hour, minute = clock()
        TriggerClientEvent('worldsync:time', -1, hour, minute)
        if minute < Config.speed then
            TriggerEvent('worldsync:hour', hour)
        end
    end
end)

RegisterCommand('time', function(_, args)
    local hour, minute = tonumber(args[1]), tonumber(args[2]) or 0
    if hour then
        minutes = hour * 60 + minute
    end
end, true)
