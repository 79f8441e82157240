-- Needs are state bags: the display reads them, whoever feeds a player sets them.

local core = exports['rp-core']
local decay <const> = { hunger = 0.8, thirst = 1.2 }
local warned = {}

local function clamp(value)
    return math.max(0, math.min(100, value))
end

--- Somebody else may set the bag too (an ambulance, a script): what it holds goes into the character.
for _, key in ipairs({ 'hunger', 'thirst', 'stress' }) do
    AddStateBagChangeHandler(key, '', function(bag, _, value, _, replicated)
        local src = GetPlayerFromStateBagName(bag)
        if src == 0 or type(value) ~= 'number' then return end
        if value < 20 and not warned[src] then
            warned[src] = key
            core:Notify(src, key == 'thirst' and 'You are thirsty.' or 'You should eat something.', 'warning')
        elseif value >= 40 and warned[src] == key then
            warned[src] = nil
        end
    end)
end

local function change(src, key, by)
    local value = core:GetMeta(src, key)
    if type(value) ~= 'number' then return end
    core:SetMeta(src, key, clamp(value + by))
end

lib.cron.every(30, function()
    for _, src in ipairs(core:GetPlayers()) do
        for _, key in ipairs({ 'hunger', 'thirst' }) do change(src, key, -decay[key]) end
        if Player(src).state.hunger == 0 or Player(src).state.thirst == 0 then
            TriggerClientEvent('rp-hud:client:faint', src)
        end
    end
end, 'needs')

CreateThread(function()
    local inventory = exports['rp-inventory']
    local foods <const> = {
        bread = { hunger = 25 },
        water = { thirst = 35 },
        coffee = { thirst = 15, stress = -10 },
        bandage = { stress = -2 },
    }
    for item, effect in pairs(foods) do
        inventory:RegisterUsable(item, function(src)
            for _, key in ipairs(lib.table.sortedKeys(effect)) do change(src, key, effect[key]) end
            return true
        end)
    end
end)

RegisterNetEvent('rp-hud:server:stress', function(amount)
    local src = source
    if type(amount) ~= 'number' or amount ~= amount then return end
    change(src, 'stress', math.max(-5, math.min(5, amount)))
end)

AddEventHandler('playerDropped', function() warned[source] = nil end)
