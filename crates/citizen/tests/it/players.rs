//! Players: how they come, what scripts may ask of them, how they go.

use tickscope_citizen::{Connection, NoRecorder, PlayerSpec, Server};

use crate::world::{Transcript, World};

/// Runs resource `a` with this script, does `play`, and looks at what was printed.
#[track_caller]
fn check(script: &str, play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    check_files(&[("a/main.lua", script)], play, expected);
}

#[track_caller]
fn check_files(files: &[(&str, &str)], play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    let world = World::new(files);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    play(&mut server);
    server.stop();
    let lines = transcript.lines.take();
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line)).collect();
    assert_eq!(lines, expected, "in {files:?}");
}

fn ada() -> PlayerSpec {
    PlayerSpec::new("Ada").identifier("license:11").identifier("steam:22").identifier("ip:127.0.0.1").ping(40)
}

fn joined(source: u32) -> Connection {
    Connection::Joined { source }
}

fn refused(reason: &str) -> Connection {
    Connection::Refused { reason: reason.into() }
}

#[test]
fn a_player_comes_and_goes() {
    check(
        "for _, event in ipairs{'playerConnecting', 'playerJoining', 'playerDropped'} do
            AddEventHandler(event, function(...)
                print(event, source, GetPlayerName(source), #GetPlayers(), type(...) == 'string' and ... or '', select('#', ...))
            end)
         end",
        |server| {
            assert_eq!(server.connect(ada()), joined(1));
            assert!(server.drop_player(1, "Exiting"));
            assert!(!server.drop_player(1, "Exiting"));
            assert_eq!(server.connect(ada()), joined(2));
        },
        &[
            "playerConnecting\t65537\tAda\t0\tAda\t3",
            "playerJoining\t1\tAda\t1\t65537\t1",
            "playerDropped\t1\tAda\t1\tExiting\t3",
            "playerConnecting\t65538\tAda\t0\tAda\t3",
            "playerJoining\t2\tAda\t1\t65538\t1",
        ],
    );
}

#[test]
fn natives_tell_of_a_player_by_number_or_text() {
    check(
        "AddEventHandler('playerJoining', function()
            for _, s in ipairs{ source, tostring(source), '99', 0 } do
                print(GetPlayerName(s), GetPlayerPing(s), GetPlayerEndpoint(s), DoesPlayerExist(s), GetPlayerPed(s) > 0, GetPlayerLastMsg(s))
                print(GetPlayerIdentifierByType(s, 'license'), GetPlayerIdentifierByType(s, 'xbl'), GetPlayerIdentifier(s, 1), GetPlayerIdentifier(s, 9))
                print(#GetPlayerIdentifiers(s), GetNumPlayerIdentifiers(s), GetNumPlayerTokens(s), #GetPlayerTokens(s), GetPlayerToken(s, 0) ~= nil)
            end
            print(GetNumPlayerIndices(), GetPlayerFromIndex(0), GetPlayerFromIndex(1), type(GetPlayers()[1]), GetPlayerTimeOnline(source))
            print(pcall(GetPlayerName)) print(pcall(GetPlayerName, {}))
         end)",
        |server| assert_eq!(server.connect(ada()), joined(1)),
        &[
            "Ada\t40\t127.0.0.1\t1\ttrue\t0",
            "license:11\tnil\tsteam:22\tnil",
            "3\t3\t3\t3\ttrue",
            "Ada\t40\t127.0.0.1\t1\ttrue\t0",
            "license:11\tnil\tsteam:22\tnil",
            "3\t3\t3\t3\ttrue",
            "nil\t0\tnil\tfalse\tfalse\t2147483647",
            "nil\tnil\tnil\tnil",
            "0\t0\t0\t0\tfalse",
            "nil\t0\tnil\tfalse\tfalse\t2147483647",
            "nil\tnil\tnil\tnil",
            "0\t0\t0\t0\tfalse",
            "1\t1\tnil\tstring\t0",
            "false\tbad argument #1 to 'GetPlayerName' (number expected, got no value)",
            "false\tbad argument #1 to 'GetPlayerName' (number expected, got table)",
        ],
    );
}

#[test]
fn a_handler_refuses_by_cancelling() {
    check(
        "AddEventHandler('playerConnecting', function(name, setKickReason)
            if name == 'Mallory' then setKickReason('banned') CancelEvent() end
            if name == 'Eve' then CancelEvent() end
         end)
         AddEventHandler('playerJoining', function() print('joins', GetPlayerName(source)) end)",
        |server| {
            assert_eq!(server.connect(PlayerSpec::new("Mallory")), refused("banned"));
            assert_eq!(server.connect(PlayerSpec::new("Eve")), refused("Resource prevented connection."));
            assert_eq!(server.connect(ada()), joined(1));
            assert_eq!(server.players().len(), 1);
        },
        &["joins\tAda"],
    );
}

