Statement = { printed = 0 }

local function memoOf(row)
    return ('%04d  card payment, terminal %d'):format(row, row % 37)
end

--- The statement as text, one line per movement.
function Statement.printYear(account)
    local text = Config.bankName .. ', account ' .. account .. '\n'
    local balance = 0
    for row = 1, Config.statementRows do
        local amount = row % 211 - 90
        balance = balance + amount
        text = text .. memoOf(row) .. '  ' .. amount .. '  ' .. balance .. '\n'
    end
    Statement.printed = Statement.printed + 1
    return text
end

-- statement <account>   the printer at the counter sends this
RegisterCommand('statement', function(src, args)
    local text = Statement.printYear(args[1] or '0')
    TriggerClientEvent('banking:statement', src, #text)
end, true)
