//! A core object with players whose functions are in a field, commands that ask for rights, and a bridge that stands in
//! for a resource that is not there.

use super::{heard, play, player, ticks};

const CORE: [(&str, &str); 5] = [
    (
        "qb/fxmanifest.lua",
        "fx_version 'cerulean'
         game 'gta5'
         lua54 'yes'
         shared_scripts { 'config.lua', 'shared/locale.lua', 'shared/items.lua', 'locale/*.lua' }
         server_scripts { 'server/main.lua' }",
    ),
    (
        "qb/config.lua",
        "QBConfig = { Money = { MoneyTypes = { cash = 500, bank = 5000 }, DontAllowMinus = { 'cash' } }, Server = { Permissions = { 'god', 'admin', 'mod' } } }
         QBConfig.DefaultSpawn = vector4(-1035.71, -2731.87, 12.86, 0.0)",
    ),
    (
        "qb/shared/locale.lua",
        "Locale = {} Locale.__index = Locale
         local function translateKey(phrase, subs)
             local result = phrase
             for k, v in pairs(subs) do result = result:gsub('%%{' .. k .. '}', tostring(v)) end
             return result
         end
         function Locale.new(_, opts)
             local self = setmetatable({ phrases = opts.phrases or {}, warnOnMissing = opts.warnOnMissing }, Locale)
             return self
         end
         function Locale:t(key, subs)
             local phrase = self.phrases
             for part in key:gmatch('[^.]+') do phrase = type(phrase) == 'table' and phrase[part] or nil end
             if not phrase then
                 if self.warnOnMissing then print(('^3Warning: Missing phrase for key: \"%s\"'):format(key)) end
                 return key
             end
             return translateKey(phrase, subs or {})
         end",
    ),
    (
        "qb/shared/items.lua",
        "QBShared = { Items = { bread = { name = 'bread', weight = 200, unique = false } } }
         local StringCharset = {}
         for i = 65, 90 do StringCharset[#StringCharset + 1] = string.char(i) end
         QBShared.RandomStr = function(length)
             if length <= 0 then return '' end
             return QBShared.RandomStr(length - 1) .. StringCharset[math.random(1, #StringCharset)]
         end
         QBShared.SplitStr = function(str, delimiter)
             local result, from = {}, 1
             local delim_from, delim_to = string.find(str, delimiter, from)
             while delim_from do
                 result[#result + 1] = string.sub(str, from, delim_from - 1)
                 from = delim_to + 1
                 delim_from, delim_to = string.find(str, delimiter, from)
             end
             result[#result + 1] = string.sub(str, from)
             return result
         end
         QBShared.Round = function(value, decimals)
             if not decimals then return math.floor(value + 0.5) end
             local power = 10 ^ decimals
             return math.floor((value * power) + 0.5) / (power)
         end",
    ),
    (
        "qb/locale/en.lua",
        "Lang = Locale:new({ phrases = { error = { no_access = 'No access to %{what}' } }, warnOnMissing = true })",
    ),
];

const MAIN: (&str, &str) = (
    "qb/server/main.lua",
    "QBCore = { Config = QBConfig, Shared = QBShared, ClientCallbacks = {}, ServerCallbacks = {}, Functions = {}, Players = {}, Player_Buckets = {}, Commands = { List = {} } }
     exports('GetCoreObject', function(filters)
         if not filters then return QBCore end
         local results = {}
         for i = 1, #filters do if QBCore[filters[i]] then results[filters[i]] = QBCore[filters[i]] end end
         return results
     end)
     function QBCore.Functions.GetIdentifier(source, idtype) return GetPlayerIdentifierByType(source, idtype or 'license') end
     function QBCore.Functions.GetPlayer(source)
         if tonumber(source) ~= nil then return QBCore.Players[tonumber(source)] end
         return QBCore.Players[QBCore.Functions.GetSource(source)]
     end
     function QBCore.Functions.GetSource(identifier)
         for src, _ in pairs(QBCore.Players) do
             for _, id in pairs(GetPlayerIdentifiers(src)) do if identifier == id then return src end end
         end
         return 0
     end
     function QBCore.Functions.HasPermission(source, permission)
         if type(permission) == 'string' then return IsPlayerAceAllowed(source, permission) and true or false end
         for _, level in pairs(permission) do if IsPlayerAceAllowed(source, level) then return true end end
         return false
     end
     function QBCore.Functions.TriggerClientCallback(name, source, ...)
         QBCore.ClientCallbacks[name] = { promise = promise.new() }
         TriggerClientEvent('QBCore:Client:TriggerClientCallback', source, name, ...)
         Citizen.Await(QBCore.ClientCallbacks[name].promise)
         return QBCore.ClientCallbacks[name].promise.value
     end
     RegisterNetEvent('QBCore:Server:TriggerClientCallback', function(name, ...)
         if QBCore.ClientCallbacks[name] then
             QBCore.ClientCallbacks[name].promise:resolve(...)
             QBCore.ClientCallbacks[name] = nil
         end
     end)
     function QBCore.Functions.SetPlayerBucket(source, bucket)
         if not (source and bucket) then return false end
         Player(source).state:set('instance', bucket, true)
         SetPlayerRoutingBucket(source, bucket)
         QBCore.Player_Buckets[GetPlayerIdentifierByType(source, 'license')] = { id = source, bucket = bucket }
         return true
     end
     local function CreatePlayer(PlayerData)
         local self = { Functions = {}, PlayerData = PlayerData, Offline = false }
         function self.Functions.UpdatePlayerData()
             if self.Offline then return end
             TriggerEvent('QBCore:Player:SetPlayerData', self.PlayerData)
             TriggerClientEvent('QBCore:Player:SetPlayerData', self.PlayerData.source, self.PlayerData)
         end
         function self.Functions.AddMoney(moneytype, amount, reason)
             moneytype = moneytype:lower()
             amount = tonumber(amount)
             if amount < 0 then return end
             if not self.PlayerData.money[moneytype] then return false end
             self.PlayerData.money[moneytype] = self.PlayerData.money[moneytype] + amount
             self.Functions.UpdatePlayerData()
             TriggerEvent('QBCore:Server:OnMoneyChange', self.PlayerData.source, moneytype, amount, 'add', reason)
             return true
         end
         function self.Functions.SetMetaData(meta, val) self.PlayerData.metadata[meta] = val self.Functions.UpdatePlayerData() end
         function self.Functions.AddMethod(name, handler) self.Functions[name] = handler end
         function self.Functions.AddField(name, data) self[name] = data end
         for k, _ in pairs({ AddItem = true }) do
             self.Functions[k] = function(...) return exports['inventory'][k](nil, self.PlayerData.source, ...) end
         end
         QBCore.Players[self.PlayerData.source] = self
         return self
     end
     AddEventHandler('playerJoining', function()
         local src = source
         local Player = CreatePlayer({ source = src, citizenid = tostring(QBShared.RandomStr(3) .. math.random(11111, 99999)):upper(), money = { cash = 500, bank = 5000 }, metadata = {}, position = QBConfig.DefaultSpawn })
         print(#Player.PlayerData.citizenid, json.encode(QBConfig.DefaultSpawn), Lang:t('error.no_access', { what = 'x' }), Lang:t('a.b'))
         TriggerEvent('QBCore:Server:PlayerLoaded', Player)
     end)
     function QBCore.Commands.Add(name, help, arguments, argsrequired, callback, permission, ...)
         local restricted = permission ~= 'user'
         RegisterCommand(name, function(source, args, rawCommand)
             if argsrequired and #args < #arguments then
                 return TriggerClientEvent('chat:addMessage', source, { color = { 255, 0, 0 }, multiline = true, args = { 'System', 'missing' } })
             end
             callback(source, args, rawCommand)
         end, restricted)
         permission = tostring(permission:lower())
         QBCore.Commands.List[name:lower()] = { name = name:lower(), permission = permission, help = help, arguments = arguments, argsrequired = argsrequired, callback = callback }
     end
     QBCore.Commands.Add('givemoney', 'Give', { { name = 'id' }, { name = 'type' }, { name = 'amount' } }, true, function(source, args)
         local Player = QBCore.Functions.GetPlayer(tonumber(args[1]))
         print('givemoney', source, Player and Player.Functions.AddMoney(tostring(args[2]), tonumber(args[3]), 'Admin'))
     end, 'admin')",
);

fn files(user: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut files = CORE.to_vec();
    files.extend([
        MAIN,
        (
            "bridge/main.lua",
            "-- stands in for a resource `inventory` that does not exist
             local function export(name, func)
                 AddEventHandler(('__cfx_export_inventory_%s'):format(name), function(setCB) setCB(func) end)
             end
             export('AddItem', function(source, item, amount, slot, info) print('AddItem', source, item, amount, slot, json.encode(info)) return true end)",
        ),
        ("job/fxmanifest.lua", "fx_version 'cerulean' dependencies { 'qb' } shared_script '@qb/shared/locale.lua' server_script 'server.lua'"),
        ("job/server.lua", user),
    ]);
    files
}

#[test]
fn a_player_s_functions_are_called_from_other_resources() {
    play(
        &files(
            "local QBCore = exports['qb']:GetCoreObject()
             print(QBCore.Config.DefaultSpawn, type(QBCore.Config.DefaultSpawn), QBCore.Shared.Round(2.345, 2), #QBCore.Shared.SplitStr('a,b,c', ','))
             local part = exports['qb']:GetCoreObject({ 'Config' }) print(part.Functions, part.Config.Money.MoneyTypes.bank)
             RegisterNetEvent('QBCore:Server:PlayerLoaded', function(Player)
                 local src, bag = Player.PlayerData.source, _G.Player
                 print(src, Player.Functions.AddMoney('CASH', '250', 'start'), Player.Functions.AddMoney('gold', 1), Player.Functions.AddMoney('cash', -1))
                 print(Player.PlayerData.money.cash, QBCore.Functions.GetPlayer(src).PlayerData.money.cash)
                 Player.Functions.SetMetaData('hunger', 99.5)
                 Player.Functions.AddMethod('Greet', function(who) return 'Hi ' .. who .. ' from ' .. GetCurrentResourceName() end)
                 local again = QBCore.Functions.GetPlayer(src)
                 print(again.PlayerData.metadata.hunger, again.Functions.Greet('Bo'), again.Functions.AddItem('bread', 2, false, { quality = 100 }))
                 print(QBCore.Functions.GetSource(GetPlayerIdentifierByType(src, 'license')), QBCore.Functions.GetPlayer('license:none'))
                 print(QBCore.Functions.SetPlayerBucket(src, 12), GetPlayerRoutingBucket(src), bag(src).state.instance)
             end)
             AddEventHandler('QBCore:Server:OnMoneyChange', function(src, kind, amount, action, reason) print(src, kind, amount, action, reason) end)",
        ),
        |server| {
            server.connect(player("Ada"));
            assert_eq!(heard(server, 1), ["QBCore:Player:SetPlayerData"; 2]);
        },
        &[
            "job: vec4(-1035.709961, -2731.870117, 12.860000, 0.000000)\tvector4\t2.35\t3",
            "job: nil\t5000",
            "qb: ^3Warning: Missing phrase for key: \"a.b\"",
            "qb: 8\t{\"x\":-1035.7099609375,\"y\":-2731.8701171875,\"z\":12.859999656677246,\"w\":0.0}\tNo access to x\ta.b",
            "job: 1\tcash\t250\tadd\tstart",
            "job: 1\ttrue\tfalse",
            "job: 500\t750",
            "bridge: AddItem\t1\tbread\t2\tfalse\t{\"quality\":100}",
            "job: 99.5\tHi Bo from job\ttrue",
            "job: 1\tnil",
            "job: true\t12\t12",
        ],
    );
}

#[test]
fn commands_and_answers_of_clients() {
    play(
        &files(
            "local QBCore = exports['qb']:GetCoreObject()
             RegisterNetEvent('job:ask', function()
                 local src = source
                 print('answer', QBCore.Functions.TriggerClientCallback('age', src, 'how old'))
             end)",
        ),
        |server| {
            server.connect(player("Ada"));
            server.execute("givemoney 1 bank 70");
            server.execute("givemoney 1");
            assert_eq!(heard(server, 1), ["QBCore:Player:SetPlayerData"]);
            server.trigger_net(1, "job:ask", &[], 0);
            ticks(server, 1);
            let asked = server.take_client_events(1);
            assert_eq!(&*asked[0].name, "QBCore:Client:TriggerClientCallback");
            assert_eq!(&*asked[0].payload, b"\xa3age\xa7how old");
            server.trigger_net(1, "QBCore:Server:TriggerClientCallback", b"\xa3age\x2a", 2);
            ticks(server, 3);
        },
        &[
            "qb: ^3Warning: Missing phrase for key: \"a.b\"",
            "qb: 8\t{\"x\":-1035.7099609375,\"y\":-2731.8701171875,\"z\":12.859999656677246,\"w\":0.0}\tNo access to x\ta.b",
            "qb: givemoney\t0\ttrue",
            "job: answer\t42",
        ],
    );
}
