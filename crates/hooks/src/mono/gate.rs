//! Where Mono's sampling signal is let through to Mono.
//!
//! Mono's handler ends the process (an assertion of `mono-threads.c`) when it interrupts the runtime while that looks at
//! another thread's stack: to abort it, to unload its domain, or at the end of the program. And its walk allocates when it
//! meets a method that was compiled ahead of time and is new to it (6.8: `mono_aot_find_jit_info`), so a thread that was
//! interrupted inside the allocator waits for itself. Both are excluded where the thread stands in neither the runtime, nor
//! an allocator, nor the profiler: the first signal finds the number, and from then on a handler before Mono's looks where the
//! thread stands.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{
    AtomicI32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::process::modules::{self, Module};

/// Where Mono's code lies, the C library's, that of an allocator loaded before it, and the profiler's own.
pub(super) struct Closed([Range<usize>; 4]);

impl Closed {
    /// `mono` is the address of a function of Mono's.
    pub(super) fn find(mono: usize) -> Self {
        let modules = modules::loaded(ptr::null());
        let around = |address: usize| {
            modules.iter().find(|module| module.has_code(address)).map_or(0..0, Module::range)
        };
        Self([
            around(mono),
            modules::c_library(&modules).map_or(0..0, Module::range),
            around(libc::malloc as *const () as usize),
            around(Self::find as *const () as usize),
        ])
    }

    /// Whether a thread that stands at `ip` is not to be looked at. Compares numbers.
    pub(super) fn contains(&self, ip: usize) -> bool {
        self.0.iter().any(|range| range.contains(&ip))
    }
}

/// Mono's handler; 0 until there is a gate.
static BEHIND: AtomicUsize = AtomicUsize::new(0);
/// Mono's signal, from then on.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

pub(super) type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Whether a gate stands.
pub(super) fn stands() -> bool {
    BEHIND.load(Relaxed) != 0
}

/// Puts `gate` before Mono's handler, which is running, with the context that the kernel gave to it. False when it does not
/// look as expected. Async-signal-safe.
pub(super) fn build(gate: Handler, context: *const c_void, closed: &Closed) -> bool {
    let Some(signal) = running(context) else { return false };
    // SAFETY: all-zero is a valid `sigaction`; valid places for question and answer; async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        if libc::sigaction(signal, ptr::null(), &mut action) != 0
            || action.sa_flags & libc::SA_SIGINFO == 0
            || !closed.0[0].contains(&action.sa_sigaction)
        {
            return false;
        }
        // Another thread may be as far; the handler of both is Mono's.
        if BEHIND.compare_exchange(0, action.sa_sigaction, AcqRel, Relaxed).is_err() {
            return true;
        }
        SIGNAL.store(signal, Relaxed);
        action.sa_sigaction = gate as *const () as usize;
        libc::sigaction(signal, &action, ptr::null_mut()) == 0
    }
}

/// The one signal that is blocked now and was not before: the one that is handled.
fn running(context: *const c_void) -> Option<c_int> {
    // SAFETY: the context of a handler under way; a valid place for the answer; async-signal-safe.
    let (now, before) = unsafe {
        let mut now: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut now);
        (now, (*context.cast::<libc::ucontext_t>()).uc_sigmask)
    };
    // SAFETY: valid sets, of which the kernel fills in the numbers to 64.
    let mut new = (1..=64).filter(|signal| unsafe {
        libc::sigismember(&now, *signal) == 1 && libc::sigismember(&before, *signal) != 1
    });
    let signal = new.next()?;
    new.next().is_none().then_some(signal)
}

/// Sends Mono's signal to a thread of this process.
pub(super) fn send(thread: i32) {
    let signal = SIGNAL.load(Relaxed);
    if signal != 0 {
        // SAFETY: plain numbers; the signal has a handler, and stays without effect when the thread has ended.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
    }
}

/// Where the thread stood.
///
/// # Safety
/// `context` is a handler's.
pub(super) unsafe fn interrupted(context: *const c_void) -> usize {
    // SAFETY: the kernel's description of the interrupted thread.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    registers.gregs[libc::REG_RIP as usize] as usize
}

/// Mono's handler.
///
/// # Safety
/// The arguments are those of a handler of Mono's signal.
pub(super) unsafe fn pass(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let behind = BEHIND.load(Acquire);
    if behind != 0 {
        // SAFETY: what `build` found, which Mono never takes away.
        unsafe { std::mem::transmute::<usize, Handler>(behind)(signal, info, context) };
    }
}
