//! Timers and interrupts: a signal to the traced thread sets a one-shot hook on the coroutine at work.
//!
//! The signal handler touches atomics of its own thread and calls `lua_sethook`, which Lua's manual allows in
//! signal handlers. It never runs Lua, allocates or locks.
//!
//! A signal is ours if it is the timer's, if the ticker says that it sent one, or if it brings [`INTERRUPT`]. Any other is
//! passed on: Go, for one, stops its threads by the same.

use std::ffi::{c_int, c_void};
use std::mem::{MaybeUninit, offset_of, transmute};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::threads::{self, LuaThread};
use super::ticker::Seat;
use crate::lock::ForkLock;

/// Ignored by default, so that one on its way when a program is replaced by `exec`, or when it sets all of its signals
/// back, ends nobody; and not what a profiler of the program's own uses, which is `SIGPROF`. Go chose it for the same
/// reasons.
pub(crate) const SIGNAL: c_int = libc::SIGURG;

/// What the handler needs. Per thread, without a destructor, so that the handler can always read it.
struct Target {
    /// The coroutine at work, null when the host is.
    thread: AtomicPtr<LuaThread>,
    /// A one-shot hook is set.
    armed: AtomicBool,
    /// Nanoseconds between signals, and how many of them to let pass.
    period_ns: AtomicU64,
    skip: AtomicU64,
    /// What setting the hook took last.
    took_ns: AtomicU64,
    /// Where the ticker finds this thread, if it is to.
    seat: AtomicPtr<Seat>,
    /// What asks the machine at work for a sample instead of a hook; null for none.
    trigger: AtomicPtr<()>,
}

thread_local! {
    static TARGET: Target = const {
        Target {
            thread: AtomicPtr::new(ptr::null_mut()),
            armed: AtomicBool::new(false),
            period_ns: AtomicU64::new(1_000_000),
            skip: AtomicU64::new(0),
            took_ns: AtomicU64::new(0),
            seat: AtomicPtr::new(ptr::null_mut()),
            trigger: AtomicPtr::new(ptr::null_mut()),
        }
    };
}

/// The coroutine at work on this thread from now on.
#[inline]
pub(crate) fn set_target(thread: Option<&'static LuaThread>) {
    TARGET.with(|target| {
        target
            .thread
            .store(thread.map_or(ptr::null_mut(), |thread| ptr::from_ref(thread).cast_mut()), Relaxed);
    });
}

/// This thread's seat at the ticker; none to leave.
pub(crate) fn set_seat(seat: Option<&'static Seat>, period_ns: u64) {
    TARGET.with(|target| {
        target.period_ns.store(period_ns, Relaxed);
        target.seat.store(seat.map_or(ptr::null_mut(), |seat| ptr::from_ref(seat).cast_mut()), Relaxed);
    });
}

/// The machine at work on this thread is asked for samples by `trigger` from now on; null for by hooks.
pub(crate) fn set_trigger(trigger: *mut ()) {
    TARGET.with(|target| target.trigger.store(trigger, Relaxed));
}

/// This thread's seat, if it has one.
pub(crate) fn seat() -> Option<&'static Seat> {
    // SAFETY: seats live as long as the process.
    TARGET.with(|target| unsafe { target.seat.load(Relaxed).as_ref() })
}

/// Whether a one-shot hook was set and has not been called; it counts as called now.
#[inline]
pub(crate) fn take_armed() -> bool {
    TARGET.with(|target| {
        let armed = target.armed.load(Relaxed);
        if armed {
            target.armed.store(false, Relaxed);
        }
        armed
    })
}

/// Forgets a one-shot hook.
pub(crate) fn disarm() {
    TARGET.with(|target| target.armed.store(false, Relaxed));
}

/// Sets the one-shot hook.
///
/// # Safety
/// On the thread of `target`. Async-signal-safe.
unsafe fn arm(target: &Target) {
    // SAFETY: records of Lua threads live as long as the process.
    let Some(thread) = (unsafe { target.thread.load(Relaxed).as_ref() }) else { return };
    if threads::is_busy() {
        return;
    }
    target.armed.store(true, Relaxed);
    // SAFETY: `set_target` names a coroutine only while it is at work, so it is alive.
    unsafe { thread.once() }
}

/// Has the coroutine at work look at the interrupt before its next instruction, whatever it counts itself.
///
/// # Safety
/// As for [`arm`].
unsafe fn stop(target: &Target) {
    // SAFETY: as in `arm`.
    if let Some(thread) = unsafe { target.thread.load(Relaxed).as_ref() }
        && !threads::is_busy()
    {
        // SAFETY: as in `arm`.
        unsafe { thread.count_down(1) }
    }
}

