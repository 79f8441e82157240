-- Credit rating: how much goes through the hands of this citizen.

exports('creditRating', function(citizenid)
    local history = exports.framework:moneyHistory(citizenid)
    local rating = math.min(history.turnover / 10000, 50)
    if history.online then
        rating = rating + 5
    end
    if history.movements > 100 then
        rating = rating + 10
    end
    return math.floor(rating)
end)
