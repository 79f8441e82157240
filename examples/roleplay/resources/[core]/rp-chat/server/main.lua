local ready = lib.cooldown(800)
local near <const> = 20.0

local function say(src, message)
    TriggerClientEvent('chat:addMessage', src, message)
end

local function speaker(src)
    return exports['rp-core']:GetName(src) or GetPlayerName(src) or 'Server'
end

--- Everyone in the same world who is close enough to hear.
local function inEarshot(src, distance)
    local ped = GetPlayerPed(src)
    if not ped or ped == 0 then return { src } end
    local here, bucket = GetEntityCoords(ped), GetPlayerRoutingBucket(src)
    local list = {}
    for _, id in ipairs(GetPlayers()) do
        local other = tonumber(id)
        if GetPlayerRoutingBucket(other) == bucket then
            local theirs = GetPlayerPed(other)
            if theirs ~= 0 and #(GetEntityCoords(theirs) - here) <= distance then list[#list + 1] = other end
        end
    end
    return list
end

local function speak(src, text, template)
    if src == 0 then return end
    local allowed = ready(src)
    if not allowed then return say(src, { args = { 'Server', 'Slowly, please.' } }) end
    text = Filter(src, lib.string.plain(text):sub(1, 200))
    if not text or #text == 0 then return end
    local message = { template = template, args = { speaker(src), text }, multiline = false }
    for _, listener in ipairs(inEarshot(src, near)) do say(listener, message) end
    lib.logger(src, 'chat', '{who}: {text}', { who = speaker(src), text = text })
end

RegisterNetEvent('_chat:messageEntered', function(author, color, text, mode)
    local src = source
    if type(author) ~= 'string' or type(text) ~= 'string' then return end

    TriggerEvent('chatMessage', src, author, text, mode)
    if WasEventCanceled() then return end
    speak(src, text, '{0} says: {1}')
end)

RegisterCommand('me', function(src, args, raw)
    if #args == 0 then return end
    speak(src, raw:sub(4), '* {0} {1}')
end, false)

RegisterCommand('do', function(src, args, raw)
    if #args == 0 then return end
    speak(src, raw:sub(4), '* {1} ({0})')
end, false)

RegisterCommand('ooc', function(src, args)
    if #args == 0 then return end
    local text = Filter(src, lib.string.plain(table.concat(args, ' ')):sub(1, 200))
    if not text then return end
    say(-1, { args = { ('[OOC] %s'):format(speaker(src)), text } })
end, false)

RegisterCommand('say', function(src, args)
    if src ~= 0 then return end
    say(-1, { args = { 'Console', table.concat(args, ' ') } })
end, true)

AddEventHandler('rp-core:server:loaded', function(src)
    say(src, { args = { 'Server', ('%d people are in town.'):format(GetNumPlayerIndices()) } })
    local names = {}
    for _, command in ipairs(GetRegisteredCommands()) do
        if IsPlayerAceAllowed(src, ('command.%s'):format(command.name)) then
            names[#names + 1] = { name = ('/%s'):format(command.name), help = '' }
        end
    end
    TriggerClientEvent('chat:addSuggestions', src, names)
end)

exports('addMessage', function(target, message)
    say(target, message)
end)
