//! Events.

use tickscope_citizen::{NoRecorder, PlayerSpec, Server};

use crate::world::{Transcript, World, check, check_world};

#[test]
fn handlers_run_at_once_in_the_order_they_were_added() {
    check_world(
        &[
            (
                "a/main.lua",
                "AddEventHandler('e', function(n) print('first', n) Wait(0) print('first later') end)
                 AddEventHandler('e', function(n) print('second', n) end)",
            ),
            (
                "b/main.lua",
                "AddEventHandler('e', function(n) print('third', n) end)
                 print('triggers') print(TriggerEvent('e', 5)) print('done', TriggerEvent('nobody'))",
            ),
        ],
        2,
        &["b: triggers", "first\t5", "second\t5", "b: third\t5", "b: true", "b: done\ttrue", "first later"],
    );
}

#[test]
fn payloads_are_copied_and_functions_can_be_called_back() {
    check_world(
        &[
            (
                "a/main.lua",
                "AddEventHandler('e', function(t, cb, ...)
                    print(t.list[2], t.text, t[7], getmetatable(t), select('#', ...))
                    t.list[2] = 'changed'
                    local x, y, z = cb(1, { 2 }) print(type(cb), x, y[1], z)
                 end)",
            ),
            (
                "b/main.lua",
                "local t = setmetatable({ list = { 1, 2 }, text = 'x\\0y', [7] = 'seven' }, {})
                 TriggerEvent('e', t, function(a, b) b[1] = 9 return a, b, nil end, nil, nil)
                 print(t.list[2])",
            ),
        ],
        1,
        &["2\tx\0y\tseven\tnil\t2", "table\t1\t9\tnil", "b: 2"],
    );
}

#[test]
fn net_events_source_and_removal() {
    check(
        "RegisterNetEvent('n', function(v) print('net', v, source == '', source) end)
         RegisterServerEvent('m')
         local h = AddEventHandler('m', function() print('m') end)
         TriggerEvent('n', 1) print(source) TriggerEvent('m')
         RemoveEventHandler(h) TriggerEvent('m') print(pcall(RemoveEventHandler, h))
         print(pcall(RemoveEventHandler, {}))",
        &["net\t1\ttrue\t", "nil", "m", "true", "false\tInvalid event data passed to RemoveEventHandler()"],
    );
}

#[test]
fn events_can_be_cancelled() {
    check(
        "AddEventHandler('e', function(c) if c then CancelEvent() end TriggerEvent('inner') end)
         AddEventHandler('inner', function() end)
         print(TriggerEvent('e', true), WasEventCanceled()) print(TriggerEvent('e', false), WasEventCanceled())
         CancelEvent()",
        &["false\t1", "true\tfalse"],
    );
}

#[test]
fn a_handler_added_or_removed_meanwhile_waits_for_the_next_time() {
    check(
        "local second
         AddEventHandler('e', function() print('one') if second then RemoveEventHandler(second) second = nil end end)
         second = AddEventHandler('e', function() print('two') end)
         AddEventHandler('f', function() AddEventHandler('f', function() print('new') end) print('old') end)
         TriggerEvent('e') TriggerEvent('f') TriggerEvent('f')",
        &["one", "old", "old", "new"],
    );
}

#[test]
fn an_error_ends_one_handler_only() {
    check(
        "AddEventHandler('e', function() error('broken') end)
         AddEventHandler('e', function() print('still called') end)
         print(TriggerEvent('e'))",
        &["error a: main.lua:1: broken", "still called", "true"],
    );
}

#[test]
fn events_for_clients_are_packed_and_counted() {
    let world = World::new(&[(
        "a/main.lua",
        "TriggerClientEvent('x', -1, { 1 }) TriggerLatentClientEvent('y', 3, 1000, 'data')
         print(pcall(TriggerClientEvent, 'x', -1, coroutine.create(print)))
         print(pcall(TriggerClientEvent, 'x'))",
    )]);
    let ran = world.run(1);
    assert_eq!(ran.outcome.client_events, 2);
    assert_eq!(
        ran.lines,
        [
            "a: false\tevent x: cannot write a value of type thread",
            "a: false\tbad argument #2 to 'TriggerClientEvent' (number expected, got no value)",
        ]
    );
}

#[test]
fn large_payloads_cross() {
    check_world(
        &[
            ("a/main.lua", "AddEventHandler('big', function(s, t) print(#s, #t, t[100000].v) end)"),
            (
                "b/main.lua",
                "local t = {} for i = 1, 100000 do t[i] = { v = i } end
                 TriggerEvent('big', ('x'):rep(10 * 1024 * 1024), t)",
            ),
        ],
        1,
        &["10485760\t100000\t100000"],
    );
}

#[test]
fn callbacks_that_nobody_holds_are_let_go() {
    let world = World::new(&[
        ("a/main.lua", "AddEventHandler('e', function(cb) cb() end)\nAddEventHandler('keep', function(cb) Kept = cb end)"),
        (
            "b/main.lua",
            "local called = 0
             CreateThread(function() while true do for i = 1, 100 do TriggerEvent('e', function() called = called + 1 end) end Wait(0) end end)
             TriggerEvent('keep', function() end)
             AddEventHandler('gc', function() end)",
        ),
        ("c/main.lua", ""),
    ]);
    let transcript = Default::default();
    let mut server = world.start(&transcript).unwrap();
    let mut most = 0;
    for _ in 0..300 {
        server.tick();
        most = most.max(server.function_references());
    }
    assert!(most < 10_000, "{most} of 30,000 functions were still referred to at one time");
    assert!(server.function_references() >= 1, "the kept one stays");
}

