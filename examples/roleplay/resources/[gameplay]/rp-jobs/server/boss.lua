-- Those who lead a society hire, promote and see the books.

local core = exports['rp-core']

local function bossOf(src)
    local job = core:GetJob(src)
    return job and job.boss and job.name or nil
end

lib.callback.register('rp-jobs:promote', function(src, target, grade)
    local society = bossOf(src)
    local player = society and core:GetPlayer(tonumber(target))
    grade = math.tointeger(tonumber(grade) or -1)
    if not player or player.job.name ~= society or not grade then return false end
    return player.SetJob(society, grade)
end)

lib.callback.register('rp-jobs:recruit', function(src, target)
    local society = bossOf(src)
    local player = society and core:GetPlayer(tonumber(target))
    if not player or player.job.name ~= 'unemployed' then return false end
    return player.SetJob(society, 0)
end)

lib.callback.register('rp-jobs:books', function(src)
    local society = bossOf(src)
    if not society then return nil end
    return {
        balance = exports['rp-banking']:SocietyBalance(society),
        staff = #exports['rp-jobs']:OnDuty(society),
    }
end)
