Config = Config or {}

Config.startCash = 250
Config.startBank = 5000
Config.spawn = { x = -269.4, y = -955.3, z = 31.2 }

-- milliseconds; the first save comes later so that the start is quiet
Config.saveFirst = 6700
Config.saveEvery = 9000

-- citizens in the register, online or not
Config.citizens = 5500
