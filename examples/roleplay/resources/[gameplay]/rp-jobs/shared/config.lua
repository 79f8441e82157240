Config = {
    paycheckSeconds = GetConvarInt('rp:paycheckSeconds', 600),

    --- Where jobs are had, by those who want one
    centre = vec3(-265.0, -963.6, 31.2),
    open = { 'courier', 'fisher', 'miner', 'unemployed' },

    duty = {
        police = vec3(441.8, -982.0, 30.7),
        ambulance = vec3(307.7, -595.1, 43.3),
        mechanic = vec3(-211.6, -1324.1, 30.9),
    },

    work = {
        courier = {
            item = 'parcel',
            per = 2,
            seconds = 4,
            price = 28,
            at = vec3(78.9, 111.8, 81.2),
            sell = vec3(-232.3, -914.9, 32.3),
        },
        fisher = {
            item = 'fish',
            per = 1,
            seconds = 6,
            price = 22,
            at = vec3(-1850.1, -1248.7, 8.6),
            sell = vec3(-1816.4, -1193.3, 14.3),
        },
        miner = {
            item = 'ore',
            per = 3,
            seconds = 8,
            price = 17,
            at = vec3(2938.0, 2745.0, 43.3),
            sell = vec3(1109.0, -2007.9, 31.0),
        },
    },
    reach = 12.0,
}