/// Sets the one-shot hook, and lets signals pass for a while when that was dear: `lua_sethook` visits every open call,
/// so in a deep recursion it takes longer than the timer's period and the program would stand still.
///
/// # Safety
/// As for [`arm`].
unsafe fn arm_at_a_bearable_rate(target: &Target) {
    let skip = target.skip.load(Relaxed);
    if skip > 0 {
        target.skip.store(skip - 1, Relaxed);
        return;
    }
    let start = monotonic_ns();
    // SAFETY: passed on to the caller.
    unsafe { arm(target) };
    let took = monotonic_ns().saturating_sub(start);
    // Twice in a row: once may have been the system that ran something else in between. Taking the hook off again
    // costs as much: at one in 64 both are 3 % of the time.
    let dear = took.min(target.took_ns.swap(took, Relaxed));
    target.skip.store((dear * 64 / target.period_ns.load(Relaxed).max(1)).min(1_000), Relaxed);
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer; async-signal-safe by POSIX.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Lets pass what unwinds: the program's own handler, which may be called from here, may be cancelled.
unsafe extern "C-unwind" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: `errno` of this thread; the kernel gives a valid `info`.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        let code = (*info).si_code;
        if let Some(seat) = seat() {
            // In a foreign program a signal is only ours when the ticker sent it.
            if code == SI_TKILL && seat.take_signal() {
                TARGET.with(|target| {
                    let trigger = target.trigger.load(Relaxed);
                    if trigger.is_null() {
                        arm_at_a_bearable_rate(target);
                    } else {
                        super::jit::ask(trigger);
                    }
                });
            } else {
                forward(signal, info, context);
            }
        } else if code == libc::SI_TIMER {
            TARGET.with(|target| arm_at_a_bearable_rate(target));
        } else if code == libc::SI_QUEUE && (*info).si_value().sival_ptr == interrupt_mark() {
            TARGET.with(|target| stop(target));
        } else {
            forward(signal, info, context);
        }
        *errno = saved;
    }
}

/// Sent by `tgkill`; missing from libc's constants on some targets.
const SI_TKILL: c_int = -6;

/// The handler that was there before ours, 0 for none; and whether it takes three arguments.
static PREVIOUS: AtomicUsize = AtomicUsize::new(0);
static PREVIOUS_TAKES_INFO: AtomicBool = AtomicBool::new(false);
/// What is blocked while it runs, beside what the interrupted code blocks.
static PREVIOUS_MASK: AtomicU64 = AtomicU64::new(0);

/// Passes on a signal that was not for us.
unsafe fn forward(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.load(Relaxed);
    if previous == libc::SIG_DFL || previous == libc::SIG_IGN {
        return;
    }
    // SAFETY: the kernel gives a valid `context`, of whose mask it fills in the first 64 bits; the address came from the
    // system as a handler of the kind the flag says.
    unsafe {
        // Ours blocks everything. This one may be jumped out of.
        let interrupted = &raw const (*context.cast::<libc::ucontext_t>()).uc_sigmask;
        let mut mask: libc::sigset_t = MaybeUninit::zeroed().assume_init();
        *(&raw mut mask).cast::<u64>() = *interrupted.cast::<u64>() | PREVIOUS_MASK.load(Relaxed);
        libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut());
        if PREVIOUS_TAKES_INFO.load(Relaxed) {
            type Informed = unsafe extern "C-unwind" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            transmute::<usize, Informed>(previous)(signal, info, context);
        } else {
            transmute::<usize, unsafe extern "C-unwind" fn(c_int)>(previous)(signal);
        }
    }
}

/// How many tracers rely on the handler, and what was there before.
static USERS: ForkLock<(usize, Option<libc::sigaction>)> = ForkLock::new((0, None));

/// Makes sure that the handler is installed.
pub(crate) fn install() -> std::io::Result<()> {
    let mut users = USERS.lock();
    if users.0 == 0 {
        // SAFETY: all-zero is a valid `sigaction`; the calls get valid addresses.
        unsafe {
            let mut ours: libc::sigaction = MaybeUninit::zeroed().assume_init();
            ours.sa_sigaction = handler as *const () as usize;
            // On the program's other stack where it has one: the one that runs may be small.
            ours.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO | libc::SA_ONSTACK;
            // All, and those that `sigfillset` leaves out too: by one of them the C library cancels a thread, which unwinds.
            // Nor may a handler of the program's jump out of `lua_sethook`.
            (&raw mut ours.sa_mask).write_bytes(0xff, 1);
            let mut old: libc::sigaction = MaybeUninit::zeroed().assume_init();
            if libc::sigaction(SIGNAL, &ours, &mut old) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            PREVIOUS_TAKES_INFO.store(old.sa_flags & libc::SA_SIGINFO != 0, Relaxed);
            let itself = if old.sa_flags & libc::SA_NODEFER == 0 { 1 << (SIGNAL - 1) } else { 0 };
            PREVIOUS_MASK.store(*(&raw const old.sa_mask).cast::<u64>() | itself, Relaxed);
            PREVIOUS.store(old.sa_sigaction, Relaxed);
            users.1 = Some(old);
        }
    }
    users.0 += 1;
    Ok(())
}

