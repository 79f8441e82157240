-- The thread that moves the people, and the things that happen to the whole city.

CreateThread(function()
    while true do
        Wait(Config.step)
        local joined = 0
        for _, person in ipairs(People.list) do
            if joined >= Config.joinsPerStep then break end
            if not person.online then
                People.join(person)
                joined = joined + 1
            end
        end
        for _ = 1, Config.actsPerStep do
            local person = People.any()
            if person then
                Acts.all[math.random(#Acts.all)](person)
            end
        end
    end
end)

local function nowAndThen(plan, scene)
    CreateThread(function()
        Wait(plan.first)
        while true do
            scene()
            Wait(plan.every)
        end
    end)
end

nowAndThen(Config.market, function()
    TriggerEvent('inventory:marketOpens')
    SetTimeout(Config.market.lasts, function()
        TriggerEvent('inventory:marketCloses')
    end)
end)

nowAndThen(Config.worldSync, function()
    TriggerEvent('vehicles:worldSync')
end)

-- a business owner wants paper
nowAndThen(Config.statement, function()
    ExecuteCommand(('statement %d'):format(math.random(1000, 9999)))
end)

-- staff meeting, everybody looks at the tablet
nowAndThen(Config.tablet, function()
    TriggerEvent('logs:tablet', true)
    SetTimeout(2000, function()
        TriggerEvent('logs:tablet', false)
    end)
end)
