//! Calls as spans, in each version.

use tickscope_core::{Depth, Outcome, SwitchReason};
use tickscope_hooks::lua::{LuaApi, Version};

use super::{Foreign, Setting, VERSIONS, newthread, raw};
use crate::memory::{Memory, Record};

fn outline(recorder: &Memory) -> Vec<String> {
    let mut depth = 0;
    let mut hosts = Vec::new();
    let mut out = Vec::new();
    for record in recorder.records() {
        let mut line = |depth: usize, text: String| out.push(format!("{}{text}", "  ".repeat(depth)));
        match record {
            Record::Enter { symbol, .. } => {
                line(depth, recorder.name(symbol));
                depth += 1;
            }
            Record::Exit { outcome, .. } => {
                depth -= 1;
                if outcome != Outcome::Ok {
                    line(depth, format!("^ {}", outcome.name()));
                }
            }
            Record::Resume { track } => {
                line(depth, format!("> {}", recorder.tracks()[track.index()].name));
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

/// The same in every version, by direct reading and by asking; `old` where 5.1 differs.
#[track_caller]
fn check(source: &str, expected: &str, old: Option<&str>) {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        for direct in [true, false] {
            let mut lab = Foreign::new(raw, Setting { direct, ..Depth::Trace.into() });
            assert_eq!(lab.lua.is_direct(), raw.api.version != Version::Lua51);
            lab.run(source).unwrap();
            assert_eq!(lab.recorder.resumed(), 0, "{}", raw.api.version);
            let expected = old.filter(|_| raw.api.version == Version::Lua51).unwrap_or(expected);
            let expected: Vec<&str> = expected.lines().map(|line| line.trim_start_matches('|')).collect();
            assert_eq!(outline(&lab.recorder), expected, "{}, direct: {direct}", raw.api.version);
            lab.close();
            assert_eq!(lab.recorder.open(), 0, "{}", raw.api.version);
            assert_eq!(lab.tracer().coroutines(), 0);
        }
    }
}

/// Chunks of one shape come and go, so that functions take the addresses of others that are gone.
#[test]
fn a_function_is_not_taken_for_another_that_was_at_its_address() {
    const PROGRAM: &str = "for i = 1, 200 do
        local load = loadstring or load
        load(('\\n'):rep(i) .. 'local function g() return 1 end g() return 2', '=made')()
        collectgarbage() collectgarbage()
    end";
    for raw in VERSIONS.into_iter().filter_map(raw) {
        for direct in [true, false] {
            let mut lab = Foreign::new(raw, Setting { direct, ..Depth::Trace.into() });
            lab.run(PROGRAM).unwrap();
            let mut lines = Vec::new();
            for record in lab.recorder.records() {
                if let Record::Enter { symbol, .. } = record {
                    let symbol = lab.recorder.symbol(symbol);
                    if &*symbol.file == "made" && symbol.line > 0 {
                        lines.push(symbol.line);
                    }
                }
            }
            assert!(lines.iter().copied().eq(2..=201), "{}, direct: {direct}: {lines:?}", raw.api.version);
            lab.close();
        }
    }
}

#[test]
fn nested_and_c_calls() {
    check(
        "local function leaf() return (('x'):rep(3)) end\nlocal function mid() return (leaf()) end\nmid()",
        "main chunk\n  mid\n    leaf\n      string.rep",
        None,
    );
}

#[test]
fn a_tail_call_replaces_its_caller_and_in_5_1_nests_in_it() {
    check(
        "local function inner() return 1 end
local function leaf() inner() return 1 end
local function tail() return leaf() end
local x = tail() inner()",
        "main chunk\n  tail\n  function <test:2>\n    inner\n  inner",
        Some("main chunk\n  tail\n    leaf\n      inner\n  inner"),
    );
}

#[test]
fn a_loop_by_tail_calls_opens_few_spans() {
    let source =
        "local function loop(n) if n > 0 then return loop(n - 1) end return 1 end\nlocal x = loop(10000)";
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Trace);
        lab.run(source).unwrap();
        assert_eq!(lab.recorder.open(), 0);
        let deepest = outline(&lab.recorder).iter().map(|line| line.len() - line.trim_start().len()).max();
        assert!(deepest.unwrap() <= 80, "{deepest:?}");
    }
}

#[test]
fn dead_calls_end_with_the_error() {
    check(
        "local function bad() error('x') end\nlocal function mid() bad() return 1 end\npcall(mid)\nlocal function after() end after()",
        "main chunk\n  pcall\n    function <test:2>\n      bad\n        error\n        ^ error\n      ^ unwound\n    ^ unwound\n  after",
        None,
    );
}

#[test]
fn coroutines_have_tracks_of_their_own() {
    check(
        "local function body(a)\n  local b = coroutine.yield(a)\n  return b\nend\nlocal co = coroutine.create(body)\ncoroutine.resume(co, 1)\ncoroutine.resume(co, 2)",
        "main chunk
|  coroutine.create
|  coroutine.resume
|    > function <test:1>
|    function <test:1>
|      coroutine.yield
|    < yield
|  coroutine.resume
|    > function <test:1>
|    < return",
        None,
    );
}

#[test]
fn sources_on_disk_give_names() {
    let file = std::env::temp_dir().join(format!("tickscope-{}.lua", std::process::id()));
    let source = "local M = {}\nfunction M.greet() end\nlocal f = M.greet\nf()";
    std::fs::write(&file, source).unwrap();
    let chunk = std::ffi::CString::new(format!("@{}", file.display())).unwrap();
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Trace);
        lab.run_as(&chunk, source).unwrap();
        assert_eq!(outline(&lab.recorder), ["main chunk", "  M.greet"]);
        let symbol = lab.recorder.records().iter().find_map(|record| match record {
            Record::Enter { symbol, .. } => Some(lab.recorder.symbol(*symbol)),
            _ => None,
        });
        assert_eq!(&*symbol.unwrap().resource, "service");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_depth_changes_while_lua_runs() {
    unsafe extern "C-unwind" fn stop(_: *mut tickscope_hooks::lua::lua_State) -> std::ffi::c_int {
        super::lab().unwrap().depth.set(Depth::Boundary);
        0
    }
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Boundary);
        lab.set_global(c"stop", stop);
        lab.run("local function before() end before()").unwrap();
        let records = lab.recorder.records();
        assert!(records.iter().all(|record| matches!(record, Record::Counter { .. })), "{records:?}");
        lab.depth.set(Depth::Trace);
        lab.run(
            "local function during() stop() return 1 end local function after() end
            coroutine.wrap(function() during() coroutine.yield() end)() after()",
        )
        .unwrap();
        let names: Vec<String> = outline(&lab.recorder).iter().map(|line| line.trim().to_owned()).collect();
        assert!(names.contains(&"during".into()) && !names.contains(&"after".into()), "{names:?}");
        // SAFETY: a live machine that does not run.
        assert!(unsafe { (raw.api.lua_gethook)(lab.state) }.is_none(), "the hook is gone");
    }
}

