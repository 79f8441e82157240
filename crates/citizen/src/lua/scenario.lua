-- What a scenario has: players that it plays, times, and expectations. See docs/scenarios.md.

local host = ...
local error, ipairs, math_random, pairs, rawget, rawset, select, setmetatable, tonumber, tostring, type =
    error, ipairs, math.random, pairs, rawget, rawset, select, setmetatable, tonumber, tostring, type
local getinfo = debug.getinfo
local pack, unpack, remove, sort = table.pack, table.unpack, table.remove, table.sort
local string_format, string_match = string.format, string.match
local math_floor, math_max, math_min, math_type = math.floor, math.max, math.min, math.type
local CreateThread, CreateThreadNow, Wait, SetTimeout, Await = CreateThread, CreateThreadNow, Wait, SetTimeout, Citizen.Await
local promise, GetGameTimer = promise, GetGameTimer
local encode, decode = json.encode, json.decode

-- times ----------------------------------------------------------------------------------------------------------------

local units = { ms = 1, s = 1000, m = 60000, h = 3600000 }

-- Milliseconds of '250ms', '10s', '1.5m', '2h', or a number of them.
local function milliseconds(time, level)
    if type(time) == 'number' and time >= 0 then return math_floor(time) end
    local count, unit
    if type(time) == 'string' then count, unit = string_match(time, '^([%d.]+)(%a+)$') end
    count, unit = tonumber(count), units[unit]
    if not count or not unit then
        error(string_format("expected a time such as '250ms', '10s', '5m' or milliseconds, got %s", tostring(time)),
            level or 3)
    end
    return math_floor(count * unit)
end

function wait(time) return Wait(milliseconds(time or 0)) end

-- Calls `work` again and again, with that time between its starts; `:stop()` ends it.
function every(time, work)
    local pause = math_max(milliseconds(time), 1)
    local series = { stop = function(self) self.stopped = true end }
    local due = GetGameTimer()
    CreateThreadNow(function()
        while true do
            due = due + pause
            Wait(math_max(due - GetGameTimer(), 0))
            if series.stopped then return end
            CreateThreadNow(function() work(series) end)
        end
    end)
    return series
end

-- Calls `work` once, that long after the scenario began.
function at(time, work)
    SetTimeout(math_max(milliseconds(time) - GetGameTimer() + host.began(), 0), work)
end

