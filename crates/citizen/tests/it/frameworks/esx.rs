//! One object of functions that every resource asks for, players as tables of closures, callbacks by name.

use super::{heard, play, player, ticks};

const CORE: [(&str, &str); 4] = [
    (
        "core/fxmanifest.lua",
        "fx_version 'cerulean'
         lua54 'yes'
         shared_scripts { 'locale.lua', 'config.lua' }
         server_scripts { 'common.lua', 'main.lua' }
         server_exports { 'getSharedObject' }
         provide 'framework'",
    ),
    (
        "core/locale.lua",
        "Locales = {}
         function Translate(str, ...)
             if not Locales[Config.Locale] then return ('Locale [%s] does not exist'):format(Config.Locale) end
             return Locales[Config.Locale][str] and (Locales[Config.Locale][str]):format(...) or str
         end
         _U = Translate",
    ),
    (
        "core/config.lua",
        "Config = { Locale = GetConvar('esx:locale', 'en'), Accounts = { bank = { round = true }, money = { round = true } } }
         Locales['en'] = { paid = 'Paid $%s' }",
    ),
    (
        "core/common.lua",
        "ESX, Core = { Players = {}, Jobs = {} }, { ServerCallbacks = {}, timers = 0 }
         function getSharedObject() return ESX end
         exports('getSharedObject', getSharedObject)
         AddEventHandler('core:getSharedObject', function(cb)
             local invoker = GetInvokingResource()
             print(('[^3WARNING^7] %s asks the old way'):format(invoker))
             if type(cb) == 'table' or type(cb) == 'function' then cb(ESX) end
         end)
         function ESX.RegisterServerCallback(name, cb) Core.ServerCallbacks[name] = { cb = cb, resource = GetInvokingResource() or 'core' } end
         RegisterServerEvent('core:triggerServerCallback', function(name, requestId, invoker, ...)
             local source = source
             local callback = Core.ServerCallbacks[name]
             if not callback then return print(('[^1ERROR^7] Server callback ^5%s^0 is not registered'):format(name)) end
             callback.cb(source, function(...) TriggerClientEvent('core:serverCallback', source, requestId, invoker, ...) end, ...)
         end)
         function ESX.SetTimeout(msec, cb)
             Core.timers = Core.timers + 1
             local id = Core.timers
             SetTimeout(msec, function() cb(id) end)
             return id
         end
         function ESX.GetPlayerFromId(source) return ESX.Players[tonumber(source)] end
         function ESX.GetExtendedPlayers(key, value)
             local found = {}
             for _, xPlayer in pairs(ESX.Players) do
                 if not key or (key == 'job' and xPlayer.job.name == value) or xPlayer[key] == value then found[#found + 1] = xPlayer end
             end
             return found
         end",
    ),
];

const MAIN: (&str, &str) = (
    "core/main.lua",
    "function CreateExtendedPlayer(source, identifier, name, accounts)
         local self = { source = source, identifier = identifier, name = name, accounts = accounts, job = { name = 'unemployed', grade = 0 }, variables = {} }
         ExecuteCommand(('add_principal identifier.%s group.%s'):format(self.identifier, 'user'))
         local state = Player(self.source).state
         state:set('identifier', self.identifier, false)
         state:set('job', self.job, true)
         function self.triggerEvent(event, ...) TriggerClientEvent(event, self.source, ...) end
         function self.getAccount(account)
             for i = 1, #self.accounts do if self.accounts[i].name == account then return self.accounts[i] end end
         end
         function self.addAccountMoney(account, money, reason)
             reason = reason or 'Unknown'
             if not tonumber(money) then return print('bad money') end
             local found = self.getAccount(account)
             found.money = found.money + math.floor(money + 0.5)
             self.triggerEvent('core:setAccountMoney', found)
             TriggerEvent('core:addAccountMoney', self.source, account, money, reason)
         end
         function self.getName() return self.name end
         function self.set(k, v) self.variables[k] = v; Player(self.source).state:set(k, v, true) end
         function self.get(k) return self.variables[k] end
         function self.setJob(job, grade)
             local last = json.decode(json.encode(self.job))
             self.job = { name = job, grade = tonumber(grade) }
             TriggerEvent('core:setJob', self.source, self.job, last)
             Player(self.source).state:set('job', self.job, true)
         end
         return self
     end
     RegisterNetEvent('core:onPlayerJoined')
     AddEventHandler('core:onPlayerJoined', function()
         local _source = source
         while not next(ESX.Jobs) do Wait(50) end
         if not ESX.Players[_source] then
             local identifier = GetPlayerIdentifierByType(_source, 'license'):gsub('license:', '')
             local xPlayer = CreateExtendedPlayer(_source, identifier, GetPlayerName(_source), { { name = 'bank', money = 100 }, { name = 'money', money = 5 } })
             ESX.Players[_source] = xPlayer
             GlobalState['playerCount'] = (GlobalState['playerCount'] or 0) + 1
             TriggerEvent('core:playerLoaded', _source, xPlayer, true)
             xPlayer.triggerEvent('core:playerLoaded', { accounts = xPlayer.accounts, coords = vector3(1, 2, 3) }, true, {})
         end
     end)
     AddEventHandler('playerDropped', function(reason)
         local playerId = source
         local xPlayer = ESX.GetPlayerFromId(playerId)
         if xPlayer then
             TriggerEvent('core:playerDropped', playerId, reason)
             ESX.Players[playerId] = nil
             GlobalState['playerCount'] = GlobalState['playerCount'] - 1
         end
     end)
     AddEventHandler('playerConnecting', function(_, _, deferrals)
         local playerId = source
         deferrals.defer()
         Wait(0)
         if not GetPlayerIdentifierByType(playerId, 'license') then return deferrals.done('no licence') end
         deferrals.done()
     end)
     CreateThread(function() Wait(100) ESX.Jobs = { unemployed = { label = 'None' } } end)
     AddEventHandler('onResourceStop', function(resource)
         if resource == GetCurrentResourceName() then print('saved', #ESX.GetExtendedPlayers()) end
     end)",
);

fn files(user: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut files = CORE.to_vec();
    files.extend([
        MAIN,
        (
            "shop/fxmanifest.lua",
            "fx_version 'cerulean' server_script 'server.lua' dependency 'core' shared_script '@core/locale.lua'",
        ),
        ("shop/server.lua", user),
    ]);
    files
}

#[test]
fn a_player_is_a_table_of_closures_in_every_resource() {
    play(
        &files(
            "ESX = exports['core']:getSharedObject()
             Config = { Locale = 'de' } Locales['de'] = { paid = 'Bezahlt: %s' }
             TriggerEvent('core:getSharedObject', function(obj) print('old way', type(obj.GetPlayerFromId)) end)
             AddEventHandler('core:playerLoaded', function(playerId, xPlayer, isNew)
                 print(playerId, xPlayer.getName(), isNew, xPlayer.getAccount('bank').money, xPlayer.getAccount('none'))
                 xPlayer.addAccountMoney('bank', 25.4, 'gift')
                 xPlayer.getAccount('bank').money = 0
                 local again = ESX.GetPlayerFromId(playerId)
                 print(again.getAccount('bank').money, again.accounts[2].money, again == xPlayer, _U('paid', 3))
                 again.set('drunk', true) print(again.get('drunk'), Player(playerId).state.drunk, Player(playerId).state.job.name)
                 xPlayer.setJob('police', '2') print(Player(playerId).state.job.name, xPlayer.job.name, ESX.GetPlayerFromId(playerId).job.grade)
                 print(#ESX.GetExtendedPlayers('job', 'police'), #ESX.GetExtendedPlayers('job', 'taxi'), ESX.GetPlayerFromId('x'))
             end)
             AddEventHandler('core:addAccountMoney', function(_, account, amount, reason) print(account, amount, reason, source) end)
             AddEventHandler('core:setJob', function(_, job, last) print(job.name, job.grade, last.name) end)
             AddEventHandler('core:playerDropped', function(_, reason) print('gone', reason, GlobalState.playerCount) end)",
        ),
        |server| {
            server.connect(player("Ada"));
            ticks(server, 2);
            server.trigger_net(1, "core:onPlayerJoined", &[], 0);
            ticks(server, 4);
            assert_eq!(heard(server, 1), ["core:setAccountMoney", "core:playerLoaded"]);
            server.drop_player(1, "Exiting");
        },
        &[
            "core: [^3WARNING^7] shop asks the old way",
            "shop: old way\ttable",
            "shop: 1\tAda\ttrue\t100",
            "shop: bank\t25.4\tgift\t",
            "shop: 125\t5\tfalse\tBezahlt: 3",
            "shop: true\ttrue\tunemployed",
            "shop: police\t2\tunemployed",
            "shop: police\tunemployed\t2",
            "shop: 1\t0\tnil",
            "shop: gone\tExiting\t1",
            "core: saved\t0",
        ],
    );
}

#[test]
fn server_callbacks_answer_over_two_resources_and_a_client() {
    play(
        &files(
            "local ESX = exports.core:getSharedObject()
             ESX.RegisterServerCallback('shop:price', function(source, cb, item, count)
                 print(source, item, count)
                 Wait(60)
                 cb(count * 7, { item = item })
             end)
             ESX.SetTimeout(100, function(id) print('timeout', id) end)",
        ),
        |server| {
            server.connect(player("Ada"));
            ticks(server, 2);
            // 'shop:price', 11, 'shop', 'bread', 6
            let payload = b"\xaashop:price\x0b\xa4shop\xa5bread\x06";
            server.trigger_net(1, "core:triggerServerCallback", payload, 5);
            assert!(heard(server, 1).is_empty());
            ticks(server, 3);
            let answers = server.take_client_events(1);
            assert_eq!(&*answers[0].name, "core:serverCallback");
            assert_eq!(&*answers[0].payload, b"\x0b\xa4shop\x2a\x81\xa4item\xa5bread");
            server.trigger_net(1, "core:triggerServerCallback", b"\xa1x\x0c\xa4shop", 3);
        },
        &[
            "shop: timeout\t1",
            "shop: 1\tbread\t6",
            "core: [^1ERROR^7] Server callback ^5x^0 is not registered",
            "core: saved\t0",
        ],
    );
}
