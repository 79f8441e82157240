RegisterNetEvent('framework:join')
AddEventHandler('framework:join', function(src, name, license)
    if Players[src] then return end
    -- two round trips: the account, then the houses that belong to it
    local character = Characters.load(license)
    local accounts = DB.await('SELECT * FROM accounts WHERE owner = ?', { character.citizenid })
    local houses = DB.await('SELECT * FROM houses WHERE owner = ?', { character.citizenid })
    if accounts[1] then
        character.bank = accounts[1].balance
    end

    local player = xPlayer.new(src, name, character)
    Players[src] = player
    PlayersByCitizen[player.citizenid] = player
    TriggerEvent('framework:playerLoaded', src, player:data(), #houses)
    TriggerClientEvent('framework:playerLoaded', src, player:data())
end)

RegisterNetEvent('framework:leave')
AddEventHandler('framework:leave', function(src, reason)
    local player = Players[src]
    if not player then return end
    Players[src] = nil
    PlayersByCitizen[player.citizenid] = nil
    DB.update('accounts', 'owner', player.citizenid, { balance = player.bank })
    TriggerEvent('framework:playerDropped', src, player.citizenid, reason or 'left')
end)

-- hunger and thirst
CreateThread(function()
    while true do
        Wait(5000)
        for _, player in pairs(Players) do
            player.playtime = player.playtime + 5
            TriggerClientEvent('framework:needs', player.source, 100 - player.playtime % 100)
        end
    end
end)

exports.cron:every('count players', 10, 'framework:countPlayers')

AddEventHandler('framework:countPlayers', function()
    local n = 0
    for _ in pairs(Players) do n = n + 1 end
    SetResourceKvpInt('players:last', n)
    if n > GetResourceKvpInt('players:record') then
        SetResourceKvpInt('players:record', n)
    end
end)
