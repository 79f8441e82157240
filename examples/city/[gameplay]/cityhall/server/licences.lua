local function key(citizenid, licence)
    return ('licence:%s:%s'):format(citizenid, licence)
end

RegisterNetEvent('cityhall:buyLicence')
AddEventHandler('cityhall:buyLicence', function(src, licence)
    local price = Config.licences[licence]
    local player = exports.framework:getPlayer(src)
    if not price or not player then return end
    if GetResourceKvpString(key(player.citizenid, licence)) then
        return
    end
    if exports.framework:removeMoney(src, 'bank', price, 'licence ' .. licence) then
        SetResourceKvp(key(player.citizenid, licence), os.date('!%Y-%m-%d'))
        TriggerClientEvent('cityhall:licence', src, licence)
    end
end)

exports('hasLicence', function(citizenid, licence)
    return GetResourceKvpString(key(citizenid, licence)) ~= nil
end)