/// Runs `a` with this script and `b` with the other, does `play`, and looks at what was printed.
#[track_caller]
fn check_play(a: &str, b: &str, play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    let world = World::new(&[("a/main.lua", a), ("b/main.lua", b)]);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    server.connect(PlayerSpec::new("Ada"));
    server.connect(PlayerSpec::new("Bob"));
    play(&mut server);
    server.stop();
    let lines = transcript.lines.take();
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn clients_trigger_only_what_is_registered() {
    check_play(
        "RegisterNetEvent('bank:pay', function(n) print(source, n, GetInvokingResource()) Wait(0) print('later', source) end)
         AddEventHandler('secret', function() print('secret', source) end)",
        "AddEventHandler('bank:pay', function() print('never') end)
         AddEventHandler('bank:pay', function() print('never') end)
         RegisterServerEvent('secret')
         RegisterNetEvent('__cfx_internal:commandFallback', function() print('never') end)",
        |server| {
            assert!(server.trigger_net(2, "bank:pay", &[100], 1));
            assert!(server.trigger_net(2, "secret", &[], 0));
            assert!(server.trigger_net(2, "nobody", &[], 0));
            server.trigger_net(2, "__cfx_internal:commandFallback", &[], 0);
            assert!(!server.trigger_net(3, "bank:pay", &[], 0), "there is no player 3");
            server.tick();
        },
        &[
            "2\t100\tnil",
            "b: event bank:pay was not safe for net",
            "event secret was not safe for net",
            "b: event __cfx_internal:commandFallback was not safe for net",
            "later\tnil",
        ],
    );
}

#[test]
fn payloads_of_clients_may_be_anything() {
    check_play(
        "RegisterNetEvent('e', function(...) print(select('#', ...), ...) end)",
        "",
        |server| {
            server.trigger_net(1, "e", &[0xc0, 0xc0], 2);
            for (payload, count) in
                [(&[0xc1][..], 1), (&[0xdd, 0xff, 0xff, 0xff, 0xff], 1), (&[1], 2), (&[1, 2], 1)]
            {
                server.trigger_net(1, "e", payload, count);
            }
            server.trigger_net(1, "e", &[0x91].repeat(100_000), 1);
        },
        &[
            "2\tnil\tnil",
            "error a: event e: its arguments do not fit: a byte that no value begins with at byte 1",
            "error a: event e: its arguments do not fit: the message ends in the middle of a value at byte 6",
            "error a: event e: its arguments do not fit: the message ends in the middle of a value at byte 2",
            "error a: event e: its arguments do not fit: bytes behind the end of the message at byte 2",
            "error a: event e: its arguments do not fit: too many tables inside each other at byte 130",
        ],
    );
}

#[test]
fn latent_events_arrive_when_their_bytes_have() {
    let names = |server: &mut Server<NoRecorder>, player| {
        let events = server.take_client_events(player);
        events.iter().map(|event| event.name.to_string()).collect::<Vec<_>>()
    };
    check_play(
        "RegisterCommand('go', function()
            TriggerLatentClientEvent('slow', -1, 1000, ('x'):rep(147))
            TriggerLatentClientEvent('slower', '2', 500, ('x'):rep(147))
            TriggerLatentClientEvent('now', 1, 0, 'x')
            TriggerClientEvent('at once', 1)
         end)
         RegisterNetEvent('up', function(n) print('up', source, n, GetGameTimer()) end)",
        "",
        |server| {
            server.execute("go");
            assert!(server.trigger_net_latent(2, "up", 20.0, &[1, 2], 2));
            assert!(!server.trigger_net_latent(9, "up", 20.0, &[1], 1));
            assert!(server.trigger_net_latent(1, "up", 1.0, &[1], 1));
            assert_eq!(names(server, 1), ["at once"]);
            server.tick();
            assert_eq!(names(server, 1), ["now"]);
            server.tick();
            assert_eq!(names(server, 1), [""; 0]);
            server.tick();
            assert_eq!((names(server, 1), names(server, 2)), (vec!["slow".into()], vec!["slow".to_owned()]));
            for _ in 0..3 {
                server.tick();
            }
            assert_eq!(names(server, 2), ["slower"]);
            server.drop_player(1, "Exiting");
            for _ in 0..20 {
                server.tick();
            }
        },
        &["up\t2\t1\t100"],
    );
}

#[test]
fn tables_that_can_be_called_are_handlers() {
    check(
        "local callable = setmetatable({}, { __call = function(self, x) print('called', x) Wait(0) print('later', x) end })
         AddEventHandler('e', callable) RegisterNetEvent('f', callable)
         TriggerEvent('e', 1) TriggerEvent('f', 2)
         print(pcall(AddEventHandler, 'e', {})) print(pcall(RegisterNetEvent, 'e', 5))",
        &[
            "called\t1",
            "called\t2",
            "false\tbad argument #2 to 'AddEventHandler' (function expected, got table)",
            "false\tbad argument #2 to 'RegisterNetEvent' (function expected, got integer)",
            "later\t1",
            "later\t2",
        ],
    );
}

#[test]
fn a_payload_of_a_hundred_megabytes_crosses_or_is_refused() {
    check(
        "local big = ('x'):rep(100 << 20)
         AddEventHandler('e', function(s) print(#s) end)
         TriggerEvent('e', big)
         print(pcall(TriggerEvent, 'e', big, big, big))",
        &["104857600", "false\tTriggerEvent e: the result is larger than 256 MiB"],
    );
}
