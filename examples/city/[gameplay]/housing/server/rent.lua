Rent = { collected = 0, rounds = 0 }

--- Takes the rent of every house from the account of its owner.
function Rent.collectAll()
    local houses = DB.await('SELECT * FROM houses')
    for _, house in ipairs(houses) do
        local p = promise.new()
        exports.database:query('SELECT * FROM accounts WHERE owner = ?', { house.owner }, function(rows)
            p:resolve(rows[1])
        end)
        local account = Citizen.Await(p)
        if account and account.balance >= house.rent then
            DB.update('accounts', 'owner', house.owner, { balance = account.balance - house.rent })
            Rent.collected = Rent.collected + house.rent
        end
    end
    Rent.rounds = Rent.rounds + 1
end

CreateThread(function()
    Wait(Config.rentFirst)
    while true do
        Rent.collectAll()
        Wait(Config.rentEvery)
    end
end)

RegisterCommand('rent', function()
    print(('$%d rent collected in %d rounds'):format(Rent.collected, Rent.rounds))
end, true)
