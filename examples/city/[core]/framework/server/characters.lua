-- The register of citizens: one line per character in characters.save, next to this resource.
Characters = {
    list = {},
    byLicense = {},
}

function Characters.create(license)
    local id = #Characters.list + 1
    local character = {
        citizenid = ('C%05d'):format(id),
        license = license,
        cash = Config.startCash,
        bank = Config.startBank,
        job = JobNames[id % #JobNames + 1],
        hunger = 100,
        thirst = 100,
        x = Config.spawn.x,
        y = Config.spawn.y,
        z = Config.spawn.z,
    }
    Characters.list[id] = character
    Characters.byLicense[license] = character
    return character
end

function Characters.load(license)
    return Characters.byLicense[license] or Characters.create(license)
end

--- What the player carries goes into the character, and the character into the file.
function Characters.saveAll()
    local saved = 0
    for _, player in pairs(Players) do
        local mine = Characters.list[tonumber(player.citizenid:sub(2))]
        mine.cash, mine.bank, mine.job = player.cash, player.bank, player.job
        mine.x, mine.y, mine.z = player.position.x, player.position.y, player.position.z

        -- write after each player: if the server dies in the middle we only lose the rest
        local lines = {}
        for i, c in ipairs(Characters.list) do
            lines[i] = string.format('%s;%s;%d;%d;%s;%d;%d;%.2f;%.2f;%.2f',
                c.citizenid, c.license, c.cash, c.bank, c.job, c.hunger, c.thirst, c.x, c.y, c.z)
        end
        SaveResourceFile(GetCurrentResourceName(), 'characters.save', table.concat(lines, '\n'), -1)
        saved = saved + 1
    end
    return saved
end

-- citizens who are not online, from the time before the file
CreateThread(function()
    local n = 0
    while #Characters.list < Config.citizens do
        for _ = 1, 200 do
            n = n + 1
            Characters.create(('license:%08x'):format(0x5a000000 + n))
        end
        Wait(0)
    end
end)

CreateThread(function()
    Wait(Config.saveFirst)
    while true do
        local saved = Characters.saveAll()
        TriggerEvent('framework:saved', saved)
        Wait(Config.saveEvery)
    end
end)
