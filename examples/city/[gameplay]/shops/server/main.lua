local stock = {}

for _, name in ipairs(Config.sells) do
    stock[name] = Config.stock
end

function buyItem(src, name, count)
    local left = stock[name]
    if not left or left < count then
        return false, 'sold out'
    end
    local price = Items[name].price * count
    if not exports.framework:removeMoney(src, 'cash', price, 'shop') then
        return false, 'no money'
    end
    if not exports.inventory:addItem(src, name, count) then
        exports.framework:addMoney(src, 'cash', price, 'shop refund')
        return false, 'bag full'
    end
    stock[name] = left - count
    return true
end

exports.cron:every('restock shops', Config.restockSeconds, 'shops:restock')

AddEventHandler('shops:restock', function()
    for name, left in pairs(stock) do
        stock[name] = math.min(left + 20, Config.stock)
    end
end)