#[test]
fn a_missing_function_is_named() {
    let missing = |name: &str| (name != "lua_next").then_some(check as *const ());
    // SAFETY: no function is called.
    let error = unsafe { LuaApi::resolve(Version::Lua53, &mut |name| missing(name)) }.err().unwrap();
    assert_eq!(error.to_string(), "Lua 5.3 without lua_next: it cannot be traced");
}

#[test]
fn a_library_of_another_version_is_refused() {
    for (real, said) in [
        (Version::Lua53, Version::Lua54),
        (Version::Lua54, Version::Lua53),
        (Version::Lua52, Version::Lua54),
        (Version::Lua51, Version::Lua54),
    ] {
        let Some(mut raw) = raw(real) else { continue };
        raw.api.version = said;
        // SAFETY: what is read by wrong offsets is read by the system first.
        let error = unsafe { tickscope_hooks::lua::ForeignLua::<Memory>::new(&raw.api) }.err().unwrap();
        assert!(error.to_string().contains("lua_Debug"), "{error}");
    }
}

#[test]
fn what_an_exception_passed_is_over_with_the_outermost_call() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Sample);
        // SAFETY: a live machine of this thread; the threads made in it stay on its stack.
        unsafe {
            lab.tracer().enter(lab.state, None);
            for _ in 0..2 {
                let inner = newthread(lab.state);
                lab.tracer().enter(inner, None);
            }
            // A C++ exception leaves all three, and only the end of the outermost is told.
            lab.tracer().leave_to_program(lab.state, SwitchReason::Return);
        }
        assert_eq!(lab.recorder.resumed(), 1, "{}", raw.api.version);
        lab.tracer().leave_all(SwitchReason::Error);
        assert_eq!(lab.recorder.resumed(), 0, "{}", raw.api.version);
        assert_eq!(lab.run("return 'on'").as_deref(), Ok("on"));
        assert_eq!(lab.recorder.resumed(), 0, "{}", raw.api.version);
    }
}
