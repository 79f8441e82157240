//! Who may do what, and commands of players, of resources and of the console.

use tickscope_citizen::{NoRecorder, PlayerSpec, Server};

use crate::world::{Transcript, World};

const COMMANDS: &str = "
    RegisterCommand('me', function(source, args, raw) print('me', source, table.concat(args, '|'), raw) end)
    RegisterCommand('kick', function(source) print('kick', source) ExecuteCommand('inner') end, true)
    RegisterCommand('inner', function(source) print('inner', source, IsAceAllowed('command.kick')) end, true)
    RegisterCommand('ask', function(_, args) print(IsPlayerAceAllowed(args[1], args[2]), IsPrincipalAceAllowed('group.admin', args[2])) end, true)
    RegisterCommand('stopper', function() ExecuteCommand('kick') ExecuteCommand('set x 1') ExecuteCommand('nothing') end)";

/// Runs a server with this `server.cfg` and two players, does `play`, and looks at what was printed.
#[track_caller]
fn check(cfg: &str, script: &str, play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    let cfg = format!("{cfg}\nensure a");
    let world = World::new(&[("a/main.lua", &format!("{COMMANDS}\n{script}")), ("server.cfg", &cfg)]);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    server.connect(PlayerSpec::new("Ada").identifier("license:11").identifier("steam:22"));
    server.connect(PlayerSpec::new("Bob").identifier("license:33"));
    play(&mut server);
    server.stop();
    let lines = transcript.lines.take();
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn players_run_what_they_may() {
    check(
        "add_ace group.admin command allow
         add_ace group.admin command.quit deny
         add_principal identifier.steam:22 group.admin",
        "",
        |server| {
            for (source, line) in [(2, "/me waves  \"at all\""), (2, "kick 1"), (1, "kick 2"), (1, "/quit")] {
                assert!(server.execute_as(source, line), "{line}");
            }
            assert!(!server.execute_as(1, "unknown"));
            server.execute_as(3, "me too");
            server.execute("ask 1 command.kick");
            server.execute("ask 2 command.kick");
            server.execute("remove_principal identifier.steam:22 group.admin");
            server.execute_as(1, "kick 2");
        },
        &[
            "me\t2\twaves|at all\tme waves  \"at all\"",
            ": Access denied for command kick.",
            "kick\t1",
            "inner\t0\t1",
            ": Access denied for command quit.",
            ": Access denied for command me.",
            "1\t1",
            "false\t1",
            ": Access denied for command kick.",
        ],
    );
}

#[test]
fn resources_do_what_they_may_and_what_their_caller_may() {
    check(
        "add_ace resource.a command.set allow",
        "",
        |server| {
            server.execute_as(1, "stopper");
            server.execute("stopper");
        },
        &[": Access denied for command kick.", ": No such command nothing.", "kick\t0", "inner\t0\t1"],
    );
}

#[test]
fn what_is_no_command_goes_to_the_chat() {
    check(
        "",
        "AddEventHandler('__cfx_internal:commandFallback', function(line) print('chat', source, line) CancelEvent() end)",
        |server| {
            assert!(server.execute_as(1, "/dance now"));
            assert!(!server.execute("dance now"));
        },
        &["chat\t1\tdance now", ": No such command dance."],
    );
}

#[test]
fn entries_are_tested_and_wrong_ones_told() {
    check(
        "add_ace a
         add_ace a b maybe
         add_principal a",
        "print(json.encode(GetResourceCommands('a')[1], { sort_keys = true }), #GetRegisteredCommands(), #GetResourceCommands('b'))",
        |server| {
            server.execute("add_ace x y allow");
            server.execute("test_ace x y.z");
            server.execute("remove_ace x y deny");
            server.execute("remove_ace x y allow");
            server.execute("test_ace x y");
        },
        &[
            "error server: server.cfg:1: add_ace: expected a principal, an object, and allow or deny",
            "error server: server.cfg:2: add_ace: expected a principal, an object, and allow or deny",
            "error server: server.cfg:3: add_principal: expected a principal and the group it belongs to",
            "{\"arity\":-1,\"name\":\"ask\",\"resource\":\"a\"}\t5\t0",
            ": x -> y.z = true",
            ": remove_ace: there is no such entry",
            ": x -> y = false",
        ],
    );
}

#[test]
fn entries_and_groups_are_listed() {
    crate::world::check(
        "ExecuteCommand('add_ace group.admin command.kick allow') ExecuteCommand('add_ace group.mod command.kick deny')
         ExecuteCommand('add_principal player.1 group.mod')
         ExecuteCommand('list_aces') ExecuteCommand('list_principals')",
        &[
            ": group.admin -> command.kick = ALLOW",
            ": group.mod -> command.kick = DENY",
            ": player.1 <- group.mod",
        ],
    );
}
