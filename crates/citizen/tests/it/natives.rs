//! Natives as globals and by hash, those that do nothing, and what happens with wrong arguments.

use proptest::prelude::*;
use tickscope_citizen::ErrorKind;

use crate::world::{World, check, check_world};

#[test]
fn natives_are_globals_once_asked_for() {
    check(
        "print(rawget(_G, 'GetPlayerName'), type(GetPlayerName), rawget(_G, 'GetPlayerName') == GetPlayerName)
         print(GetPlayer, GetPlayerpings, rawget(_G, 'GetPlayer'), Framework)
         GetPlayerPing = function() return 'mine' end print(GetPlayerPing(1))
         function CreateVehicle() return 'own' end print(CreateVehicle())
         if not GetRegisteredCommands then print('missing') end
         local n = 0 for name in pairs(_G) do if name == 'GetPlayerEndpoint' then n = n + 1 end end print(n)",
        &["nil\tfunction\ttrue", "nil\tnil\tnil\tnil", "mine", "own", "0"],
    );
}

#[test]
fn natives_can_be_invoked_by_hash() {
    check(
        "local name = GetHashKey('GET_CURRENT_RESOURCE_NAME')
         print(name, Citizen.InvokeNative(name, Citizen.ResultAsString()), Citizen.InvokeNative(name & 0xFFFFFFFF))
         print(Citizen.InvokeNative(('0x%x'):format(name & 0xFFFFFFFF), Citizen.ReturnResultAnyway(), Citizen.ResultAsString()))
         local timer = GetHashKey('get_game_timer')
         print(Citizen.InvokeNative(timer, Citizen.ResultAsInteger()), Citizen.InvokeNative(timer, Citizen.ResultAsFloat()), Citizen.InvokeNative(timer, Citizen.ResultAsString()))
         print(Citizen.InvokeNative(GetHashKey('GET_CONVAR_INT'), 'x', 7, Citizen.ReturnResultAnyway(), Citizen.ResultAsInteger()))
         print(pcall(Citizen.InvokeNative, {})) print(pcall(Citizen.InvokeNative, 'x'))
         print(select(2, pcall(Citizen.InvokeNative, 0x123456789)))",
        &[
            "-437654597\ta\ta",
            "a",
            "0\t0.0\tnil",
            "7",
            "false\tbad argument #1 to 'InvokeNative' (number expected, got table)",
            "false\tbad argument #1 to 'InvokeNative' (native hash expected, got string)",
            "attempt to call a nil value (native '0x0000000123456789')",
        ],
    );
}

#[test]
fn hashes_are_signed_as_on_a_server() {
    check(
        "print(GetHashKey('adder'), GetHashKey('ADDER'), GetHashKey(''), GetHashKey('weapon_pistol'), GetHashKey('prop_barrel_01a'))",
        &["-1216765807\t-1216765807\t0\t453432689\t-1738103333"],
    );
}

#[test]
fn a_native_that_does_nothing_is_told_once_and_counted() {
    let script = "for i = 1, 3 do print(GetVehicleLightsState(1)) end\nprint(#{ GetThrusterThrottle(1) }, GetThrusterThrottle(1), SetVehicleAlarm(1))";
    let ran = World::new(&[("a/main.lua", script), ("b/main.lua", "GetVehicleLightsState(2)")]).run(1);
    assert_eq!(
        ran.lines,
        [
            ": native GetVehicleLightsState does nothing in this host; it gives false, false, false",
            "a: false\tfalse\tfalse",
            "a: false\tfalse\tfalse",
            "a: false\tfalse\tfalse",
            ": native GetThrusterThrottle does nothing in this host; it gives 0.0",
            ": native SetVehicleAlarm does nothing in this host; it gives nothing",
            "a: 1\t0.0",
        ]
    );
    let counts: Vec<_> = ran.outcome.neutral_natives.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(counts, [("GetThrusterThrottle", 2), ("GetVehicleLightsState", 4), ("SetVehicleAlarm", 1)]);
    assert_eq!(ran.outcome.error_count, 0);
}

#[test]
fn a_strict_server_refuses_natives_that_do_nothing() {
    let mut world = World::new(&[("a/main.lua", "\n\nSetVehicleAlarm(1)")]);
    world.config.strict = true;
    let outcome = world.run(1).outcome;
    assert_eq!((outcome.errors[0].line, &outcome.errors[0].kind), (3, &ErrorKind::Script));
    assert!(outcome.errors[0].message.contains("native SetVehicleAlarm does nothing in this host"));
}

#[test]
fn wrong_arguments_are_errors_in_lua_s_words() {
    check(
        "print(pcall(GetThrusterThrottle, {})) print(pcall(IsTrainCaboose, 'x')) print(pcall(DoesPlayerOwnSku, function() end, 1))
         print(pcall(GetConvarInt)) print(select(2, pcall(function() GetPlayerName({}) end)))",
        &[
            "false\tbad argument #1 to 'GetThrusterThrottle' (number expected, got table)",
            "false\tbad argument #1 to 'IsTrainCaboose' (number expected, got string)",
            "false\tbad argument #1 to 'DoesPlayerOwnSku' (string expected, got function)",
            "false\tbad argument #1 to 'GetConvarInt' (string expected, got no value)",
            "@a/main.lua:2: bad argument #1 to 'GetPlayerName' (number expected, got table)",
        ],
    );
}

