-- Sees what a resource does, from within its own Lua: threads, timers, event handlers, exports, commands, state bag
-- handlers, and what it triggers and calls. It must be the first script of the resource:
--
--     shared_script '@tickscope/probe.lua'
--
-- What is measured is a slice: from where the server starts or resumes a piece of script until that waits or returns.
-- All resources share one thread and one clock, so a slice that lies within another was caused by it, in whichever
-- resource: no number has to travel with events and exports.
--
-- Nothing here changes what the script sees: values go through untouched, nils at the end too; errors are not caught,
-- but for those of the functions that are replaced here, which are raised again with the caller's place.

if not IsDuplicityVersion() then return end -- a client; nothing is measured there

local RESOURCE = GetCurrentResourceName()
local LINE = '@tickscope/probe.lua'

if rawget(Citizen, '__tickscope') then
    print('^3tickscope: probe.lua is loaded twice; one line in the manifest is enough^7')
    return
end
if not os.nanotime then
    print('^3tickscope: this server has no os.nanotime; nothing is measured before it is updated^7')
    return
end
Citizen.__tickscope = true

local now, running, getinfo = os.nanotime, coroutine.running, debug.getinfo
local error, load, next, pcall, select = error, load, next, pcall, select
local setmetatable, tostring, type = setmetatable, tostring, type
local concat, format, gsub, match = table.concat, string.format, string.gsub, string.match
local rep, sub, rawget, gc = string.rep, string.sub, rawget, collectgarbage

if GetResourceMetadata(RESOURCE, 'shared_script', 0) ~= LINE then
    print("^3tickscope: probe.lua is not the first shared script of this resource; what stands before it is not seen^7")
end

-- names ----------------------------------------------------------------------------------------------------------------

-- At most so many; the first stands for those that find no room.
local MAX_SYMBOLS = 4096
local names, symbols_of = { 'other <other>' }, {}
local counts, totals, longest = { 0 }, { 0 }, { 0 }

-- The number of a name, which is `kind name @resource/file.lua:12`.
local function intern(name)
    local known = symbols_of[name]
    if known then return known end
    local number = #names + 1
    if number > MAX_SYMBOLS then return 1 end
    names[number], symbols_of[name] = name, number
    counts[number], totals[number], longest[number] = 0, 0, 0
    return number
end

local function place(info) return format('%s:%d', sub(info.short_src, 1, 200), info.linedefined) end

local function symbol_of(kind, name, info)
    if name == nil then return intern(format('%s %s', kind, place(info))) end
    return intern(format('%s %s %s', kind, sub(name, 1, 200), place(info)))
end

-- records --------------------------------------------------------------------------------------------------------------

-- Two rings of four columns: one is written, the other is held for who reads it. 4 × 2 × 4,096 numbers of 16 bytes.
local SIZE <const> = 4096
local MASK <const> = SIZE - 1

local function ring()
    local starts, tooks, lives, causes = {}, {}, {}, {}
    for at = 1, SIZE do starts[at], tooks[at], lives[at], causes[at] = 0, 0, 0, 0 end
    return { starts = starts, tooks = tooks, lives = lives, causes = causes, written = 0 }
end

local active, held = ring(), ring()
local starts, tooks, lives, causes, written = active.starts, active.tooks, active.lives, active.causes, 0
local overwritten, holding = 0, false

local armed, tick, life = false, 0, 0
-- The innermost slice that runs, if it is one that is measured.
local current = nil

-- A slice: its symbol in the lower 16 bits of `life`, and who caused it.
local function record(start, took, symbol, of, cause)
    local at = (written & MASK) + 1
    written = written + 1
    starts[at], tooks[at], lives[at], causes[at] = start, took, of << 16 | symbol, cause
    counts[symbol], totals[symbol] = counts[symbol] + 1, totals[symbol] + took
    if took > longest[symbol] then longest[symbol] = took end
end

-- guards ---------------------------------------------------------------------------------------------------------------

