//! A core that keeps its characters in a database, in the style of Qbox: bans looked up while a player connects,
//! characters loaded into state bags, money through exports, commands with rights, vehicles with an owner; and all of it
//! there again when the server comes back.

use tickscope_citizen::ScenarioConfig;

use crate::world::World;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS `characters` (
  `id` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `license` VARCHAR(60) NOT NULL,
  `name` VARCHAR(50) NOT NULL,
  `money` LONGTEXT NOT NULL,
  `position` LONGTEXT DEFAULT NULL,
  `last_seen` TIMESTAMP NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`) USING BTREE, UNIQUE KEY `license` (`license`)
) ENGINE=InnoDB COLLATE='utf8mb4_unicode_ci';
CREATE TABLE IF NOT EXISTS `bans` (`license` VARCHAR(60) NOT NULL PRIMARY KEY, `reason` TEXT NOT NULL);
INSERT IGNORE INTO `bans` (`license`, `reason`) VALUES ('license:bad', 'cheating');
CREATE TABLE IF NOT EXISTS `vehicles` (
  `plate` VARCHAR(8) NOT NULL, `owner` INT UNSIGNED NOT NULL, `model` INT NOT NULL, `props` LONGTEXT DEFAULT NULL,
  PRIMARY KEY (`plate`), CONSTRAINT `of` FOREIGN KEY (`owner`) REFERENCES `characters` (`id`) ON DELETE CASCADE
);
";

const CORE: &str = "
local players = {}

AddEventHandler('playerConnecting', function(name, _, deferrals)
    local license = GetPlayerIdentifierByType(source --[[@as string]], 'license')
    deferrals.defer()
    Wait(0)
    deferrals.update(('Checking %s'):format(name))
    local reason = MySQL.scalar.await('SELECT reason FROM bans WHERE license = ?', { license })
    if reason then return deferrals.done('Banned: ' .. reason) end
    deferrals.done()
end)

local function save(player)
    local coords = GetEntityCoords(GetPlayerPed(player.source))
    MySQL.prepare.await('INSERT INTO characters (license, name, money, position) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name), money = VALUES(money), position = VALUES(position)',
        { player.license, player.name, json.encode(player.money), json.encode(coords) })
end

local function load_character(source)
    local license = GetPlayerIdentifierByType(source, 'license')
    local row = MySQL.single.await('SELECT * FROM characters WHERE license = ? LIMIT 1', { license })
    local player = { source = source, license = license, name = row?.name or GetPlayerName(source), money = row and json.decode(row.money) or { cash = 500, bank = 5000 } }
    if not row then save(player) end
    player.id = row?.id or MySQL.scalar.await('SELECT id FROM characters WHERE license = ?', { license })
    players[source] = player
    Player(source).state:set('loaded', true, true)
    Player(source).state:set('money', player.money, true)
    GlobalState.count = (GlobalState.count or 0) + 1
    local position = row?.position and json.decode(row.position)
    if position then SetEntityCoords(GetPlayerPed(source), position.x, position.y, position.z, false, false, false, false) end
    TriggerEvent('core:loaded', player)
    TriggerClientEvent('core:client:loaded', source, player)
end

RegisterNetEvent('core:server:ready', function()
    local source = source --[[@as number]]
    if players[source] then return end
    load_character(source)
end)

exports('AddMoney', function(source, account, amount)
    local money = players[source]?.money
    if not money?[account] or money[account] + amount < 0 then return false end
    money[account] += amount
    Player(source).state:set('money', money, true)
    return true
end)

exports('GetPlayer', function(source) return players[source] end)

RegisterCommand('givecash', function(source, args)
    local target = tonumber(args[1])
    print('givecash by', source, exports.core:AddMoney(target, 'cash', tonumber(args[2])))
end, true)

AddEventHandler('playerDropped', function()
    local source = source
    local player = players[source]
    if not player then return end
    save(player)
    players[source] = nil
    GlobalState.count -= 1
end)
";

const GARAGE: &str = "
AddEventHandler('core:loaded', function(player)
    local rows = MySQL.query.await('SELECT v.plate, v.model, c.name FROM vehicles v LEFT JOIN characters c ON c.id = v.owner WHERE v.owner = ?', { player.id })
    print(player.name, 'has', #rows, rows[1]?.plate, rows[1]?.name)
end)

AddStateBagChangeHandler('money', '', function(bag, _, value)
    if GetPlayerFromStateBagName(bag) ~= 0 then print(bag, value.cash, value.bank) end
end)

RegisterNetEvent('garage:buy', function(model)
    local source = source
    local player = exports.core:GetPlayer(source)
    if not player or not exports.core:AddMoney(source, 'bank', -3000) then return print('refused') end
    local ped = GetPlayerPed(source)
    local vehicle = CreateVehicleServerSetter(model, 'automobile', GetEntityCoords(ped), GetEntityHeading(ped))
    SetVehicleNumberPlateText(vehicle, 'BOUGHT')
    local plate = GetVehicleNumberPlateText(vehicle):strtrim()
    Entity(vehicle).state:set('owner', player.id, true)
    TaskWarpPedIntoVehicle(ped, vehicle, -1)
    local ok = MySQL.transaction.await({
        { query = 'INSERT INTO vehicles (plate, owner, model) VALUES (:plate, :owner, :model)', values = { plate = plate, owner = player.id, model = model } },
        { query = 'UPDATE vehicles SET props = ? WHERE plate = ?', values = { json.encode({ colour = vec3(1, 2, 3) }), plate } },
    })
    print(plate, ok, Entity(GetVehiclePedIsIn(ped, false)).state.owner)
end)
";

const FIRST: &str = "
local _, why = Players.connect{ name = 'Mallory', license = 'bad' }
expect(why == 'Banned: cheating')
local ada = Players.connect{ name = 'Ada', license = 'a1', coords = vec3(1, 2, 3) }
ada:trigger('core:server:ready')
expect(ada:expect_event('core:client:loaded').money.bank == 5000)
wait('1s')
ada:trigger('garage:buy', `adder`) wait('1s')
ada:trigger('garage:buy', `adder`) wait('1s')
ada:command('/givecash 1 70')
expect(ada.state.money.cash == 500 and GlobalState.count == 1)
ExecuteCommand('givecash 1 70')
expect(ada.state.money.cash == 570 and ada.state.loaded)
ada.coords = vec3(10, 20, 30)
ada:drop() wait('1s')
expect(GlobalState.count == 0 and #GetPlayers() == 0)
finish()
";

const SECOND: &str = "
local ada = Players.connect{ name = 'Ada', license = 'a1' }
ada:trigger('core:server:ready')
local player = ada:expect_event('core:client:loaded')
expect(player.money.cash == 570 and player.money.bank == 2000)
wait('1s')
expect(#(ada.coords - vec3(10, 20, 30)) < 0.01)
finish()
";

#[test]
fn characters_are_there_again_when_the_server_comes_back() {
    let manifest = "fx_version 'cerulean' game 'gta5' dependency 'oxmysql' server_scripts { '@oxmysql/lib/MySQL.lua', 'main.lua' }";
    let mut world = World::new(&[
        ("resources/core/fxmanifest.lua", manifest),
        ("resources/core/core.sql", SCHEMA),
        ("resources/core/main.lua", CORE),
        ("resources/garage/fxmanifest.lua", manifest),
        ("resources/garage/main.lua", GARAGE),
        (
            "server.cfg",
            "ensure oxmysql\nensure core\nensure garage\nadd_ace resource.scenario command allow\n",
        ),
        ("first.lua", FIRST),
        ("second.lua", SECOND),
    ]);
    world.config.database.file = Some(world.folder.path().join("kept.sqlite"));
    let mut play = |file: &str| {
        world.config.scenario = Some(ScenarioConfig::file(world.folder.path().join(file)));
        let ran = world.run(400);
        assert!(ran.outcome.scenario.is_some_and(|outcome| outcome.is_success()), "{:?}", ran.lines);
        assert_eq!((ran.outcome.error_count, ran.outcome.neutral_natives.len()), (0, 0), "{:?}", ran.lines);
        let said =
            ran.lines.into_iter().filter(|line| line.starts_with("core: ") || line.starts_with("garage: "));
        said.collect::<Vec<_>>()
    };
    assert_eq!(
        play("first.lua"),
        [
            "garage: player:1\t500\t5000",
            "garage: Ada\thas\t0\tnil\tnil",
            "garage: player:1\t500\t2000",
            "garage: BOUGHT\ttrue\t1",
            "garage: refused",
            "garage: player:1\t570\t2000",
            "core: givecash by\t0\ttrue",
        ]
    );
    assert_eq!(play("second.lua"), ["garage: player:1\t570\t2000", "garage: Ada\thas\t1\tBOUGHT\tAda"]);
}
