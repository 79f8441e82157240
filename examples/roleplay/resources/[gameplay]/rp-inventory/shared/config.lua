Config = {
    player = { slots = 40, weight = 30000 },
    stash = { slots = 60, weight = 120000 },
    trunk = { slots = 24, weight = 60000 },
    drop = { slots = 24, weight = 1000000 },

    --- How far an arm reaches
    reach = 5.0,
    saveSeconds = 30,
    dropSeconds = 180,

    --- What everyone is born with
    starter = {
        { 'bread', 5 },
        { 'water', 5 },
        { 'phone', 1 },
        { 'id_card', 1 },
    },

    stashes = {
        { name = 'police_evidence', label = 'Evidence', coords = vec3(475.2, -995.6, 26.3), job = 'police' },
        { name = 'hospital', label = 'Supplies', coords = vec3(306.5, -601.6, 43.3), job = 'ambulance' },
        { name = 'workshop', label = 'Parts', coords = vec3(-206.4, -1341.9, 34.9), job = 'mechanic' },
        { name = 'motel', label = 'Motel locker', coords = vec3(324.3, -206.8, 54.1), personal = true },
    },
}