-- A guard is a variable to be closed of the function that calls the script's: it ends the slice however that ends,
-- and catches nothing.
local guard_meta = {}
local pool, free = {}, 0
-- Of coroutines that began unmeasured and may wait for ever: threads, timers.
local guards = setmetatable({}, { __mode = 'k' })

local function take(symbol, cause)
    if not armed then
        current = nil
        return nil
    end
    local guard
    if free > 0 then
        guard, free = pool[free], free - 1
    else
        guard = setmetatable({}, guard_meta)
    end
    local outer = current
    life = life + 1
    if cause == 0 and outer then cause = outer.life end
    guard.symbol, guard.life, guard.cause, guard.outer, guard.co = symbol, life, cause, outer, running()
    current = guard
    guard.tick, guard.start = tick, now()
    return guard
end

local function pause(guard)
    -- what began in another tick was suspended by somebody else in between: how long it ran is not known
    if armed and guard.tick == tick then
        local start = guard.start
        record(start, now() - start, guard.symbol, guard.life, guard.cause)
    end
    current = guard.outer
    guard.outer, guard.tick = nil, -1
end

local function go_on(guard) current, guard.tick, guard.start = guard, tick, now() end

-- `pause` and `record` written out: a handler's coroutine is new each time, and each level of calls in it is memory that
-- the server has to ask for.
function guard_meta.__close(guard)
    if armed and guard.tick == tick then
        local start, symbol, at = guard.start, guard.symbol, (written & MASK) + 1
        local took = now() - start
        written = written + 1
        starts[at], tooks[at], lives[at], causes[at] = start, took, guard.life << 16 | symbol, guard.cause
        counts[symbol], totals[symbol] = counts[symbol] + 1, totals[symbol] + took
        if took > longest[symbol] then longest[symbol] = took end
    end
    current = guard.outer
    guard.outer, guard.tick, guard.co = nil, -1, nil
    if free < 64 then
        free = free + 1
        pool[free] = guard
    end
end

-- As `take`, of what may go on for ever: measured from its next wait on when the probe is armed later.
local function take_long(symbol, cause)
    local guard = take(symbol, cause)
    if not guard then
        guard = { symbol = symbol, life = 0, cause = 0, tick = -1, start = 0, co = running() }
        setmetatable(guard, guard_meta)
    end
    guards[guard.co] = guard
    return guard
end

-- The guard of the running coroutine.
local function own()
    local co = running()
    local guard = current
    if guard and guard.co == co then return guard end
    guard = guards[co]
    if guard and guard.life == 0 then
        life = life + 1
        guard.life = life
    end
    return guard
end

-- wrapping a function of the script ------------------------------------------------------------------------------------

-- The function that calls the script's says it comes from the same lines, so that FXServer's own profiler and positions
-- of errors name the script and not this file.
local factories = {}

local function factory(info, long)
    local source, first, last = info.source, info.linedefined, info.lastlinedefined
    local key = format('%s:%d:%d:%s', source, first, last, long)
    local known = factories[key]
    if known then return known end
    local text = format(
        'local take, call, symbol, cause = ... %sreturn function(...) local _ <close> = take(symbol, cause) return call(...)%s end',
        rep('\n', first - 1), rep('\n', last - first))
    known = load(text, source)
    factories[key] = known or false
    return known
end

-- `call` as a function that is measured; anything that is no function of Lua is left alone.
local function measured(call, kind, name, long, cause)
    if type(call) ~= 'function' then return call end
    local info = getinfo(call, 'S')
    if info.what == 'C' then return call end
    local make = factory(info, long)
    if not make then return call end
    return make(long and take_long or take, call, symbol_of(kind, name, info), cause or 0)
end

-- functions of the server ----------------------------------------------------------------------------------------------

