local plan = json.decode(LoadResourceFile(GetCurrentResourceName(), 'data/weather.json'))
local current = plan.start
local frozen = false

local function setWeather(weather)
    if not plan.next[weather] then
        print(('no such weather: %s'):format(weather))
        return false
    end
    current = weather
    TriggerEvent('worldsync:weather', weather)
    TriggerClientEvent('worldsync:weather', -1, weather)
    return true
end

CreateThread(function()
    while true do
        Wait(Config.weatherEvery * 1000)
        if not frozen then
            local choices = plan.next[current]
            setWeather(choices[math.random(#choices)])
        end
    end
end)

exports('getWeather', function()
    return current
end)

RegisterCommand('weather', function(_, args)
    if args[1] == 'freeze' then
        frozen = not frozen
    else
        setWeather((args[1] or ''):upper())
    end
end, true)

-- fog banks: whoever drives in one gets his lights switched on
local fog = {
    { x = 120.0, y = -40.0, radius = 80.0 }, { x = 300.0, y = 90.0, radius = 120.0 },
    { x = 650.0, y = 20.0, radius = 60.0 }, { x = 900.0, y = -210.0, radius = 150.0 },
    { x = 1400.0, y = -500.0, radius = 200.0 }, { x = 2100.0, y = -800.0, radius = 90.0 },
}
local inFog = {}

AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        local inside = false
        for _, bank in ipairs(fog) do
            local dx, dy = update.x - bank.x, update.y - bank.y
            if dx * dx + dy * dy < bank.radius * bank.radius then
                inside = true
            end
        end
        inFog[update.unit] = inside
    end
end)
