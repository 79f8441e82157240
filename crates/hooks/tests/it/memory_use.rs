//! Memory, collections, and names of functions whose memory is used again.

use mlua::ffi;
use tickscope_core::{CategoryId, Depth, Outcome, Recorder, SwitchReason, SymbolRef};
use tickscope_hooks::lua::TracerOptions;

use crate::lab::Lab;
use crate::memory::Record;

#[test]
fn counts_agree_with_lua() {
    let lab = Lab::new(Depth::Boundary);
    for _ in 0..20 {
        let said = lab.run("local t = {} for i = 1, 1000 do t[i] = ('x'):rep(i) .. i end return 1").unwrap();
        assert_eq!(said, "1");
        // SAFETY: a live machine that does not run.
        let lua = unsafe {
            ffi::lua_gc(lab.state, ffi::LUA_GCCOUNT) as u64 * 1024
                + ffi::lua_gc(lab.state, ffi::LUA_GCCOUNTB) as u64
        };
        let counts = lab.allocator.counts();
        assert_eq!(counts.live_bytes, lua);
        assert!(counts.peak_bytes >= lua);
        assert!(counts.allocated_bytes >= counts.live_bytes);
    }
    assert!(lab.tracer.allocated() > 0);
}

#[test]
fn the_limit_is_an_error_the_script_can_catch() {
    let lab = Lab::with(TracerOptions { depth: Depth::Boundary, ..TracerOptions::default() }, Some(4 << 20));
    let source = "local ok, e = pcall(string.rep, 'x', 1 << 23) return tostring(ok) .. ' ' .. tostring(e)";
    assert_eq!(lab.run(source).as_deref(), Ok("false not enough memory"));
    assert!(lab.allocator.counts().refused > 0);
    assert_eq!(lab.run("return 'alive'").as_deref(), Ok("alive"));
}

#[test]
fn bytes_go_to_who_allocates_while_running() {
    let lab = Lab::new(Depth::Trace);
    lab.run(
        "local function idle() coroutine.yield() end
        local co = coroutine.wrap(idle) co()
        local function eater() return ('x'):rep(100000) end
        local kept = eater()
        co()",
    )
    .unwrap();
    let bytes = |wanted: &str| {
        lab.recorder
            .records()
            .iter()
            .find_map(|record| match record {
                Record::Exit { symbol, bytes, .. } if lab.recorder.name(*symbol) == wanted => Some(*bytes),
                _ => None,
            })
            .unwrap()
    };
    assert!(bytes("eater") >= 100_000);
    assert!(bytes("idle") < 2_000, "what others allocate while it is suspended is not its own");
    assert!(bytes("main chunk") >= 100_000);
}

#[test]
fn fifteen_thousand_loaded_functions_keep_their_names() {
    for direct in [true, false] {
        let options = TracerOptions { depth: Depth::Trace, direct, ..TracerOptions::default() };
        check_loaded(&Lab::with(options, None));
    }
}

fn check_loaded(lab: &Lab) {
    lab.run(
        "for i = 1, 15000 do
            local f = load('return ' .. i, '=chunk' .. i)
            if f() ~= i then error('wrong') end
            if i % 500 == 0 then collectgarbage() end
        end",
    )
    .unwrap();
    let mut next = 1;
    for record in lab.recorder.records() {
        if let Record::Enter { symbol, category: CategoryId::FUNCTION, .. } = record {
            let symbol = lab.recorder.symbol(symbol);
            if symbol.file.starts_with("chunk") {
                assert_eq!(&*symbol.file, format!("chunk{next}"));
                next += 1;
            }
        }
    }
    assert_eq!(next, 15001);
}

/// A native called by a coroutine has the host call a function on the machine's main thread, as mlua does: what a hook
/// infers from that is not left when the native's span ends.
#[test]
fn bytes_of_a_span_are_those_of_the_coroutine_that_began_it() {
    let lab = Lab::new(Depth::Trace);
    let symbol = lab.recorder.intern_symbol(SymbolRef::host("native"));
    // SAFETY: a live machine that does not run; the thread is in its registry.
    unsafe {
        let thread = ffi::lua_newthread(lab.state);
        ffi::lua_rawsetp(lab.state, ffi::LUA_REGISTRYINDEX, thread.cast());
        lab.tracer.enter(thread.cast(), None);
        assert_eq!(ffi::luaL_loadstring(thread, c"coroutine.yield()".as_ptr()), 0);
        let mut results = 0;
        assert_eq!(ffi::lua_resume(thread, lab.state, 0, &raw mut results), ffi::LUA_YIELD);
        lab.tracer.leave(SwitchReason::Yield);
        lab.run("kept = ('x'):rep(10 << 20) function helper() return {} end").unwrap();
        lab.tracer.enter(thread.cast(), None);
        let span = lab.tracer.span(symbol, CategoryId::NATIVE, None, &[]);
        ffi::lua_getglobal(lab.state, c"helper".as_ptr());
        assert_eq!(ffi::lua_pcall(lab.state, 0, 0, 0), 0);
        lab.tracer.end_span(span, Outcome::Ok);
        lab.tracer.leave(SwitchReason::Return);
        ffi::lua_settop(lab.state, 0);
    }
    let bytes = lab.recorder.records().iter().find_map(|record| match record {
        Record::Exit { symbol: of, bytes, .. } if *of == symbol => Some(*bytes),
        _ => None,
    });
    assert!(bytes.is_some_and(|bytes| (50..10_000).contains(&bytes)), "{bytes:?}");
}

#[test]
fn collected_coroutines_are_forgotten() {
    let lab = Lab::new(Depth::Trace);
    lab.run(
        "for i = 1, 2000 do coroutine.wrap(function() coroutine.yield() end)() end
        collectgarbage() collectgarbage()",
    )
    .unwrap();
    assert!(lab.tracer.coroutines() < 50, "{} are remembered", lab.tracer.coroutines());
}

#[test]
fn collections_are_spans() {
    let lab = Lab::new(Depth::Boundary);
    lab.run(
        "local t = {} for i = 1, 100000 do t[i] = {} end t = nil
        collectgarbage()
        for i = 1, 300000 do local x = { {} } end
        pcall(collectgarbage, 'nonsense')
        collectgarbage('step')",
    )
    .unwrap();
    let names: Vec<String> = lab
        .recorder
        .records()
        .iter()
        .filter_map(|record| match record {
            Record::Enter { symbol, category: CategoryId::GC, .. } => Some(lab.recorder.name(*symbol)),
            _ => None,
        })
        .collect();
    assert_eq!(names.iter().filter(|name| *name == "collect (measured)").count(), 2);
    assert!(names.iter().any(|name| name == "collect (inferred)"));
    assert_eq!(lab.recorder.open(), 0);
}
