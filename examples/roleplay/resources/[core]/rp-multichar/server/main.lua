local core = exports['rp-core']
local choosing = {}
local busy = {}

local function toScreen(src)
    choosing[src] = GetGameTimer()
    SetPlayerRoutingBucket(src, Config.firstBucket + src)
    SetRoutingBucketPopulationEnabled(Config.firstBucket + src, false)
    local ped = GetPlayerPed(src)
    if ped and ped ~= 0 then
        SetEntityCoords(ped, Config.screen.x, Config.screen.y, Config.screen.z, false, false, false, false)
        FreezeEntityPosition(ped, true)
    end
    TriggerClientEvent('rp-multichar:client:screen', src, Config.screen)
end

local function toWorld(src)
    choosing[src] = nil
    SetPlayerRoutingBucket(src, 0)
    local ped = GetPlayerPed(src)
    if ped and ped ~= 0 then FreezeEntityPosition(ped, false) end
end

--- One thing at a time for each player: clicks come twice.
local function exclusive(src, fn, ...)
    if busy[src] then return false, 'busy' end
    busy[src] = true
    local results = table.pack(pcall(fn, src, ...))
    busy[src] = nil
    if not results[1] then
        print(('^1player %d: %s^0'):format(src, results[2]))
        return false, 'internal error'
    end
    return table.unpack(results, 2, results.n)
end

local function create(src, data)
    if type(data) ~= 'table' or type(data.firstname) ~= 'string' or type(data.lastname) ~= 'string' then
        return false, 'a first and a last name are needed'
    end
    local citizenid, problem = core:CreateCharacter(src, {
        firstname = data.firstname,
        lastname = data.lastname,
        birthdate = tostring(data.birthdate or '1990-01-01'):sub(1, 10),
        gender = tonumber(data.gender) == 1 and 1 or 0,
    })
    if not citizenid then return false, problem end
    return citizenid
end

local function select(src, citizenid)
    if not choosing[src] then return false, 'nobody is choosing' end
    local ok, problem = core:LoadCharacter(src, citizenid)
    if not ok then return false, problem end
    toWorld(src)
    Skins.send(src, citizenid, core:GetPlayer(src)?.charinfo?.gender)
    return true
end

lib.callback.register('rp-multichar:list', function(src)
    local rows = core:ListCharacters(src)
    for i = 1, #rows do
        local row = rows[i]
        row.jobLabel = core:GetJobs()[row.job]?.label or row.job
    end
    return rows
end)

lib.callback.register('rp-multichar:create', function(src, data)
    return exclusive(src, create, data)
end)

lib.callback.register('rp-multichar:select', function(src, citizenid)
    if type(citizenid) ~= 'string' then return false, 'which one?' end
    return exclusive(src, select, citizenid)
end)

lib.callback.register('rp-multichar:delete', function(src, citizenid)
    if not choosing[src] or type(citizenid) ~= 'string' then return false end
    return exclusive(src, function() return core:DeleteCharacter(src, citizenid) end)
end)

lib.callback.register('rp-multichar:spawn', function(src, name)
    local spawn
    for _, place in ipairs(Config.spawns) do
        if place.name == name then spawn = place end
    end
    if not spawn or choosing[src] then return false end
    local ped = GetPlayerPed(src)
    SetEntityCoords(ped, spawn.coords.x, spawn.coords.y, spawn.coords.z, false, false, false, false)
    SetEntityHeading(ped, spawn.coords.w)
    return true
end)

--- The last character played, or a new one with a common name.
local function automatic(src)
    local rows = core:ListCharacters(src)
    local last
    for i = 1, #rows do
        if not last or rows[i].last_used > last.last_used then last = rows[i] end
    end
    local citizenid = last?.citizenid
    if not citizenid then
        local names = Config.names
        citizenid = create(src, {
            firstname = names.first[math.random(#names.first)],
            lastname = names.last[math.random(#names.last)],
            gender = math.random(0, 1),
        })
    end
    return citizenid and select(src, citizenid)
end

if Config.afkSeconds > 0 then
    lib.cron.every(1, function()
        local now = GetGameTimer()
        for _, src in ipairs(lib.table.sortedKeys(choosing)) do
            if choosing[src] and now - choosing[src] > Config.afkSeconds * 1000 then
                CreateThread(function() exclusive(src, automatic) end)
            end
        end
    end, 'who looks away')
end

RegisterNetEvent('rp-multichar:server:logout', function()
    local src = source
    if choosing[src] then return end
    if core:UnloadCharacter(src) then toScreen(src) end
end)

AddEventHandler('playerJoining', function()
    toScreen(source)
end)

AddEventHandler('playerDropped', function()
    local src = source
    choosing[src], busy[src] = nil, nil
end)

AddEventHandler('onResourceStart', function(resource)
    if resource ~= cache.resource then return end
    for _, id in ipairs(GetPlayers()) do
        local src = tonumber(id)
        if not core:GetCitizenId(src) then toScreen(src) end
    end
end)
