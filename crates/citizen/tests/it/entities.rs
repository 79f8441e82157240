//! Entities: peds, vehicles, objects, and who owns them.

use tickscope_citizen::{Connection, NoRecorder, PlayerSpec, Server};

use crate::world::{Transcript, World, check};

/// Runs resource 'a' with this script, does 'play', and looks at what was printed.
#[track_caller]
fn check_play(script: &str, play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    let world = World::new(&[("a/main.lua", script)]);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    play(&mut server);
    server.stop();
    let lines = transcript.lines.take();
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line)).collect();
    assert_eq!(lines, expected, "in {script}");
}

#[test]
fn entities_are_made_asked_about_and_deleted() {
    check(
        "local v = CreateVehicleServerSetter('adder', 'automobile', 1.5, 2.0, 3.0, 90.0)
         local p = CreatePed(4, 'a_m_m_farmer_01', vector3(4, 5, 6), 45.0, true, true)
         local o = CreateObject('prop_barrel_01a', 7, 8, 9, true, false, false)
         for _, e in ipairs { v, p, o } do
            print(DoesEntityExist(e), GetEntityType(e), GetEntityCoords(e), GetEntityHeading(e), GetEntityHealth(e), GetEntityMaxHealth(e), GetEntityPopulationType(e), GetEntityScript(e))
         end
         print(GetEntityModel(v) == GetHashKey('adder'), GetEntityModel(p) == GetHashKey('a_m_m_farmer_01'), GetEntityModel(o))
         local n = NetworkGetNetworkIdFromEntity(v)
         print(n, NetworkGetEntityFromNetworkId(n) == v, NetworkGetEntityFromNetworkId(1), NetworkGetEntityOwner(v), NetworkGetFirstEntityOwner(v))
         print(#GetAllVehicles(), #GetAllPeds(), #GetAllObjects(), GetAllVehicles()[1] == v, #GetGamePool('CPed'), #GetGamePool('CNetObject'), #GetGamePool('CPickup'))
         DeleteEntity(v) print(DoesEntityExist(v), #GetAllVehicles(), NetworkGetEntityFromNetworkId(n))
         print(CreateVehicleServerSetter('adder', 'rocket', 1, 2, 3, 4))
         print(Citizen.InvokeNative(GetHashKey('CREATE_AUTOMOBILE'), 'adder', vector3(1, 2, 3), 0.0, true, true) > 0)",
        &[
            "1\t2\tvec3(1.500000, 2.000000, 3.000000)\t90.0\t1000\t1000\t7\ta",
            "1\t1\tvec3(4.000000, 5.000000, 6.000000)\t45.0\t200\t200\t7\ta",
            "1\t3\tvec3(7.000000, 8.000000, 9.000000)\t0.0\t0\t0\t7\ta",
            "true\ttrue\t-1738103333",
            "65534\ttrue\t0\t-1\t-1",
            "1\t1\t1\ttrue\t1\t3\t0",
            "false\t0\t0",
            "0",
            "true",
        ],
    );
}

#[test]
fn handle_0_is_nothing_and_a_wrong_one_an_error() {
    check(
        "print(DoesEntityExist(0), DoesEntityExist(99), DoesEntityExist(nil), GetEntityCoords(0), GetEntityModel(nil), GetEntityHeading(0), GetVehicleNumberPlateText(0), NetworkGetEntityOwner(0))
         print(pcall(GetEntityCoords, 99)) print(pcall(GetVehiclePedIsIn, 5, false)) print(pcall(GetEntityHealth, {}))
         DeleteEntity(0) DeleteEntity(99) SetEntityCoords(99, 1, 2, 3) print(GetEntityType(99), GetEntityType('x' == 'y'))",
        &[
            "false\tfalse\tfalse\tvec3(0.000000, 0.000000, 0.000000)\t0\t0.0\tnil\t-1",
            "false\tTried to access invalid entity: 99",
            "false\tTried to access invalid entity: 5",
            "false\tbad argument #1 to 'GetEntityHealth' (number expected, got table)",
            "0\t0",
        ],
    );
}

#[test]
fn entities_move_and_turn() {
    check(
        "local v = CreateVehicle('adder', 0, 0, 0, 370.0, true, true)
         print(GetEntityHeading(v)) SetEntityHeading(v, -90) print(GetEntityHeading(v), GetEntityRotation(v))
         SetEntityCoords(v, vector3(1, 2, 3), true, false) print(GetEntityCoords(v))
         SetEntityCoords(v, 4, 5, 6.5, true, false, false, false) print(GetEntityCoords(v))
         SetEntityVelocity(v, 3.0, 4.0, 0.0) print(GetEntitySpeed(v), GetEntityVelocity(v))
         SetEntityRotation(v, 1.0, 2.0, 3.0, 2, true) print(GetEntityRotation(v), GetEntityHeading(v))
         FreezeEntityPosition(v, true) print(IsEntityPositionFrozen(v))
         SetEntityRoutingBucket(v, 5) print(GetEntityRoutingBucket(v))",
        &[
            "10.0",
            "270.0\tvec3(0.000000, 0.000000, -90.000000)",
            "vec3(1.000000, 2.000000, 3.000000)",
            "vec3(4.000000, 5.000000, 6.500000)",
            "5.0\tvec3(3.000000, 4.000000, 0.000000)",
            "vec3(1.000000, 2.000000, 3.000000)\t3.0",
            "1",
            "5",
        ],
    );
}

#[test]
fn vehicles_have_plates_colours_and_locks() {
    check(
        "local v = CreateVehicle('adder', 0, 0, 0, 0, true, true)
         print(#GetVehicleNumberPlateText(v), GetVehicleType(v)) SetVehicleNumberPlateText(v, 'my car') print(GetVehicleNumberPlateText(v) .. '|')
         print(GetVehicleColours(v)) SetVehicleColours(v, 12, 27) print(GetVehicleColours(v))
         print(GetVehicleCustomPrimaryColour(v)) print(GetIsVehiclePrimaryColourCustom(v))
         SetVehicleCustomPrimaryColour(v, 1, 2, 3) print(GetVehicleCustomPrimaryColour(v)) print(GetIsVehiclePrimaryColourCustom(v))
         print(GetVehicleDoorLockStatus(v)) SetVehicleDoorsLocked(v, 2) print(GetVehicleDoorLockStatus(v)) SetVehicleDoorsLocked(v, 1) print(GetVehicleDoorLockStatus(v))
         SetVehicleBodyHealth(v, 500.5) SetVehicleDirtLevel(v, 99) print(GetVehicleBodyHealth(v), GetVehicleDirtLevel(v), GetVehicleEngineHealth(v), GetVehiclePetrolTankHealth(v))",
        &[
            "8\tautomobile",
            "MY CAR  |",
            "0\t0",
            "12\t27",
            "0\t0\t0",
            "false",
            "1\t2\t3",
            "1",
            "0",
            "2",
            "0",
            "500.5\t15.0\t1000.0\t1000.0",
        ],
    );
}

#[test]
fn peds_sit_in_vehicles_and_hold_weapons() {
    check(
        "local v, p = CreateVehicle('adder', 5, 0, 0, 0, true, true), CreatePed(4, 'a_m_m_farmer_01', 0, 0, 0, 0, true, true)
         print(GetVehiclePedIsIn(p, false), GetPedInVehicleSeat(v, -1), GetSeatPedIsUsing(p), IsPedInAnyVehicle(p))
         TaskWarpPedIntoVehicle(p, v, -1)
         print(GetVehiclePedIsIn(p, false) == v, GetPedInVehicleSeat(v, -1) == p, GetSeatPedIsUsing(p), IsPedInVehicle(p, v), GetEntityCoords(p), GetIsVehicleEngineRunning(v))
         TaskLeaveVehicle(p, v, 0)
         print(GetVehiclePedIsIn(p, false), GetVehiclePedIsIn(p, true) == v, GetEntityCoords(p))
         print(GetSelectedPedWeapon(p) == GetHashKey('weapon_unarmed')) GiveWeaponToPed(p, 'weapon_pistol', 10, false, true)
         print(GetSelectedPedWeapon(p) == GetHashKey('weapon_pistol')) RemoveWeaponFromPed(p, 'weapon_pistol') print(GetSelectedPedWeapon(p))
         SetPedArmour(p, 250) print(GetPedArmour(p), IsPedAPlayer(p))
         print(GetVehiclePedIsIn(CreatePedInsideVehicle(v, 4, 'a_m_m_farmer_01', 0, true, true), false) == v, GetPedInVehicleSeat(v, 0) > 0)",
        &[
            "0\t0\t-3\tfalse",
            "true\ttrue\t-1\t1\tvec3(5.000000, 0.000000, 0.000000)\t1",
            "0\ttrue\tvec3(5.000000, 0.000000, 0.000000)",
            "true",
            "true",
            "-1569615261",
            "100\tfalse",
            "true\ttrue",
        ],
    );
}

#[test]
fn entities_in_a_radius_are_found() {
    check(
        "local far, near = CreateObject('a', 9, 0, 0, true, true, true), CreateObject('b', 1, 0, 0, true, true, true)
         CreateObject('a', 99, 0, 0, true, true, true)
         local found = GetEntitiesInRadius(0.0, 0.0, 0.0, 10.0, 3, true, nil) print(#found, found[1] == near, found[2] == far)
         print(#GetEntitiesInRadius(vector3(0, 0, 0), 10.0, 3, false, { GetHashKey('a') }), #GetEntitiesInRadius(0, 0, 0, 10.0, 2, false, nil))",
        &["2\ttrue\ttrue", "1\t0"],
    );
}

#[test]
fn scripts_are_told_of_entities_and_may_refuse_those_of_clients() {
    check(
        "for _, e in ipairs { 'entityCreating', 'entityCreated', 'serverEntityCreated', 'entityRemoved' } do
            AddEventHandler(e, function(h) print(e, GetEntityType(h)) if e == 'entityCreating' and GetEntityType(h) == 1 then CancelEvent() end end)
         end
         CreateThread(function()
            local p, v = CreatePed(4, 'a', 0, 0, 0, 0, true, true), CreateVehicleServerSetter('a', 'bike', 0, 0, 0, 0)
            print(DoesEntityExist(p)) Wait(0) print(DoesEntityExist(p), DoesEntityExist(v)) DeleteEntity(v)
         end)",
        &[
            "1",
            "entityCreating\t1",
            "serverEntityCreated\t2",
            "entityCreated\t2",
            "false\t1",
            "entityRemoved\t0",
            "entityRemoved\t0",
        ],
    );
}

#[test]
fn players_have_peds_and_own_what_is_near() {
    check_play(
        "AddEventHandler('playerJoining', function()
            local ped = GetPlayerPed(source)
            print(GetEntityCoords(ped), NetworkGetEntityOwner(ped), NetworkGetNetworkIdFromEntity(ped), IsPedAPlayer(ped), GetEntityHealth(ped), #GetAllPeds())
            DeleteEntity(ped) print(DoesEntityExist(ped))
            Near = CreateVehicle('adder', 100, 0, 0, 0, true, true) Far = CreateVehicle('adder', 5000, 0, 0, 0, true, true)
            Kept = CreateVehicle('adder', 100, 0, 0, 0, true, true) SetEntityOrphanMode(Kept, 2)
            print(NetworkGetEntityOwner(Near), NetworkGetFirstEntityOwner(Near), NetworkGetEntityOwner(Far))
            SetPlayerRoutingBucket(source, 3) print(GetEntityRoutingBucket(ped), NetworkGetEntityOwner(Near))
            SetPlayerRoutingBucket(source, 0) TaskWarpPedIntoVehicle(ped, Near, -1)
            SetPlayerModel(source, 's_m_y_cop_01') print(GetEntityModel(ped) == GetHashKey('s_m_y_cop_01'))
            SetPlayerWantedLevel(source, 3, false) print(GetPlayerWantedLevel(source), GetPlayerInvincible(source))
         end)
         RegisterCommand('where', function() print(GetEntityCoords(GetPlayerPed(1)), GetEntityCoords(Near), GetEntityHealth(GetPlayerPed(1))) end)
         AddEventHandler('playerDropped', function() print('dropped', DoesEntityExist(GetPlayerPed(source))) end)
         RegisterCommand('left', function() print(#GetAllPeds(), DoesEntityExist(Near), DoesEntityExist(Far), DoesEntityExist(Kept)) end)",
        |server| {
            let spec = PlayerSpec::new("Ada").at([1.0, 2.0, 3.0]);
            assert_eq!(server.connect(spec), Connection::Joined { source: 1 });
            assert!(server.move_player(1, [7.0, 8.0, 9.0], 0.0) && !server.move_player(2, [0.0; 3], 0.0));
            assert!(server.set_player_health(1, 150));
            assert_eq!(server.players()[0].position, [7.0, 8.0, 9.0]);
            server.execute("where");
            server.drop_player(1, "bye");
            server.execute("left");
        },
        &[
            "vec3(1.000000, 2.000000, 3.000000)\t1\t1\t1\t200\t1",
            "1",
            "1\t1\t-1",
            "3\t-1",
            "true",
            "3\tfalse",
            "vec3(7.000000, 8.000000, 9.000000)\tvec3(7.000000, 8.000000, 9.000000)\t150",
            "dropped\t1",
            "0\tfalse\t1\t1",
        ],
    );
}

#[test]
fn blips_keep_their_sprite() {
    check(
        "local b = AddBlipForCoord(1, 2, 3) print(b, GetBlipSprite(b)) SetBlipSprite(b, 60) print(GetBlipSprite(b)) RemoveBlip(b) print(GetBlipSprite(b))",
        &["1\t1", "60", "0"],
    );
}

#[test]
fn entities_have_state_bags_as_long_as_they_live() {
    check(
        "local v = CreateVehicleServerSetter('adder', 'automobile', 0, 0, 0, 0)
         local bag = 'entity:' .. NetworkGetNetworkIdFromEntity(v)
         print(GetEntityFromStateBagName(bag) == v, GetEntityFromStateBagName('entity:1'), GetEntityFromStateBagName('player:1'))
         EnsureEntityStateBag(v) Entity(v).state.fuel = 50 print(Entity(v).state.fuel, GetStateBagValue(bag, 'fuel'), #GetStateBagKeys(bag))
         DeleteEntity(v) print(GetEntityFromStateBagName(bag), #GetStateBagKeys(bag))",
        &["true\t0\t0", "50\t50\t1", "0\t0"],
    );
}

#[test]
fn models_of_the_game_have_their_kind() {
    check(
        "local function kind(model) return GetVehicleType(CreateVehicle(model, 0.0, 0.0, 0.0, 0.0, true, true)) end
         print(kind('adder'), kind(`bati`), kind('maverick'), kind('seashark'), kind('my_own_car'))
         print(GetVehicleType(CreateVehicleServerSetter('adder', 'plane', 0.0, 0.0, 0.0, 0.0)))",
        &["automobile\tbike\theli\tboat\tautomobile", "plane"],
    );
}
