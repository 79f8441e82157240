//! Samples: what they stand for, and the stacks they show.

use tickscope_core::{Depth, SymbolRef};
use tickscope_hooks::lua::TracerOptions;

use crate::lab::Lab;
use crate::memory::Record;

const SPLIT: &str = "
local function spin(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end
local function hot() return (spin(85000)) end
local function warm() return (spin(15000)) end
local body = coroutine.wrap(function() while true do warm() coroutine.yield() end end)
for i = 1, 1500 do hot() body() end";

/// How many samples have `name` anywhere in their stack.
fn samples(lab: &Lab, name: &str) -> usize {
    let records = lab.recorder.records();
    let stacks = records.iter().filter_map(|record| match record {
        Record::Stack { stack, .. } => Some(lab.recorder.frames(*stack)),
        _ => None,
    });
    stacks.filter(|frames| frames.iter().any(|frame| frame == name)).count()
}

/// Time that samples stand for.
fn time(lab: &Lab) -> u64 {
    let elapsed = |record: &Record| if let Record::Stack { elapsed, .. } = record { *elapsed } else { 0 };
    lab.recorder.records().iter().map(elapsed).sum()
}

#[test]
fn shares_of_work_are_found() {
    let lab = Lab::new(Depth::Sample);
    lab.run(SPLIT).unwrap();
    let (hot, warm, all) = (samples(&lab, "hot"), samples(&lab, "warm"), samples(&lab, "main chunk"));
    // Counts, not weights: a thread that is put aside while it runs gives one sample of a large weight.
    let share = hot as f64 / all as f64;
    assert!(all > 100, "{all} samples");
    assert!((0.75..0.95).contains(&share), "hot took 85 % of the work, not {share}");
    assert!((hot + warm) as f64 > all as f64 * 0.95, "all work is in one of the two");
    assert!(time(&lab) > all as u64 * 500_000, "a sample stands for about a millisecond or more");
}

#[test]
fn a_stack_goes_through_every_context() {
    let lab = Lab::new(Depth::Sample);
    let boundary = lab.intern("event chat");
    let source = "
local function deep(n) if n > 0 then return (deep(n - 1)) end SNAPSHOT() end
local function body() deep(1) end
local function outer() coroutine.wrap(body)() end
outer()";
    lab.with_snapshot(boundary, source);
    let records = lab.recorder.records();
    let stack = records.iter().find_map(|record| match record {
        Record::Stack { stack, elapsed: 0, bytes: 0, .. } => Some(*stack),
        _ => None,
    });
    let frames = lab.recorder.frames(stack.unwrap());
    let expected =
        ["event chat", "main chunk", "outer", "coroutine.wrap (resume)", "body", "deep", "deep", "SNAPSHOT"];
    assert_eq!(frames, expected);
}

#[test]
fn a_coroutine_that_goes_on_shows_all_its_calls() {
    let lab = Lab::new(Depth::Boundary);
    let source = "
local function inner() coroutine.yield() SNAPSHOT() end
local co = coroutine.wrap(function() inner() end)
co() co()";
    lab.with_snapshot(lab.intern("b"), source);
    let stack = lab.recorder.records().iter().find_map(|record| match record {
        Record::Stack { stack, .. } => Some(*stack),
        _ => None,
    });
    let frames = lab.recorder.frames(stack.unwrap());
    assert_eq!(
        frames,
        ["b", "main chunk", "coroutine.wrap (resume)", "function <test:3>", "inner", "SNAPSHOT"]
    );
}

#[test]
fn deep_stacks_are_cut() {
    let lab = Lab::new(Depth::Boundary);
    let boundary = lab.intern("b");
    lab.with_snapshot(
        boundary,
        "local function deep(n) if n > 0 then return (deep(n - 1)) end SNAPSHOT() end deep(1000)",
    );
    let stack = lab.recorder.records().iter().find_map(|record| match record {
        Record::Stack { stack, .. } => Some(*stack),
        _ => None,
    });
    let frames = lab.recorder.frames(stack.unwrap());
    assert_eq!(frames.len(), 1 + 1 + 256);
    assert_eq!((&*frames[1], &*frames[257]), ("…", "SNAPSHOT"));
}

#[test]
fn the_rate_can_be_chosen_and_changed_with_the_depth() {
    let options = TracerOptions { sample_hz: 4000, ..TracerOptions::default() };
    let lab = Lab::with(options, None);
    lab.run("local start = os.clock() while os.clock() - start < 0.2 do end").unwrap();
    let count = |lab: &Lab| {
        lab.recorder.records().iter().filter(|record| matches!(record, Record::Stack { .. })).count()
    };
    let sampled = count(&lab);
    assert!(sampled > 20, "{sampled} samples");
    lab.tracer.set_depth(Depth::Boundary).unwrap();
    lab.run("for i = 1, 1e6 do end").unwrap();
    assert_eq!(count(&lab), sampled);
}

#[test]
fn threads_are_sampled_each_by_itself() {
    let run = || {
        let lab = Lab::new(Depth::Sample);
        lab.run("local start = os.clock() while os.clock() - start < 0.5 do end").unwrap();
        time(&lab)
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        for thread in threads {
            assert!(thread.join().unwrap() > 50_000_000);
        }
    });
}

impl Lab {
    fn intern(&self, name: &'static str) -> tickscope_core::SymbolId {
        tickscope_core::Recorder::intern_symbol(&self.recorder, SymbolRef::host(name))
    }
}

/// Whether a signal ends a sleep of a tenth of a second.
fn is_woken() -> bool {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // SAFETY: a valid time, and nobody asks for the rest.
    unsafe { libc::nanosleep(&time, std::ptr::null_mut()) != 0 }
}

#[test]
fn a_host_that_sleeps_is_left_alone() {
    let lab = Lab::new(Depth::Sample);
    assert!(is_woken(), "the timer runs");
    assert!(!lab.tracer.unsampled(is_woken));
    assert!(is_woken(), "it goes on");
    lab.tracer.set_depth(Depth::Boundary).unwrap();
    assert!(!lab.tracer.unsampled(is_woken) && !is_woken(), "there is none at other depths");
}
