Config = {
    dealer = vec3(-56.5, -1096.6, 26.4),
    reach = 15.0,

    garages = {
        legion = { coords = vec3(215.8, -810.1, 30.7), spawns = {
            vec4(222.0, -804.0, 30.4, 248.0), vec4(223.5, -799.5, 30.4, 248.0), vec4(225.0, -794.8, 30.4, 248.0),
        } },
        airport = { coords = vec3(-984.6, -2690.9, 13.8), spawns = {
            vec4(-976.8, -2693.5, 13.6, 150.0), vec4(-973.1, -2695.7, 13.6, 150.0),
        } },
        paleto = { coords = vec3(105.4, 6613.6, 32.4), spawns = { vec4(112.0, 6606.0, 31.9, 225.0) } },
    },

    impound = { coords = vec3(409.1, -1623.3, 29.3), fee = 250 },

    --- Litres per kilometre
    fuel = { automobile = 0.09, bike = 0.05, boat = 0.2 },
    tick = 1000,

    plate = '11AAA111',
}
