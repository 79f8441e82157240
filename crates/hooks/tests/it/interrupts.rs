//! Stopping scripts that do not stop, and wrapping functions.

use std::time::Duration;

use tickscope_core::{Depth, Outcome};

use crate::lab::Lab;
use crate::memory::Record;

/// Interrupts `source` while it runs, until it comes back.
fn interrupted(lab: &Lab, source: &str) -> Result<String, String> {
    let handle = lab.tracer.interrupt_handle();
    let (done, over) = std::sync::mpsc::channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            while over.recv_timeout(Duration::from_millis(30)).is_err() {
                handle.interrupt("tick limit reached");
            }
        });
        let result = lab.run(source);
        done.send(()).unwrap();
        result
    });
    lab.tracer.clear_interrupt();
    result
}

#[track_caller]
fn check(source: &str) {
    for depth in Depth::ALL {
        let lab = Lab::new(depth);
        let error = interrupted(&lab, source).unwrap_err();
        assert!(error.contains("tick limit reached"), "{error}");
        assert_eq!(lab.recorder.resumed(), 0);
        assert_eq!(lab.run("for i = 1, 100000 do end return 'on'").as_deref(), Ok("on"));
        // A coroutine may be left suspended; its calls end with its machine.
        lab.tracer.detach(lab.vm);
        assert_eq!(lab.recorder.open(), 0);
    }
}

#[test]
fn an_endless_loop() {
    check("while true do end");
}

#[test]
fn a_loop_that_catches_everything() {
    check("while true do pcall(function() while true do end end) end");
}

#[test]
fn loops_within_loops_that_catch() {
    check(
        "local function f() while true do pcall(function() while true do pcall(error) end end) end end while true do pcall(f) end",
    );
}

#[test]
fn inside_coroutines() {
    check(
        "while true do coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)() end",
    );
    check(
        "local co = coroutine.create(function() while true do pcall(coroutine.yield) end end) while true do coroutine.resume(co) end",
    );
}

#[test]
fn beside_the_programs_own_count_hook() {
    check("debug.sethook(function() end, '', 1000000000) while true do end");
}

#[test]
fn wrapped_functions_are_spans_and_behave_the_same() {
    for depth in Depth::ALL {
        let lab = Lab::new(depth);
        let out = lab
            .run(
                "local echo = wrap('echo', function(...) return select('#', ...), ... end)
                local fail = wrap('fail', function() error({ 'x' }) end)
                local wait = wrap('wait', function(a) return a + coroutine.yield(a) end)
                local out = table.pack(echo(nil, 2, nil))
                local text = out.n .. tostring(out[1]) .. tostring(out[2]) .. tostring(out[3]) .. tostring(out[4])
                local ok, e = pcall(fail)
                text = text .. tostring(ok) .. e[1]
                local co = coroutine.wrap(function() return wait(1) end)
                return text .. co() .. co(41) .. tostring(pcall(wrap, 'x', 1)) .. #table.pack(echo())",
            )
            .unwrap();
        assert_eq!(out, "43nil2nilfalsex142false1", "at depth {}", depth.name());
        let exits: Vec<(String, Outcome)> = lab
            .recorder
            .records()
            .iter()
            .filter_map(|record| match record {
                Record::Exit { symbol, outcome, .. } => Some((lab.recorder.name(*symbol), *outcome)),
                _ => None,
            })
            .filter(|(name, _)| ["echo", "fail", "wait"].contains(&&**name))
            .collect();
        let names: Vec<&str> = exits.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["echo", "fail", "wait", "echo"], "at depth {}", depth.name());
        assert!(exits[1].1 != Outcome::Ok && exits[0].1 == Outcome::Ok);
        assert_eq!(lab.recorder.open(), 0);
    }
}
