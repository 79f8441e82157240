Tracker = { units = {}, alarms = 0 }

for n = 1, Config.units do
    Tracker.units[n] = {
        unit = n,
        callsign = ('%d-Adam-%02d'):format(n % 4 + 1, n),
        plate = ('LSPD%03d'):format(n),
        model = n % 3 == 0 and 'ambulance' or 'police',
        x = n * 11.0,
        y = n * 7.0,
        z = 30.0,
        heading = n * 6.0,
        speed = 0.0,
        street = 'Vespucci Boulevard',
        siren = n % 5 == 0,
    }
end

local function drive()
    for _, unit in ipairs(Tracker.units) do
        unit.speed = math.random() * 30
        unit.x = unit.x + unit.speed
        unit.y = unit.y - unit.speed / 2
    end
end

--- All units in one event; the screens are told by their own clients.
function Tracker.sendPositions()
    TriggerEvent('tracker:positions', Tracker.units)
end

CreateThread(function()
    Wait(Config.first)
    while true do
        drive()
        Tracker.sendPositions()
        Wait(Config.every)
    end
end)

AddEventHandler('tracker:alarm', function(src, what)
    Tracker.alarms = Tracker.alarms + 1
    TriggerClientEvent('tracker:blip', -1, src, what)
end)
