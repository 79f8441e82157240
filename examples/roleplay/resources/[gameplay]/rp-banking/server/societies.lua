-- Accounts of employers. Their balance is kept here and written through.

local balances = {}
local ready = promise.new()

CreateThread(function()
    Ledger.wait()
    for _, name in ipairs(lib.table.sortedKeys(Config.societies)) do
        MySQL.insert.await([[
            INSERT IGNORE INTO bank_accounts (iban, owner, kind, balance, opened) VALUES (?, ?, 'society', ?, ?)
        ]], { ('PB99%s'):format(name:upper()), name, Config.societies[name], os.time() })
    end
    local rows = MySQL.query.await("SELECT owner, balance FROM bank_accounts WHERE kind = 'society'")
    for i = 1, #rows do balances[rows[i].owner] = math.tointeger(rows[i].balance) end
    ready:resolve(true)
end)

local function change(name, amount, memo)
    Citizen.Await(ready)
    local balance = balances[name]
    if not balance or balance + amount < 0 then return false end
    balances[name] += amount
    MySQL.update("UPDATE bank_accounts SET balance = balance + ? WHERE owner = ? AND kind = 'society'", {
        amount, name,
    })
    Ledger.book(('society:%s'):format(name), amount, balances[name], nil, memo)
    return true
end

exports('TakeFromSociety', function(name, amount, memo)
    amount = Ledger.amount(amount)
    return amount ~= nil and change(name, -amount, memo)
end)

exports('AddToSociety', function(name, amount, memo)
    amount = Ledger.amount(amount)
    return amount ~= nil and change(name, amount, memo)
end)

exports('SocietyBalance', function(name)
    Citizen.Await(ready)
    return balances[name]
end)
