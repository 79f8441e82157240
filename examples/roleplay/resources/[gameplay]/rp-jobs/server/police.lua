local core = exports['rp-core']

local function isPolice(src)
    local job = core:GetJob(src)
    return job and job.name == 'police' and job.onDuty
end

local function nearby(src, target)
    local a, b = GetPlayerPed(src), GetPlayerPed(target)
    return a ~= 0 and b ~= 0 and #(GetEntityCoords(a) - GetEntityCoords(b)) < 4.0
end

RegisterNetEvent('rp-jobs:server:cuff', function(target)
    local src = source
    target = tonumber(target)
    if not target or not isPolice(src) or not nearby(src, target) then return end
    local state = Player(target).state
    state:set('cuffed', not state.cuffed, true)
    TriggerClientEvent('rp-jobs:client:cuffed', target, state.cuffed or false, src)
end)

lib.callback.register('rp-jobs:fine', function(src, target, amount, reason)
    target, amount = tonumber(target), math.tointeger(tonumber(amount) or 0)
    if not target or not amount or amount < 1 or amount > 10000 then return false, 'wrong amount' end
    if not isPolice(src) or not nearby(src, target) then return false, 'not possible' end
    if not core:RemoveMoney(target, 'bank', amount, 'fine') then return false, 'no money' end
    exports['rp-banking']:AddToSociety('police', amount, ('fine: %s'):format(reason or 'traffic'))
    core:Notify(target, ('You were fined: %s'):format(lib.string.money(amount)), 'error')
    lib.logger(src, 'fine', '{who} {amount}: {reason}', { who = core:GetName(target), amount = amount, reason = reason })
    return true
end)

--- Somebody calls; every officer on duty hears where.
RegisterNetEvent('rp-jobs:server:dispatch', function(text)
    local src = source
    if type(text) ~= 'string' then return end
    local ped = GetPlayerPed(src)
    local coords = ped ~= 0 and GetEntityCoords(ped) or vec3(0.0, 0.0, 0.0)
    for _, officer in ipairs(exports['rp-jobs']:OnDuty('police')) do
        TriggerClientEvent('rp-jobs:client:dispatch', officer, { text = text:sub(1, 120), coords = coords })
    end
end)
