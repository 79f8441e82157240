Config = {}

Config.accounts = { 'cash', 'bank' }

Config.start = {
    cash = GetConvarInt('rp:startCash', 500),
    bank = GetConvarInt('rp:startBank', 5000),
    position = vec4(-1037.6, -2737.8, 20.2, 328.0),
}

Config.slots = 3
Config.saveSeconds = GetConvarInt('rp:saveSeconds', 60)

-- A minute of the world, in milliseconds
Config.minute = 2000

Config.weather = {
    first = 'CLEAR',
    seconds = 300,
    --- What may follow what
    next = {
        CLEAR = { 'CLEAR', 'EXTRASUNNY', 'CLOUDS' },
        EXTRASUNNY = { 'CLEAR', 'SMOG' },
        CLOUDS = { 'CLEAR', 'OVERCAST', 'CLOUDS' },
        OVERCAST = { 'RAIN', 'CLOUDS', 'CLEARING' },
        RAIN = { 'THUNDER', 'CLEARING', 'RAIN' },
        THUNDER = { 'RAIN', 'CLEARING' },
        CLEARING = { 'CLEAR', 'CLOUDS' },
        SMOG = { 'CLEAR', 'CLOUDS' },
    },
}

Config.metadata = {
    hunger = 100,
    thirst = 100,
    stress = 0,
    armour = 0,
    health = 200,
    phone = false,
    licences = { driver = true, weapon = false },
}
