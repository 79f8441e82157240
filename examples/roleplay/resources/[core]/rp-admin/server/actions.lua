-- What the staff does to players.

local spans <const> = { m = 60, h = 3600, d = 86400, w = 604800 }

--- '3d' becomes seconds; 'perm' becomes nil and true.
local function span(word)
    if word == 'perm' then return nil, true end
    local count, unit = (word or ''):match('^(%d+)([mhdw])$')
    if not count then return nil, false end
    return tonumber(count) * spans[unit], true
end

local function nameOf(src)
    return src == 0 and 'console' or GetPlayerName(src)
end

local function tell(src, text)
    if src == 0 then return print(text) end
    TriggerClientEvent('chat:addMessage', src, { args = { 'Staff', text } })
end

local function online(word)
    local id = tonumber(word)
    return id and GetPlayerName(id) and id
end

local function toStaff(text)
    for _, id in ipairs(GetPlayers()) do
        if IsPlayerAceAllowed(id, 'rp.moderator') then tell(tonumber(id), text) end
    end
end

RegisterCommand('kick', function(src, args)
    local target = online(args[1])
    if not target then return tell(src, 'kick <id> [reason]') end
    local reason = #args > 1 and table.concat(args, ' ', 2) or 'no reason was given'
    lib.logger(src, 'kick', '{by} sent {who} home: {reason}', {
        by = nameOf(src), who = GetPlayerName(target), reason = reason,
    })
    DropPlayer(target, ('Kicked: %s'):format(reason))
end, true)

RegisterCommand('ban', function(src, args)
    local target = online(args[1])
    local seconds, ok = span(args[2])
    if not target or not ok then return tell(src, 'ban <id> <30m|12h|3d|2w|perm> [reason]') end
    local name = GetPlayerName(target)
    local reason = #args > 2 and table.concat(args, ' ', 3) or 'no reason was given'
    local id = Bans.add(nameOf(src), target, reason, seconds)
    if not id then return tell(src, 'that did not work') end
    toStaff(('%s banned %s: %s (#%d)'):format(nameOf(src), name, reason, id))
    lib.logger(src, 'ban', '{by} banned {who}: {reason}', { by = nameOf(src), who = name, reason = reason })
end, true)

RegisterCommand('unban', function(src, args)
    local id = tonumber(args[1])
    tell(src, id and Bans.lift(id) and ('ban #%d is lifted'):format(id) or 'unban <number>')
end, true)

RegisterCommand('warn', function(src, args)
    local target = online(args[1])
    if not target or #args < 2 then return tell(src, 'warn <id> <reason>') end
    local license = GetPlayerIdentifierByType(target, 'license')
    local reason = table.concat(args, ' ', 2)
    MySQL.insert.await('INSERT INTO warnings (license, reason, warned_by, created_at) VALUES (?, ?, ?, ?)', {
        license, reason, nameOf(src), os.time(),
    })
    local count = MySQL.scalar.await('SELECT COUNT(*) FROM warnings WHERE license = ?', { license })
    tell(target, ('Warning %d: %s'):format(count, reason))
    if count >= 3 then Bans.add('three warnings', target, reason, spans.d) end
end, true)

RegisterCommand('announce', function(src, args)
    if #args == 0 then return end
    TriggerClientEvent('rp-admin:client:announce', -1, nameOf(src), table.concat(args, ' '))
end, true)

--- Goes to a player, or brings one here; both stay in one world.
local function move(from, to)
    local ped, there = GetPlayerPed(from), GetPlayerPed(to)
    if ped == 0 or there == 0 then return false end
    local coords = GetEntityCoords(there) + vec3(1.0, 0.0, 0.0)
    SetPlayerRoutingBucket(from, GetPlayerRoutingBucket(to))
    SetEntityCoords(ped, coords.x, coords.y, coords.z, false, false, false, false)
    return true
end

RegisterCommand('goto', function(src, args)
    local target = online(args[1])
    if src == 0 or not target or not move(src, target) then tell(src, 'goto <id>') end
end, true)

RegisterCommand('bring', function(src, args)
    local target = online(args[1])
    if src == 0 or not target or not move(target, src) then tell(src, 'bring <id>') end
end, true)

RegisterCommand('freeze', function(src, args)
    local target = online(args[1])
    if not target then return tell(src, 'freeze <id>') end
    local state = Player(target).state
    state:set('frozen', not state.frozen, true)
    FreezeEntityPosition(GetPlayerPed(target), state.frozen)
end, true)

RegisterCommand('cleanup', function(src)
    local gone = 0
    for _, vehicle in ipairs(GetAllVehicles()) do
        if not Entity(vehicle).state.plate and GetPedInVehicleSeat(vehicle, -1) == 0 then
            DeleteEntity(vehicle)
            gone += 1
        end
    end
    tell(src, ('%d vehicles without an owner went'):format(gone))
end, true)

--- Someone gets rights until the next restart.
RegisterCommand('promote', function(src, args)
    local target = online(args[1])
    if not target or (args[2] ~= 'admin' and args[2] ~= 'moderator') then
        return tell(src, 'promote <id> <admin|moderator>')
    end
    local license = GetPlayerIdentifierByType(target, 'license')
    ExecuteCommand(('add_principal identifier.%s group.%s'):format(license, args[2]))
    lib.logger(src, 'staff', '{who} is {group} now', { who = GetPlayerName(target), group = args[2] })
end, true)

lib.callback.register('rp-admin:players', function(src)
    if not IsPlayerAceAllowed(src, 'rp.moderator') then return false end
    local list = {}
    for _, id in ipairs(GetPlayers()) do
        local ped = GetPlayerPed(id)
        list[#list + 1] = {
            id = tonumber(id),
            name = GetPlayerName(id),
            character = exports['rp-core']:GetName(tonumber(id)),
            ping = GetPlayerPing(id),
            bucket = GetPlayerRoutingBucket(id),
            coords = ped ~= 0 and GetEntityCoords(ped) or nil,
        }
    end
    return list
end)
