-- A working day of the town, as a scenario:
--   tickscope run examples/roleplay --scenario examples/roleplay/rush-hour.lua --virtual-time --seed 7 --for 3m
--
-- Everyone logs in, makes a character, takes a job, works, sells, banks, shops, buys a car and drives. What must come
-- out is expected at each step; the balance of everyone is computed beside the server's.

local people = PLAYERS or 24
local jobs <const> = { 'courier', 'fisher', 'miner' }

-- places of the town, as the server's own configuration has them
local place <const> = {
    centre = vector3(-265.0, -963.6, 31.2),
    bank = vector3(149.9, -1040.5, 29.4),
    shop = vector3(25.7, -1347.3, 29.5),
    dealer = vector3(-56.5, -1096.6, 26.4),
    garage = vector3(215.8, -810.1, 30.7),
    motel = vector3(324.3, -206.8, 54.1),
    work = {
        courier = vector3(78.9, 111.8, 81.2),
        fisher = vector3(-1850.1, -1248.7, 8.6),
        miner = vector3(2938.0, 2745.0, 43.3),
    },
    buyer = {
        courier = vector3(-232.3, -914.9, 32.3),
        fisher = vector3(-1816.4, -1193.3, 14.3),
        miner = vector3(1109.0, -2007.9, 31.0),
    },
}
local earns <const> = { courier = 2 * 28, fisher = 1 * 22, miner = 3 * 17 }
local takes <const> = { courier = 4, fisher = 6, miner = 8 }

-- What the client side of rp-lib does: ask under a name, wait for the answer with the same key.
local asked = 0
local function ask(player, name, ...)
    asked = asked + 1
    local key = ('%d:%d'):format(player.source, asked)
    player:trigger('rp-lib:cb:ask', name, key, ...)
    local deadline = GetGameTimer() + 10000
    while true do
        local answer = table.pack(player:wait_event('rp-lib:cb:return', math.max(deadline - GetGameTimer(), 0)))
        if not answer[1] then return expect(nil, ('%s answers %s'):format(name, player)) end
        if answer[2] == key then
            expect(answer[3], ('%s: %s'):format(name, tostring(answer[4])))
            return table.unpack(answer, 4, answer.n)
        end
    end
end

-- A client that is asked answers, as the scripts on it would.
local function answer_questions(player)
    player:on('rp-lib:cb:request', function(resource, name, key)
        if name == 'rp-hud:waypoint' then
            local to = place.bank
            player:trigger('rp-lib:cb:answer:' .. resource, key, { x = to.x, y = to.y, z = to.z })
        else
            player:trigger('rp-lib:cb:answer:' .. resource, key)
        end
    end)
end

local core = exports['rp-core']

local function log_in(player, number)
    player:expect_event('rp-multichar:client:screen', '5s')
    local list = ask(player, 'rp-multichar:list')
    local citizenid = list[1] and list[1].citizenid
    if not citizenid then
        citizenid = ask(player, 'rp-multichar:create', {
            firstname = ('Citizen%c'):format(64 + (number - 1) % 26 + 1),
            lastname = ('Of Paleto %d'):format(number),
            birthdate = '1991-02-03',
            gender = number % 2,
        })
    end
    if not expect(citizenid, 'a character') then return nil end
    expect(ask(player, 'rp-multichar:select', citizenid), 'the character can be chosen')
    local loaded = player:expect_event('rp-core:client:loaded', '5s')
    expect_equal(loaded and loaded.citizenid, citizenid)
    player:expect_event('rp-multichar:client:skin', '10s')
    expect_equal(player.bucket, 0, 'the world of everyone')
    expect(ask(player, 'rp-multichar:spawn', 'legion'), 'a place to begin')
    return citizenid
end

-- Takes a job and does it; what was earned.
local function work(player, job, rounds)
    player:move(place.centre, '2s')
    expect(ask(player, 'rp-jobs:hire', job), 'hired')
    expect_equal(ask(player, 'rp-jobs:duty'), true, 'on duty')
    player:move(place.work[job], '3s')
    for _ = 1, rounds do
        player:trigger('rp-jobs:server:begin')
        expect_equal(player:expect_event('rp-jobs:client:working', '2s'), takes[job])
        wait(takes[job] * 1000)
        expect(ask(player, 'rp-jobs:finish'), 'the work is done')
    end
    -- who is too fast gets nothing
    player:trigger('rp-jobs:server:begin')
    expect_equal(ask(player, 'rp-jobs:finish'), false)
    player:move(place.buyer[job], '3s')
    local earned = ask(player, 'rp-jobs:sell')
    expect_equal(earned, rounds * earns[job], 'the price of the work')
    return earned
end

