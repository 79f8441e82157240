-- Everything a script can do with what the probe replaces, told on the console: the same lines must come with it and
-- without it.

local function show(...)
    local all = table.pack(...)
    for at = 1, all.n do all[at] = type(all[at]) == 'string' and all[at] or tostring(all[at]) end
    print(all.n, table.concat(all, ' | '))
end

local function try(...) show(pcall(...)) end

-- values, nils among and behind them
exports('many', function(...) return nil, select('#', ...), nil, ... end)
exports('none', function() end)
exports('fails', function(problem) error(problem) end)
exports('fails_at_caller', function() error('at the caller', 2) end)
exports('table_error', function() error({ code = 7 }) end)
exports('later', function(a, b)
    Wait(100)
    return b, a, nil
end)
exports('fails_later', function()
    Wait(50)
    error('later')
end)
exports('calls_back', function(call, ...) return call(...) end)

AddEventHandler('nasty:values', function(...) show('event', source, ...) end)
AddEventHandler('nasty:waits', function(name)
    show('before', name)
    Wait(150)
    show('behind', name)
    error('error behind a wait')
end)
AddEventHandler('nasty:error', function() error('in a handler') end)
AddEventHandler('nasty:nil', function() local missing = nil; return missing.field end)
AddEventHandler('nasty:cancel', function() CancelEvent() end)
AddEventHandler('nasty:nested', function(depth)
    show('nested', depth)
    if depth > 0 then TriggerEvent('nasty:nested', depth - 1) end
    show('nested ends', depth)
end)
RegisterNetEvent('nasty:net', function(...) show('net', ...) end)
RegisterNetEvent('nasty:net_only')
RegisterServerEvent('nasty:server', function(...) show('server', ...) end)

-- one that is removed while it runs
local handle
handle = AddEventHandler('nasty:once', function()
    show('once', type(handle), handle.name)
    RemoveEventHandler(handle)
end)

-- wrong arguments
try(AddEventHandler)
try(AddEventHandler, 'nasty:no handler')
try(AddEventHandler, 'nasty:no handler', 12)
try(RegisterNetEvent)
try(TriggerEvent)
try(TriggerEvent, {})
try(CreateThread)
try(CreateThread, 'text')
try(SetTimeout, 'soon', function() end)
try(SetTimeout, 10)
try(RegisterCommand, 'nothing')
try(Citizen.Await)
try(Citizen.Await, 5)
try(function() exports.nowhere:nothing() end)
try(function() return exports.nasty.missing end)
try(function() exports.nasty = 1 end)
try(function() exports.nasty.many = 1 end)
try(function() exports() end)
try(function() AddEventHandler('x') end)
try(function() TriggerEvent('x', coroutine.create(print)) end)
show(type(exports), next(exports), tostring(exports.nasty) ~= nil, exports.nasty == exports.nasty)
show(type(CreateThread), CreateThread == Citizen.CreateThread, Wait == Citizen.Wait, type(Citizen.Await))

