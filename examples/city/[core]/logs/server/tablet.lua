Tablet = { viewers = {} }

--- Everybody with the tablet open gets the whole history, the page filters it.
function Tablet.refresh()
    for viewer in pairs(Tablet.viewers) do
        local page = json.encode({ server = GetConvar('sv_hostname', 'city'), entries = History.entries })
        TriggerClientEvent('logs:page', viewer, page)
    end
end

RegisterNetEvent('logs:tablet')
AddEventHandler('logs:tablet', function(open)
    Tablet.viewers = {}
    if open then
        for viewer = 1, Config.viewers do
            Tablet.viewers[viewer] = true
        end
        Tablet.refresh()
    end
end)

RegisterCommand('logs', function()
    print(('%d entries, %d in memory'):format(History.count(), #History.entries))
end, true)
