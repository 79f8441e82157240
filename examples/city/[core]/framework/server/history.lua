-- Money history of a citizen, for the bank and the city hall.

exports('moneyHistory', function(citizenid)
    local player = PlayersByCitizen[citizenid]
    local count, sum = exports.database:ledgerSearch(citizenid)
    return {
        citizenid = citizenid,
        online = player ~= nil,
        movements = count,
        turnover = sum,
    }
end)
