-- Savings are rows of the database and nothing else: what happens to them happens there.

local core = exports['rp-core']

local function ibanOf(citizenid)
    return ('PB00%s'):format(citizenid)
end

local function balanceOf(iban)
    return MySQL.scalar.await('SELECT balance FROM bank_accounts WHERE iban = ?', { iban })
end

lib.callback.register('rp-banking:openSavings', function(src)
    local citizenid = core:GetCitizenId(src)
    if not citizenid then return false end
    local opened = MySQL.update.await([[
        INSERT IGNORE INTO bank_accounts (iban, owner, kind, balance, opened) VALUES (?, ?, 'savings', 0, ?)
    ]], { ibanOf(citizenid), citizenid, os.time() })
    return opened == 1, ibanOf(citizenid)
end)

lib.callback.register('rp-banking:save', function(src, value)
    local amount, citizenid = Ledger.amount(value), core:GetCitizenId(src)
    if not amount or not citizenid then return false, 'wrong amount' end
    local iban = ibanOf(citizenid)
    if not balanceOf(iban) then return false, 'no savings account' end
    if not core:RemoveMoney(src, 'bank', amount, 'bank: savings') then return false, L('not_enough_bank') end

    local changed = MySQL.update.await('UPDATE bank_accounts SET balance = balance + ? WHERE iban = ?', {
        amount, iban,
    })
    if changed ~= 1 then
        core:AddMoneyByCitizenId(citizenid, 'bank', amount, 'bank: savings returned')
        return false, 'the bank is closed'
    end
    local saved = balanceOf(iban)
    Ledger.bookBoth(citizenid, iban, amount, core:GetMoney(src, 'bank'), saved, 'Savings')
    return saved
end)

lib.callback.register('rp-banking:unsave', function(src, value)
    local amount, citizenid = Ledger.amount(value), core:GetCitizenId(src)
    if not amount or not citizenid then return false, 'wrong amount' end
    local iban = ibanOf(citizenid)
    -- one statement looks and takes: two clicks at once cannot both have the last coin
    local changed = MySQL.update.await(
        'UPDATE bank_accounts SET balance = balance - :amount WHERE iban = :iban AND balance >= :amount',
        { amount = amount, iban = iban }
    )
    if changed ~= 1 then return false, L('not_enough_bank') end
    core:AddMoneyByCitizenId(citizenid, 'bank', amount, 'bank: savings')
    local saved = balanceOf(iban)
    Ledger.bookBoth(iban, citizenid, amount, saved, core:GetMoney(src, 'bank'), 'Savings')
    return saved
end)

lib.cron.every(Config.savings.seconds, function()
    Ledger.wait()
    local changed = MySQL.update.await([[
        UPDATE bank_accounts SET balance = balance + FLOOR(balance * ? / 100)
        WHERE kind = 'savings' AND balance >= 100
    ]], { Config.savings.percent })
    if changed > 0 then lib.logger(0, 'bank', 'interest for {count} accounts', { count = changed }) end
end, 'interest')
