-- Tells the police when somebody carries what he should not.
Contraband = { alarmed = {}, illegal = {}, changed = {} }

for _, name in ipairs(Config.contraband) do
    Contraband.illegal[name] = true
end

--- Looks at what came into a bag since the last look.
function Contraband.scanBags()
    local found = 0
    local changed = Contraband.changed
    Contraband.changed = {}
    for src, names in pairs(changed) do
        for name in pairs(names) do
            if Contraband.illegal[name] then
                found = found + 1
                if not Contraband.alarmed[src] then
                    Contraband.alarmed[src] = true
                    TriggerEvent('tracker:alarm', src, name)
                end
            end
        end
    end
    return found
end

AddEventHandler('inventory:changed', function(src, name, count)
    if count > 0 then
        local names = Contraband.changed[src] or {}
        names[name] = true
        Contraband.changed[src] = names
    end
end)

CreateThread(function()
    while true do
        Contraband.scanBags()
        Wait(0) -- must be fast, people throw it away when they see the police
    end
end)
