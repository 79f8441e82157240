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
local gmatch = string.gmatch
local rep, sub, rawget, gc = string.rep, string.sub, rawget, collectgarbage

if GetResourceMetadata(RESOURCE, 'shared_script', 0) ~= LINE then
    print("^3tickscope: probe.lua is not the first shared script of this resource; what stands before it is not seen^7")
end

-- names ----------------------------------------------------------------------------------------------------------------

-- At most so many; the first stands for those that find no room.
local MAX_SYMBOLS = 4096
-- A piece of work that comes more often than this in one tick, and is short each time, is measured every 16th time from
-- there on, and counted each time: measuring takes as long as such a piece itself.
local FEW <const>, SKIPPED <const>, LONG_NS <const> = 32, 15, 20000
local NEVER <const> = math.maxinteger

local armed, tick, life = false, 0, 0

-- What is known of a symbol: `left` calls go unmeasured, of `set`, before one is measured again; `many` were measured in
-- this tick. Of the last tick with unmeasured ones: when that began, and how many they were.
local function state_of(symbol)
    return { symbol = symbol, left = armed and 0 or NEVER, set = 0, tick = 0, many = 0, storm_at = 0, storm = 0, storm_tick = -1 }
end

local names, states, symbols_of = { 'other <other>' }, { state_of(1) }, {}
local counts, totals, longest, unmeasured = { 0 }, { 0 }, { 0 }, { 0 }

-- The number of a name, which is `kind name @resource/file.lua:12`.
local function intern(name)
    local known = symbols_of[name]
    if known then return known end
    local number = #names + 1
    if number > MAX_SYMBOLS then return 1 end
    names[number], symbols_of[name], states[number] = name, number, state_of(number)
    counts[number], totals[number], longest[number], unmeasured[number] = 0, 0, 0, 0
    return number
end

-- Those with calls that went unmeasured in this tick.
local storms = {}

local function account(state)
    local passed, symbol = state.set - state.left, state.symbol
    counts[symbol], unmeasured[symbol] = counts[symbol] + passed, unmeasured[symbol] + passed
    state.storm = state.storm + passed
    state.left, state.set = 0, 0
end

