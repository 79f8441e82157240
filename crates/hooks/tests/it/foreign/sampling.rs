//! Samples of foreign machines, and signals that stay out of what is not Lua.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use tickscope_core::Depth;
use tickscope_hooks::lua::{lua_State, step_in, step_out};

use super::{Foreign, VERSIONS, raw};
use crate::memory::{Memory, Record};

const SPLIT: &str = "
local function spin(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end
local function hot() return (spin(85000)) end
local function warm() return (spin(15000)) end
local body = coroutine.wrap(function() while true do warm() coroutine.yield() end end)
for i = 1, 700 do hot() body() end";

fn samples(recorder: &Memory, name: &str) -> usize {
    let records = recorder.records();
    let stacks = records.iter().filter_map(|record| match record {
        Record::Stack { stack, .. } => Some(recorder.frames(*stack)),
        _ => None,
    });
    stacks.filter(|frames| frames.iter().any(|frame| frame == name)).count()
}

#[test]
fn shares_of_work_are_found() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Sample);
        lab.run(SPLIT).unwrap();
        let of = |name| samples(&lab.recorder, name);
        let (hot, warm) = (of("hot"), of("warm"));
        let share = hot as f64 / (hot + warm) as f64;
        let version = raw.api.version;
        assert!(hot + warm > 100, "{version}: {} samples", hot + warm);
        assert!((0.75..0.95).contains(&share), "{version}: hot took 85 % of the work, not {share}");
    }
}

/// Waits in the system for a tenth of a second; whether it was left alone.
fn waits() -> bool {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // SAFETY: a valid time.
    unsafe { libc::nanosleep(&time, std::ptr::null_mut()) == 0 }
}

unsafe extern "C-unwind" fn wait_outside(_: *mut lua_State) -> c_int {
    let inside = step_out();
    assert!(inside && waits(), "no signal comes while it waits");
    step_in(inside);
    0
}

#[test]
fn no_signal_reaches_a_thread_outside_lua() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Sample);
        lab.set_global(c"wait", wait_outside);
        lab.run("for i = 1, 3e6 do end wait() for i = 1, 3e6 do end").unwrap();
        for _ in 0..300 {
            lab.run("for i = 1, 1e4 do end").unwrap();
            let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
            // SAFETY: a valid time.
            assert_eq!(unsafe { libc::nanosleep(&time, std::ptr::null_mut()) }, 0, "interrupted");
        }
        assert!(samples(&lab.recorder, "main chunk") > 0);
    }
}

#[test]
fn the_childs_ticker_is_its_own() {
    let Some(raw) = VERSIONS.into_iter().find_map(raw) else { return };
    let lab = Foreign::new(raw, Depth::Sample);
    lab.run("for i = 1, 3e6 do end").unwrap();
    // SAFETY: the child runs Lua, counts, and leaves at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        tickscope_hooks::lua::after_fork();
        let before = samples(&lab.recorder, "main chunk");
        let start = Instant::now();
        while samples(&lab.recorder, "main chunk") == before && start.elapsed() < Duration::from_secs(10) {
            lab.run("for i = 1, 1e6 do end").unwrap();
        }
        let found = samples(&lab.recorder, "main chunk") > before;
        // SAFETY: ends the child without what the parent's copy would clean up.
        unsafe { libc::_exit(i32::from(!found)) };
    }
    let mut status = 0;
    // SAFETY: our child.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child was sampled");
}
