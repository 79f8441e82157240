-- Fills the tables as the dump of the real database would. In pages, so that the start does not hold up anybody.

local districts = { 'Vinewood', 'Mirror Park', 'Del Perro', 'Sandy Shores', 'Paleto Bay', 'Grapeseed' }

local function citizen(n)
    return ('C%05d'):format(n)
end

for n = 1, Config.houses do
    Tables.insert('houses', {
        label = ('%s %d'):format(districts[n % #districts + 1], 100 + n),
        owner = citizen(n),
        rent = 150 + n % 7 * 25,
        locked = true,
    })
    Tables.insert('accounts', { owner = citizen(n), balance = 5000 + n * 10 })
end

CreateThread(function()
    local written = 0
    while written < Config.ledgerRows do
        for _ = 1, Config.seedPage do
            written = written + 1
            local from, to = written % 977 + 1, written % 89 + 1
            Ledger.add('TRF ' .. citizen(from) .. ' -> ' .. citizen(to), written % 450 + 10)
        end
        Wait(0)
    end
    print(('ledger ready, %d rows'):format(#Ledger.rows))
end)
