-- Players call the staff; calls wait until somebody takes them.

local reports = {}
local number = 0
local patient = lib.cooldown(10000)

local function staff()
    local list = {}
    for _, id in ipairs(GetPlayers()) do
        if IsPlayerAceAllowed(id, 'rp.moderator') then list[#list + 1] = tonumber(id) end
    end
    return list
end

local function send(target)
    local open = {}
    for _, id in ipairs(lib.table.sortedKeys(reports)) do open[#open + 1] = reports[id] end
    TriggerClientEvent('rp-admin:client:reports', target, open)
end

RegisterCommand('report', function(src, args)
    if src == 0 or #args == 0 or not patient(src) then return end
    number += 1
    local ped = GetPlayerPed(src)
    reports[number] = {
        id = number,
        source = src,
        name = GetPlayerName(src),
        text = table.concat(args, ' '):sub(1, 200),
        coords = ped ~= 0 and GetEntityCoords(ped) or vec3(0.0, 0.0, 0.0),
        at = os.time(),
    }
    for _, id in ipairs(staff()) do send(id) end
    lib.logger(src, 'report', '#{id} {text}', { id = number, text = reports[number].text })
end, false)

RegisterNetEvent('rp-admin:server:takeReport', function(id)
    local src = source
    if not IsPlayerAceAllowed(src, 'rp.moderator') then return end
    local report = type(id) == 'number' and reports[id]
    if not report then return end
    reports[id] = nil
    if GetPlayerName(report.source) then
        TriggerClientEvent('chat:addMessage', report.source, {
            args = { 'Staff', ('%s looks into your report.'):format(GetPlayerName(src)) },
        })
    end
    for _, member in ipairs(staff()) do send(member) end
end)

AddEventHandler('playerDropped', function()
    local src = source
    for _, id in ipairs(lib.table.sortedKeys(reports)) do
        if reports[id].source == src then reports[id] = nil end
    end
end)