#[test]
fn foreign_natives_are_named_when_their_names_are_known() {
    let mut world = World::new(&[("a/main.lua", "Citizen.InvokeNative(0xC0296A2EDF545E92)")]);
    world.config.native_names.insert(0xc029_6a2e_df54_5e92, "DO_SCREEN_FADE_IN".into());
    let outcome = world.run(1).outcome;
    let expected = ErrorKind::MissingNative("DO_SCREEN_FADE_IN (0xC0296A2EDF545E92)".into());
    assert_eq!(outcome.errors[0].kind, expected);
}

/// A Lua expression.
fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("nil".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        Just("print".to_owned()),
        Just("{ x = 1, y = 2, z = 3 }".to_owned()),
        Just("0/0".to_owned()),
        Just("math.huge".to_owned()),
        Just("math.mininteger".to_owned()),
        Just("source".to_owned()),
        Just("ped".to_owned()),
        Just("vehicle".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_map(|number| format!("({number:?})").replace("NaN", "0/0").replace("inf", "math.huge")),
        "[a-z:1-9]{0,8}".prop_map(|text| format!("'{text}'")),
    ]
}

/// Natives that end what calls them, by design.
const ENDING: [&str; 3] = ["StopResource", "StartResource", "ExecuteCommand"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a script gives to whichever native, the run goes on.
    #[test]
    fn any_native_takes_any_arguments(
        calls in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(argument(), 0..9)), 60)
    ) {
        let table = include_str!("../../src/natives/table.tsv");
        let names: Vec<&str> = table
            .lines()
            .skip(1)
            .filter_map(|line| line.split('\t').next())
            .filter(|name| !ENDING.contains(name))
            .collect();
        let mut script = String::from("local ped, vehicle, source = GetPlayerPed(1), (GetAllVehicles() or {})[1], 1\n");
        for (index, arguments) in &calls {
            let name = index.get(&names);
            script.push_str(&format!("pcall({})\n", [&[(*name).to_owned()], &arguments[..]].concat().join(", ")));
        }
        script.push_str("print('alive')");
        let world = World::new(&[("a/main.lua", &format!("AddEventHandler('playerJoining', function()\n{script} end)"))]);
        let transcript = crate::world::Transcript::default();
        let mut server = world.start(&transcript).unwrap();
        server.connect(tickscope_citizen::PlayerSpec::new("Ada"));
        for _ in 0..3 {
            server.tick();
        }
        server.stop();
        prop_assert!(transcript.lines.take().contains(&"a: alive".to_owned()), "{script}");
    }
}

#[test]
fn passwords_are_hashed_as_on_a_server() {
    // the second is a published example of bcrypt
    check(
        "local hash = GetPasswordHash('secret')
         print(#hash, hash:sub(1, 7), VerifyPasswordHash('secret', hash), VerifyPasswordHash('Secret', hash))
         print(VerifyPasswordHash('abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'))
         print(VerifyPasswordHash('x', 'no hash'), GetPasswordHash('secret') ~= hash)",
        &["60\t$2a$11$\t1\tfalse", "1", "false\ttrue"],
    );
}

#[test]
fn listeners_hear_what_is_printed() {
    check_world(
        &[
            (
                "a/main.lua",
                "local heard = {}
                 RegisterConsoleListener(function(channel, message) print('echo') table.insert(heard, channel .. '=' .. message) end)
                 SetTimeout(150, function() print(#heard, table.concat(heard)) print((GetConsoleBuffer():gsub('\\n', ';'))) end)",
            ),
            ("b/main.lua", "print('one\\ttwo') CreateThread(function() error('oops') end)"),
        ],
        3,
        &[
            "b: one\ttwo",
            "error b: main.lua:1: oops",
            "echo",
            "echo",
            "2\tscript:b=one\ttwo\nscript:b=SCRIPT ERROR: b: main.lua:1: oops\n",
            "one\ttwo;SCRIPT ERROR: b: main.lua:1: oops;echo;echo;2\tscript:b=one\ttwo;script:b=SCRIPT ERROR: b: main.lua:1: oops;;",
            "echo",
            "echo",
        ],
    );
}

#[test]
fn what_clients_would_change_is_as_of_something_new() {
    check(
        "local car = CreateVehicleServerSetter('adder', 'automobile', 0.0, 0.0, 0.0, 0.0)
         local heli = CreateVehicleServerSetter('maverick', 'heli', 0.0, 0.0, 0.0, 0.0)
         local ped, box = CreatePed(4, 'mp_m_freemode_01', 0.0, 0.0, 0.0), CreateObject('prop', 0.0, 0.0, 0.0)
         print(IsVehicleTyreBurst(car, 0, false), IsVehicleWindowIntact(car, 0), IsVehicleExtraTurnedOn(car, 1))
         print(IsVehicleWindowIntact(box, 0), GetVehicleTyreSmokeColor(car))
         print(GetHeliBodyHealth(heli), GetHeliTailRotorHealth(heli), GetHeliBodyHealth(car), GetHeliBodyHealth(0))
         print(GetNetTypeFromEntity(car), GetNetTypeFromEntity(heli), GetNetTypeFromEntity(ped), GetNetTypeFromEntity(box))
         print(GetPlayerWeaponDamageModifier(1), GetPlayerTimeInPursuit(1, false))
         print(pcall(IsVehicleTyreBurst, 99, 0, false))",
        &[
            "false\t1\t1",
            "false\t255\t255\t255",
            "1000\t1000.0\t0\t0",
            "0\t4\t6\t5",
            "0.0\t-1",
            "false\tTried to access invalid entity: 99",
        ],
    );
}
