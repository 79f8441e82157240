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

-- An executor is called with the promise itself, to be resolved or rejected. Anything else that a script passes, the
-- module itself in `promise:new()`, is ignored.
function promise.new(executor)
    local self = setmetatable({ state = PENDING, queue = {} }, meta)
    if type(executor) == 'function' then
        local fine, reason = pcall(executor, self)
        if not fine then self:reject(reason) end
    end
    return self
end

-- Ends when all of the list have ended, with the list of their values and reasons; rejected if one was.
function promise.all(list)
    local all, results, missing, fine = promise.new(), {}, #list, true
    if missing == 0 then return all:resolve(results) end
    local function ended(index, value, resolved)
        results[index] = value
        fine = fine and resolved
        missing = missing - 1
        if missing > 0 then return end
        if fine then all:resolve(results) else all:reject(results) end
    end
    for index, each in ipairs(list) do
        each:next(function(value) ended(index, value, true) end, function(reason) ended(index, reason, false) end)
    end
    return all
end

-- The results of `start(value)` for each value of the list, one after the other; rejected with the first reason.
function promise.map(list, start)
    local whole, results = promise.new(), {}
    local function go_on(index)
        if index > #list then
            whole:resolve(results)
            return
        end
        start(list[index]):next(function(result)
            results[index] = result
            go_on(index + 1)
        end, function(reason) whole:reject(reason) end)
    end
    go_on(1)
    return whole
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
