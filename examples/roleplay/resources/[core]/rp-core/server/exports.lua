-- What other resources may call.

exports('GetPlayer', function(src)
    local player = Players[tonumber(src)]
    return player and player:export()
end)

exports('GetPlayerByCitizenId', function(citizenid)
    local player = Characters.byCitizenId(citizenid)
    return player and player:export()
end)

--- Numbers of all who have a character at play, in order.
exports('GetPlayers', function()
    return lib.table.sortedKeys(Players)
end)

exports('GetSession', function(src)
    local session = Sessions[src]
    return session and table.clone(session)
end)

-- The short way for those who want one thing: no functions are made for it.

exports('GetCitizenId', function(src) return Players[src]?.citizenid end)
exports('GetName', function(src) return Players[src]?.name end)
exports('GetJob', function(src) return Players[src]?.job end)
exports('GetMoney', function(src, account) return Players[src]?.money?[account] or 0 end)
exports('GetMeta', function(src, key) return Players[src]?.metadata?[key] end)

exports('AddMoney', function(src, account, amount, reason)
    local player = Players[src]
    return player ~= nil and player:addMoney(account, amount, reason)
end)

exports('RemoveMoney', function(src, account, amount, reason)
    local player = Players[src]
    return player ~= nil and player:removeMoney(account, amount, reason)
end)

exports('SetMeta', function(src, key, value)
    local player = Players[src]
    return player ~= nil and player:setMeta(key, value)
end)

exports('Notify', function(src, text, kind)
    local player = Players[src]
    if player then player:notify(text, kind) end
end)

--- Money for someone who may be away.
exports('AddMoneyByCitizenId', function(citizenid, account, amount, reason)
    local player = Characters.byCitizenId(citizenid)
    if player then return player:addMoney(account, amount, reason) end
    if account ~= 'bank' and account ~= 'cash' then return false end
    local column = account == 'bank' and 'bank = bank + ?' or 'cash = cash + ?'
    local changed = MySQL.update.await(('UPDATE characters SET %s WHERE citizenid = ?'):format(column), {
        amount, citizenid,
    })
    return changed == 1
end)

exports('ListCharacters', function(src)
    local session = Sessions[src]
    return session and Characters.list(session.license) or {}
end)

exports('CreateCharacter', function(src, data) return Characters.create(src, data) end)
exports('DeleteCharacter', function(src, citizenid) return Characters.delete(src, citizenid) end)
exports('LoadCharacter', function(src, citizenid) return Characters.load(src, citizenid) end)
exports('UnloadCharacter', function(src) return Characters.unload(src, false) end)
exports('SaveAll', function() return Characters.saveAll(true) end)

exports('GetItems', function() return Items end)
exports('GetJobs', function()
    local jobs = {}
    for name, job in pairs(Jobs) do
        if type(job) == 'table' then jobs[name] = job end
    end
    return jobs
end)
exports('GetVehicles', function() return Vehicles end)
