-- Promises. A promise is settled once, by a value or a reason; what was registered with `next` is called at once when
-- it is, in the order of registration, or at once when it already was.

local host = ...
local ipairs, pcall, setmetatable, type, rawget = ipairs, pcall, setmetatable, type, rawget
local settle = host.settle

local PENDING, FOLLOWING, RESOLVED, REJECTED = 0, 1, 3, 4

local promise = {}
local methods = {}
local meta = { __index = methods, __name = 'promise' }

local function is_promise(value)
    return type(value) == 'table' and type(rawget(value, 'queue')) == 'table' and type(value.next) == 'function'
end

-- Tells one entry of the queue how its promise ended.
local function pass_on(entry, state, value)
    if entry.token then
        settle(entry.token, state == RESOLVED, value)
        return
    end
    local handler = entry.success
    if state == REJECTED then handler = entry.failure end
    local following = entry.following
    if not handler then
        if state == RESOLVED then following:resolve(value) else following:reject(value) end
        return
    end
    local fine, result = pcall(handler, value)
    if fine then following:resolve(result) else following:reject(result) end
end

local function finish(self, state, value)
    self.state, self.value = state, value
    local queue = self.queue
    self.queue = {}
    for _, entry in ipairs(queue) do pass_on(entry, state, value) end
end

function methods:resolve(value)
    if self.state ~= PENDING then return self end
    if is_promise(value) and value ~= self then
        self.state = FOLLOWING
        value:next(function(result) finish(self, RESOLVED, result) end,
            function(reason) finish(self, REJECTED, reason) end)
    else
        finish(self, RESOLVED, value)
    end
    return self
end

function methods:reject(reason)
    if self.state ~= PENDING then return self end
    finish(self, REJECTED, reason)
    return self
end

local function add(self, entry)
    if self.state == RESOLVED or self.state == REJECTED then
        pass_on(entry, self.state, self.value)
    else
        self.queue[#self.queue + 1] = entry
    end
end

function methods:next(success, failure)
    local following = promise.new()
    add(self, { success = success, failure = failure, following = following })
    return following
end

function promise.new(executor)
    local self = setmetatable({ state = PENDING, queue = {} }, meta)
    if executor then
        local fine, reason = pcall(executor,
            function(value) self:resolve(value) end,
            function(why) self:reject(why) end)
        if not fine then self:reject(reason) end
    end
    return self
end

-- Resolves with the list of all values, or is rejected with the first reason.
function promise.all(list)
    local all, results, missing = promise.new(), {}, #list
    if missing == 0 then return all:resolve(results) end
    for index, each in ipairs(list) do
        each:next(function(value)
            results[index] = value
            missing = missing - 1
            if missing == 0 then all:resolve(results) end
        end, function(reason) all:reject(reason) end)
    end
    return all
end

-- Ends as the first of the list to end.
function promise.first(list)
    local first = promise.new()
    for _, each in ipairs(list) do
        each:next(function(value) first:resolve(value) end, function(reason) first:reject(reason) end)
    end
    return first
end

_G.promise = setmetatable(promise, { __call = function(_, executor) return promise.new(executor) end })

-- The host calls this for `Citizen.Await`: `token` is to be answered when `awaited` is settled.
function host.subscribe(awaited, token)
    if getmetatable(awaited) == meta then
        add(awaited, { token = token })
    elseif type(awaited.next) == 'function' then
        awaited:next(function(value) settle(token, true, value) end,
            function(reason) settle(token, false, reason) end)
    else
        settle(token, false, 'Citizen.Await: expected a promise, got a table without `next`')
    end
end
