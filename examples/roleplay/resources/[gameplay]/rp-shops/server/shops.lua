local core = exports['rp-core']
local inventory = exports['rp-inventory']

local zones = {}
for name, shop in pairs(Config.shops) do
    zones[name] = {}
    for i, place in ipairs(shop.places) do
        zones[name][i] = lib.zones.sphere({ name = ('%s %d'):format(name, i), coords = place, radius = Config.reach })
    end
end

local function inShop(src, name)
    local ped = GetPlayerPed(src)
    if ped == 0 or not zones[name] then return false end
    local here = GetEntityCoords(ped)
    for _, zone in ipairs(zones[name]) do
        if zone:contains(here) then return true end
    end
    return false
end

lib.callback.register('rp-shops:goods', function(src, name)
    local shop = Config.shops[name]
    if not shop then return nil end
    local list = {}
    for _, item in ipairs(lib.table.sortedKeys(shop.goods)) do
        list[#list + 1] = { name = item, label = Items[item].label, price = shop.goods[item] }
    end
    return list
end)

--- A basket { bread = 2, water = 1 }: all of it or nothing.
lib.callback.register('rp-shops:buy', function(src, name, basket, account)
    local shop = type(name) == 'string' and Config.shops[name]
    if not shop or type(basket) ~= 'table' or not inShop(src, name) then return false, 'no such shop here' end
    account = account == 'bank' and 'bank' or 'cash'
    if shop.licence and not core:GetMeta(src, 'licences')?[shop.licence] then return false, 'no licence' end

    local sum, items = 0, lib.table.sortedKeys(basket)
    for i = 1, #items do
        local count, price = math.tointeger(basket[items[i]]), shop.goods[items[i]]
        if not price or not count or count < 1 or count > 100 then return false, 'not in our shelves' end
        if not inventory:CanCarryItem(src, items[i], count) then return false, 'too heavy' end
        sum += price * count
    end
    if sum == 0 or not core:RemoveMoney(src, account, sum, ('shopping at %s'):format(shop.label)) then
        return false, 'not enough money'
    end

    for i = 1, #items do
        local ok, problem = inventory:AddItem(src, items[i], math.tointeger(basket[items[i]]))
        if not ok then
            local back = shop.goods[items[i]] * math.tointeger(basket[items[i]])
            core:AddMoney(src, account, back, ('refund: %s'):format(problem))
            sum -= back
        end
    end
    return sum
end)
