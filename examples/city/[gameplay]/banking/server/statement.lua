Statement = { printed = 0 }

local function memoOf(row)
    return ('%04d  card payment, terminal %d'):format(row, row % 37)
end

--- The statements of a year as text, a page per month, one line per movement.
function Statement.printYear(account)
    local pages = {}
    local balance = 0
    for month = 1, 12 do
        local text = ('%s, account %s, month %d\n'):format(Config.bankName, account, month)
        for row = 1, Config.statementRows do
            local amount = row % 211 - 90
            balance = balance + amount
            text = text .. memoOf(row) .. '  ' .. amount .. '  ' .. balance .. '\n'
        end
        pages[month] = text
    end
    Statement.printed = Statement.printed + 1
    return pages
end

-- statement <account>   the printer at the counter sends this
RegisterCommand('statement', function(src, args)
    local pages = Statement.printYear(args[1] or '0')
    TriggerClientEvent('banking:statement', src, #pages)
end, true)
