-- Characters come from the database, play, and go back to it.

Characters = {}

--- Those at play, by the number of their player
Players = {}
local byCitizen = {}

local updateQuery <const> = [[
    UPDATE characters
    SET cash = ?, bank = ?, job = ?, grade = ?, position = ?, metadata = ?
    WHERE citizenid = ?
]]

function Characters.byCitizenId(citizenid)
    return byCitizen[citizenid]
end

function Characters.list(license)
    return MySQL.query.await([[
        SELECT citizenid, slot, firstname, lastname, birthdate, gender, cash, bank, job, grade, last_used
        FROM characters WHERE license = ? ORDER BY slot
    ]], { license })
end

--- A number nobody has yet.
local function freshCitizenId()
    for _ = 1, 20 do
        local id = lib.string.random('A..11111')
        local taken = MySQL.scalar.await('SELECT 1 FROM characters WHERE citizenid = ?', { id })
        if not taken and not byCitizen[id] then return id end
    end
    error('no free citizen id after 20 tries')
end

function Characters.create(src, data)
    local session = Sessions[src]
    if not session then return nil, 'no session' end

    local first, last = lib.string.trim(data.firstname or ''), lib.string.trim(data.lastname or '')
    if #first < 2 or #last < 2 or #first > 40 or #last > 40 then return nil, 'a name has 2 to 40 letters' end

    local rows = Characters.list(session.license)
    if #rows >= Config.slots then return nil, 'all slots are taken' end

    local slot = 1
    for i = 1, #rows do
        if rows[i].slot == slot then slot += 1 end
    end

    local citizenid = freshCitizenId()
    local id = MySQL.insert.await([[
        INSERT INTO characters (citizenid, license, slot, firstname, lastname, birthdate, gender, cash, bank, metadata)
        VALUES (:citizenid, :license, :slot, :firstname, :lastname, :birthdate, :gender, :cash, :bank, :metadata)
    ]], {
        citizenid = citizenid,
        license = session.license,
        slot = slot,
        firstname = first,
        lastname = last,
        birthdate = data.birthdate or '1990-01-01',
        gender = data.gender == 1 and 1 or 0,
        cash = Config.start.cash,
        bank = Config.start.bank,
        metadata = json.encode(Config.metadata),
    })
    if not id then return nil, 'the database refused' end

    lib.logger(src, 'character', '{first} {last} was born as {id}', { first = first, last = last, id = citizenid })
    TriggerEvent('rp-core:server:created', src, citizenid)
    return citizenid
end

function Characters.delete(src, citizenid)
    local session = Sessions[src]
    if not session or byCitizen[citizenid] then return false end
    local gone = MySQL.update.await('DELETE FROM characters WHERE citizenid = ? AND license = ?', {
        citizenid, session.license,
    })
    if gone > 0 then TriggerEvent('rp-core:server:deleted', citizenid) end
    return gone > 0
end

--- Brings a character into the world; false with the reason when that cannot be.
function Characters.load(src, citizenid)
    local session = Sessions[src]
    if not session then return false, 'no session' end
    if Players[src] then return false, 'already at play' end
    if byCitizen[citizenid] then return false, 'this character is at play elsewhere' end

    local row = MySQL.single.await('SELECT * FROM characters WHERE citizenid = ? AND license = ?', {
        citizenid, session.license,
    })
    -- while the database answered, the player may have left
    if not row then return false, 'no such character' end
    if Sessions[src] ~= session then return false, 'gone' end
    if Players[src] or byCitizen[citizenid] then return false, 'already at play' end

    local player = CorePlayer:new(src, row)
    Players[src] = player
    byCitizen[citizenid] = player
    session.citizenid = citizenid

    MySQL.update('UPDATE characters SET last_used = ? WHERE citizenid = ?', { os.time(), citizenid })

    local state = player:state()
    state:set('citizenid', citizenid, true)
    state:set('name', player.name, true)
    state:set('money', table.clone(player.money), true)
    state:set('job', { name = player.job.name, grade = player.job.grade, onDuty = player.job.onDuty }, true)
    for _, key in ipairs({ 'hunger', 'thirst', 'stress' }) do state:set(key, player.metadata[key], true) end
    state:set('loggedIn', true, true)

    local ped = GetPlayerPed(src)
    if ped and ped ~= 0 then
        SetEntityCoords(ped, player.position.x, player.position.y, player.position.z, false, false, false, false)
        SetEntityHeading(ped, player.position.w)
    end

    player:emit('loaded', {
        citizenid = citizenid,
        name = player.name,
        money = player.money,
        job = player.job,
        metadata = player.metadata,
        position = player.position,
    })
    player:notify(L('welcome', player.charinfo.firstname))
    TriggerEvent('rp-core:server:loaded', src, citizenid)
    return true
end

--- Takes the character out of the world again and saves it.
function Characters.unload(src, dropped)
    local player = Players[src]
    if not player then return false end
    TriggerEvent('rp-core:server:unloading', src, player.citizenid)

    local row = player:row()
    Players[src] = nil
    byCitizen[player.citizenid] = nil
    if Sessions[src] then Sessions[src].citizenid = nil end
    if not dropped then
        Player(src).state:set('loggedIn', false, true)
        player:emit('unloaded')
    end

    MySQL.update(updateQuery, row)
    return true
end

--- Writes everyone who changed, in one batch.
function Characters.saveAll(everyone)
    local rows, saved = {}, {}
    for _, src in ipairs(lib.table.sortedKeys(Players)) do
        local player = Players[src]
        player:locate()
        if player.changed or everyone then
            rows[#rows + 1] = player:row()
            saved[#saved + 1] = player
            player.changed = false
        end
    end
    if #rows == 0 then return 0 end

    local ok, problem = pcall(MySQL.prepare.await, updateQuery, rows)
    if not ok then
        for i = 1, #saved do saved[i].changed = true end
        print(('^1%d characters were not saved: %s^0'):format(#rows, problem))
        return 0
    end
    return #rows
end

lib.cron.every(Config.saveSeconds, function()
    local saved = Characters.saveAll(false)
    if saved > 0 then TriggerEvent('rp-core:server:saved', saved) end
end, 'save characters')

AddEventHandler('onResourceStop', function(resource)
    if resource ~= cache.resource then return end
    -- no waiting here: the machine is about to go
    for _, src in ipairs(lib.table.sortedKeys(Players)) do
        MySQL.update(updateQuery, Players[src]:row())
    end
end)

AddEventHandler('txAdmin:events:scheduledRestart', function(event)
    if event.secondsRemaining == 60 then
        CreateThread(function() Characters.saveAll(true) end)
    end
end)
