Accounts = { movements = 0, today = {} }

local function book(memo, amount)
    Accounts.movements = Accounts.movements + 1
    local today = Accounts.today
    today[Accounts.movements % 500 + 1] = { memo = memo, amount = amount }
end

exports('deposit', function(src, amount, memo)
    if amount <= 0 then return false end
    book('DEP ' .. tostring(memo), amount)
    return exports.framework:addMoney(src, 'bank', amount, memo)
end)

exports('transfer', function(from, to, amount)
    if from == to or amount <= 0 then return false end
    if not exports.framework:removeMoney(from, 'bank', amount, 'transfer') then
        TriggerClientEvent('chat:addMessage', from, { args = { Config.bankName, 'Not enough money on your account.' } })
        return false
    end
    exports.framework:addMoney(to, 'bank', amount, 'transfer')
    book(('TRF %d -> %d'):format(from, to), amount)
    return true
end)

RegisterCommand('bank', function()
    print(('%s: %d movements since the start'):format(Config.bankName, Accounts.movements))
end, true)