/// This thread's tracer goes: no signal finds it any more. The last one gives the signal back, unless the program has
/// taken it since. A late signal finds whoever was there before, or nobody and is ignored.
pub(crate) fn forget() {
    set_target(None);
    let mut users = USERS.lock();
    users.0 = users.0.saturating_sub(1);
    if users.0 == 0
        && let Some(old) = users.1.take()
        && is_ours()
    {
        // SAFETY: what the system gave.
        unsafe { libc::sigaction(SIGNAL, &old, ptr::null_mut()) };
    }
    drop(users);
    disarm();
}

/// Whether the signal's handler is ours: the program may have one of its own by now.
pub(crate) fn is_ours() -> bool {
    // SAFETY: all-zero is a valid `sigaction`, and a valid place for the answer.
    unsafe {
        let mut now: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigaction(SIGNAL, ptr::null(), &mut now) == 0
            && now.sa_sigaction == handler as *const () as usize
    }
}

/// Number of this thread, for signals sent to it.
pub(crate) fn this_thread() -> libc::pid_t {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t }
}

/// Sends the signal to a thread of this process.
pub(crate) fn send(thread: libc::pid_t) {
    // SAFETY: numbers only; a thread that is gone makes the call fail, which is fine.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL);
    }
}

/// Its address is what an interrupt's signal brings.
static INTERRUPT: u8 = 0;

fn interrupt_mark() -> *mut c_void {
    (&raw const INTERRUPT).cast_mut().cast()
}

/// A signal with a value, as the kernel takes it on 64 bits: `siginfo_t`, whose fields are private.
#[repr(C)]
struct Queued {
    signal: c_int,
    error: c_int,
    code: c_int,
    padding: c_int,
    process: libc::pid_t,
    user: libc::uid_t,
    value: *mut c_void,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Queued>() == size_of::<libc::siginfo_t>() && offset_of!(Queued, value) == 24);

/// Has the Lua that is at work on a thread of this process look at the interrupt.
pub(crate) fn interrupt(thread: libc::pid_t) {
    // SAFETY: a valid `siginfo_t`; a thread that is gone makes the call fail, which is fine.
    unsafe {
        let (process, user) = (libc::getpid(), libc::getuid());
        let value = interrupt_mark();
        let info = Queued {
            signal: SIGNAL,
            error: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            process,
            user,
            value,
            rest: [0; 12],
        };
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, SIGNAL, &raw const info);
    }
}

/// A timer that signals the thread that started it, until dropped.
pub(crate) struct Timer {
    id: libc::timer_t,
    period: libc::timespec,
}

impl Timer {
    pub(crate) fn start(hz: u32) -> std::io::Result<Self> {
        // SAFETY: all-zero is a valid `sigevent`; the calls get valid addresses.
        unsafe {
            let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_notify_thread_id = this_thread();
            let mut id: libc::timer_t = ptr::null_mut();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut id) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let nanos = (1_000_000_000 / u64::from(hz.max(1))).max(1);
            TARGET.with(|target| target.period_ns.store(nanos, Relaxed));
            let period = libc::timespec {
                tv_sec: (nanos / 1_000_000_000) as libc::time_t,
                tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
            };
            let timer = Self { id, period };
            let every = libc::itimerspec { it_interval: period, it_value: period };
            if libc::timer_settime(timer.id, 0, &every, ptr::null_mut()) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(timer)
        }
    }

    /// No signals until [`Timer::resume`], which takes what this answers: the time that was left to the next one.
    pub(crate) fn pause(&self) -> libc::timespec {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let never = libc::itimerspec { it_interval: zero, it_value: zero };
        let mut left = never;
        // SAFETY: made by `start`, not deleted yet, and valid addresses: it cannot fail.
        unsafe {
            libc::timer_settime(self.id, 0, &never, &mut left);
        }
        left.it_value
    }

    /// Goes on after a [`Timer::pause`], as if no time had gone by.
    pub(crate) fn resume(&self, left: libc::timespec) {
        let off = left.tv_sec == 0 && left.tv_nsec == 0;
        let every =
            libc::itimerspec { it_interval: self.period, it_value: if off { self.period } else { left } };
        // SAFETY: as in `pause`.
        unsafe {
            libc::timer_settime(self.id, 0, &every, ptr::null_mut());
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: made by `start`, deleted once. A signal already on its way finds a thread without a coroutine at
        // work, or one where an additional sample does no harm.
        unsafe {
            libc::timer_delete(self.id);
        }
    }
}
