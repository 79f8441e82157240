local function playerArg(args)
    local player = Players[tonumber(args[1] or '') or -1]
    if not player then
        print('no player with this id is online')
    end
    return player
end

RegisterCommand('setjob', function(_, args)
    local player = playerArg(args)
    if player and not player:setJob(args[2] or '') then
        print(('unknown job %s'):format(tostring(args[2])))
    end
end, true)

RegisterCommand('givemoney', function(_, args)
    local player = playerArg(args)
    local amount = tonumber(args[3] or '')
    if player and amount and (args[2] == 'cash' or args[2] == 'bank') then
        player:addMoney(args[2], amount, 'admin')
    end
end, true)

RegisterCommand('online', function()
    local n = 0
    for _ in pairs(Players) do n = n + 1 end
    print(('%d players online, %d citizens known'):format(n, #Characters.list))
end, true)
