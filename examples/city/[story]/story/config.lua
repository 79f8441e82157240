Config = {
    -- how many people come to the city, and how many of them in each step
    people = GetConvarInt('city_people', 48),
    joinsPerStep = 3,

    -- one step of the story, in milliseconds, and how many people do something in it
    step = 100,
    actsPerStep = 2,

    -- what happens now and then: first time and every how many milliseconds
    market = { first = 3100, every = 8000, lasts = 100 },
    worldSync = { first = 4400, every = 9000 },
    statement = { first = 5500, every = 7000 },
    tablet = { first = 8900, every = 7000 },
}