local function live(player, number)
    answer_questions(player)
    local citizenid = log_in(player, number)
    if not citizenid then return end
    local me = player.source
    local cash, bank = core:GetMoney(me, 'cash'), core:GetMoney(me, 'bank')
    local paid = 0

    -- wages, rent and interest come when they come; what the bank does on its own is not ours
    local drift = 0
    player:on('rp-core:client:money', function(account, amount)
        if account == 'bank' then drift = drift + amount end
    end)

    cash = cash + work(player, jobs[number % #jobs + 1], 2)
    expect_equal(core:GetMoney(me, 'cash'), cash, 'cash after work')

    player:move(place.bank, '3s')
    expect(ask(player, 'rp-banking:deposit', 200))
    cash = cash - 200
    expect_equal(ask(player, 'rp-banking:deposit', 10 ^ 9), false, 'nobody deposits a billion')
    expect_equal(ask(player, 'rp-banking:withdraw', -5), false, 'nobody withdraws less than nothing')
    expect(ask(player, 'rp-banking:openSavings'))
    expect_equal(ask(player, 'rp-banking:save', 150), 150)
    expect_equal(ask(player, 'rp-banking:unsave', 50), 100)
    expect_equal(core:GetMoney(me, 'cash'), cash, 'cash after the bank')

    player:move(place.shop, '3s')
    paid = ask(player, 'rp-shops:buy', 'supermarket', { bread = 2, water = 1 })
    expect_equal(paid, 2 * 6 + 4)
    cash = cash - paid
    expect_equal(ask(player, 'rp-shops:buy', 'supermarket', { bread = 2, gold = 1 }), false, 'there is no gold')

    player:trigger('rp-inventory:server:use', 1)
    player:move(place.motel, '2s')
    local locker = ask(player, 'rp-inventory:open', 'stash:motel')
    expect_equal(locker and #locker.items, 0, 'an empty locker')
    expect(ask(player, 'rp-inventory:move', { from = 'player', fromSlot = 2, to = 'stash:motel', toSlot = 1, count = 2 }))
    player:trigger('rp-inventory:server:close')
    local dropped = ask(player, 'rp-inventory:drop', 2, 1)
    expect(dropped, 'something lies on the ground')

    player:command(('me has a long day, number %d'):format(number))
    player:say(('I am number %d'):format(number))

    player:move(place.dealer, '3s')
    local plate = ask(player, 'rp-garage:buy', 'faggio')
    expect(type(plate) == 'string' and #plate == 8, 'a plate')
    player:move(place.garage, '2s')
    expect_equal(#ask(player, 'rp-garage:list', 'legion'), 1, 'a vehicle in the garage')
    local net = ask(player, 'rp-garage:take', plate)
    if expect(net, 'the vehicle is out') then
        local away = place.garage + vector3(180.0, 90.0, 0.0)
        player:move(away, '6s')
        player:move(place.garage, '6s')
        player:trigger('rp-garage:server:lock', net)
        expect(ask(player, 'rp-garage:store', net, 'legion'), 'parked')
    end

    local statement = ask(player, 'rp-banking:statement', 1)
    expect(statement and #statement.rows >= 4, 'movements on the statement')
    expect_equal(core:GetMoney(me, 'cash'), cash, 'cash at the end of the day')
    wait(100)
    expect_equal(core:GetMoney(me, 'bank'), bank + drift, 'the bank told every movement')
    expect_equal(#(exports['rp-hud']:GetWaypoint(me) - place.bank) < 0.1, true, 'the waypoint')
end

log(('%d people have a long day before them'):format(people))
local crowd = rush(people, {
    over = '12s',
    name = function(number) return ('Worker %d'):format(number) end,
    license = function(number) return ('%040x'):format(0x5000 + number) end,
    story = live,
})

-- one who is not wanted, and one whose name will not do
at('5s', function()
    local player, reason = Players.connect({ name = '<b>', license = ('%040x'):format(1) })
    expect_equal(player, nil)
    expect(reason and reason:find('letters'), 'the name is refused with a reason')
end)

crowd:wait()
expect_equal(crowd.connected, people)
expect_equal(crowd.refused, 0)
wait('2s')

-- What the database holds when everyone has gone home; the last line is for whoever compares runs.
local function ask_database(query)
    return math.floor(tonumber(exports.oxmysql:scalar_async(query, {})) or 0)
end

local characters = ask_database('SELECT COUNT(*) FROM characters')
expect_equal(characters, people, 'everyone was saved')
expect_equal(ask_database('SELECT COUNT(*) FROM player_vehicles WHERE stored = 1'), people, 'every vehicle is parked')
expect_equal(ask_database('SELECT SUM(amount) FROM bank_transactions WHERE other IS NOT NULL'), 0,
    'what leaves one account comes to another')
log(('totals: %d people, %d cash, %d in the bank, %d saved, %d movements, %d things, %d g, %d lines of the log'):format(
    characters,
    ask_database('SELECT SUM(cash) FROM characters'),
    ask_database('SELECT SUM(bank) FROM characters'),
    ask_database('SELECT SUM(balance) FROM bank_accounts'),
    ask_database('SELECT COUNT(*) FROM bank_transactions'),
    ask_database('SELECT SUM(count) FROM inventories'),
    ask_database('SELECT SUM(weight) FROM inventories'),
    ask_database('SELECT COUNT(*) FROM logs')
))
finish()
