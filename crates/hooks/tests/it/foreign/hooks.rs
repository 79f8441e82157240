//! A foreign program's own hooks, set in Lua and in C: the same events as without us.

use std::cell::RefCell;
use std::ffi::{CStr, c_int};

use tickscope_core::Depth;
use tickscope_hooks::lua::{lua_CFunction, lua_Debug, lua_Hook, lua_State};

use super::{
    Foreign, VERSIONS, gethook, gethookcount, gethookmask, newthread, original, plain, raw, sethook,
};
use crate::memory::Record;

thread_local! {
    static EVENTS: RefCell<Vec<c_int>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C-unwind" fn count_hook(_: *mut lua_State, ar: *mut lua_Debug) {
    // SAFETY: Lua's own.
    EVENTS.with_borrow_mut(|events| events.push(unsafe { (*ar).event }));
}

/// `chook(mask, count)` sets a hook from C; `cthread()` makes a Lua thread and says what hook it has.
unsafe extern "C-unwind" fn chook(state: *mut lua_State) -> c_int {
    // SAFETY: a live state.
    unsafe {
        let on = (original().api.lua_type)(state, 1) != 0;
        sethook(state, on.then_some(count_hook as lua_Hook), if on { 1 | 2 | 8 } else { 0 }, 7);
    }
    0
}

unsafe extern "C-unwind" fn cthread(state: *mut lua_State) -> c_int {
    // SAFETY: a live state; what `lua_newthread` pushes stays below the answer.
    unsafe {
        let thread = newthread(state);
        let same = gethook(thread).map(|hook| hook as usize) == Some(count_hook as lua_Hook as usize);
        let text = format!("{same} {} {}\0", gethookmask(thread), gethookcount(thread));
        (original().api.lua_pushstring)(state, text.as_ptr().cast());
    }
    1
}

const FUNCTIONS: [(&CStr, lua_CFunction); 2] = [(c"chook", chook), (c"cthread", cthread)];

#[track_caller]
fn check(source: &str) {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        EVENTS.take();
        let expected = plain(raw, &FUNCTIONS, &[(c"=test", source)]).unwrap();
        let events = EVENTS.take();
        for depth in Depth::ALL {
            let lab = Foreign::new(raw, depth);
            for (name, function) in FUNCTIONS {
                lab.set_global(name, function);
            }
            assert_eq!(lab.run(source).as_deref(), Ok(&*expected), "{} at {}", raw.api.version, depth.name());
            assert_eq!(EVENTS.take(), events, "{} at {}", raw.api.version, depth.name());
        }
    }
}

const LOG: &str = "
local log = {}
local function hook(event, line)
    local info = debug.getinfo(2, 'nSl')
    log[#log + 1] = event .. ' ' .. tostring(line) .. ' ' .. tostring(info.name) .. ' ' .. info.what .. ' ' .. info.currentline
end
local function leaf(n) return n + 1 end
local function tail(n) return leaf(n) end
local function work()
    local x = 0
    for i = 1, 3 do
        x = x + tail(i)
    end
    pcall(error, 'x')
    return x
end
";

#[test]
fn call_and_return_events() {
    check(&format!("{LOG} debug.sethook(hook, 'cr') work() debug.sethook() return table.concat(log, '\\n')"));
}

#[test]
fn line_and_count_events() {
    check(&format!("{LOG} debug.sethook(hook, 'l') work() debug.sethook() return table.concat(log, '\\n')"));
    check(&format!(
        "{LOG} debug.sethook(hook, '', 5) work() work() debug.sethook() return table.concat(log, '\\n')"
    ));
}

#[test]
fn a_long_count_is_not_disturbed_by_samples() {
    check(
        "local n = 0
        debug.sethook(function() n = n + 1 end, '', 100000)
        local x = 0 for i = 1, 5000000 do x = x + 1 end
        debug.sethook()
        return tostring(n)",
    );
}

#[test]
fn across_coroutines() {
    check(&format!(
        "{LOG}
        debug.sethook(hook, 'crl', 7)
        local co = coroutine.create(function() work() coroutine.yield() work() end)
        coroutine.resume(co)
        debug.sethook(co, hook, 'c')
        coroutine.resume(co)
        debug.sethook()
        return table.concat(log, '\\n')"
    ));
}

#[test]
fn a_hook_handed_from_one_thread_to_another() {
    // What an XMPP server's scheduler does with every coroutine it makes.
    check(&format!(
        "{LOG}
        local co = coroutine.create(work)
        debug.sethook(co, debug.gethook())
        log[#log + 1] = tostring(debug.gethook(co))
        debug.sethook(hook, 'c', 100)
        local co2 = coroutine.create(work)
        debug.sethook(co2, debug.gethook())
        coroutine.resume(co) coroutine.resume(co2)
        local h, m, c = debug.gethook(co2)
        debug.sethook()
        log[#log + 1] = tostring(h == hook) .. m .. c .. tostring(debug.gethook())
        return table.concat(log, '\\n')"
    ));
}

#[test]
fn hooks_set_in_c() {
    check(
        "local function f() return 1 end
        local out = {}
        out[#out + 1] = cthread()
        chook(1) for i = 1, 20 do f() end
        out[#out + 1] = cthread()
        local co = coroutine.create(function() f() coroutine.yield() f() end)
        coroutine.resume(co) coroutine.resume(co)
        out[#out + 1] = tostring(debug.gethook())
        chook()
        out[#out + 1] = cthread()
        return table.concat(out, '\\n')",
    );
}

#[test]
fn an_instruction_limit_still_stops_a_loop() {
    check(
        "debug.sethook(function() debug.sethook() error('limit') end, '', 1000)
        return tostring(select(2, pcall(function() while true do end end)))",
    );
}

#[test]
fn a_hook_that_is_alone_stands_directly() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Trace);
        lab.set_global(c"chook", chook);
        lab.run("chook(1)").unwrap();
        lab.depth.set(Depth::Boundary);
        lab.run("local x = 1").unwrap();
        // SAFETY: a live machine that does not run.
        let stands = unsafe { (raw.api.lua_gethook)(lab.state) };
        assert_eq!(stands.map(|hook| hook as usize), Some(count_hook as lua_Hook as usize));
        assert!(lab.recorder.records().iter().any(|record| matches!(record, Record::Enter { .. })));
        EVENTS.take();
    }
}
