//! Calls, returns, tail calls, errors and coroutines as spans.

use tickscope_core::{Depth, Outcome};

use crate::lab::Lab;
use crate::memory::Record;

/// The spans as an indented list, coroutine switches included.
fn outline(lab: &Lab) -> String {
    let mut depth = 0;
    let mut hosts = Vec::new();
    let mut out = String::new();
    for record in lab.recorder.records() {
        let mut line = |depth: usize, text: String| out += &format!("{}{text}\n", "  ".repeat(depth));
        match record {
            Record::Enter { symbol, .. } => {
                line(depth, lab.recorder.name(symbol));
                depth += 1;
            }
            Record::Exit { outcome, .. } => {
                depth -= 1;
                if outcome != Outcome::Ok {
                    line(depth, format!("^ {}", outcome.name()));
                }
            }
            Record::Resume { track } => {
                line(depth, format!("> {}", lab.recorder.tracks()[track.index()].name));
                hosts.push(depth);
            }
            Record::Suspend { reason, .. } => {
                depth = hosts.pop().unwrap();
                line(depth, format!("< {}", reason.name()));
            }
            Record::Stack { .. } | Record::Counter { .. } => {}
        }
    }
    out
}

#[track_caller]
fn check(source: &str, expected: &str) {
    let lab = Lab::new(Depth::Trace);
    lab.run(source).unwrap();
    assert_eq!(lab.recorder.open(), 0, "spans are left open");
    assert_eq!(lab.recorder.resumed(), 0, "tracks are left running");
    let expected: Vec<&str> = expected.lines().map(|line| line.trim_start_matches('|')).collect();
    assert_eq!(outline(&lab).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn nested_and_c_calls() {
    check(
        "local function leaf() return ('x'):rep(3) end\nlocal function mid() return (leaf()) end\nmid()",
        "main chunk\n  mid\n    leaf\n      string.rep",
    );
}

#[test]
fn a_tail_call_replaces_its_caller() {
    check(
        "local function leaf() return 1 end\nlocal function tail() return leaf() end\nlocal x = tail()",
        "main chunk\n  tail\n  leaf",
    );
}

#[test]
fn dead_calls_end_with_the_error() {
    check(
        "local function bad() error('x') end\nlocal function mid() bad() return 1 end\npcall(mid)\nlocal function after() end after()",
        "main chunk\n  pcall\n    mid\n      bad\n        error\n        ^ error\n      ^ unwound\n    ^ unwound\n  after",
    );
}

#[test]
fn coroutines_have_tracks_of_their_own() {
    check(
        "local function body(a)\n  local b = coroutine.yield(a)\n  return b\nend\nlocal co = coroutine.create(body)\ncoroutine.resume(co, 1)\ncoroutine.resume(co, 2)",
        "main chunk
|  coroutine.create
|  coroutine.resume
|    > body test:1
|    body
|      coroutine.yield
|    < yield
|  coroutine.resume
|    > body test:1
|    < return",
    );
}

#[test]
fn mlua_free_layout_reads_agree_here() {
    // Names of C functions come from their addresses: right names mean that the direct reads are right.
    check("string.format('%d', 1) math.floor(2.5)", "main chunk\n  string.format\n  math.floor");
}
