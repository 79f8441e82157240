-- The players of `--players N`: they come, walk about, talk, leave and come back. They ask nothing of a server that it
-- does not offer.

local count = ...

local first = { 'Ada', 'Bela', 'Cem', 'Dora', 'Emil', 'Fay', 'Goran', 'Hana', 'Ivo', 'Jun', 'Kaja', 'Leo', 'Mira' }
local last = { 'Adler', 'Berg', 'Cole', 'Dahl', 'Ek', 'Frost', 'Grau', 'Holm', 'Ide', 'Jansen', 'Kurz' }
local lines = {
    'good morning', 'has anybody seen my car?', 'where is the bank?', 'who sells water here?', 'see you later',
    'the weather is nice', 'is a mechanic around?', 'follow me', 'wait for me', 'one moment please',
}
local acts = { 'waves', 'yawns', 'looks at the sky', 'checks the phone', 'shrugs' }

local function name(number)
    return ('%s %s %d'):format(first[number % #first + 1], last[number % #last + 1], number)
end

local function license(number)
    return ('license:%040x'):format(0x7f00000000 + number)
end

-- Until the player wants to go, or is sent away.
local function stay(player)
    local leaves = GetGameTimer() + random(120000, 480000)
    local speaks = GetGameTimer() + random(5000, 30000)
    local heading = random(0.0, 6.28)
    while GetGameTimer() < leaves do
        Wait(random(900, 1100))
        if not player.connected then return end
        heading = heading + random(-0.4, 0.4)
        local here = player.coords
        local speed = player.vehicle ~= 0 and 14.0 or 1.5
        player:move(vector3(here.x + math.cos(heading) * speed, here.y + math.sin(heading) * speed, here.z))
        if random(20) == 1 then player.ping = random(18, 160) end
        if GetGameTimer() >= speaks then
            speaks = GetGameTimer() + random(15000, 60000)
            if random(3) == 1 then
                player:command(('me %s'):format(random(acts)))
            else
                -- what the chat on a client sends; a server without one never hears it
                player:say(random(lines))
            end
        end
    end
end

for number = 1, count do
    -- all within the first ten seconds; four a second when they are few
    SetTimeout((number - 1) * math.min(10000 // count, 250), function()
        while true do
            local player = Players.connect({ name = name(number), license = license(number), ping = random(18, 120) })
            if player then
                stay(player)
                if player.connected then player:drop('Exiting') end
                Wait(random(5000, 20000))
            else
                Wait(30000)
            end
        end
    end)
end