-- Before a call that is measured.
local function measuring(state)
    if state.tick ~= tick then
        state.tick, state.many = tick, 1
        return
    end
    local many = state.many + 1
    state.many = many
    if many <= FEW then return end
    if state.storm_tick ~= tick then
        state.storm_tick, state.storm_at, state.storm = tick, now(), 0
        storms[#storms + 1] = state
    end
    account(state)
    state.left, state.set = SKIPPED, SKIPPED
end

-- After one that took long: the next are measured each.
local function was_long(state)
    if state.set > 0 then account(state) end
    state.many = 0
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
-- Of coroutines that wait; false where nothing is known of one.
local guards = setmetatable({}, { __mode = 'k' })

local function take(state, cause)
    measuring(state)
    local guard
    if free > 0 then
        guard, free = pool[free], free - 1
    else
        guard = setmetatable({ waits = false }, guard_meta)
    end
    local outer = current
    life = life + 1
    if cause == 0 and outer then cause = outer.life end
    guard.state, guard.life, guard.cause, guard.outer, guard.co = state, life, cause, outer, running()
    current = guard
    guard.tick, guard.start = tick, now()
    return guard
end

local function pause(guard)
    -- what began in another tick was suspended by somebody else in between: how long it ran is not known
    if armed and guard.tick == tick then
        local start = guard.start
        record(start, now() - start, guard.state.symbol, guard.life, guard.cause)
    end
    current = guard.outer
    guard.outer, guard.tick = nil, -1
    if not guard.waits then
        guard.waits, guards[guard.co] = true, guard
    end
end

local function go_on(guard) current, guard.tick, guard.start = guard, tick, now() end

-- `pause` and `record` written out: a handler's coroutine is new each time, and each level of calls in it is memory that
-- the server has to ask for.
function guard_meta.__close(guard)
    if armed and guard.tick == tick then
        local start, state, at = guard.start, guard.state, (written & MASK) + 1
        local took, symbol = now() - start, state.symbol
        written = written + 1
        starts[at], tooks[at], lives[at], causes[at] = start, took, guard.life << 16 | symbol, guard.cause
        counts[symbol], totals[symbol] = counts[symbol] + 1, totals[symbol] + took
        if took > longest[symbol] then longest[symbol] = took end
        if took > LONG_NS then was_long(state) end
    end
    current = guard.outer
    guard.outer, guard.tick = nil, -1
    if guard.waits then
        guard.waits, guards[guard.co] = false, nil
    end
    guard.co = nil
    if free < 64 then
        free = free + 1
        pool[free] = guard
    end
end

-- The guard of the running coroutine, if it has one.
local function innermost()
    local co = running()
    local guard = current
    if guard and guard.co == co then return guard end
    return guards[co] or nil
end

-- wrapping a function of the script ------------------------------------------------------------------------------------

-- What is known of functions by their source, first line and last line: `make` gives one that calls the script's, `state`
-- is that of the last symbol made with it, `symbols` those without a name of their own by kind.
local functions = {}

-- The function that calls the script's says it comes from the same lines, so that FXServer's own profiler and positions
-- of errors name the script and not this file. What goes unmeasured leaves no trace on the stack.
local function known_function(info)
    local source, first, last = info.source, info.linedefined, info.lastlinedefined
    local lines = functions[source]
    if not lines then
        lines = {}
        functions[source] = lines
    end
    local key = first << 20 | last
    local known = lines[key]
    if known then return known end
    local text = format(
        'local take, call, state, cause = ... %sreturn function(...) local left = state.left '
            .. 'if left > 0 then state.left = left - 1 return call(...) end '
            .. 'local _ <close> = take(state, cause) return call(...)%s end',
        rep('\n', first - 1), rep('\n', last - first))
    known = { make = load(text, source) or false, symbols = {}, place = format('%s:%d', sub(info.short_src, 1, 200), first) }
    lines[key] = known
    return known
end

-- `call` as a function that is measured; anything that is no function of Lua is left alone.
local function measured(call, kind, name, cause)
    if type(call) ~= 'function' then return call end
    local info = getinfo(call, 'S')
    if info.what == 'C' then return call end
    local known = known_function(info)
    if not known.make then return call end
    local state
    if name == nil then
        state = known.symbols[kind]
        if not state then
            state = states[intern(kind .. ' ' .. known.place)]
            known.symbols[kind] = state
        end
    else
        state = states[intern(format('%s %s %s', kind, sub(name, 1, 200), known.place))]
    end
    known.state = state
    return known.make(take, call, state, cause or 0)
end

-- How many coroutines a tick may look for the function that they began with.
local looks = 0

-- A guard for the running coroutine, which began unmeasured and is about to wait: the outermost function of it that is
-- known names it. From its next slice on it is measured.
local function found(co)
    if looks >= FEW then return nil end
    looks = looks + 1
    local state
    for level = 3, 100 do
        local info = getinfo(level, 'S')
        if not info then break end
        local lines = functions[info.source]
        local known = lines and lines[info.linedefined << 20 | info.lastlinedefined]
        if known then state = known.state end
    end
    local guard = false
    if state then
        life = life + 1
        guard = { state = state, life = life, cause = 0, tick = -1, start = 0, co = co, waits = true }
    end
    guards[co] = guard
    return guard
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
    return deliver(pcall(create_thread, measured(call, 'thread', nil, cause_here()), select(2, ...)))
end

Citizen.CreateThreadNow = function(...)
    local call = ...
    if type(call) ~= 'function' then return deliver(pcall(create_now, ...)) end
    return deliver(pcall(create_now, measured(call, 'thread', nil, cause_here()), select(2, ...)))
end

Citizen.SetTimeout = function(...)
    local delay, call = ...
    if not armed or type(call) ~= 'function' then return deliver(pcall(set_timeout, ...)) end
    return deliver(pcall(set_timeout, delay, measured(call, 'timer', nil, current and current.life), select(3, ...)))
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
    if not armed then return raw_wait(...) end
    local co, guard = running(), current
    if not guard or guard.co ~= co then
        guard = guards[co]
        if guard == nil then guard = found(co) end
        if not guard then return raw_wait(...) end
    end
    pause(guard)
    return waited(guard, raw_wait(...))
end

local function settled(guard, ...)
    if guard then go_on(guard) end
    return deliver(...)
end

Citizen.Await = function(...)
    if not armed then return deliver(pcall(raw_await, ...)) end
    local co, guard = running(), current
    if not guard or guard.co ~= co then
        guard = guards[co]
        if guard == nil then guard = found(co) end
    end
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

-- Counted only: its time is that of the slice that triggers, and what the handlers take they measure themselves.
TriggerEvent = function(...)
    if armed then
        local event = ...
        local symbol = trigger_symbols[event]
        if symbol then
            counts[symbol] = counts[symbol] + 1
        elseif not is_own(event) then
            symbol = intern('trigger ' .. sub(event, 1, 200))
            if symbol ~= 1 then trigger_symbols[event] = symbol end
            counts[symbol] = counts[symbol] + 1
        end
    end
    return deliver(pcall(trigger, ...))
end

-- exports --------------------------------------------------------------------------------------------------------------

local raw_exports, known_exports = exports, {}

-- The call may have waited for its answer: what ran before it ends where it began, and a new slice begins.
local function answered(guard, state, start, at, ...)
    if armed then
        if at == tick then
            local took, of = now() - start, guard and guard.life or 0
            record(start, took, state.symbol, of, of)
            if took > LONG_NS then was_long(state) end
            current = guard
        elseif guard then
            if guard.tick == at then
                record(guard.start, start - guard.start, guard.state.symbol, guard.life, guard.cause)
            end
            guard.outer = nil
            go_on(guard)
        end
    end
    return deliver(...)
end

-- A function of the server that is timed.
local function timed(state, raw)
    return function(...)
        local left = state.left
        if left > 0 then
            state.left = left - 1
            return deliver(pcall(raw, ...))
        end
        measuring(state)
        return answered(innermost(), state, now(), tick, pcall(raw, ...))
    end
end

local function read(of, name) return of[name] end
local function write(of, name, value) of[name] = value end

local function exports_of(resource, raw)
    local callers = {}
    return setmetatable({}, {
        __index = function(_, name)
            local fine, call = pcall(read, raw, name)
            if not fine then return deliver(fine, call) end
            if type(call) ~= 'function' then return call end
            if name == nil then return call end
            local known = callers[name]
            if not known then
                known = { state = states[intern(format('call %s.%s', resource, sub(tostring(name), 1, 200)))] }
                callers[name] = known
            end
            -- a server may give another function each time
            if known.raw ~= call then known.raw, known.call = call, timed(known.state, call) end
            return known.call
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

-- natives and other functions of the server that are timed when asked for ---------------------------------------------

-- What `set tickscope_natives "files, GetPlayerPed"` may name beside single functions.
local SETS = {
    clients = { 'TriggerClientEvent', 'TriggerLatentClientEvent', 'TriggerClientEventInternal',
        'TriggerLatentClientEventInternal' },
    database = { 'SetResourceKvp', 'SetResourceKvpNoSync', 'SetResourceKvpInt', 'SetResourceKvpIntNoSync',
        'SetResourceKvpFloat', 'SetResourceKvpFloatNoSync', 'GetResourceKvpString', 'GetResourceKvpInt',
        'GetResourceKvpFloat', 'DeleteResourceKvp', 'DeleteResourceKvpNoSync', 'StartFindKvp', 'FindKvp', 'EndFindKvp',
        'FlushResourceKvp' },
    entities = { 'GetAllObjects', 'GetAllPeds', 'GetAllVehicles', 'GetGamePool', 'CreateObject', 'CreateObjectNoOffset',
        'CreatePed', 'CreateVehicle', 'CreateVehicleServerSetter', 'DeleteEntity', 'DoesEntityExist', 'GetEntityCoords',
        'GetEntityHeading', 'GetEntityHealth', 'GetEntityModel', 'GetEntityRoutingBucket', 'GetVehiclePedIsIn',
        'NetworkGetEntityFromNetworkId', 'NetworkGetEntityOwner', 'NetworkGetNetworkIdFromEntity', 'SetEntityCoords',
        'SetEntityHeading', 'SetEntityRoutingBucket' },
    files = { 'LoadResourceFile', 'SaveResourceFile', 'io.open', 'io.lines' },
    http = { 'PerformHttpRequest', 'PerformHttpRequestInternal', 'PerformHttpRequestInternalEx' },
    json = { 'json.encode', 'json.decode', 'msgpack.pack', 'msgpack.unpack' },
    players = { 'GetPlayers', 'GetNumPlayerIndices', 'GetPlayerFromIndex', 'GetPlayerName', 'GetPlayerPed',
        'GetPlayerPing', 'GetPlayerEndpoint', 'GetPlayerIdentifier', 'GetPlayerIdentifiers', 'GetPlayerIdentifierByType',
        'GetNumPlayerIdentifiers', 'GetPlayerRoutingBucket', 'SetPlayerRoutingBucket', 'DropPlayer', 'IsPlayerAceAllowed' },
    state_bags = { 'GetStateBagValue', 'SetStateBagValue', 'GetStateBagKeys', 'EnsureEntityStateBag' },
}

-- A name may have one dot: `json.encode`.
local function time(name)
    local of, field = match(name, '^([^.]+)%.([^.]+)$')
    local place = of and rawget(_G, of) or _G
    field = field or name
    local raw = type(place) == 'table' and place[field]
    -- what is measured anyway, or not there
    if type(raw) ~= 'function' or place == _G and raw == Citizen[field] then return end
    place[field] = timed(states[intern('native ' .. sub(name, 1, 200))], raw)
end

for word in gmatch(GetConvar('tickscope_natives', ''), '[^%s,]+') do
    for _, name in next, SETS[word] or { word } do time(name) end
end

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
        tick, current, looks = tick + 1, nil, 0
        for at = 1, #storms do
            local state = storms[at]
            storms[at] = nil
            if state.set > 0 then account(state) end
        end
        raw_wait(0)
    end
    beating = false
end

local function arm(on)
    on = on and true or false
    if on == armed then return end
    armed, tick, current, storms = on, tick + 1, nil, {}
    for at = 1, #states do
        local state = states[at]
        state.left, state.set, state.many, state.storm_tick = on and 0 or NEVER, 0, 0, -1
    end
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

-- What ran between two moments: a row of symbol, calls, start of the first, nanoseconds, and how many of the calls are
-- estimated. Slices from `whole_ns` on have rows of their own, shorter ones one for each symbol.
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
    -- those that went unmeasured took as long as the others, as far as anybody knows
    for symbol, row in next, merged do
        local state = states[symbol]
        if state.storm > 0 and state.storm_at >= from_ns and state.storm_at < to_ns then
            row[4], row[5] = row[4] + row[4] * state.storm // row[2], state.storm
            row[2] = row[2] + state.storm
        end
        rows[#rows + 1] = row
    end
    return { rows = rows, lost = lost }
end

-- Symbols with their calls, nanoseconds, longest slice, and how many of the calls are estimated, since they were asked
-- for last.
function asked.totals()
    local rows = {}
    for symbol = 1, #names do
        local count, passed = counts[symbol], unmeasured[symbol]
        if count > 0 then
            local total = totals[symbol]
            if passed > 0 and count > passed then total = total * count // (count - passed) end
            rows[#rows + 1] = { names[symbol], count, total, longest[symbol], passed }
            counts[symbol], totals[symbol], longest[symbol], unmeasured[symbol] = 0, 0, 0, 0
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
