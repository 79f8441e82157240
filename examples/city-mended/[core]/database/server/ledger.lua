-- Every money movement since the wipe. cityhall and the banks look things up here.
Ledger = { rows = {}, byCitizen = {} }

function Ledger.add(memo, amount)
    local rows = Ledger.rows
    local row = { memo = memo, amount = amount }
    rows[#rows + 1] = row
    for citizenId in memo:gmatch('%f[%w]C%d+%f[%W]') do
        local own = Ledger.byCitizen[citizenId]
        if not own then
            own = {}
            Ledger.byCitizen[citizenId] = own
        end
        own[#own + 1] = row
    end
end

--- All movements of one citizen. The id is somewhere in the memo ("TRF C00042 -> C00017") and is read once, by `add`.
function Ledger.search(citizenId)
    local count, sum = 0, 0
    for _, row in ipairs(Ledger.byCitizen[citizenId] or {}) do
        count = count + 1
        sum = sum + row.amount
    end
    return count, sum
end

exports('ledgerAdd', Ledger.add)
exports('ledgerSearch', Ledger.search)
