//! A program's own hooks beside ours: the same events as without a tracer.

use mlua::Lua;
use tickscope_core::Depth;

use crate::lab::Lab;
use crate::memory::Record;

/// What a program sees with and without a tracer, at each depth.
#[track_caller]
fn check(source: &str) {
    // SAFETY: the library `debug` is what is tested.
    let lua = unsafe { Lua::unsafe_new() };
    let expected: String = lua.load(source).set_name("=test").call(()).unwrap();
    for depth in Depth::ALL {
        let lab = Lab::new(depth);
        assert_eq!(lab.run(source).as_deref(), Ok(&*expected), "at depth {}", depth.name());
    }
    assert!(!expected.is_empty());
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
fn line_events() {
    check(&format!("{LOG} debug.sethook(hook, 'l') work() debug.sethook() return table.concat(log, '\\n')"));
}

#[test]
fn count_events() {
    check(&format!(
        "{LOG} debug.sethook(hook, '', 5) work() work() debug.sethook() return table.concat(log, '\\n')"
    ));
}

#[test]
fn a_long_count_is_not_disturbed_by_samples() {
    check(
        "local n = 0
        debug.sethook(function() n = n + 1 end, '', 100000)
        local x = 0 for i = 1, 20000000 do x = x + 1 end
        debug.sethook()
        return tostring(n)",
    );
}

#[test]
fn everything_at_once_across_coroutines() {
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
fn gethook_tells_what_was_set() {
    check(
        "local out = {}
        local function f() end
        local function show(...)
            local h, mask, count = debug.gethook(...)
            out[#out + 1] = tostring(h == f) .. ' ' .. tostring(h) :sub(1, 3) .. ' ' .. tostring(mask) .. ' ' .. tostring(count)
        end
        show()
        debug.sethook(f, 'crl', 1000000) show()
        local co = coroutine.create(f) show(co)
        debug.sethook(f, 'l') show() show(co)
        debug.sethook(co, f, 'r') show(co)
        debug.sethook(f, '') show()
        debug.sethook() show()
        out[#out + 1] = select(2, pcall(debug.sethook, 1)) out[#out + 1] = select(2, pcall(debug.sethook, 1, 'c'))
        out[#out + 1] = select(2, pcall(debug.sethook, f, 'c', {}))
        return table.concat(out, '\\n')",
    );
}

#[test]
fn an_error_in_a_hook_is_the_programs() {
    check(
        "debug.sethook(function() debug.sethook() error('limit') end, '', 1000)
        return tostring(select(2, pcall(function() while true do end end)))",
    );
}

#[test]
fn what_a_hook_calls_is_not_recorded() {
    let lab = Lab::new(Depth::Trace);
    lab.run(
        "local function inside() end
        debug.sethook(function() inside() end, 'c')
        local function outside() end
        outside()
        debug.sethook()",
    )
    .unwrap();
    let records = lab.recorder.records();
    let names: Vec<String> = records
        .iter()
        .filter_map(|record| match record {
            Record::Enter { symbol, .. } => Some(lab.recorder.name(*symbol)),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["main chunk", "debug.sethook", "outside", "debug.sethook"]);
}
