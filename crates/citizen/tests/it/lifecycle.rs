//! Resources start and stop.

use crate::world::{World, check_world};

#[test]
fn starts_and_stops_are_events() {
    check_world(
        &[
            (
                "a/main.lua",
                "for _, e in ipairs { 'onResourceStarting', 'onResourceStart', 'onServerResourceStart', 'onResourceStop', 'onServerResourceStop' } do AddEventHandler(e, function(n) print(e, n) end) end",
            ),
            (
                "b/main.lua",
                "AddEventHandler('onResourceStop', function(n) print('b hears', n, GetResourceState(n)) end)",
            ),
        ],
        1,
        &[
            "onResourceStart\ta",
            "onServerResourceStart\ta",
            "onResourceStarting\tb",
            "onResourceStart\tb",
            "onServerResourceStart\tb",
            "onResourceStop\tb",
            "b: b hears\tb\tstopping",
            "onServerResourceStop\tb",
            "onResourceStop\ta",
            "onServerResourceStop\ta",
        ],
    );
}

#[test]
fn dependencies_start_first() {
    check_world(
        &[
            (
                "a/fxmanifest.lua",
                "fx_version 'cerulean' server_script 'main.lua' dependencies { 'm', '/server:4500' }",
            ),
            ("a/main.lua", "print('a')"),
            ("m/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua' dependency 'virtual'"),
            ("m/main.lua", "print('m')"),
            ("z/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua' provide 'virtual'"),
            ("z/main.lua", "print('z')"),
        ],
        1,
        &["z: z", "m: m", "a"],
    );
}

#[test]
fn only_what_was_asked_for_and_what_it_needs_runs() {
    let mut world = World::new(&[
        ("a/main.lua", "print('a')"),
        ("b/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua' dependency 'c'"),
        ("b/main.lua", "print('b')"),
        ("c/main.lua", "print('c')"),
    ]);
    world.config.resources = Some(vec!["b".into()]);
    assert_eq!(world.run(1).lines, ["c: c", "b: b"]);
}

#[test]
fn a_restart_begins_with_an_empty_machine() {
    let world = World::new(&[
        (
            "a/main.lua",
            "Count = (Count or 0) + 1 print('loaded', Count)
             AddEventHandler('e', function() print('heard') end) RegisterCommand('c', function() print('ran') end)
             SetTimeout(150, function() print('an old timer') end)
             CreateThread(function() Citizen.Await(promise.new()) end)",
        ),
        ("b/main.lua", "CreateThread(function() Wait(50) ExecuteCommand('restart a') Wait(0) Wait(0) TriggerEvent('e') ExecuteCommand('c') end)"),
    ]);
    let ran = world.run(5);
    assert_eq!(
        ran.lines,
        [
            "a: loaded\t1",
            ": Stopping resource a",
            "a: loaded\t1",
            ": Started resource a",
            "a: heard",
            "a: ran"
        ]
    );
    assert_eq!(ran.outcome.errors, []);
}

#[test]
fn one_folder_with_a_manifest_is_a_server_of_one() {
    let mut world = World::new(&[("only/main.lua", "print(GetCurrentResourceName())")]);
    world.config.root = world.folder.path().join("only");
    assert_eq!(world.run(1).lines, ["only: only"]);
}

#[test]
fn a_resources_folder_is_preferred() {
    check_world(
        &[("resources/[x]/a/main.lua", "print('inside')"), ("b/main.lua", "print('beside')")],
        1,
        &["inside"],
    );
}

#[test]
fn a_server_that_is_dropped_closes_without_a_word() {
    let world = World::new(&[(
        "a/main.lua",
        "AddEventHandler('onResourceStop', function() print('stop') end)\nsetmetatable({}, { __gc = function() TriggerEvent('x') print('collected') end })",
    )]);
    let transcript = crate::world::Transcript::default();
    drop(world.start(&transcript).unwrap());
    assert!(!transcript.lines.borrow().iter().any(|line| line.contains("stop")));
}

#[test]
fn real_time_goes_by_between_ticks() {
    let mut world = World::new(&[(
        "a/main.lua",
        "CreateThread(function() local t = GetGameTimer() Wait(100) print(GetGameTimer() - t >= 100, os.time() > 1767225600 - 1) end)",
    )]);
    world.config.virtual_time = false;
    assert_eq!(world.run(6).lines, ["a: true\ttrue"]);
}
