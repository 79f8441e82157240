-- Every money movement since the wipe. cityhall and the banks look things up here.
Ledger = { rows = {} }

function Ledger.add(memo, amount)
    local rows = Ledger.rows
    rows[#rows + 1] = { memo = memo, amount = amount }
end

--- All movements of one citizen. The id is somewhere in the memo ("TRF C00042 -> C00017"), there never was a column for it.
function Ledger.search(citizenId)
    local count, sum = 0, 0
    for i = 1, #Ledger.rows do
        local row = Ledger.rows[i]
        if row.memo:find('%f[%w]' .. citizenId .. '%f[%W]') then
            count = count + 1
            sum = sum + row.amount
        end
    end
    return count, sum
end

exports('ledgerAdd', Ledger.add)
exports('ledgerSearch', Ledger.search)
