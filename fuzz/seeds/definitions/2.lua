Config = {
    -- how long a query takes, in milliseconds (the real one sits on another machine)
    latency = { min = 20, max = 45 },

    houses = 60,
    ledgerRows = 8000,

    -- rows put in per tick while the server starts; more than this and the first players feel it
    seedPage = 400,
}
