-- What one person does at a time.
Acts = {}

local lines = { 'hello', 'need a taxi at the pier', 'who is the mechanic?', 'what a noob', 'lovely weather', 'selling fish' }
local goods = { 'water', 'bread', 'coffee', 'sandwich', 'bandage' }
local licences = { 'driving', 'fishing', 'weapon' }

function Acts.work(person)
    if not person.onDuty then
        person.onDuty = true
        TriggerEvent('jobs:duty', person.src, true)
    else
        TriggerEvent('jobs:taskDone', person.src)
    end
end

function Acts.pay(person)
    local other = People.any()
    if other then
        exports.banking:transfer(person.src, other.src, math.random(5, 250))
    end
end

function Acts.drive(person)
    if person.driving then
        TriggerEvent('vehicles:leave', person.src)
    else
        TriggerEvent('vehicles:enter', person.src)
    end
    person.driving = not person.driving
end

function Acts.shop(person)
    local name = goods[math.random(#goods)]
    local bought = exports.shops:buyItem(person.src, name, math.random(1, 2))
    if bought then
        TriggerEvent('inventory:use', person.src, name)
    end
end

function Acts.talk(person)
    TriggerEvent('chat:message', person.src, lines[math.random(#lines)])
end

function Acts.goHome(person)
    TriggerEvent('housing:door', person.src, person.src)
end

function Acts.cityhall(person)
    TriggerEvent('cityhall:buyLicence', person.src, licences[math.random(#licences)])
end

function Acts.sleep(person)
    if People.online > Config.people * 3 // 4 then
        People.leave(person)
    end
end

Acts.all = {
    Acts.work, Acts.work, Acts.work, Acts.pay, Acts.pay, Acts.drive, Acts.drive,
    Acts.shop, Acts.shop, Acts.talk, Acts.talk, Acts.goHome, Acts.cityhall, Acts.sleep,
}
