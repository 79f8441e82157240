//! What machines of a foreign program allocate, with the program's own allocators.

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use tickscope_core::{CounterValue, Depth, SwitchReason};
use tickscope_hooks::lua::{lua_Alloc, lua_State};

use super::{Foreign, Raw, VERSIONS, plain, raw};
use crate::memory::Record;

/// Whether meters are private is the process's affair: tests that depend on it come one after the other.
static PRIVATE: Mutex<()> = Mutex::new(());

fn bytes_of(lab: &Foreign, function: &str) -> u64 {
    let records = lab.recorder.records();
    let of = |record: &Record| match record {
        Record::Exit { symbol, bytes, .. } if lab.recorder.name(*symbol) == function => {
            Some(u64::from(*bytes))
        }
        _ => None,
    };
    records.iter().filter_map(of).sum()
}

/// The allocator that stands in a machine, past all detours.
unsafe fn standing(raw: &Raw, state: *mut lua_State) -> (usize, *mut c_void) {
    let mut data = ptr::null_mut();
    // SAFETY: passed on to the caller.
    let function = unsafe { (raw.api.lua_getallocf)(state, &mut data) };
    (function.map_or(0, |function| function as usize), data)
}

/// As standard Lua's, with a limit on a single block; counts its calls.
struct Own {
    calls: u64,
    limit: usize,
}

unsafe extern "C" fn own(data: *mut c_void, block: *mut c_void, _: usize, new: usize) -> *mut c_void {
    // SAFETY: called by Lua with the data it was set with and a block from here or from the C library.
    unsafe {
        let own = &mut *data.cast::<Own>();
        own.calls += 1;
        if new == 0 {
            libc::free(block);
            return ptr::null_mut();
        }
        if new > own.limit { ptr::null_mut() } else { libc::realloc(block, new) }
    }
}

/// `take` grows the heap by what `collectgarbage` says, while nothing is collected.
const TAKE: &str = "local function take()
    local t = {}
    for i = 1, 100 do t[i] = ('x'):rep(1000 + i) end
    return t
end
local function idle() return 1 end
collectgarbage() collectgarbage('stop')
local before = collectgarbage('count')
local kept = take()
local grown = (collectgarbage('count') - before) * 1024
for i = 1, 100 do idle() end
collectgarbage('restart')
return string.format('%d', grown)";

#[test]
fn bytes_of_a_function_are_those_by_which_the_heap_grew() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Trace);
        let grown: u64 = lab.run(TAKE).unwrap().parse().unwrap();
        let taken = bytes_of(&lab, "take");
        println!("{}: {taken} bytes where the heap grew by {grown}", raw.api.version);
        // Blocks that made room for larger ones are in one figure only, the stack that made room for the call in the other.
        assert!((100_000..200_000).contains(&taken), "{}: {taken}", raw.api.version);
        assert!(
            grown <= taken + 1_000 && taken <= grown + grown / 10,
            "{}: {taken}, {grown}",
            raw.api.version
        );
        assert_eq!(bytes_of(&lab, "idle"), 0);
        assert!(lab.tracer().allocated() >= taken);
    }
}

#[test]
fn a_program_sees_its_own_allocator_and_sets_it() {
    let _private = PRIVATE.lock().unwrap_or_else(PoisonError::into_inner);
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let refused =
            "local ok, e = pcall(string.rep, 'x', 2000000) return tostring(ok) .. ' ' .. tostring(e)";
        let mut limited = Own { calls: 0, limit: 1 << 20 };
        let lab = Foreign::new(raw, Depth::Sample);
        // SAFETY: a live machine; `limited` outlives it.
        unsafe {
            let fresh = (raw.newstate)();
            let (default, _) = standing(&raw, fresh);
            (raw.api.lua_close)(fresh);
            lab.run("return 1").unwrap();
            let mut data = ptr::null_mut();
            let seen =
                |data: &mut *mut c_void| lab.lua.getallocf(lab.state, data).map_or(0, |own| own as usize);
            assert_eq!(seen(&mut data), default);
            let (ours, meter) = standing(&raw, lab.state);
            assert_ne!(ours, default);

            lab.lua.setallocf(lab.state, own, (&raw mut limited).cast());
            assert_eq!((seen(&mut data), data), (own as *const () as usize, (&raw mut limited).cast()));
            assert_eq!(standing(&raw, lab.state), (ours, meter));
            assert!(lab.run(refused).unwrap().starts_with("false not enough memory"));
            assert_eq!(lab.run("return ('x'):rep(10)").as_deref(), Ok("xxxxxxxxxx"));
            assert!(limited.calls > 0);
            drop(lab);
        }
        // What was refused is not counted.
        let mut limited = Own { calls: 0, limit: 1 << 20 };
        let lab = Foreign::new(raw, Depth::Trace);
        // SAFETY: as above; blocks that no machine knows of.
        unsafe {
            lab.lua.setallocf(lab.state, own, (&raw mut limited).cast());
            lab.tracer().enter(lab.state, None);
            let (ours, meter) = standing(&raw, lab.state);
            let ours = std::mem::transmute::<usize, lua_Alloc>(ours);
            let before = lab.tracer().allocated();
            assert!(ours(meter, ptr::null_mut(), 4, 2 << 20).is_null());
            assert_eq!(lab.tracer().allocated(), before);
            let block = ours(meter, ptr::null_mut(), 4, 1_000);
            let block = ours(meter, block, 1_000, 3_000);
            let block = ours(meter, block, 3_000, 500);
            assert_eq!(lab.tracer().allocated(), before + 3_000);
            assert!(ours(meter, block, 500, 0).is_null());
            lab.tracer().leave_to_program(lab.state, SwitchReason::Return);
            assert_eq!(lab.tracer().allocated(), before + 3_000);
        }
        drop(lab);
        assert_eq!(plain(raw, &[], &[(c"=test", "return 1")]).as_deref(), Ok("1"), "without a lab");
    }
}

