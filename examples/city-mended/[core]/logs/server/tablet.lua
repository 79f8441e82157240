Tablet = { viewers = {} }

--- Everybody with the tablet open gets the newest page; older ones are sent when somebody asks.
function Tablet.refresh()
    local entries = History.entries
    local newest = table.move(entries, math.max(1, #entries - 49), #entries, 1, {})
    local page = json.encode({ server = GetConvar('sv_hostname', 'city'), entries = newest })
    for viewer in pairs(Tablet.viewers) do
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
