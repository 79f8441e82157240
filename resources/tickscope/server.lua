-- Asks the probes of other resources: who made a tick late, who takes how much time. Told on the server's console, and by
-- transport.lua to a collector.

local LINE = '@tickscope/probe.lua'
local now = os.nanotime
if not now then return end -- the probes say why

-- A slice this long is looked at by itself; shorter ones are added up.
local WHOLE_NS = 500000
-- At most so many late ticks are told in a minute; the others are counted.
local TOLD_A_MINUTE = GetConvarInt('tickscope_told', 12)

local function say(...) print((string.format(...))) end

local function slices(row)
    local text = row.calls == 1 and '1 slice' or row.calls .. ' slices'
    if row.estimated > 0 then text = string.format('%s, %d of them not measured', text, row.estimated) end
    return text
end

local function milliseconds(ns) return string.format(ns < 10000000 and '%.2f ms' or '%.0f ms', ns / 1000000) end

-- the probed resources -------------------------------------------------------------------------------------------------

local probed, known = {}, false

local function has_probe(resource)
    for at = 0, GetNumResourceMetadata(resource, 'shared_script') - 1 do
        if GetResourceMetadata(resource, 'shared_script', at) == LINE then return true end
    end
    return false
end

local function resources()
    if known then return probed end
    probed, known = {}, true
    for at = 0, GetNumResources() - 1 do
        local resource = GetResourceByFindIndex(at)
        if resource and GetResourceState(resource) == 'started' and has_probe(resource) then
            probed[#probed + 1] = resource
        end
    end
    table.sort(probed)
    return probed
end

local function forget() known = false end
AddEventHandler('onResourceStart', forget)
AddEventHandler('onResourceStop', forget)

-- The answer of a resource's probe; nil when it is stopping, or has none after all.
local function ask(resource, ...)
    local arguments = table.pack(...)
    local fine, answer = pcall(function()
        return exports[resource]:tickscope_probe(table.unpack(arguments, 1, arguments.n))
    end)
    if fine then return answer end
    return nil
end

-- late ticks -----------------------------------------------------------------------------------------------------------

-- What a slice calls elsewhere, which counts for the slice; `trigger` is a count without a time.
local function is_call(name)
    return name:find('^call ') ~= nil or name:find('^trigger ') ~= nil or name:find('^native ') ~= nil
end

-- What each symbol did itself: its slices without what ran within them. All resources share one clock and one thread,
-- so what lies within a slice was called by it.
local function own_times(rows)
    table.sort(rows, function(one, other)
        if one.start ~= other.start then return one.start < other.start end
        return one.took > other.took
    end)
    local open = {}
    for _, row in ipairs(rows) do
        row.own = row.took
        while #open > 0 and open[#open].start + open[#open].took <= row.start do open[#open] = nil end
        row.within = open[#open]
        if row.within then row.within.own = row.within.own - row.took end
        -- short slices that were added up stand for no one piece of time
        if row.calls == 1 or is_call(row.name) then open[#open + 1] = row end
    end
    local by_symbol, list = {}, {}
    for _, row in ipairs(rows) do
        local whose = row
        while is_call(whose.name) and whose.within do whose = whose.within end
        local key = whose.resource .. ' ' .. whose.name
        local sum = by_symbol[key]
        if not sum then
            sum = { resource = whose.resource, name = whose.name, own = 0, calls = 0, estimated = 0 }
            by_symbol[key] = sum
            list[#list + 1] = sum
        end
        sum.own = sum.own + math.max(row.own, 0)
        if whose == row then
            sum.calls, sum.estimated = sum.calls + row.calls, sum.estimated + row.estimated
        end
    end
    table.sort(list, function(one, other)
        if one.own ~= other.own then return one.own > other.own end
        return one.resource .. one.name < other.resource .. other.name
    end)
    return list
end

local late, told, minute = { ticks = 0, untold = 0, longest = 0 }, 0, 0

local function explain(from, to)
    local took, rows, lost = to - from, {}, false
    for _, resource in ipairs(resources()) do
        local answer = ask(resource, 'between', from, to, WHOLE_NS)
        if answer then
            lost = lost or answer.lost
            for _, row in ipairs(answer.rows) do
                rows[#rows + 1] = {
                    resource = resource, name = row[1], calls = row[2], start = row[3], took = row[4],
                    estimated = row[5] or 0,
                }
            end
        end
    end
    local list, seen = own_times(rows), 0
    for _, each in ipairs(list) do seen = seen + each.own end
    say('late tick, %s:', milliseconds(took))
    for at = 1, math.min(3, #list) do
        local each = list[at]
        if at > 1 and each.own < took * 0.1 then break end
        say('  %s  %s  %s itself, %s', each.resource, each.name, milliseconds(each.own), slices(each))
    end
    if seen < took * 0.5 then
        say('  %s in none of the %d resources with the probe', milliseconds(took - seen), #resources())
    end
    if lost then say('  it did so much that the first of it was overwritten') end
end

local LATE_MS = GetConvarInt('tickscope_late_ms', 100)

CreateThread(function()
    local limit = LATE_MS * 1000000
    Wait(0)
    local last = now()
    while true do
        Wait(0)
        local woke = now()
        local began, is_late = woke, woke - last > limit
        if is_late then
            late.ticks, late.longest = late.ticks + 1, math.max(late.longest, woke - last)
            if woke // 60000000000 ~= minute then minute, told = woke // 60000000000, 0 end
            if told < TOLD_A_MINUTE then
                told = told + 1
                explain(last, woke)
                woke = now() -- what explaining took is not the next tick's
            else
                late.untold = late.untold + 1
            end
        end
        transport.tick(began, is_late)
        last = woke
    end
end)

-- commands -------------------------------------------------------------------------------------------------------------

local since = now()

-- What was asked of the probes since `top` was, by resource and symbol: posts take it too.
local sums, sums_held = {}, 0
local MAX_SUMS = 20000

local function totals(resource)
    local rows = ask(resource, 'totals') or {}
    local of = sums[resource]
    if not of then
        of = {}
        sums[resource] = of
    end
    for _, row in ipairs(rows) do
        local sum = of[row[1]]
        if sum then
            sum[2], sum[3], sum[4] = sum[2] + row[2], sum[3] + row[3], math.max(sum[4], row[4])
            sum[5] = sum[5] + row[5]
        elseif sums_held < MAX_SUMS then
            sums_held = sums_held + 1
            of[row[1]] = { row[1], row[2], row[3], row[4], row[5] }
        end
    end
    return rows
end

transport.start({ resources = resources, ask = ask, totals = totals, say = say, late_ms = LATE_MS })

local function status()
    local list, memory, armed = resources(), 0, 0
    for _, resource in ipairs(list) do
        local answer = ask(resource, 'status')
        if answer then
            memory = memory + answer.memory
            if answer.armed then armed = armed + 1 end
        end
    end
    say('tickscope: %d resources with the probe, %d armed; their Lua heaps hold %.1f MiB', #list, armed, memory / 2 ^ 20)
    say('tickscope: %d late ticks, the longest %s; %d of them were not told', late.ticks, milliseconds(late.longest),
        late.untold)
    say('tickscope: %s', transport.status())
end

local function arm(on, resource)
    TriggerEvent('tickscope:arm', on, resource)
    say('tickscope: %s%s', resource and resource .. ' is ' or '', on and 'armed' or 'disarmed')
end

-- How much is measured of whom.
local function depth(how, resource)
    if how == 'off' or how == 'boundary' then return arm(how == 'boundary', resource) end
    if how == 'deep' then
        say('tickscope: slices are measured, not the functions in them. The server itself can look into one resource:')
        return say('  `profiler resource %s 200`, `profiler save p.bin`; then `tickscope import p.bin`, where tickscope is',
            resource or 'NAME')
    end
    for _, probe in ipairs(resources()) do
        local answer = ask(probe, 'status')
        if answer then say('tickscope: %s: %s', probe, answer.armed and 'boundary' or 'off') end
    end
end

local function top(count)
    local rows = {}
    for _, resource in ipairs(resources()) do totals(resource) end
    for resource, of in pairs(sums) do
        for _, row in pairs(of) do
            if not is_call(row[1]) then
                rows[#rows + 1] = {
                    resource = resource, name = row[1], calls = row[2], took = row[3], longest = row[4],
                    estimated = row[5],
                }
            end
        end
    end
    table.sort(rows, function(one, other)
        if one.took ~= other.took then return one.took > other.took end
        return one.resource .. one.name < other.resource .. other.name
    end)
    sums, sums_held = {}, 0
    local to = now()
    say('tickscope: the last %.0f s; what a slice calls in other resources is in its time', (to - since) / 1e9)
    since = to
    for at = 1, math.min(count, #rows) do
        local row = rows[at]
        say('  %s  %s  %s in %s, %s at most', row.resource, row.name, milliseconds(row.took), slices(row),
            milliseconds(row.longest))
    end
end

RegisterCommand('tickscope', function(_, arguments)
    local what = arguments[1]
    if what == 'status' then
        status()
    elseif what == 'arm' and (arguments[2] == nil or arguments[2] == 'on') then
        arm(true, arguments[3])
    elseif what == 'arm' and arguments[2] == 'off' then
        arm(false, arguments[3])
    elseif what == 'depth' and #arguments <= 3 then
        depth(arguments[2], arguments[3])
    elseif what == 'dump' then
        local seconds = math.floor(tonumber(arguments[2]) or 10)
        say('tickscope: %s', transport.dump(math.max(1, math.min(seconds, 60))))
    elseif what == 'top' then
        top(math.max(tonumber(arguments[2]) or 10, 1))
    else
        say('tickscope status | top [rows] | dump [seconds] | depth [off|boundary|deep [resource]] | arm [on|off]')
    end
end, true)
