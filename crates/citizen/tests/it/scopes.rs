//! Scopes of scripts in a recording: `ProfilerEnterScope` and its kin.

use std::collections::HashMap;

use tickscope_core::{CategoryId, Depth, Event, Outcome, RecordingSink, TrackKind};

use crate::world::{World, check};

/// The scopes of a recording, a line for each begin and end, indented; checks which track they are on.
fn scopes(sink: &RecordingSink) -> Vec<String> {
    let (batch, names) = (sink.as_batch(), &sink.dictionary);
    let mut lines = Vec::new();
    let mut tracks: HashMap<_, Vec<_>> = HashMap::new();
    for sample in batch.samples {
        let open = tracks.entry(sample.track).or_default();
        match sample.event {
            Event::Begin(begin) if begin.category == CategoryId::SCOPE => {
                let (symbol, track) = (names.symbol(begin.symbol), names.track(sample.track));
                assert_eq!((track.kind, &*track.name), (TrackKind::Async, "scopes"));
                assert_eq!(names.track(track.parent).kind, TrackKind::Coroutine);
                assert_eq!(track.resource, symbol.resource);
                assert_eq!(begin.link.is_some(), open.is_empty(), "the outermost is linked to its coroutine");
                lines.push(format!("{}{} [{}]", "  ".repeat(open.len()), symbol.name, symbol.resource));
                open.push(begin.span);
            }
            Event::End(end) if open.contains(&end.span) => {
                assert_eq!(open.pop(), Some(end.span), "they nest");
                if end.outcome != Outcome::Ok {
                    lines.push(format!("{}({})", "  ".repeat(open.len()), end.outcome.name()));
                }
            }
            _ => {}
        }
    }
    assert!(tracks.values().all(Vec::is_empty), "every scope ends");
    lines
}

#[track_caller]
fn check_scopes(script: &str, ticks: u64, expected: &[&str]) {
    for depth in [Depth::Boundary, Depth::Sample, Depth::Trace] {
        let mut world = World::new(&[("a/main.lua", script)]);
        world.config.depth = depth;
        let (sink, ran) = world.record(ticks);
        assert_eq!(ran.outcome.error_count, u64::from(script.contains("error(")), "{:?}", ran.lines);
        assert_eq!(scopes(&sink), expected, "{script} at {depth:?}");
    }
}

#[test]
fn scopes_nest_and_outlive_the_function_that_began_them() {
    check_scopes(
        "local function enter(name) ProfilerEnterScope(name) end
         local function exit() ProfilerExitScope() end
         CreateThread(function()
           enter('outer') enter('inner') exit() ProfilerEnterScope('second') ProfilerExitScope() exit()
           enter('after') exit()
         end)",
        1,
        &["outer [a]", "  inner [a]", "  second [a]", "after [a]"],
    );
}

#[test]
fn a_scope_goes_on_while_its_coroutine_waits() {
    check_scopes(
        "CreateThread(function() ProfilerEnterScope('long') Wait(0) ProfilerEnterScope('in it') Wait(0)
           ProfilerExitScope() ProfilerExitScope() end)
         CreateThread(function() Wait(0) ProfilerExitScope() end)",
        5,
        &["long [a]", "  in it [a]"],
    );
}

#[test]
fn a_scope_of_a_coroutine_of_the_script_belongs_to_its_thread() {
    check_scopes(
        "CreateThread(function()
           local step = coroutine.wrap(function() ProfilerEnterScope('made') coroutine.yield() end)
           step() ProfilerEnterScope('own') ProfilerExitScope() ProfilerExitScope()
         end)",
        1,
        &["made [a]", "  own [a]"],
    );
}

#[test]
fn what_is_left_open_ends_with_the_coroutine() {
    check_scopes(
        "ProfilerExitScope() ProfilerExitScope()
         CreateThread(function() ProfilerEnterScope('left') ProfilerEnterScope('open') end)
         CreateThread(function() Wait(0) ProfilerEnterScope('own') ProfilerExitScope() ProfilerExitScope() end)",
        3,
        &["left [a]", "  open [a]", "  (unwound)", "(unwound)", "own [a]"],
    );
    check_scopes(
        "CreateThread(function() ProfilerEnterScope('work') error('no') end)",
        2,
        &["work [a]", "(unwound)"],
    );
}

#[test]
fn what_is_open_ends_when_its_resource_stops() {
    check_scopes(
        "CreateThread(function() ProfilerEnterScope('asleep') Wait(60000) end)
         CreateThread(function() ProfilerEnterScope('awaits') Citizen.Await(promise.new()) end)",
        2,
        &["asleep [a]", "awaits [a]", "(unwound)", "(unwound)"],
    );
}

#[test]
fn deep_scopes_are_counted() {
    let script = "CreateThread(function()
        for _ = 1, 1000 do ProfilerEnterScope('deep') end
        for _ = 1, 1000 do ProfilerExitScope() end
        ProfilerEnterScope('flat') ProfilerExitScope()
      end)";
    let (sink, _) = World::new(&[("a/main.lua", script)]).record(1);
    let scopes = scopes(&sink);
    assert_eq!((scopes.len(), scopes.last().unwrap().as_str()), (65, "flat [a]"));
}

#[test]
fn nothing_is_recording_without_a_recording() {
    check("print(ProfilerIsRecording()) ProfilerEnterScope('x') ProfilerExitScope()", &["false"]);
    let (_, ran) = World::new(&[("a/main.lua", "print(ProfilerIsRecording())")]).record(1);
    assert_eq!(ran.lines, ["a: 1"]);
}
