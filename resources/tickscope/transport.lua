-- Posts what the probes keep to `tickscope collect`: the slices around a late tick, or when `tickscope dump` asks for them, and
-- each five seconds what every symbol took and what Lua's heaps hold.
--
-- A tick pays for a piece of this at most, one post is on its way at a time, and what waits is bounded: rings that the
-- probes have anyway, one post, and the lengths of a minute's ticks. What cannot be sent is dropped and counted.

local now = os.nanotime
transport = {}
if not now then return end -- the probes say why

local byte, concat, format, gsub = string.byte, table.concat, string.format, string.gsub

-- A post that has grown to this is sent; the collector takes 1 MiB.
local post_bytes = 128 * 1024
-- Records that a probe is asked for at once.
local PIECE = 512
-- How often probes are asked in a tick: once for each so many nanoseconds that the tick before took, so that a server that is
-- late each time gets it off its hands.
local ASK_NS, ASKS = 12500000, 64
local ROUND_NS = 5000000000
local MAX_TICKS = 1200
-- What a flight covers: so much before a late tick, so much behind it, and never more than a minute.
local BEFORE_NS, BEHIND_NS, LONGEST_NS = 5000000000, 1000000000, 60000000000
-- Who does not answer for so long is away.
local ANSWER_NS = 30000000000
-- A post is tried so often, after 1, 2, 4 … seconds; then the collector is away and is asked with one post now and then.
local TRIES, PAUSE_NS = 6, 30000000000
-- Rows of one resource in a round, and the least they took.
local ROWS, LEAST_NS = 64, 100000

-- Numbers and times of posts hold within a run.
local run = format('%x%x', os.time(), now() & 0xffffffffff)

local server -- what server.lua gives: resources, ask, totals, say, late_ms
local address, token = '', ''
local number, taken, repeated = 0, 0, 0
local lost = { posts = 0, flights = 0 }

local first, begin, last, lengths = 1, 0, nil, {}
local lines, bytes = {}, 0
local post, sent, request, tries, not_before = nil, nil, 0, 0, 0
local away, told = false, nil
local flight, again = nil, nil
local round, round_ended = nil, now()

local function hexed(character) return format('%%%02x', byte(character)) end
local function name_of(text) return (gsub(text, '[^ -$&-~]', hexed)) end
local function resource_of(text) return (gsub(text, '[^!-$&-~]', hexed)) end

local function tell(...)
    local text = format(...)
    if text ~= told then
        told = text
        server.say('tickscope: %s', text)
    end
end

-- posts ----------------------------------------------------------------------------------------------------------------

