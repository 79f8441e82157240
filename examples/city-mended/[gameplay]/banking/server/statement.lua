Statement = { printed = 0 }

local function memoOf(row)
    return ('%04d  card payment, terminal %d'):format(row, row % 37)
end

--- The statement as text, one line per movement.
function Statement.printYear(account)
    local lines = { Config.bankName .. ', account ' .. account }
    local balance = 0
    for row = 1, Config.statementRows do
        local amount = row % 211 - 90
        balance = balance + amount
        lines[row + 1] = memoOf(row) .. '  ' .. amount .. '  ' .. balance
        -- a year is long, let the others have a turn
        if row % 2500 == 0 then
            Wait(0)
        end
    end
    Statement.printed = Statement.printed + 1
    return table.concat(lines, '\n')
end

-- statement <account>   the printer at the counter sends this
RegisterCommand('statement', function(src, args)
    local text = Statement.printYear(args[1] or '0')
    TriggerClientEvent('banking:statement', src, #text)
end, true)
