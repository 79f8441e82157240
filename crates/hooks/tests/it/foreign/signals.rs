//! Signals at any instruction: ours between two of the program's steps, and the program's own.

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, transmute};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{ptr, thread};

use tickscope_core::Depth;
use tickscope_hooks::lua::{Version, lua_Debug, lua_Hook, lua_State};

use super::{Foreign, Setting, VERSIONS, library, original, plain, raw, sethook};
use crate::memory::Record;

/// Whether this is a process that has been begun for the test of that name; else begins it. Handlers of signals are
/// everybody's, and so is the ticker, which goes at the rate of who was first.
fn alone(test: &str) -> bool {
    const CHILD: &str = "TICKSCOPE_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", &format!("foreign::signals::{test}")]).env(CHILD, "1");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}\n{errors}", output.status);
    errors.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| eprintln!("{line}"));
    false
}

#[test]
fn samples_at_any_instruction_change_no_event() {
    if !alone("samples_at_any_instruction_change_no_event") {
        return;
    }
    // Calls, returns and errors one after the other: most samples come where one function gives way to another.
    const WORK: &str = "
    local seen = 0
    local function hook(event, line) seen = (seen * 31 + (line or 0) + #event) % 1e9 end
    local function leaf(n)
        return n
    end
    local function work(n)
        for i = 1, n do
            leaf(leaf(i))
            pcall(error)
        end
    end";
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let mut samples = 0;
        for hook in ["'l'", "'crl'", "'l', 7", "'', 3", "'cr', 5"] {
            let source =
                format!("{WORK} debug.sethook(hook, {hook}) work(20000) debug.sethook() return seen");
            let expected = plain(raw, &[], &[(c"=test", &source)]).unwrap();
            let lab = Foreign::new(raw, Setting { hz: 50_000, ..Depth::Sample.into() });
            assert_eq!(lab.run(&source), Ok(expected), "{} with {hook}", raw.api.version);
            let records = lab.recorder.records();
            samples += records.iter().filter(|record| matches!(record, Record::Stack { .. })).count();
        }
        assert!(samples > 0, "{}", raw.api.version);
    }
}

#[test]
fn what_a_program_asks_of_its_hook_is_one_answer() {
    if !alone("what_a_program_asks_of_its_hook_is_one_answer") {
        return;
    }
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Setting { hz: 50_000, ..Depth::Sample.into() });
        let mixed = lab.run(
            "local function hook() end
            local mixed = 0
            debug.sethook(hook, 'r', 0)
            for i = 1, 1e6 do
                local standing, mask, count = debug.gethook()
                if standing ~= hook or mask ~= 'r' or count ~= 0 then mixed = mixed + 1 end
            end
            debug.sethook()
            return mixed",
        );
        assert_eq!(mixed.as_deref(), Ok("0"), "{}", raw.api.version);
    }
}

/// `wait(x, y)`: works for a while and yields nothing, as a C function does that waits for a socket.
unsafe extern "C-unwind" fn wait(state: *mut lua_State) -> c_int {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(20) {}
    let version = original().api.version;
    let name = if version == Version::Lua51 { c"lua_yield" } else { c"lua_yieldk" };
    // SAFETY: the function of that name, which ignores what its version does not take.
    unsafe {
        let function = libc::dlsym(library(version).unwrap(), name.as_ptr());
        type Yield = unsafe extern "C-unwind" fn(*mut lua_State, c_int, isize, usize) -> c_int;
        transmute::<*mut c_void, Yield>(function)(state, 0, 0, 0)
    }
}

#[test]
fn a_c_function_that_yields_less_than_it_has_is_sampled() {
    if !alone("a_c_function_that_yields_less_than_it_has_is_sampled") {
        return;
    }
    for raw in VERSIONS.into_iter().filter_map(raw) {
        let lab = Foreign::new(raw, Setting { hz: 10_000, ..Depth::Sample.into() });
        lab.set_global(c"wait", wait);
        let rounds = lab.run(
            "local n = 0
            local waits = coroutine.wrap(function() while true do wait(n, n + 0.5) n = n + 1 end end)
            for i = 1, 5000 do waits() end
            return tostring(n)",
        );
        assert_eq!(rounds.as_deref(), Ok("4999"), "{}", raw.api.version);
        let records = lab.recorder.records();
        let stacks = records.iter().filter_map(|record| match record {
            Record::Stack { stack, .. } => Some(lab.recorder.frames(*stack)),
            _ => None,
        });
        let found = stacks.filter(|frames| frames.iter().any(|frame| frame == "wait")).count();
        assert!(found > 0, "{}: no sample shows it", raw.api.version);
    }
}

/// The machine at work, and how often the program's handler set a hook, it was called, and the program looked.
static STATE: AtomicPtr<lua_State> = AtomicPtr::new(ptr::null_mut());
static SET: AtomicU32 = AtomicU32::new(0);
static CALLED: AtomicU32 = AtomicU32::new(0);
static LOOKS: AtomicU32 = AtomicU32::new(0);
static ENOUGH: AtomicBool = AtomicBool::new(false);

