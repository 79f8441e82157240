-- exports.cron:every('my task', 30, 'myresource:event')   seconds, then the event that is triggered

local tasks = {}

local function every(label, seconds, event)
    tasks[#tasks + 1] = {
        label = label,
        interval = math.max(1, math.floor(seconds)) * 1000,
        event = event,
        owner = GetInvokingResource() or 'cron',
        nextRun = GetGameTimer() + seconds * 1000,
        runs = 0,
    }
    return #tasks
end

exports('every', every)

local function runDue(now)
    for _, task in ipairs(tasks) do
        if task.nextRun <= now then
            task.nextRun = now + task.interval
            task.runs = task.runs + 1
            TriggerEvent(task.event, task.runs)
        end
    end
end

CreateThread(function()
    while true do
        Wait(500)
        runDue(GetGameTimer())
    end
end)

-- a resource that stops takes its tasks with it
AddEventHandler('onResourceStop', function(resource)
    for i = #tasks, 1, -1 do
        if tasks[i].owner == resource then
            table.remove(tasks, i)
        end
    end
end)

RegisterCommand('tasks', function()
    for _, task in ipairs(tasks) do
        print(('%-20s every %d s, ran %d times (%s)'):format(task.label, task.interval // 1000, task.runs, task.owner))
    end
end, true)
