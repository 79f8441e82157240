-- Time and weather: everyone sees the same, through GlobalState.

local kvpWeather <const> = 'world:weather'
local kvpStarts <const> = 'world:starts'

SetResourceKvpInt(kvpStarts, GetResourceKvpInt(kvpStarts) + 1)

local weather = GetResourceKvpString(kvpWeather) or Config.weather.first
local clock = { hour = 8, minute = 0 }
local frozen = false

local function setWeather(name)
    if not Config.weather.next[name] then return false end
    weather = name
    SetResourceKvp(kvpWeather, name)
    GlobalState.weather = name
    return true
end

CreateThread(function()
    setWeather(weather)
    while true do
        GlobalState.clock = table.clone(clock)
        Wait(Config.minute)
        if not frozen then
            clock.minute += 1
            if clock.minute == 60 then
                clock.minute = 0
                clock.hour = (clock.hour + 1) % 24
            end
        end
    end
end)

lib.cron.every(Config.weather.seconds, function()
    local choices = Config.weather.next[weather]
    setWeather(choices[math.random(#choices)])
end, 'weather')

exports('SetWeather', setWeather)

exports('SetTime', function(hour, minute)
    hour, minute = tonumber(hour), tonumber(minute) or 0
    if not hour or hour < 0 or hour > 23 or minute < 0 or minute > 59 then return false end
    clock.hour, clock.minute = hour // 1, minute // 1
    GlobalState.clock = table.clone(clock)
    return true
end)

exports('FreezeTime', function(on)
    frozen = on and true or false
    return frozen
end)
