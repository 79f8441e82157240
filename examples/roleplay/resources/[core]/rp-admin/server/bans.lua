Bans = {}

local ready = promise.new()

MySQL.ready(function()
    exports['rp-core']:Migrate('sql/rp-admin.sql')
    ready:resolve(true)
end)

local function left(seconds)
    if seconds >= 86400 then return ('%d days'):format(seconds // 86400) end
    if seconds >= 3600 then return ('%d hours'):format(seconds // 3600) end
    return ('%d minutes'):format(math.max(1, seconds // 60))
end

--- The ban that holds for this license or one of these tokens.
function Bans.find(license, tokens)
    Citizen.Await(ready)
    local now = os.time()
    local ban = MySQL.single.await([[
        SELECT id, reason, expires_at FROM bans
        WHERE license = ? AND active = 1 AND (expires_at IS NULL OR expires_at > ?)
        ORDER BY id DESC LIMIT 1
    ]], { license, now })
    if ban or #tokens == 0 then return ban end

    return MySQL.single.await([[
        SELECT b.id, b.reason, b.expires_at
        FROM ban_tokens t INNER JOIN bans b ON b.id = t.ban_id
        WHERE t.token IN (?) AND b.active = 1 AND (b.expires_at IS NULL OR b.expires_at > ?)
        LIMIT 1
    ]], { tokens, now })
end

AddEventHandler('playerConnecting', function(name, setKickReason, deferrals)
    local src = source
    deferrals.defer()
    Wait(0)
    deferrals.update('Looking through the list of bans.')

    local license = GetPlayerIdentifierByType(src, 'license')
    local tokens = {}
    for i = 0, GetNumPlayerTokens(src) - 1 do tokens[#tokens + 1] = GetPlayerToken(src, i) end

    local ban = license and Bans.find(license, tokens)
    if ban then
        local until_ = ban.expires_at and ('another %s'):format(left(ban.expires_at - os.time())) or 'for good'
        lib.logger(0, 'ban', '{name} knocked, banned {until}', { name = name, ['until'] = until_ })
        return deferrals.done(('You are banned %s: %s (#%d)'):format(until_, ban.reason, ban.id))
    end
    deferrals.done()
end)

--- Bans who is here, with every token of the machine; `seconds` nil means for good.
function Bans.add(by, src, reason, seconds)
    local license = GetPlayerIdentifierByType(src, 'license')
    if not license then return nil end
    local now = os.time()
    local id = MySQL.insert.await([[
        INSERT INTO bans (license, name, reason, banned_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
    ]], { license, GetPlayerName(src), reason, by, now, seconds and now + seconds or nil })

    local queries = {}
    for i = 0, GetNumPlayerTokens(src) - 1 do
        queries[#queries + 1] = {
            query = 'INSERT IGNORE INTO ban_tokens (ban_id, token) VALUES (:ban, :token)',
            values = { ban = id, token = GetPlayerToken(src, i) },
        }
    end
    if #queries > 0 then MySQL.transaction.await(queries) end
    DropPlayer(src, ('You are banned: %s (#%d)'):format(reason, id))
    return id
end

function Bans.lift(id)
    return MySQL.update.await('UPDATE bans SET active = 0 WHERE id = ? AND active = 1', { id }) == 1
end

function Bans.count()
    return MySQL.scalar.await('SELECT COUNT(*) FROM bans WHERE active = 1') or 0
end

exports('Ban', function(src, reason, seconds)
    return Bans.add(GetInvokingResource() or 'server', src, reason, seconds)
end)

exports('IsBanned', function(license)
    return Bans.find(license, {}) ~= nil
end)
