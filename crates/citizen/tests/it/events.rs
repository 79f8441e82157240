//! Events.

use crate::world::{World, check, check_world};

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
         RemoveEventHandler(h) TriggerEvent('m') print(pcall(RemoveEventHandler, h))",
        &["net\t1\ttrue\t", "nil", "m", "false\tRemoveEventHandler: no such handler of event \"m\""],
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
