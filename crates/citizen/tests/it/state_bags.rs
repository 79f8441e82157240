//! State bags.

use tickscope_citizen::{Connection, PlayerSpec, Server};

use crate::world::{Transcript, World, check, check_world};

#[test]
fn values_are_copied_and_shared_by_all_resources() {
    check_world(
        &[
            (
                "a/main.lua",
                "local t = { list = { 1, 2 } }
                 GlobalState.t = t t.list[1] = 9
                 GlobalState:set('n', 5, false) GlobalState['f'] = function(x) return x * 2 end
                 print(GlobalState.t.list[1], GlobalState.t == GlobalState.t, GlobalState.missing)",
            ),
            (
                "b/main.lua",
                "print(GlobalState.t.list[2], GlobalState.n, GlobalState.f(4), GetStateBagValue('global', 'n'))
                 print(json.encode(GetStateBagKeys('global')), StateBagHasKey('global', 'n'), json.encode(GetStateBagKeys('nothing')))
                 GlobalState.n = nil print(GlobalState.n, StateBagHasKey('global', 'n'))
                 SetStateBagValue('global', 'raw', msgpack.pack({ x = 1 }), #msgpack.pack({ x = 1 }), true) print(GlobalState.raw.x)",
            ),
        ],
        1,
        &["1\tfalse\tnil", "b: 2\t5\t8\t5", "b: [\"f\",\"n\",\"t\"]\t1\t[]", "b: nil\tfalse", "b: 1"],
    );
}

#[test]
fn handlers_hear_of_changes_before_they_are_made() {
    check(
        "local function tell(...) print(...) print('old', GlobalState.mode) end
         local id = AddStateBagChangeHandler('mode', 'global', tell)
         AddStateBagChangeHandler('mode', 'player:1', function() print('not this bag') end)
         AddStateBagChangeHandler('', nil, function(bag, key, value) Wait(0) print('any', key, GlobalState[key]) end)
         GlobalState.mode = 'day' GlobalState:set('mode', 'night') GlobalState.other = 1
         RemoveStateBagChangeHandler(id) GlobalState.mode = 'late'",
        &[
            "global\tmode\tday\t0\ttrue",
            "old\tnil",
            "global\tmode\tnight\t0\tfalse",
            "old\tday",
            "any\tmode\tlate",
            "any\tmode\tlate",
            "any\tother\t1",
            "any\tmode\tlate",
        ],
    );
}

#[test]
fn a_handler_may_fail_change_again_and_add_handlers() {
    check(
        "AddStateBagChangeHandler('a', nil, function() error('broken') end)
         AddStateBagChangeHandler('a', nil, function(_, _, v)
            AddStateBagChangeHandler('a', nil, function(_, _, v) print('new', v) end)
            if v == 1 then GlobalState.a = 2 end
         end)
         GlobalState.a = 1 print(GlobalState.a)
         AddStateBagChangeHandler('loop', nil, function(_, _, v) GlobalState.loop = v + 1 end)
         GlobalState.loop = 1 print(GlobalState.loop)",
        &[
            "error a: main.lua:1: broken",
            "error a: main.lua:1: broken",
            "new\t2",
            "1",
            "error a: events, exports and threads are nested 48 deep; does one call itself?",
            "1",
        ],
    );
}

#[test]
fn what_cannot_be_kept_is_told() {
    check(
        "print(pcall(function() GlobalState.t = coroutine.create(print) end))
         local t = {} t.t = t print(pcall(function() GlobalState.t = t end))
         print(pcall(function() Player(1).x = 1 end)) print(Player(1).x, Player('1').state.x, Entity('x'))
         Player(7).state.job = 'police' print(Player(7).state.job)",
        &[
            "false\t@a/main.lua:1: state bag global, key t: cannot write a value of type thread",
            "false\t@a/main.lua:2: state bag global, key t: more than 128 tables inside each other (does one contain itself?)",
            "false\t@a/main.lua:3: Setting values on Player is not supported at this time.",
            "nil\tnil\tx",
            "nil",
        ],
    );
}

fn play(script: &str, play: impl FnOnce(&mut Server<tickscope_citizen::NoRecorder>)) -> Vec<String> {
    let world = World::new(&[("a/main.lua", script)]);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    play(&mut server);
    server.stop();
    transcript.lines.take()
}

#[test]
fn a_players_bag_lives_as_long_as_the_player() {
    let lines = play(
        "AddStateBagChangeHandler('ready', nil, function(...) print(..., GetPlayerFromStateBagName(...)) print(select(2, ...)) end)
         AddEventHandler('playerJoining', function() Player(source).state.job = 'police' end)
         AddEventHandler('playerDropped', function() print('dropped', Player(source).state.job) end)
         RegisterCommand('show', function() print(Player(1).state.job, Player(2).state.job, Player('1').state.ready, GetPlayerFromStateBagName('player:9')) end)",
        |server| {
            assert_eq!(server.connect(PlayerSpec::new("Ada")), Connection::Joined { source: 1 });
            assert_eq!(server.state("player:1", "job").as_deref(), Some(&b"\xa6police"[..]));
            assert!(server.set_state(1, "player:1", "ready", &[0xc3]));
            for (player, bag) in [(2, "player:1"), (1, "player:2"), (1, "global"), (1, "entity:1")] {
                assert!(!server.set_state(player, bag, "ready", &[0xc3]), "{player} {bag}");
            }
            server.execute("show");
            server.drop_player(1, "Exiting");
            server.execute("show");
            assert_eq!(server.state("player:1", "job"), None);
        },
    );
    assert_eq!(
        lines,
        [
            "a: player:1\t1",
            "a: ready\ttrue\t1\ttrue",
            "a: police\tnil\ttrue\t0",
            "a: dropped\tpolice",
            "a: nil\tnil\tnil\t0",
        ]
    );
}

#[test]
fn a_strict_server_takes_no_state_from_clients() {
    let lines = play("SetConvar('sv_stateBagStrictMode', 'true')", |server| {
        server.connect(PlayerSpec::new("Ada"));
        assert!(!server.set_state(1, "player:1", "ready", &[0xc3]));
    });
    assert_eq!(lines, [""; 0]);
}
