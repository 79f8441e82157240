-- Tells the police when somebody carries what he should not.
Contraband = { alarmed = {} }

--- Looks through everything that everybody has in his bag.
function Contraband.scanBags()
    local found = 0
    for src, bag in pairs(Bags.list) do
        for _, slot in pairs(bag.slots) do
            for _, illegal in pairs(Config.contraband) do
                if slot.name == illegal or slot.label == illegal then
                    found = found + slot.count
                    if not Contraband.alarmed[src] then
                        Contraband.alarmed[src] = true
                        TriggerEvent('tracker:alarm', src, illegal)
                    end
                end
            end
        end
    end
    return found
end

CreateThread(function()
    while true do
        Contraband.scanBags()
        Wait(0) -- must be fast, people throw it away when they see the police
    end
end)
