-- A client asks and waits for the answer; or the server asks a client.

local callback = {}
local pending = {}
local asked = 0
local answerEvent <const> = ('rp-lib:cb:answer:%s'):format(GetCurrentResourceName())

--- `fn(source, ...)` answers what clients ask under this name.
function callback.register(name, fn)
    exports['rp-lib']:registerCallback(name)
    AddEventHandler(('rp-lib:cb:run:%s'):format(name), function(src, key, ...)
        if GetInvokingResource() ~= 'rp-lib' then return end
        local results = table.pack(pcall(fn, src, ...))
        if not results[1] then
            print(('^1callback %s failed: %s^0'):format(name, results[2]))
            return TriggerClientEvent('rp-lib:cb:return', src, key, false, 'internal error')
        end
        TriggerClientEvent('rp-lib:cb:return', src, key, true, table.unpack(results, 2, results.n))
    end)
end

RegisterNetEvent(answerEvent, function(key, ...)
    local waiting = pending[key]
    -- only the one who was asked may answer
    if not waiting or waiting.source ~= source then return end
    pending[key] = nil
    waiting.promise:resolve(table.pack(...))
end)

--- Asks a client and waits; nil when it does not answer in time.
function callback.await(name, src, timeout, ...)
    asked += 1
    local key = ('%s:%d:%d'):format(name, src, asked)
    local waiting = { source = src, promise = promise.new() }
    pending[key] = waiting

    SetTimeout(timeout or 5000, function()
        if pending[key] ~= waiting then return end
        pending[key] = nil
        waiting.promise:resolve({ n = 0 })
    end)

    TriggerClientEvent('rp-lib:cb:request', src, GetCurrentResourceName(), name, key, ...)
    local answer = Citizen.Await(waiting.promise)
    return table.unpack(answer, 1, answer.n)
end

AddEventHandler('playerDropped', function()
    local src = source
    local gone = {}
    for key, waiting in pairs(pending) do
        if waiting.source == src then gone[#gone + 1] = key end
    end
    table.sort(gone)
    for i = 1, #gone do
        local waiting = pending[gone[i]]
        pending[gone[i]] = nil
        waiting.promise:resolve({ n = 0 })
    end
end)

return callback