RegisterCommand('nasty', function(from, arguments, raw)
    show('command', from, #arguments, raw, arguments[1])
    if arguments[1] == 'fail' then error('in a command') end
    Wait(0)
    show('command goes on')
end, false)

AddStateBagChangeHandler('weather', 'global', function(bag, key, value, reserved, replicated)
    show('state', bag, key, value, reserved, replicated)
    if value == 'hail' then error('in a state bag handler') end
end)

-- its own scheduler on top of the server's
local own = CreateThread
local started = 0
local function counting(call)
    started = started + 1
    return own(call)
end
Citizen.CreateThread, CreateThread = counting, counting

CreateThread(function(...)
    show('thread', select('#', ...), math.type((...)))
    for round = 1, 3 do
        local given = table.pack(Wait(round * 10))
        show('round', round, given.n)
    end
    Wait()
    Citizen.Wait(nil)
    coroutine.yield(50)
    show('plain yield')
    error('a thread ends')
end)

CreateThread(function()
    Wait(100)
    show(exports.nasty:many(nil, 1, nil))
    show(exports.nasty:none())
    try(function() exports.nasty:fails('reason') end)
    try(function() exports.nasty:fails(nil) end)
    try(function() exports.nasty:fails_at_caller() end)
    try(function() exports.nasty:table_error() end)
    show(exports.nasty:later('a', 'b'))
    try(function() exports.nasty:fails_later() end)
    show(exports.nasty:calls_back(function(...) return select('#', ...), ... end, 1, nil, nil))
    show(exports.nasty:calls_back(function(...)
        Wait(50)
        return ...
    end, 'waited'))
    local other = exports['nasty']
    show(other.many(other, 'kept'))

    TriggerEvent('nasty:values')
    TriggerEvent('nasty:values', nil, false, nil, ({ 1, 2 })[2], nil)
    show('triggered', TriggerEvent('nasty:cancel'), TriggerEvent('nasty:values', 1))
    TriggerEvent('nasty:error')
    TriggerEvent('nasty:nil')
    TriggerEvent('nasty:waits', 'first')
    TriggerEvent('nasty:waits', 'second')
    TriggerEvent('nasty:nested', 3)
    TriggerEvent('nasty:once')
    TriggerEvent('nasty:once')
    TriggerEvent('nasty:net', 1, nil)
    TriggerEvent('nasty:server', nil, nil)

    ExecuteCommand('nasty one two')
    ExecuteCommand('nasty fail')
    GlobalState.weather = 'rain'
    GlobalState.weather = 'hail'

    local settled = promise.new()
    SetTimeout(120, function(...)
        show('timeout', select('#', ...))
        settled:resolve('settled')
    end)
    show(Citizen.Await(settled))
    show(Citizen.Await(settled))
    local refused = promise.new()
    SetTimeout(0, function() refused:reject('refused') end)
    try(Citizen.Await, refused)
    try(Citizen.Await, refused)
    try(function() Citizen.Await(refused) end)
    local slowly = promise.new()
    SetTimeout(0, function() slowly:reject('refused slowly') end)
    try(function() Citizen.Await(slowly) end)
    try(function() Citizen.Await() end)
    try(function() Wait('soon') end)
    try(function() Wait({}) end)
    try(table.sort, { 2, 1 }, function() Wait(0) end)
    try(function() table.sort({ 2, 1 }, function() Wait(0) end) end)
    local thrown = promise.new()
    SetTimeout(0, function() thrown:reject({ code = 9 }) end)
    show(select(2, pcall(Citizen.Await, thrown)).code)
    ClearTimeout(SetTimeout(10, function() show('never') end))

    -- coroutines of its own
    local steps = coroutine.wrap(function()
        coroutine.yield('first')
        TriggerEvent('nasty:values', 'from a coroutine')
        coroutine.yield('second')
    end)
    show(steps(), steps())
    Citizen.CreateThreadNow(function()
        show('now')
        Wait(10)
        show('later')
        local _ <close> = defer(function() show('closed') end)
        Wait(10)
        error('with something to close')
    end)
    show('after now')

    -- deep, and by tail calls
    local function deep(level)
        if level == 0 then return exports.nasty:many('deep') end
        return deep(level - 1)
    end
    show(deep(500))

    -- code made at run time
    local made = load([[
        AddEventHandler('nasty:made', function(...) print('made', ...) end)
        TriggerEvent('nasty:made', 1, nil, 3)
        return ...
    ]], '@made.lua')
    show(made('loaded'))
    show('a handler in C', type(AddEventHandler('nasty:c', print)))
    TriggerEvent('nasty:c', 'printed')
    show('started', started)
    local _ = error(setmetatable({}, { __tostring = function() return 'an object that is thrown' end }))
end)

AddEventHandler('onResourceStart', function(name)
    if name == GetCurrentResourceName() then show('starts') end
end)
AddEventHandler('onResourceStop', function(name)
    if name == GetCurrentResourceName() then show('stops') end
end)
