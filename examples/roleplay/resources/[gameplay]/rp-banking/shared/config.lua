Config = {
    name = 'Fleeca',

    atms = {
        vec3(149.9, -1040.5, 29.4),
        vec3(-1212.9, -330.8, 37.8),
        vec3(-2962.6, 482.6, 15.7),
        vec3(-112.2, 6469.3, 31.6),
        vec3(314.2, -278.6, 54.2),
        vec3(-351.5, -49.5, 49.0),
    },
    reach = 8.0,

    largest = 1000000,
    pageSize = 25,

    savings = { percent = 1, seconds = 300 },

    societies = { police = 50000, ambulance = 50000, mechanic = 25000 },
}
