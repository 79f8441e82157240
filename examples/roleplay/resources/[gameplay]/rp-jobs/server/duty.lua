local core = exports['rp-core']

--- How many are on duty, for those who dispatch; everybody sees it.
local onDuty = {}

local function publish()
    local count = {}
    for _, src in ipairs(lib.table.sortedKeys(onDuty)) do
        local job = onDuty[src]
        count[job] = (count[job] or 0) + 1
    end
    GlobalState.duty = count
end

AddEventHandler('rp-core:server:duty', function(src, job, on)
    onDuty[src] = on and job or nil
    publish()
end)

AddEventHandler('rp-core:server:job', function(src, job)
    onDuty[src] = job.onDuty and job.name or nil
    publish()
end)

AddEventHandler('playerDropped', function()
    local src = source
    if onDuty[src] then
        onDuty[src] = nil
        publish()
    end
end)

function IsNear(src, place, reach)
    local ped = GetPlayerPed(src)
    return ped ~= 0 and #(GetEntityCoords(ped) - place) <= (reach or Config.reach)
end

lib.callback.register('rp-jobs:duty', function(src)
    local player = core:GetPlayer(src)
    if not player then return nil end
    local place = Config.duty[player.job.name]
    if place and not IsNear(src, place) then
        player.Notify('You have to be at work for that.', 'error')
        return nil
    end
    return player.SetDuty(not player.job.onDuty)
end)

lib.callback.register('rp-jobs:hire', function(src, name)
    if not lib.table.contains(Config.open, name) or not IsNear(src, Config.centre) then return false end
    local player = core:GetPlayer(src)
    if not player then return false end
    local hired = player.SetJob(name, 0)
    if hired then lib.logger(src, 'job', '{name} works as {job}', { name = player.name, job = name }) end
    return hired
end)

exports('OnDuty', function(job)
    local list = {}
    for _, src in ipairs(lib.table.sortedKeys(onDuty)) do
        if onDuty[src] == job then list[#list + 1] = src end
    end
    return list
end)
