Taxes = { audits = 0, flagged = {} }

--- Rich citizens get a letter.
function Taxes.audit(first, last)
    for n = first, last do
        local citizenid = ('C%05d'):format(n)
        local rating = exports.banking:creditRating(citizenid)
        Taxes.flagged[citizenid] = rating >= 40 or nil
    end
    Taxes.audits = Taxes.audits + 1
end

CreateThread(function()
    Wait(Config.auditFirst)
    local first = 1
    while true do
        Taxes.audit(first, first + Config.auditSize - 1)
        first = (first + Config.auditSize) % 900 + 1
        Wait(Config.auditEvery)
    end
end)