#[test]
fn deferrals_take_their_time() {
    let ticket = |connection: Connection| match connection {
        Connection::Waiting { ticket, message } => (ticket, message),
        other => panic!("{other:?}"),
    };
    check_files(
        &[
            (
                "a/main.lua",
                "AddEventHandler('playerConnecting', function(name, _, deferrals)
                    deferrals.defer() Wait(0)
                    deferrals.update('checking ' .. name) Wait(100)
                    if name == 'Mallory' then deferrals.done('no') else deferrals.done() end
                 end)
                 AddEventHandler('playerJoining', function() print('joins', GetPlayerName(source)) end)",
            ),
            (
                "b/main.lua",
                "AddEventHandler('playerConnecting', function(name, _, deferrals)
                    deferrals.defer() deferrals.handover({ x = 1 }) deferrals.presentCard({ type = 'AdaptiveCard' })
                    Wait(300) deferrals.done() deferrals.done('too late')
                 end)",
            ),
        ],
        |server| {
            let (mallory, message) = ticket(server.connect(PlayerSpec::new("Mallory")));
            assert_eq!(message, "a: Deferring connection...\nb: {\"type\":\"AdaptiveCard\"}\n");
            let (first, _) = ticket(server.connect(ada()));
            server.tick();
            assert!(ticket(server.connection(first).unwrap()).1.starts_with("a: checking Ada\n"));
            for _ in 0..4 {
                server.tick();
            }
            assert_eq!(server.connection(mallory), Some(refused("no")), "one no is enough");
            assert_eq!(ticket(server.connection(first).unwrap()).1.lines().count(), 1, "a is done, b is not");
            for _ in 0..4 {
                server.tick();
            }
            assert_eq!(server.connection(first), Some(joined(1)));
            assert_eq!(server.connection(first), None, "an end is told once");
        },
        &["joins\tAda"],
    );
}

#[test]
fn scripts_drop_players() {
    check(
        "AddEventHandler('playerDropped', function(reason, by, why)
            print('dropped', source, reason, by, why, DropPlayer(source, 'again'), GetPlayerName(source))
         end)
         AddEventHandler('playerJoining', function()
            local s = source
            print(source, DropPlayer(s, 'kicked'), DoesPlayerExist(s), source == s, DropPlayer(s, 'x'))
         end)",
        |server| {
            assert_eq!(server.connect(ada()), joined(1));
            assert!(server.players().is_empty());
        },
        &["dropped\t1\tkicked\ta\t1\tfalse\tAda", "1\ttrue\tfalse\ttrue\tfalse"],
    );
}

#[test]
fn clients_get_events_and_trigger_those_that_are_registered() {
    check_files(
        &[
            (
                "a/main.lua",
                "RegisterNetEvent('pay', function(amount) print('pay', source, math.type(source), amount) TriggerEvent('secret') end)
                 AddEventHandler('secret', function() print('secret', source == '') end)
                 AddEventHandler('playerJoining', function() TriggerClientEvent('hello', source, 'x') TriggerClientEvent('all', -1) end)",
            ),
            ("b/main.lua", "AddEventHandler('pay', function() print('not registered here') end)"),
        ],
        |server| {
            server.connect(ada());
            server.connect(ada());
            assert!(server.trigger_net(2, "pay", &[0x64], 1));
            server.trigger_net(2, "secret", &[], 0);
            assert!(!server.trigger_net(3, "pay", &[0x64], 1));
            let names = |events: Vec<tickscope_citizen::ClientEvent>| -> Vec<String> {
                events.iter().map(|event| event.name.to_string()).collect()
            };
            let events = server.take_client_events(1);
            assert_eq!((&*events[0].payload, events[0].count), (&b"\xa1x"[..], 1));
            assert_eq!(names(events), ["hello", "all", "all"]);
            assert_eq!(names(server.take_client_events(2)), ["hello", "all"]);
            assert!(server.take_client_events(2).is_empty());
        },
        &[
            "pay\t2\tinteger\t100",
            "secret\ttrue",
            "b: event pay was not safe for net",
            "event secret was not safe for net",
        ],
    );
}

#[test]
fn players_are_in_routing_buckets() {
    check(
        "AddEventHandler('playerJoining', function()
            print(GetPlayerRoutingBucket(source)) SetPlayerRoutingBucket(source, 7)
            print(GetPlayerRoutingBucket(tostring(source)), GetPlayerRoutingBucket(99))
         end)",
        |server| {
            server.connect(ada());
            assert_eq!(server.players()[0].routing_bucket, 7);
        },
        &["0", "7\t0"],
    );
}
