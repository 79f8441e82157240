-- Everyone who is connected, with or without a character.

Sessions = {}

local function licenseOf(src)
    return GetPlayerIdentifierByType(src, 'license')
end

--- Runs while the loading screen is up: whoever has no license cannot play.
AddEventHandler('playerConnecting', function(name, setKickReason, deferrals)
    local src = source
    deferrals.defer()
    Wait(0)
    deferrals.update(('Hello %s, we are looking for your papers.'):format(name))

    local license = licenseOf(src)
    if not license then
        return deferrals.done('No Rockstar license was found. Restart the game and try again.')
    end
    if #name < 2 or name:find('[<>%^]') then
        return deferrals.done('Your name has to have two letters or more, without < > ^.')
    end

    Database.wait()
    local now = os.time()
    MySQL.insert.await([[
        INSERT INTO users (license, name, slots, first_seen, last_seen) VALUES (?, ?, ?, ?, ?)
        ON DUPLICATE KEY UPDATE name = VALUES(name), last_seen = VALUES(last_seen)
    ]], { license, name, Config.slots, now, now })

    local count = MySQL.scalar.await('SELECT COUNT(*) FROM characters WHERE license = ?', { license })
    deferrals.update(('%d of your characters live here.'):format(count))
    deferrals.done()
end)

local function open(src)
    local session = {
        source = src,
        license = licenseOf(src),
        name = GetPlayerName(src),
        since = os.time(),
    }
    Sessions[src] = session
    Player(src).state:set('loggedIn', false, true)
    return session
end

AddEventHandler('playerJoining', function()
    local src = source
    open(src)
    GlobalState.playerCount = #GetPlayers()
end)

AddEventHandler('playerDropped', function(reason)
    local src = source
    local session = Sessions[src]
    if not session then return end

    Characters.unload(src, true)
    Sessions[src] = nil
    GlobalState.playerCount = lib.table.size(Sessions)

    local seconds = os.time() - session.since
    MySQL.update('UPDATE users SET playtime = playtime + ?, last_seen = ? WHERE license = ?', {
        seconds, os.time(), session.license,
    })
    lib.logger(src, 'session', '{name} left after {seconds} s: {reason}', {
        name = session.name, seconds = seconds, reason = reason,
    })
end)

--- A restart of this resource finds people in the middle of things.
CreateThread(function()
    for _, id in ipairs(GetPlayers()) do
        local src = tonumber(id)
        if not Sessions[src] then open(src) end
    end
end)