-- What a replaced function gives; its error is raised where the script called it, which is what it would have named.
local function deliver(fine, ...)
    if fine then return ... end
    local problem = ...
    if type(problem) ~= 'string' then error(problem, 0) end
    problem = gsub(problem, '^@tickscope/probe%.lua:%d+: ', '')
    if match(problem, '^@[^\n:]+:%d+: ') then error(problem, 0) end
    error(problem, 2)
end

local function cause_here() return armed and current and current.life or 0 end

local create_thread, create_now, set_timeout = Citizen.CreateThread, Citizen.CreateThreadNow, Citizen.SetTimeout
local raw_wait, raw_await = Citizen.Wait, Citizen.Await

Citizen.CreateThread = function(...)
    local call = ...
    if type(call) ~= 'function' then return deliver(pcall(create_thread, ...)) end
    return deliver(pcall(create_thread, measured(call, 'thread', nil, true, cause_here()), select(2, ...)))
end

Citizen.SetTimeout = function(...)
    local delay, call = ...
    if type(call) ~= 'function' then return deliver(pcall(set_timeout, ...)) end
    return deliver(pcall(set_timeout, delay, measured(call, 'timer', nil, true, cause_here()), select(3, ...)))
end

-- Runs at once, within the slice that is running.
local function created(outer, ...)
    current = outer
    return deliver(...)
end

Citizen.CreateThreadNow = function(...)
    local call, outer = ..., current
    if type(call) ~= 'function' then return deliver(pcall(create_now, ...)) end
    return created(outer, pcall(create_now, measured(call, 'thread', nil, true, cause_here()), select(2, ...)))
end

-- What is called by `pcall` has no name.
local function misused(name, fine, ...)
    if fine then return ... end
    local problem = ...
    if type(problem) == 'string' then problem = gsub(problem, "'%?'", "'" .. name .. "'") end
    return deliver(false, problem)
end

local function waited(guard, ...)
    go_on(guard)
    return ...
end

Citizen.Wait = function(...)
    local delay = ...
    -- a wait of a number does not fail
    if delay ~= nil and type(delay) ~= 'number' then return misused('Wait', pcall(raw_wait, ...)) end
    local guard = armed and own()
    if not guard then return raw_wait(...) end
    pause(guard)
    return waited(guard, raw_wait(...))
end

local function settled(guard, ...)
    if guard then go_on(guard) end
    return deliver(...)
end

Citizen.Await = function(...)
    local guard = armed and own()
    if guard then pause(guard) end
    return settled(guard, pcall(raw_await, ...))
end

for _, name in next, { 'CreateThread', 'CreateThreadNow', 'SetTimeout', 'Wait' } do
    if rawget(_G, name) then _G[name] = Citizen[name] end
end

-- events ---------------------------------------------------------------------------------------------------------------

-- How FXServer hands out exports: no event of the script.
local function is_own(event) return type(event) ~= 'string' or sub(event, 1, 6) == '__cfx_' end

local function handling(raw)
    return function(...)
        local event, call = ...
        if type(call) ~= 'function' or is_own(event) then return deliver(pcall(raw, ...)) end
        return deliver(pcall(raw, event, measured(call, 'event', event), select(3, ...)))
    end
end

local add_handler = AddEventHandler
AddEventHandler = handling(add_handler)
RegisterNetEvent = handling(RegisterNetEvent)
RegisterServerEvent = RegisterNetEvent

local trigger, trigger_symbols = TriggerEvent, {}

local function triggered(outer, ...)
    current = outer
    return deliver(...)
end

-- Counted only: its time is that of the slice that triggers, and what the handlers take they measure themselves.
TriggerEvent = function(...)
    local event = ...
    if not armed or is_own(event) then return deliver(pcall(trigger, ...)) end
    local symbol = trigger_symbols[event]
    if not symbol then
        symbol = intern('trigger ' .. sub(event, 1, 200))
        if symbol ~= 1 then trigger_symbols[event] = symbol end
    end
    counts[symbol] = counts[symbol] + 1
    return triggered(current, pcall(trigger, ...))