unsafe extern "C-unwind" fn stop_hook(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua's own.
    unsafe { sethook(state, None, 0, 0) };
    CALLED.store(SET.load(SeqCst), SeqCst);
}

/// What stops scripts in `lua` itself and in many a server: `lua_sethook` is there to be called by handlers.
unsafe extern "C" fn stop(_: c_int) {
    // SAFETY: set while it is at work on the thread that the signal is sent to.
    unsafe { sethook(STATE.load(SeqCst), Some(stop_hook as lua_Hook), 1 | 2 | 8, 1) };
    LOOKS.store(0, SeqCst);
    SET.fetch_add(1, SeqCst);
}

unsafe extern "C-unwind" fn look(_: *mut lua_State) -> c_int {
    LOOKS.fetch_add(1, SeqCst);
    i32::from(ENOUGH.load(SeqCst))
}

#[test]
fn a_hook_that_the_programs_handler_sets_is_called() {
    if !alone("a_hook_that_the_programs_handler_sets_is_called") {
        return;
    }
    // SAFETY: a handler that nobody else in this program has; all-zero is a valid `sigaction`.
    unsafe {
        let mut theirs: libc::sigaction = MaybeUninit::zeroed().assume_init();
        theirs.sa_sigaction = stop as *const () as usize;
        theirs.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR1, &theirs, ptr::null_mut());
    }
    for raw in VERSIONS.into_iter().filter_map(raw) {
        for depth in [Depth::Boundary, Depth::Sample] {
            let lab = Foreign::new(raw, Setting { hz: 20_000, ..depth.into() });
            lab.set_global(c"look", look);
            STATE.store(lab.state, SeqCst);
            ENOUGH.store(false, SeqCst);
            // SAFETY: no arguments.
            let worker = unsafe { libc::pthread_self() } as usize;
            let sender = thread::spawn(move || {
                let mut lost = 0;
                for _ in 0..300 {
                    let sets = SET.load(SeqCst);
                    // SAFETY: it waits for this thread.
                    unsafe { libc::pthread_kill(worker as libc::pthread_t, libc::SIGUSR1) };
                    while SET.load(SeqCst) == sets {
                        thread::yield_now();
                    }
                    while CALLED.load(SeqCst) != SET.load(SeqCst) && LOOKS.load(SeqCst) < 3 {
                        thread::yield_now();
                    }
                    lost += u32::from(CALLED.load(SeqCst) != SET.load(SeqCst));
                }
                ENOUGH.store(true, SeqCst);
                lost
            });
            let ran = lab.run(
                "local co = coroutine.wrap(function() while true do coroutine.yield() end end)
                repeat for i = 1, 100 do co() end until select('#', look()) > 0",
            );
            assert!(ran.is_ok(), "{ran:?}");
            assert_eq!(sender.join().unwrap(), 0, "{} at {}: lost", raw.api.version, depth.name());
        }
    }
}

static URGENT: AtomicU32 = AtomicU32::new(0);

/// Counts itself when what it asked for is blocked, and nothing else.
unsafe extern "C" fn urgent(_: c_int) {
    // SAFETY: a valid place for the answer, and a valid set.
    let blocked = unsafe {
        let mut mask: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut mask);
        [libc::SIGURG, libc::SIGUSR1, libc::SIGTERM].map(|signal| libc::sigismember(&mask, signal))
    };
    if blocked == [1, 1, 0] {
        URGENT.fetch_add(1, SeqCst);
    }
}

/// Go stops its threads so.
#[test]
fn the_programs_own_use_of_our_signal_reaches_it() {
    if !alone("the_programs_own_use_of_our_signal_reaches_it") {
        return;
    }
    // SAFETY: a handler that counts; all-zero is a valid `sigaction`.
    unsafe {
        let mut theirs: libc::sigaction = MaybeUninit::zeroed().assume_init();
        theirs.sa_sigaction = urgent as *const () as usize;
        theirs.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaddset(&mut theirs.sa_mask, libc::SIGUSR1);
        libc::sigaction(libc::SIGURG, &theirs, ptr::null_mut());
    }
    let reaches = || {
        let before = URGENT.load(SeqCst);
        // SAFETY: numbers only.
        unsafe {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), libc::SIGURG)
        };
        URGENT.load(SeqCst) - before
    };
    for raw in VERSIONS.into_iter().filter_map(raw) {
        for depth in Depth::ALL {
            let lab = Foreign::new(raw, depth);
            lab.run("local x = 1").unwrap();
            assert_eq!(reaches(), 1, "{} at {}", raw.api.version, depth.name());
            let elsewhere = thread::scope(|scope| scope.spawn(reaches).join().unwrap());
            assert_eq!(elsewhere, 1, "{} at {}, without Lua", raw.api.version, depth.name());
        }
    }
}