-- random() in [0, 1), random(6), random(10, 20), or one of a list: always of the run's seed.
function random(low, high)
    if type(low) == 'table' then return low[math_random(#low)] end
    if low == nil then return math_random() end
    if high == nil then return math_random(low) end
    if math_type(low) == 'integer' and math_type(high) == 'integer' then return math_random(low, high) end
    return low + (high - low) * math_random()
end

function log(...)
    local words = pack(...)
    for index = 1, words.n do words[index] = tostring(words[index]) end
    host.log(table.concat(words, ' '))
end

-- Ends the run after this tick.
function finish() host.finish() end

-- expectations ---------------------------------------------------------------------------------------------------------

-- Tells the host; `level` is how far up the scenario's own line is.
local function judge(held, message, level)
    if held then
        host.held()
        return
    end
    local info = getinfo(level + 1, 'Sl')
    host.failed(message, info and info.source or '', info and info.currentline or 0)
end

local function show(value)
    if type(value) == 'string' then return string_format('%q', value) end
    if type(value) == 'table' then
        local ok, text = pcall(json.encode, value)
        return ok and text or tostring(value)
    end
    return tostring(value)
end

local function equal(left, right, depth)
    if left == right then return true end
    if type(left) ~= 'table' or type(right) ~= 'table' or depth > 32 then return false end
    for key, value in pairs(left) do
        if not equal(value, right[key], depth + 1) then return false end
    end
    for key in pairs(right) do
        if left[key] == nil then return false end
    end
    return true
end

-- Answers what it was given, so that `local row = expect(find(), 'a row')` goes on with it.
function expect(condition, message, ...)
    judge(condition, message and tostring(message) or 'an expectation did not hold', 2)
    return condition, message, ...
end

function expect_equal(actual, expected, message)
    local same = equal(actual, expected, 0)
    local text = not same and string_format('expected %s, got %s', show(expected), show(actual))
    if text and message then text = string_format('%s: %s', message, text) end
    judge(same, text, 2)
    return same
end

-- players --------------------------------------------------------------------------------------------------------------

-- What lies in a player's log at most, so that a long run does not grow.
local MAX_EVENTS, MAX_BYTES = 256, 1048576

local players = {}
local order = {}
local methods = {}

local function position(value, level)
    local kind = type(value)
    if kind == 'vector3' or kind == 'vector4' or kind == 'table' then
        local x, y, z = tonumber(value.x or value[1]), tonumber(value.y or value[2]), tonumber(value.z or value[3])
        if x and y and z then return x + 0.0, y + 0.0, z + 0.0 end
    end
    error(string_format('expected coordinates such as vector3(1.0, 2.0, 3.0), got %s', show(value)), level + 1)
end

local function put(self, x, y, z)
    local ped = GetPlayerPed(self.source)
    if ped == 0 then return false end
    local vehicle = GetVehiclePedIsIn(ped, false)
    if vehicle ~= 0 then SetEntityCoords(vehicle, x, y, z, false, false, false, false) end
    SetEntityCoords(ped, x, y, z, false, false, false, false)
    return true
end

local getters = {
    coords = function(self) return GetEntityCoords(GetPlayerPed(self.source)) end,
    ped = function(self) return GetPlayerPed(self.source) end,
    vehicle = function(self) return GetVehiclePedIsIn(GetPlayerPed(self.source), false) end,
    bucket = function(self) return GetPlayerRoutingBucket(self.source) end,
    ping = function(self) return GetPlayerPing(self.source) end,
    state = function(self) return Player(self.source).state end,
    connected = function(self) return players[self.source] == self end,
}

local setters = {
    coords = function(self, value) put(self, position(value, 3)) end,
    ping = function(self, value) host.set_ping(self.source, value) end,
}

local meta = {
    __name = 'player',
    __index = function(self, key)
        local getter = getters[key]
        if getter then return getter(self) end
        return methods[key]
    end,
    __newindex = function(self, key, value)
        local setter = setters[key]
        if setter then return setter(self, value) end
        if getters[key] or methods[key] then
            error(string_format('%s of a player cannot be set', tostring(key)), 2)
        end
        rawset(self, key, value)
    end,
    __tostring = function(self) return string_format('player %d (%s)', self.source, self.name) end,
}

local function adopt(source)
    local player = players[source]
    if not player then
        player = setmetatable({
            source = source,
            name = GetPlayerName(source),
            log = {},
            log_bytes = 0,
            reactions = {},
            waiters = {},
        }, meta)
        players[source] = player
        order[#order + 1] = source
        sort(order)
    end
    return player
end

-- The player is gone: whoever waits for its events waits in vain.
local function forget(player)
    players[player.source] = nil
    for index, source in ipairs(order) do
        if source == player.source then
            remove(order, index)
            break
        end
    end
    for _, waiter in ipairs(player.waiters) do
        if not waiter.over then
            waiter.over = true
            waiter.promise:resolve(false)
        end
    end
    player.waiters = {}
end

local function arguments(entry)
    return pack(host.unpack(entry.payload, entry.count))
end

local function call_reaction(reaction, entry)
    local values = arguments(entry)
    CreateThreadNow(function() reaction(unpack(values, 1, values.n)) end)
end

local function receive(player, name, payload, count)
    local entry = { name = name, payload = payload, count = count }
    local reactions = player.reactions[name]
    for index, waiter in ipairs(player.waiters) do
        if waiter.name == name and not waiter.over then
            waiter.over = true
            remove(player.waiters, index)
            waiter.promise:resolve(arguments(entry))
            entry = nil
            break
        end
    end
    if entry then
        local log = player.log
        log[#log + 1] = entry
        player.log_bytes = player.log_bytes + #payload
        while #log > MAX_EVENTS or (player.log_bytes > MAX_BYTES and #log > 1) do
            player.log_bytes = player.log_bytes - #remove(log, 1).payload
        end
    end
    if reactions then
        entry = entry or { payload = payload, count = count }
        for _, reaction in ipairs(reactions) do call_reaction(reaction, entry) end
    end
end

-- With each tick: what the server sent to the clients.
CreateThread(function()
    while true do
        for _, source in ipairs({ unpack(order) }) do
            local player = players[source]
            if player then
                local events = host.take(source)
                if not events then
                    forget(player)
                else
                    for index = 1, #events, 3 do
                        receive(player, events[index], events[index + 1], events[index + 2])
                    end
                end
            end
        end
        Wait(0)
    end
end)

-- Sends an event to the server, as the player's client does. Functions among the arguments can be called there.
function methods:trigger(event, ...)
    return host.trigger(self.source, event, ...)
end

-- What the player types into the chat with a slash in front; false when there is no such command or it is refused.
function methods:command(line)
    return host.command(self.source, (tostring(line):gsub('^%s*/', '')))
end

-- What the player types into the chat; false when no resource takes it.
function methods:say(text)
    return host.say(self.source, tostring(text))
end

-- Goes there: at once, or within a time.
function methods:move(to, time)
    local x, y, z = position(to, 2)
    local left = time and milliseconds(time) or 0
    local from = left > 0 and self.coords
    if not from then return put(self, x, y, z) end
    local began = GetGameTimer()
    repeat
        Wait(0)
        local done = math_min((GetGameTimer() - began) / left, 1.0)
        local there = put(self, from.x + (x - from.x) * done, from.y + (y - from.y) * done,
            from.z + (z - from.z) * done)
    until done >= 1.0 or not there
    return self.connected
end

function methods:drop(reason)
    local dropped = host.drop(self.source, reason and tostring(reason) or 'Exiting')
    forget(self)
    return dropped
end

-- Calls `reaction` with the arguments of each event of that name that comes from now on.
function methods:on(event, reaction)
    local list = self.reactions[event]
    if not list then
        list = {}
        self.reactions[event] = list
    end
    list[#list + 1] = reaction
end

-- The events that nobody waited for, oldest first, as { name = …, args = { …, n = … } }; only those of a name, if given.
function methods:events(name)
    local list = {}
    for _, entry in ipairs(self.log) do
        if name == nil or entry.name == name then
            list[#list + 1] = { name = entry.name, args = arguments(entry) }
        end
    end
    return list
end

function methods:forget_events()
    self.log = {}
    self.log_bytes = 0
end

-- The arguments of the first event of that name that came since somebody last waited for one, or of the next to come.
local function await_event(self, name, time)
    for index, entry in ipairs(self.log) do
        if entry.name == name then
            remove(self.log, index)
            self.log_bytes = self.log_bytes - #entry.payload
            return arguments(entry)
        end
    end
    if not self.connected then return false end
    local waiter = { name = name, promise = promise.new() }
    self.waiters[#self.waiters + 1] = waiter
    SetTimeout(time, function()
        if waiter.over then return end
        waiter.over = true
        for index, other in ipairs(self.waiters) do
            if other == waiter then
                remove(self.waiters, index)
                break
            end
        end
        waiter.promise:resolve(false)
    end)
    return Await(waiter.promise)
end

-- True and the arguments, or false when none came in time.
function methods:wait_event(name, time)
    local values = await_event(self, name, milliseconds(time or '10s'))
    if not values then return false end
    return true, unpack(values, 1, values.n)
end

-- The arguments; a failed expectation when none came in time.
function methods:expect_event(name, time)
    local values = await_event(self, name, milliseconds(time or '10s'))
    judge(values, string_format('%s got no event %s within %s', tostring(self), name, tostring(time or '10s')), 2)
    if values then return unpack(values, 1, values.n) end
end

Players = {}

-- Lets somebody knock and waits until the server has decided: a player, or nil and the reason.
function Players.connect(who)
    if type(who) == 'string' then who = { name = who } end
    who = who or {}
    if type(who) ~= 'table' then
        error(string_format("expected { name = '…' }, got %s", show(who)), 2)
    end
    local identifiers = {}
    if who.license then
        local license = tostring(who.license)
        identifiers[1] = string_match(license, '^license:') and license or 'license:' .. license
    end
    for _, identifier in ipairs(who.identifiers or {}) do identifiers[#identifiers + 1] = tostring(identifier) end

    local patience = GetGameTimer() + milliseconds(who.patience or '60s')
    local state, value, message = host.connect(who.name, identifiers, who.tokens or {}, who.endpoint, who.ping)
    while state == 'waiting' do
        if GetGameTimer() > patience then
            host.give_up(value)
            return nil, string_format('nobody let the player in: %s', message)
        end
        local ticket = value
        local card, resource = host.card(ticket)
        if card and who.answer then
            local answer = who.answer(decode(card), resource)
            if answer ~= nil then host.answer(ticket, resource, encode(answer)) end
        end
        Wait(0)
        state, value, message = host.connection(ticket)
    end
    if state == 'joined' then
        local player = adopt(value)
        if who.coords then player.coords = who.coords end
        return player
    end
    return nil, value
end

-- Everybody in the game, by number.
function Players.all()
    local list = {}
    for _, id in ipairs(GetPlayers()) do list[#list + 1] = adopt(tonumber(id)) end
    return list
end

-- Connects `count` players over a span of time; each lives the story and then leaves.
function rush(count, spec)
    if type(spec) == 'function' then spec = { story = spec } end
    if type(spec) ~= 'table' or type(spec.story) ~= 'function' then
        error('expected rush(count, function(player, number) … end) or rush(count, { over = \'10s\', story = … })', 2)
    end
    local over = milliseconds(spec.over or '10s', 2)
    local crowd = { connected = 0, refused = 0, open = count, ended = promise.new() }
    host.stories(count)
    local function over_one()
        crowd.open = crowd.open - 1
        host.stories(-1)
        if crowd.open == 0 then crowd.ended:resolve(true) end
    end
    for number = 1, count do
        SetTimeout(count > 1 and over * (number - 1) // (count - 1) or 0, function()
            -- to be closed when the story ends, in whatever way
            local story <close> = setmetatable({}, { __close = over_one })
            local player, reason = Players.connect({
                name = spec.name and spec.name(number) or string_format('Player %d', number),
                license = spec.license and spec.license(number),
                identifiers = spec.identifiers and spec.identifiers(number),
                ping = random(18, 120),
            })
            if not player then
                crowd.refused = crowd.refused + 1
                log(string_format('player %d was refused: %s', number, reason))
                return
            end
            crowd.connected = crowd.connected + 1
            spec.story(player, number)
            if not spec.stay and player.connected then player:drop('Exiting') end
        end)
    end
    if count == 0 then crowd.ended:resolve(true) end
    function crowd:wait() return Await(self.ended) end
    return crowd
end
