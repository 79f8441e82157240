AddEventHandler('framework:playerLoaded', function(src)
    Bags.open(src)
    Bags.add(src, 'water', 2)
    Bags.add(src, 'bread', 2)
    Bags.add(src, 'phone', 1)
end)

AddEventHandler('framework:playerDropped', function(src)
    Bags.drop(src)
    Contraband.alarmed[src] = nil
end)

RegisterNetEvent('inventory:use')
AddEventHandler('inventory:use', function(src, name)
    if Bags.remove(src, name, 1) then
        TriggerClientEvent('inventory:used', src, name)
    end
end)

RegisterCommand('giveitem', function(_, args)
    local src, name, count = tonumber(args[1] or ''), args[2], tonumber(args[3] or '1')
    if not src or not Items[name or ''] then
        print('usage: giveitem <id> <item> [count]')
        return
    end
    if not Bags.add(src, name, count) then
        print('the bag is full')
    end
end, true)
