-- Commands for the console and the staff.

--- The player of an argument: a number, or 'me'.
local function target(src, word)
    local id = word == 'me' and src or tonumber(word)
    return id and Players[id]
end

local function reply(src, text)
    if src == 0 then return print(text) end
    TriggerClientEvent('chat:addMessage', src, { args = { 'Server', text } })
end

RegisterCommand('givemoney', function(src, args)
    local player = target(src, args[1])
    local account, amount = args[2], tonumber(args[3])
    if not player or not account or not amount then
        return reply(src, L('wrong_arguments', 'givemoney <id|me> <cash|bank> <amount>'))
    end
    if player:addMoney(account, amount, 'staff') then
        player:notify(L('received', lib.string.money(amount)), 'success')
        lib.logger(src, 'staff', '{amount} {account} for {name}', {
            amount = amount, account = account, name = player.name,
        })
    end
end, true)

RegisterCommand('setjob', function(src, args)
    local player = target(src, args[1])
    local grade = tonumber(args[3]) or 0
    if not player or not player:setJob(args[2] or '', grade) then
        return reply(src, L('wrong_arguments', 'setjob <id|me> <job> [grade]'))
    end
    lib.logger(src, 'staff', '{name} is {job} {grade} now', {
        name = player.name, job = args[2], grade = grade,
    })
end, true)

RegisterCommand('weather', function(src, args)
    local name = (args[1] or ''):upper()
    if not exports['rp-core']:SetWeather(name) then
        return reply(src, L('wrong_arguments', 'weather <CLEAR|RAIN|…>'))
    end
end, true)

RegisterCommand('time', function(src, args)
    if not exports['rp-core']:SetTime(args[1], args[2]) then
        return reply(src, L('wrong_arguments', 'time <hour> [minute]'))
    end
end, true)

RegisterCommand('saveall', function(src)
    local saved = Characters.saveAll(true)
    reply(src, ('%d characters saved'):format(saved))
end, true)

RegisterCommand('who', function(src)
    for _, id in ipairs(lib.table.sortedKeys(Players)) do
        local player = Players[id]
        reply(src, ('%3d  %-24s %s, %s'):format(id, player.name, player.job.label, player.job.gradeLabel))
    end
end, true)
