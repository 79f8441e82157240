Config = {
    --- Who does not choose is taken to the character played last (or to a new one); 0 lets them look for ever.
    afkSeconds = GetConvarInt('rp:afkSelectSeconds', 0),

    --- Each player looks at the screen in a world of their own.
    firstBucket = 1000,

    screen = vec4(-1562.5, -576.8, 108.5, 35.0),

    names = {
        first = { 'Alex', 'Robin', 'Kim', 'Sam', 'Jamie', 'Toni', 'Charlie', 'Noa', 'Luca', 'Mika' },
        last = { 'Miller', 'Baker', 'Fisher', 'Mason', 'Cooper', 'Weaver', 'Potter', 'Turner', 'Smith' },
    },

    --- Spawn points by name; the first is where newcomers land.
    spawns = {
        { name = 'airport', coords = vec4(-1037.6, -2737.8, 20.2, 328.0) },
        { name = 'legion', coords = vec4(195.2, -933.8, 30.7, 144.0) },
        { name = 'paleto', coords = vec4(80.4, 6424.1, 31.7, 45.0) },
        { name = 'sandy', coords = vec4(1779.6, 3327.8, 41.4, 300.0) },
    },
}
