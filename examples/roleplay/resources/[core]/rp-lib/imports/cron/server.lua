-- Work that comes back: lib.cron.every(60, function() … end, 'rent'). One thread serves all of a resource's tasks.

local cron = {}
local tasks = {}
local running = false

local function loop()
    while running do
        local now = GetGameTimer()
        for i = 1, #tasks do
            local task = tasks[i]
            if task.active and now >= task.due then
                task.due += task.every
                if task.due <= now then task.due = now + task.every end
                local ok, problem = pcall(task.run, task)
                task.runs += 1
                if not ok then print(('^1task %s: %s^0'):format(task.name, problem)) end
            end
        end
        Wait(250)
    end
end

local Task = {}
Task.__index = Task

function Task:stop() self.active = false end

function Task:resume()
    self.due = GetGameTimer() + self.every
    self.active = true
end

--- Runs `fn` every so many seconds, the first time after one such span.
function cron.every(seconds, fn, name)
    local task = setmetatable({
        name = name or ('every %d s'):format(seconds),
        every = math.floor(seconds * 1000),
        due = GetGameTimer() + math.floor(seconds * 1000),
        run = fn,
        runs = 0,
        active = true,
    }, Task)
    tasks[#tasks + 1] = task
    if not running then
        running = true
        CreateThread(loop)
    end
    return task
end

function cron.tasks()
    return tasks
end

return cron
