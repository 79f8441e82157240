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

-- heavy rain: the harbour camera widget wants to know who is out there
local moving = {}
AddEventHandler('tracker:positions', function(updates)
    for _, update in ipairs(updates) do
        moving[update.unit] = update.speed > 1.0
    end
end)