end

-- exports --------------------------------------------------------------------------------------------------------------

local raw_exports, known_exports = exports, {}

-- The call may have waited for its answer: what ran before it ends where it began, and a new slice begins.
local function answered(guard, symbol, start, at, ...)
    if armed then
        if at == tick then
            record(start, now() - start, symbol, guard and guard.life or 0, guard and guard.life or 0)
            current = guard
        elseif guard then
            if guard.tick == at then
                record(guard.start, start - guard.start, guard.symbol, guard.life, guard.cause)
            end
            guard.outer = nil
            go_on(guard)
        end
    end
    return deliver(...)
end

local function caller(resource, name, raw)
    local symbol = intern(format('call %s.%s', resource, sub(tostring(name), 1, 200)))
    return function(...)
        if not armed then return deliver(pcall(raw, ...)) end
        return answered(own(), symbol, now(), tick, pcall(raw, ...))
    end
end

local function read(of, name) return of[name] end
local function write(of, name, value) of[name] = value end

local function exports_of(resource, raw)
    local callers = {}
    return setmetatable({}, {
        __index = function(_, name)
            local known = callers[name]
            local fine, call = pcall(read, raw, name)
            if not fine then return deliver(fine, call) end
            if type(call) ~= 'function' then return call end
            if known and known[1] == call then return known[2] end
            local wrapped = caller(resource, name, call)
            if name ~= nil then callers[name] = { call, wrapped } end
            return wrapped
        end,
        __newindex = function(_, name, value) return deliver(pcall(write, raw, name, value)) end,
    })
end

exports = setmetatable({}, {
    __index = function(_, resource)
        local known = known_exports[resource]
        if known then return known end
        local fine, raw = pcall(read, raw_exports, resource)
        if not fine or type(raw) ~= 'table' then return deliver(fine, raw) end
        known = exports_of(tostring(resource), raw)
        known_exports[resource] = known
        return known
    end,
    __newindex = function(_, name, value) return deliver(pcall(write, raw_exports, name, value)) end,
    __call = function(_, ...)
        local name, call = ...
        if type(name) ~= 'string' or type(call) ~= 'function' then return deliver(pcall(raw_exports, ...)) end
        return deliver(pcall(raw_exports, name, measured(call, 'export', name), select(3, ...)))
    end,
})

-- natives that take functions ------------------------------------------------------------------------------------------

local register_command = RegisterCommand
RegisterCommand = function(...)
    local name, call = ...
    if type(name) ~= 'string' or type(call) ~= 'function' then return deliver(pcall(register_command, ...)) end
    return deliver(pcall(register_command, name, measured(call, 'command', name), select(3, ...)))
end

local add_bag_handler = AddStateBagChangeHandler
AddStateBagChangeHandler = function(...)
    local key, bag, call = ...
    if type(call) ~= 'function' then return deliver(pcall(add_bag_handler, ...)) end
    local name = format('%s %s', tostring(key), tostring(bag))
    return deliver(pcall(add_bag_handler, key, bag, measured(call, 'state_bag', name), select(4, ...)))
end

local set_http_handler = SetHttpHandler
SetHttpHandler = function(...)
    local call = ...
    if type(call) ~= 'function' then return deliver(pcall(set_http_handler, ...)) end
    return deliver(pcall(set_http_handler, measured(call, 'http', RESOURCE), select(2, ...)))
end

-- who asks -------------------------------------------------------------------------------------------------------------

-- Counts ticks while the probe is armed: what begins in one and ends in another was suspended in between, and not every
-- way to be suspended leads through a function that is replaced here.
local beating = false

local function beat()
    while armed do
        tick = tick + 1
        raw_wait(0)
    end
    beating = false
end

local function arm(on)
    on = on and true or false
    if on == armed then return end
    armed, tick, current = on, tick + 1, nil
    if on and not beating then
        beating = true
        create_thread(beat)
    end
end

