-- Who is online. Key is the server id, as everywhere.
Players = {}
PlayersByCitizen = {}

xPlayer = {}
xPlayer.__index = xPlayer

function xPlayer.new(src, name, character)
    local self = setmetatable({}, xPlayer)
    self.source = src
    self.name = name
    self.citizenid = character.citizenid
    self.cash = character.cash
    self.bank = character.bank
    self.job = character.job
    self.onDuty = false
    self.position = { x = Config.spawn.x, y = Config.spawn.y, z = Config.spawn.z }
    self.playtime = 0
    return self
end

function xPlayer:addMoney(account, amount, reason)
    amount = math.floor(amount)
    if amount < 0 then return false end
    self[account] = self[account] + amount
    TriggerEvent('framework:moneyChanged', self.source, account, amount, reason)
    return true
end

function xPlayer:removeMoney(account, amount, reason)
    amount = math.floor(amount)
    if amount < 0 or self[account] < amount then return false end
    self[account] = self[account] - amount
    TriggerEvent('framework:moneyChanged', self.source, account, -amount, reason)
    return true
end

function xPlayer:setJob(job)
    if not Jobs[job] then return false end
    self.job = job
    TriggerEvent('framework:jobChanged', self.source, job)
    TriggerClientEvent('framework:jobChanged', self.source, job)
    return true
end

-- what other resources get; never hand out the object itself
function xPlayer:data()
    return {
        source = self.source,
        name = self.name,
        citizenid = self.citizenid,
        cash = self.cash,
        bank = self.bank,
        job = self.job,
        onDuty = self.onDuty,
    }
end

exports('getPlayer', function(src)
    local player = Players[src]
    return player and player:data()
end)

exports('getPlayers', function()
    local list = {}
    for src in pairs(Players) do
        list[#list + 1] = src
    end
    table.sort(list)
    return list
end)

exports('addMoney', function(src, account, amount, reason)
    local player = Players[src]
    return player ~= nil and player:addMoney(account, amount, reason)
end)

exports('removeMoney', function(src, account, amount, reason)
    local player = Players[src]
    return player ~= nil and player:removeMoney(account, amount, reason)
end)

exports('setJob', function(src, job)
    local player = Players[src]
    return player ~= nil and player:setJob(job)
end)

exports('setDuty', function(src, onDuty)
    local player = Players[src]
    if not player then return false end
    player.onDuty = onDuty == true
    return true
end)

AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        local player = Players[update.unit]
        if player then
            player.position.x, player.position.y = update.x, update.y
        end
    end
end)
