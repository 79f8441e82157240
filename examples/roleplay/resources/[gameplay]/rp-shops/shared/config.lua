Config = {
    shops = {
        supermarket = {
            label = '24/7',
            places = { vec3(25.7, -1347.3, 29.5), vec3(-3039.9, 585.9, 7.9), vec3(1728.6, 6414.2, 35.0) },
            goods = { bread = 6, water = 4, coffee = 5, bandage = 25, phone = 350 },
        },
        hardware = {
            label = 'Tools',
            places = { vec3(46.7, -1749.6, 29.6) },
            goods = { repairkit = 400, lockpick = 60, radio = 250 },
        },
        gunshop = {
            label = 'Ammu-Nation',
            places = { vec3(22.0, -1107.3, 29.8) },
            goods = { weapon_pistol = 1500, ammo_9mm = 3 },
            licence = 'weapon',
        },
    },
    reach = 6.0,

    rent = { seconds = GetConvarInt('rp:rentSeconds', 600), amount = 15 },
}
