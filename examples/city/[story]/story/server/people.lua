-- The people. Their records are our own, a real server would ask GetPlayers().
People = { list = {}, online = 0 }

local firstNames = { 'Ana', 'Ben', 'Carla', 'Dino', 'Eva', 'Finn', 'Gina', 'Hugo', 'Iris', 'Jon', 'Kim', 'Leo' }
local lastNames = { 'Stone', 'Rivera', 'Okafor', 'Lind', 'Marsh', 'Costa', 'Novak', 'Bauer' }

for n = 1, Config.people do
    People.list[n] = {
        src = n,
        name = firstNames[n % #firstNames + 1] .. ' ' .. lastNames[n % #lastNames + 1],
        license = ('license:%08x'):format(0x11000000 + n),
        online = false,
        driving = false,
        onDuty = false,
    }
end

function People.join(person)
    person.online = true
    People.online = People.online + 1
    TriggerEvent('framework:join', person.src, person.name, person.license)
end

function People.leave(person)
    person.online, person.driving, person.onDuty = false, false, false
    People.online = People.online - 1
    TriggerEvent('framework:leave', person.src, 'went to bed')
end

--- somebody who is online, or nil
function People.any()
    for _ = 1, 8 do
        local person = People.list[math.random(#People.list)]
        if person.online then return person end
    end
end