#[test]
fn what_bookkeeping_machines_need_serves_the_next() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Depth::Boundary);
        let mut meters = HashSet::new();
        // SAFETY: machines of this thread, each closed once and used by nobody else.
        unsafe {
            for _ in 0..2_500 {
                let states: Vec<_> = (0..4).map(|_| (raw.newstate)()).collect();
                for state in &states {
                    lab.lua.new_state(*state);
                    lab.tracer().enter(*state, None);
                    (raw.api.lua_pushlstring)(*state, c"some words".as_ptr(), 10);
                    lab.tracer().leave_to_program(*state, SwitchReason::Return);
                    meters.insert(standing(&raw, *state));
                }
                for state in states {
                    lab.tracer().closed(state);
                    let closing = lab.lua.closing(state);
                    (raw.api.lua_close)(state);
                    closing.closed();
                }
            }
        }
        // Tests that run beside this one take some meanwhile.
        assert!(meters.len() < 100, "{} machines, {} meters", 10_000, meters.len());
    }
}

#[test]
fn a_machine_that_others_may_have_the_allocator_of_is_left_alone() {
    let _private = PRIVATE.lock().unwrap_or_else(PoisonError::into_inner);
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let mut limited = Own { calls: 0, limit: usize::MAX };
        let lab = Foreign::new(raw, Depth::Trace);
        lab.run("return 1").unwrap();
        // SAFETY: as above. The second machine gets what stands in the first, as it might when the detours are out.
        unsafe {
            let (ours, meter) = standing(&raw, lab.state);
            let ours = std::mem::transmute::<usize, lua_Alloc>(ours);
            tickscope_hooks::lua::leave_meters();
            let second = (raw.api.lua_newstate)(ours, meter);
            lab.lua.new_state(second);
            // Set for one of them only.
            lab.lua.setallocf(lab.state, own, (&raw mut limited).cast());
            lab.run("return ('x'):rep(5000)").unwrap();
            let calls = limited.calls;
            assert!(calls > 0);
            (raw.api.lua_pushlstring)(second, [b'x'; 5000].as_ptr().cast(), 5000);
            assert_eq!(limited.calls, calls);
            let closing = lab.lua.closing(second);
            (raw.api.lua_close)(second);
            closing.closed();
            lab.run("return 2").unwrap();
            assert_ne!(standing(&raw, lab.state).1, meter);
        }
    }
}

#[test]
fn collections_and_the_heap_are_recorded() {
    for raw in VERSIONS.into_iter().filter_map(raw) {
        for depth in [Depth::Boundary, Depth::Trace] {
            let lab = Foreign::new(raw, depth);
            lab.run("kept = {} for i = 1, 20000 do kept[i] = {} end collectgarbage()").unwrap();
            let count = |name: &str| {
                let records = lab.recorder.records();
                let is = |record: &&Record| match record {
                    Record::Enter { symbol, .. } => lab.recorder.name(*symbol) == name,
                    _ => false,
                };
                records.iter().filter(is).count()
            };
            assert_eq!(count("collect (measured)"), 1, "{}", raw.api.version);
            assert_eq!(count("collect (inferred)"), 0, "{}", raw.api.version);
            lab.run("kept = nil for i = 1, 200000 do local t = {} end").unwrap();
            assert!(count("collect (inferred)") > 0, "{}", raw.api.version);
            let heaps: Vec<i64> = lab
                .recorder
                .records()
                .iter()
                .filter_map(|record| match record {
                    Record::Counter { symbol, value: CounterValue::Int(bytes), .. } => {
                        assert!(lab.recorder.name(*symbol).starts_with("lua.heap_bytes"));
                        Some(*bytes)
                    }
                    _ => None,
                })
                .collect();
            assert!(heaps.iter().any(|bytes| *bytes > 20_000 * 40), "{}: {heaps:?}", raw.api.version);
            assert_eq!(lab.recorder.open(), 0);
        }
    }
}
