-- Go there, do it for a while, carry it to whoever buys it.

local core = exports['rp-core']
local inventory = exports['rp-inventory']
local started = {}

--- The work of the player, if the job has any and the player is on duty.
local function workOf(src)
    local job = core:GetJob(src)
    return job and job.onDuty and Config.work[job.name], job
end

RegisterNetEvent('rp-jobs:server:begin', function()
    local src = source
    local work = workOf(src)
    if not work or not IsNear(src, work.at) then return end
    started[src] = { work = work, at = GetGameTimer() }
    TriggerClientEvent('rp-jobs:client:working', src, work.seconds)
end)

lib.callback.register('rp-jobs:finish', function(src)
    local task = started[src]
    started[src] = nil
    if not task then return false, 'you did not begin' end
    if GetGameTimer() - task.at < task.work.seconds * 1000 then return false, 'too fast' end
    if not IsNear(src, task.work.at) then return false, 'too far away' end
    if not inventory:CanCarryItem(src, task.work.item, task.work.per) then return false, 'too heavy' end
    return inventory:AddItem(src, task.work.item, task.work.per)
end)

lib.callback.register('rp-jobs:sell', function(src)
    local work, job = workOf(src)
    if not work or not IsNear(src, work.sell) then return 0 end
    local count = inventory:GetItemCount(src, work.item)
    if count == 0 or not inventory:RemoveItem(src, work.item, count) then return 0 end
    local earned = count * work.price
    core:AddMoney(src, 'cash', earned, ('sold %d %s'):format(count, work.item))
    lib.logger(src, 'work', '{count} {item} for {sum}', { count = count, item = work.item, sum = earned })
    TriggerEvent('rp-jobs:server:sold', src, job.name, count, earned)
    return earned
end)

AddEventHandler('playerDropped', function() started[source] = nil end)

-- nobody sells what they did not come by honestly: the badge stays with its owner
CreateThread(function()
    inventory:RegisterMoveHook(function(move)
        if move.name ~= 'police_badge' then return true end
        return core:GetJob(move.source)?.name == 'police'
    end)
end)