local function add(...)
    local line = format(...)
    lines[#lines + 1], bytes = line, bytes + #line
end

-- Makes a post of what was added.
local function finish()
    number = number + 1
    local ticks = ''
    if #lengths > 0 then
        ticks = format('ticks %d %d %s\n', first, begin, concat(lengths, ' '))
        first, begin, lengths = first + #lengths, last, {}
    end
    post = format('tickscope 1\nfrom %s %d\nclock %d %d\nlate %d\nlost %d %d\n%s%sover\n', run, number, now(), os.time(),
        server.late_ms, lost.posts, lost.flights, ticks, concat(lines))
    lines, bytes, tries = {}, 0, 0
end

local function release(from)
    for at = from, #flight.resources do server.ask(flight.resources[at], 'release') end
    flight = nil
end

local function drop()
    post, lost.posts = nil, lost.posts + 1
    if flight then
        lost.flights, lines, bytes = lost.flights + 1, {}, 0
        release(flight.at)
    end
end

local function answered(status, why)
    sent = nil
    if status >= 200 and status < 300 then
        post, taken, away = nil, taken + 1, false
        tell('%s takes posts', address)
        return
    end
    why = why and why ~= '' and tostring(why) or 'no answer'
    local passes = status == 0 or status == 408 or status == 429 or status >= 500
    if passes and not away and tries < TRIES then
        repeated = repeated + 1
        not_before = now() + (1000000000 << (tries - 1))
    elseif status == 413 then
        post_bytes = math.max(post_bytes // 2, 16 * 1024)
        drop()
    else
        away, not_before = true, now() + PAUSE_NS
        drop()
    end
    if status == 401 or status == 403 then
        tell('%s does not take tickscope_token', address)
    else
        tell('%s takes no post: %s', address, gsub(why, '%s+$', ''))
    end
end

local function send()
    request, tries, sent = request + 1, tries + 1, now()
    local this = request
    local function on_answer(status, _, _, why)
        if this == request then answered(tonumber(status) or 0, why) end
    end
    local headers = { ['Authorization'] = 'Bearer ' .. token, ['Content-Type'] = 'text/plain' }
    local fine, problem = pcall(PerformHttpRequest, address .. '/posts', on_answer, 'POST', post, headers)
    if not fine then answered(0, problem) end
end

local function asks()
    local took = lengths[#lengths] or 0
    return math.max(1, math.min(took // ASK_NS, ASKS))
end

-- flights --------------------------------------------------------------------------------------------------------------

-- Has the probes keep what ran from one moment to another.
local function fly(from, to)
    flight = { from = math.max(from, to - LONGEST_NS, 0), to = to, resources = {}, at = 1, record = 1 }
    for _, resource in ipairs(server.resources()) do
        server.ask(resource, 'release') -- of one who asked before us and did not come to it
        if server.ask(resource, 'hold', flight.from) then flight.resources[#flight.resources + 1] = resource end
    end
end

-- Adds some of what is kept, to the end of it or of a post.
local function fly_on()
    if bytes == 0 then add('flight %d %d\n', flight.from, flight.to) end
    for _ = 1, asks() do
        local resource = flight.resources[flight.at]
        if not resource then
            add('landed\n')
            flight = nil
            return finish()
        end
        local columns = server.ask(resource, 'read', flight.record, flight.record + PIECE - 1)
        if columns and columns.starts then
            add('of %s %d\n', resource_of(resource), flight.record == 1 and columns.lost or 0)
            local names = columns.names
            for at = 1, #names, 2 do add('name %d %s\n', names[at], name_of(names[at + 1])) end
            add('slices\n%s\n%s\n%s\n%s\n', columns.starts, columns.tooks, columns.lives, columns.causes)
        end
        flight.record = flight.record + PIECE
        if not columns or flight.record > columns.count then
            server.ask(resource, 'release')
            flight.at, flight.record = flight.at + 1, 1
        end
        if bytes >= post_bytes then return finish() end
    end
end

-- rounds ---------------------------------------------------------------------------------------------------------------

local function longer(one, other) return one[3] > other[3] end

local function add_totals(resource)
    local name, status = resource_of(resource), server.ask(resource, 'status')
    if not status then return end
    add('heap %d %s\n', status.memory, name)
    local rows = {}
    for _, row in ipairs(server.totals(resource)) do
        if row[3] >= LEAST_NS then rows[#rows + 1] = row end
    end
    if #rows > ROWS then table.sort(rows, longer) end
    for at = 1, math.min(#rows, ROWS) do
        local row = rows[at]
        add('total %d %d %d %s %s\n', row[2], row[3], row[4], name, name_of(row[1]))
    end
end

-- Asks some resources; when all of them were asked, it is posted.
local function go_round()
    for _ = 1, asks() do
        local resource = round.resources[round.at]
        round.at = round.at + 1
        if resource then add_totals(resource) end
        if not resource or bytes >= post_bytes then
            add('period %d %d\n', round.from, now())
            if not resource then round, round_ended = nil, now() end
            return finish()
        end
    end
end

-- ticks ----------------------------------------------------------------------------------------------------------------

local function remember(woke)
    if last then
        lengths[#lengths + 1] = woke - last
    else
        begin = woke
    end
    last = woke
    if #lengths >= MAX_TICKS then
        local half = MAX_TICKS // 2
        for at = 1, half do begin = begin + lengths[at] end
        first, lengths = first + half, table.move(lengths, half + 1, #lengths, 1, {})
    end
end

local function step()
    local at = now()
    if sent then
        if at - sent < ANSWER_NS then return end
        request = request + 1 -- should it answer after all
        answered(0, 'no answer')
    end
    if at < not_before then return end
    if post then
        send()
    elseif round then
        go_round()
    elseif bytes == 0 and at - round_ended >= ROUND_NS then
        round = { resources = server.resources(), at = 1, from = round_ended }
        go_round()
    elseif flight then
        fly_on()
    elseif again and at >= again.at then
        fly(again.from, at)
        again = nil
    end
    if post and not sent then send() end
end

local looked

-- The collector may be set, or another, while the server runs.
local function configure(at)
    if looked and at - looked < ROUND_NS then return end
    looked = at
    local to = gsub(GetConvar('tickscope_collector', ''), '/+$', '')
    token = gsub(GetConvar('tickscope_token', ''), '%s', '')
    if to == address then return end
    if flight then release(flight.at) end
    post, round, again, lines, bytes = nil, nil, nil, {}, 0
    address, away, not_before, last, lengths = to, false, 0, nil, {}
    if to ~= '' and token == '' then tell('tickscope_token is not set, so nothing is posted') end
end

-- One tick is over: the next one began at `woke`.
function transport.tick(woke, late)
    configure(woke)
    if address == '' or token == '' then return end
    remember(woke)
    if late then
        if away then
            lost.flights = lost.flights + 1
        elseif flight then
            -- their rings go on in the meantime
            again = { from = again and again.from or flight.to, at = 0 }
        else
            fly(woke - BEFORE_NS, woke)
            again = { from = woke, at = woke + BEHIND_NS }
        end
    end
    step()
end

-- `tickscope dump`: what the last seconds were. Says what becomes of it.
function transport.dump(seconds)
    configure(now())
    if address == '' or token == '' then
        return 'nothing is posted: set tickscope_collector and tickscope_token, and run `tickscope collect`'
    end
    if away then return address .. ' takes no posts; try again when it does' end
    if flight or again then return 'what is around a late tick is being sent; try again in a moment' end
    again = { from = now() - seconds * 1000000000, at = 0 }
    return format('what ran in the last %d s is being sent to %s', seconds, address)
end

function transport.status()
    configure(now())
    if address == '' then return 'nothing is posted: tickscope_collector is not set' end
    if token == '' then return 'nothing is posted: tickscope_token is not set' end
    return format('%s: %d posts taken, %d tried again; dropped: %d posts, %d late ticks%s', address, taken, repeated,
        lost.posts, lost.flights, away and '; it is away' or '')
end

function transport.start(given)
    server = given
    AddEventHandler('onResourceStop', function(resource)
        if resource == GetCurrentResourceName() and flight then release(flight.at) end
    end)
end
