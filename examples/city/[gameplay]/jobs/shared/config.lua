Config = {
    -- businesses keep paying people who are not online
    employees = 1400,
    -- a shift is ten hours, in half minutes
    shift = 1200,

    payFirst = 7800,
    payEvery = 8000,

    brackets = {
        { from = 0, rate = 0.00 },
        { from = 200, rate = 0.08 },
        { from = 800, rate = 0.15 },
        { from = 2400, rate = 0.22 },
        { from = 6000, rate = 0.30 },
    },
}