local function select_ring(which)
    starts, tooks, lives, causes, written = which.starts, which.tooks, which.lives, which.causes, which.written
end

local asked = {}

-- Where in what is held slices begin that ended at `from_ns` or later: they stand in the order in which they ended.
local function first_from(ring, from_ns)
    local low, high = ring.written > SIZE and ring.written - SIZE or 0, ring.written
    while low < high do
        local middle = (low + high) // 2
        local slot = (middle & MASK) + 1
        if ring.starts[slot] + ring.tooks[slot] < from_ns then low = middle + 1 else high = middle end
    end
    return low
end

-- Keeps what is in the ring, and ended at `from_ns` or later, for `read`, and goes on in the other. False while an older one
-- is still kept.
function asked.hold(from_ns)
    if holding then return false end
    active.written = written
    active, held, holding = held, active, true
    held.first = first_from(held, from_ns or 0)
    active.written = 0
    select_ring(active)
    return true
end

-- Records `from` to `to` (from 1, oldest first) of what is held, as four columns of numbers, with their symbols: a
-- number and its name, and so on. `lost` were overwritten, which is known when none was left out for its age.
function asked.read(from, to)
    if not holding then return nil end
    local first = held.first
    local count = held.written - first
    local columns = { count = count, lost = first == held.written - SIZE and first or 0 }
    if from > count then return columns end
    if to > count then to = count end
    for _, name in next, { 'starts', 'tooks', 'lives', 'causes' } do
        local column, picked = held[name], {}
        for at = from, to do picked[#picked + 1] = column[((first + at - 1) & MASK) + 1] end
        columns[name] = concat(picked, ' ')
    end
    local lives, list, listed = held.lives, {}, {}
    for at = from, to do
        local symbol = lives[((first + at - 1) & MASK) + 1] & 0xffff
        if not listed[symbol] then
            listed[symbol], list[#list + 1], list[#list + 2] = true, symbol, names[symbol]
        end
    end
    columns.names = list
    return columns
end

function asked.release()
    holding = false
    return true
end

-- What ran between two moments: a row of symbol, calls, start of the first, nanoseconds. Slices from `whole_ns` on have
-- rows of their own, shorter ones one for each symbol.
function asked.between(from_ns, to_ns, whole_ns)
    local rows, merged = {}, {}
    local oldest = written > SIZE and written - SIZE or 0
    local lost = oldest > 0
    for at = written - 1, oldest, -1 do
        local slot = (at & MASK) + 1
        local start, took = starts[slot], tooks[slot]
        if start + took < from_ns then
            lost = false
            break
        end
        if start < to_ns then
            local symbol = lives[slot] & 0xffff
            local row = merged[symbol]
            if took >= whole_ns and #rows < 256 then
                rows[#rows + 1] = { names[symbol], 1, start, took }
            elseif row then
                row[2], row[3], row[4] = row[2] + 1, start, row[4] + took
            else
                merged[symbol] = { names[symbol], 1, start, took }
            end
        end
    end
    for _, row in next, merged do rows[#rows + 1] = row end
    return { rows = rows, lost = lost }
end

-- Symbols with their calls, nanoseconds and longest slice since they were asked for last.
function asked.totals()
    local rows = {}
    for symbol = 1, #names do
        if counts[symbol] > 0 then
            rows[#rows + 1] = { names[symbol], counts[symbol], totals[symbol], longest[symbol] }
            counts[symbol], totals[symbol], longest[symbol] = 0, 0, 0
        end
    end
    return rows
end

function asked.status()
    return { armed = armed, symbols = #names, written = written, held = holding, memory = gc('count') * 1024 // 1 }
end

raw_exports('tickscope_probe', function(what, ...)
    local answer = asked[what]
    return answer and answer(...)
end)

add_handler('tickscope:arm', function(on, only)
    if only == nil or only == RESOURCE then arm(on) end
end)

arm(GetConvar('tickscope_armed', 'true') ~= 'false')
