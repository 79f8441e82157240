-- `Async`, for scripts. The host gives what differs from host to host: how a coroutine waits.
local run, numbers, now, wait, pause = ...
local error, select, type, setmetatable, unpack, pack = error, select, type, setmetatable, table.unpack, table.pack

local Async = {}

-- Runs `f(...)` on a worker, with copies of its arguments and of what it captured. Answers a job.
function Async.Run(f, ...)
    if type(f) ~= 'function' then
        error('Async.Run: expected a function, got a ' .. type(f), 2)
    end
    local job, refused = run(f, ...)
    if not job then error('Async.Run: ' .. refused, 2) end
    return job
end

local function check(job, name)
    if type(job) ~= 'userdata' then
        error(name .. ': expected a job of Async.Run, got a ' .. type(job), 3)
    end
    return job
end

local function finish(fine, ...)
    if fine then return ... end
    error((...), 0)
end

-- Waits until the job has ended, and answers what it answered or raises what it raised.
function Async.Await(job)
    check(job, 'Async.Await')
    if not job:done() then wait({ job }) end
    return finish(job:take())
end

-- Waits for all of a list of jobs; answers the first value of each. The first that failed is raised, the others run on.
function Async.All(jobs)
    local count = #jobs
    for at = 1, count do check(jobs[at], 'Async.All') end
    local values = {}
    for at = 1, count do values[at] = (Async.Await(jobs[at])) end
    return unpack(values, 1, count)
end

-- Waits for the first of a list of jobs to end; answers its place in the list and what it answered.
function Async.Race(jobs)
    local count = #jobs
    if count == 0 then error('Async.Race: an empty list would be waited for for ever', 2) end
    for at = 1, count do check(jobs[at], 'Async.Race') end
    local function first()
        for at = 1, count do
            if jobs[at]:done() then return at end
        end
    end
    if not first() then wait(jobs) end
    local at = first()
    return at, finish(jobs[at]:take())
end

-- The job, which is stopped when it has not ended in so many milliseconds.
function Async.Timeout(job, milliseconds)
    check(job, 'Async.Timeout'):stop_after(milliseconds)
    return job
end

-- Takes a job back. Who awaits it gets an error. False when it had ended.
function Async.Cancel(job)
    return check(job, 'Async.Cancel'):cancel()
end

-- Calls `f(i)` for each number of a range, for at most so many milliseconds of each tick (and one call more).
function Async.Budget(milliseconds, f, first, last, step)
    local from = now()
    for at = first, last, step or 1 do
        if now() - from >= milliseconds then
            pause()
            from = now()
        end
        f(at)
    end
end

-- A packed array of numbers: of a count, or of a list. Crosses to a worker without a look at its elements.
Async.Numbers = numbers

return Async
