-- Every movement of an account is written down.

Ledger = {}

local ready = promise.new()

MySQL.ready(function()
    exports['rp-core']:Migrate('sql/rp-banking.sql')
    ready:resolve(true)
end)

function Ledger.wait()
    return Citizen.Await(ready)
end

local query <const> = [[
    INSERT INTO bank_transactions (account, amount, balance, other, memo, at) VALUES (?, ?, ?, ?, ?, ?)
]]

--- One movement; nobody waits for it.
function Ledger.book(account, amount, balance, other, memo)
    MySQL.insert(query, { account, amount, balance, other, (memo or ''):sub(1, 100), os.time() })
end

--- Both sides of a transfer: either both are written or none.
function Ledger.bookBoth(from, to, amount, fromBalance, toBalance, memo)
    local now = os.time()
    memo = (memo or ''):sub(1, 100)
    return MySQL.transaction.await({
        { query = query, values = { from, -amount, fromBalance, to, memo, now } },
        { query = query, values = { to, amount, toBalance, from, memo, now } },
    })
end

--- A page of the statement, newest first, and how many movements there are.
function Ledger.page(account, page)
    local rows = MySQL.query.await([[
        SELECT id, amount, balance, other, memo, at FROM bank_transactions
        WHERE account = ? ORDER BY id DESC LIMIT ? OFFSET ?
    ]], { account, Config.pageSize, (page - 1) * Config.pageSize })
    local count = MySQL.scalar.await('SELECT COUNT(*) FROM bank_transactions WHERE account = ?', { account })
    return rows, count
end

--- What came in and what went out since a point in time.
function Ledger.turnover(account, since)
    local row = MySQL.single.await([[
        SELECT
            COALESCE(SUM(CASE WHEN amount > 0 THEN amount ELSE 0 END), 0) AS income,
            COALESCE(SUM(CASE WHEN amount < 0 THEN -amount ELSE 0 END), 0) AS spent
        FROM bank_transactions WHERE account = ? AND at >= ?
    ]], { account, since })
    return math.floor(tonumber(row.income) or 0), math.floor(tonumber(row.spent) or 0)
end

--- True for amounts a bank takes: whole, positive, not absurd.
function Ledger.amount(value)
    if type(value) ~= 'number' or value ~= value then return nil end
    local amount = math.tointeger(value)
    return amount and amount > 0 and amount <= Config.largest and amount or nil
end

-- wages, fines, rent: what other resources do to an account shows on its statement
AddEventHandler('rp-core:server:money', function(src, account, amount, reason, balance)
    if account ~= 'bank' or GetInvokingResource() ~= 'rp-core' then return end
    if reason:find('^bank:') then return end
    local citizenid = exports['rp-core']:GetCitizenId(src)
    if citizenid then Ledger.book(citizenid, amount, balance, nil, reason) end
end)
