local core = exports['rp-core']

local function nearAtm(src)
    local ped = GetPlayerPed(src)
    if ped == 0 then return false end
    local here = GetEntityCoords(ped)
    for i = 1, #Config.atms do
        if #(here - Config.atms[i]) <= Config.reach then return true end
    end
    return false
end

--- Every door of the bank: who is there, where, and with how much.
local function counter(name, fn)
    lib.callback.register(name, function(src, value, ...)
        local amount = Ledger.amount(value)
        if not amount then return false, 'wrong amount' end
        if not nearAtm(src) then return false, 'no bank here' end
        local citizenid = core:GetCitizenId(src)
        if not citizenid then return false, 'who are you?' end
        return fn(src, citizenid, amount, ...)
    end)
end

counter('rp-banking:deposit', function(src, citizenid, amount)
    if not core:RemoveMoney(src, 'cash', amount, 'bank: deposit') then return false, L('not_enough_money') end
    core:AddMoney(src, 'bank', amount, 'bank: deposit')
    local balance = core:GetMoney(src, 'bank')
    Ledger.book(citizenid, amount, balance, nil, 'Deposit')
    return balance
end)

counter('rp-banking:withdraw', function(src, citizenid, amount)
    if not core:RemoveMoney(src, 'bank', amount, 'bank: withdrawal') then return false, L('not_enough_bank') end
    core:AddMoney(src, 'cash', amount, 'bank: withdrawal')
    local balance = core:GetMoney(src, 'bank')
    Ledger.book(citizenid, -amount, balance, nil, 'Withdrawal')
    return balance
end)

--- To somebody who is here or away. The money leaves one account before it comes to the other; when it cannot come,
--- it goes back.
counter('rp-banking:transfer', function(src, citizenid, amount, to, memo)
    if type(to) ~= 'string' or to == citizenid then return false, 'to whom?' end
    memo = type(memo) == 'string' and lib.string.plain(memo) or 'Transfer'

    local there = MySQL.scalar.await('SELECT 1 FROM characters WHERE citizenid = ?', { to })
    if not there then return false, 'no such account' end
    if core:GetCitizenId(src) ~= citizenid then return false, 'gone' end

    if not core:RemoveMoney(src, 'bank', amount, 'bank: transfer') then return false, L('not_enough_bank') end
    if not core:AddMoneyByCitizenId(to, 'bank', amount, 'bank: transfer') then
        core:AddMoney(src, 'bank', amount, 'bank: transfer returned')
        return false, 'the other bank refused'
    end

    local balance = core:GetMoney(src, 'bank')
    local other = core:GetPlayerByCitizenId(to)
    Ledger.bookBoth(citizenid, to, amount, balance, other?.money?.bank or 0, memo)
    if other then other.Notify(L('received', lib.string.money(amount)), 'success') end
    lib.logger(src, 'bank', '{amount} from {from} to {to}', { amount = amount, from = citizenid, to = to })
    return balance
end)

lib.callback.register('rp-banking:statement', function(src, page)
    local citizenid = core:GetCitizenId(src)
    if not citizenid then return nil end
    page = type(page) == 'number' and math.max(1, math.tointeger(page) or 1) or 1
    local rows, count = Ledger.page(citizenid, page)
    local income, spent = Ledger.turnover(citizenid, os.time() - 86400)
    return {
        bank = Config.name,
        balance = core:GetMoney(src, 'bank'),
        rows = rows,
        pages = math.max(1, math.ceil(count / Config.pageSize)),
        income = income,
        spent = spent,
    }
end)

--- Cash from hand to hand.
RegisterCommand('pay', function(src, args)
    local target, amount = tonumber(args[1]), Ledger.amount(tonumber(args[2]))
    if src == 0 or not target or target == src or not amount then return end
    local a, b = GetPlayerPed(src), GetPlayerPed(target)
    if a == 0 or b == 0 or #(GetEntityCoords(a) - GetEntityCoords(b)) > 5.0 then return end
    if not core:GetCitizenId(target) or not core:RemoveMoney(src, 'cash', amount, 'paid by hand') then
        return core:Notify(src, L('not_enough_money'), 'error')
    end
    core:AddMoney(target, 'cash', amount, 'paid by hand')
    core:Notify(src, L('paid', lib.string.money(amount)))
    core:Notify(target, L('received', lib.string.money(amount)))
end, false)
