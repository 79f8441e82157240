//! Sampling a foreign program: one thread sends the signal to threads that are inside Lua, and to no other.
//!
//! A timer of each thread would signal it wherever it is, and its `epoll_wait` would return early; starting and stopping
//! the timer around each call into Lua takes two system calls. Here entering and leaving are an exchange each.
//!
//! # Protocol
//! A seat is `OUTSIDE`, `INSIDE`, or `SENDING` while the ticker sends. The thread leaves by exchanging `INSIDE` for
//! `OUTSIDE`; while the ticker sends it waits. A signal sent is counted, and so is one handled: if the counts
//! differ when the thread leaves, the signal is on its way, and the return from any system call delivers it. So after
//! leaving none arrives. A thread that sleeps inside Lua (a server whose main loop is a script) gets none either; the
//! moment between the look at it and the signal is what [`step_out`] is for, around calls that wait.
//!
//! # Looking at threads
//! The ticker has a table of file descriptors of its own. In the program's, a descriptor that is open for a moment would
//! be the one that a daemon expects to get next, or be closed by it and then by us, when it is another's. Where there is
//! no `/proc`, a thread is taken to run when it spent most of the time since the last look running.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use std::time::{Duration, Instant};
use std::{io, ptr, thread};

use super::signal;
use crate::lock::{ForkGuard, ForkLock};
use tickscope_core::quiet::is_quiet;

const OUTSIDE: u32 = 0;
const INSIDE: u32 = 1;
const SENDING: u32 = 2;

/// Rounds without anybody inside, after which the ticker sleeps until it is woken.
const IDLE_ROUNDS: u32 = 50;

/// How often a thread that leaves lets others run before it goes without waiting for the ticker, which may never get to
/// run beside a thread of higher priority.
const PATIENCE: u32 = 1_000;

/// Where the ticker finds a thread. Never freed: used again by later threads.
pub(crate) struct Seat {
    /// The thread's number; 0 for a free seat.
    thread: AtomicI32,
    state: AtomicU32,
    sent: AtomicU32,
    handled: AtomicU32,
    /// Processor time the thread had used when the ticker looked last, in nanoseconds.
    used_ns: AtomicU64,
    next: AtomicPtr<Seat>,
}

static SEATS: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());
/// The ticker sleeps until somebody enters.
static PARKED: AtomicBool = AtomicBool::new(false);
/// Signals a second.
static HZ: AtomicU32 = AtomicU32::new(1000);
/// Which ticker is to run: one that finds another number ends.
static TURN: AtomicU32 = AtomicU32::new(0);
/// The ticker's thread, for waking it; and the process it runs in.
static TICKER: ForkLock<Option<(thread::JoinHandle<()>, libc::pid_t)>> = ForkLock::new(None);

impl Seat {
    fn all() -> impl Iterator<Item = &'static Self> {
        let mut at = SEATS.load(Acquire); // pairs with the Release in `take`
        std::iter::from_fn(move || {
            // SAFETY: seats are never freed.
            let seat = unsafe { at.as_ref() }?;
            at = seat.next.load(Relaxed);
            Some(seat)
        })
    }

    /// A seat for this thread.
    pub(crate) fn take() -> &'static Self {
        let thread = signal::this_thread();
        for seat in Self::all() {
            if seat.thread.compare_exchange(0, thread, AcqRel, Relaxed).is_ok() {
                return seat;
            }
        }
        let seat: &'static Self = Box::leak(Box::new(Self {
            thread: AtomicI32::new(thread),
            state: AtomicU32::new(OUTSIDE),
            sent: AtomicU32::new(0),
            handled: AtomicU32::new(0),
            used_ns: AtomicU64::new(0),
            next: AtomicPtr::new(SEATS.load(Relaxed)),
        }));
        let mut next = seat.next.load(Relaxed);
        while let Err(first) = SEATS.compare_exchange(next, ptr::from_ref(seat).cast_mut(), Release, Relaxed)
        {
            seat.next.store(first, Relaxed);
            next = first;
        }
        seat
    }

    /// Gives the seat back: the thread has left Lua for good.
    pub(crate) fn give_back(&self) {
        self.outside();
        self.thread.store(0, Release);
    }

    /// The thread is inside Lua from now on.
    #[inline]
    pub(crate) fn inside(&self) {
        self.state.swap(INSIDE, SeqCst);
        if PARKED.load(SeqCst) && !is_quiet() {
            wake();
        }
    }

    /// The thread is outside Lua; no signal of the ticker reaches it after this. Whether it was inside.
    #[inline]
    pub(crate) fn outside(&self) -> bool {
        let mut waited = 0;
        if is_quiet() {
            return self.state.swap(OUTSIDE, SeqCst) == INSIDE; // nobody sends any more, and waiting takes a system call
        }
        loop {
            match self.state.compare_exchange(INSIDE, OUTSIDE, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(OUTSIDE) => return false,
                Err(_) if waited == PATIENCE => {
                    self.state.store(OUTSIDE, SeqCst);
                    break;
                }
                Err(_) => thread::yield_now(),
            }
            waited += 1;
        }
        // Three times: should the program have blocked the signal, it stays where it is and harms nobody.
        for _ in 0..3 {
            if self.sent.load(Relaxed) == self.handled.load(Relaxed) {
                break;
            }
            thread::yield_now();
        }
        true
    }

    /// Whether a signal that came was the ticker's; it counts as handled. Async-signal-safe.
    pub(crate) fn take_signal(&self) -> bool {
        let (sent, handled) = (self.sent.load(Relaxed), self.handled.load(Relaxed));
        self.handled.store(sent, Relaxed);
        sent != handled
    }

    /// Sends the signal if the thread is inside Lua and runs. Whether it is inside.
    fn tick(&self, look: &Look, elapsed_ns: u64) -> bool {
        if self.state.load(SeqCst) != INSIDE {
            return false;
        }
        let thread = self.thread.load(Relaxed);
        if thread != 0
            && look.runs(thread, &self.used_ns, elapsed_ns)
            && self.state.compare_exchange(INSIDE, SENDING, SeqCst, Relaxed).is_ok()
        {
            self.sent.fetch_add(1, Relaxed);
            signal::send(thread);
            // Unless it lost patience.
            let _ = self.state.compare_exchange(SENDING, INSIDE, SeqCst, Relaxed);
        }
        true
    }
}

/// How the ticker sees whether a thread runs.
enum Look {
    /// In `/proc/self/task`, open in a table of descriptors that is the ticker's alone.
    Tasks(OwnedFd),
    /// By processor time.
    Clocks,
}

impl Look {
    fn new() -> Self {
        // SAFETY: numbers only. From here on this thread has no descriptor, and those that it opens are nobody else's.
        let alone =
            unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, libc::CLOSE_RANGE_UNSHARE) } == 0;
        if !alone {
            return Self::Clocks; // before Linux 5.9, or forbidden
        }
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: a path that ends with a zero.
        let tasks = unsafe { libc::open(c"/proc/self/task".as_ptr(), flags) };
        if tasks < 0 {
            return Self::Clocks;
        }
        // SAFETY: just opened, and owned by nobody else.
        Self::Tasks(unsafe { OwnedFd::from_raw_fd(tasks) })
    }

    /// Whether a thread of this process is running or ready to. `used_ns` is what the last look left.
    fn runs(&self, thread: libc::pid_t, used_ns: &AtomicU64, elapsed_ns: u64) -> bool {
        match self {
            Self::Tasks(tasks) => is_running(tasks, thread).unwrap_or(false),
            Self::Clocks => {
                // The clock of another thread, as `pthread_getcpuclockid` makes it (man 2 clock_gettime).
                let clock = (!thread << 3) | 6;
                let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                // SAFETY: a valid place for the answer.
                if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
                    return false;
                }
                let now = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
                now.saturating_sub(used_ns.swap(now, Relaxed)) * 2 > elapsed_ns
            }
        }
    }
}

/// Whether a thread is running or ready to, and takes the signal: where it is blocked it would stay pending, and turn up where
/// the program waits for signals. `None` when the thread is gone.
fn is_running(tasks: &OwnedFd, thread: libc::pid_t) -> Option<bool> {
    let path = std::ffi::CString::new(format!("{thread}/stat")).ok()?;
    let mut text = [0_u8; 512];
    // SAFETY: a path that ends with a zero, and a place of the length that is given.
    let read = unsafe {
        let file = libc::openat(tasks.as_raw_fd(), path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return None;
        }
        let read = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        read
    };
    let text = text.get(..usize::try_from(read).ok()?)?;
    // `4711 (name) R …`. The name has at most 15 bytes, and may hold anything, brackets too.
    let after = text.iter().take(64).rposition(|byte| *byte == b')')? + 2;
    let mut fields = text.get(after..)?.split(|byte| *byte == b' ');
    if fields.next() != Some(b"R") {
        return Some(false);
    }
    // The 32nd of all: the first 31 signals, as one decimal number.
    let blocked: u32 = std::str::from_utf8(fields.nth(28)?).ok()?.parse().ok()?;
    Some(blocked & 1 << (signal::SIGNAL - 1) == 0)
}

fn process() -> libc::pid_t {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getpid() }
}

#[cold]
fn wake() {
    PARKED.store(false, SeqCst);
    let ticker = TICKER.lock();
    match &*ticker {
        Some((ticker, of)) if *of == process() => ticker.thread().unpark(),
        // The child of a fork. Without another ticker it is not sampled; it runs on.
        _ => drop(start_another(ticker)),
    }
}

/// Makes sure that the ticker runs. The first caller's rate is everybody's.
pub(crate) fn start(hz: u32) -> io::Result<()> {
    if is_quiet() {
        return Err(io::Error::other("no thread is started any more"));
    }
    let ticker = TICKER.lock();
    if ticker.as_ref().is_some_and(|(_, of)| *of == process()) {
        return Ok(());
    }
    HZ.store(hz.max(1), Relaxed);
    start_another(ticker)
}

fn start_another(mut ticker: ForkGuard<'_, Option<(thread::JoinHandle<()>, libc::pid_t)>>) -> io::Result<()> {
    let period = Duration::from_nanos(1_000_000_000 / u64::from(HZ.load(Relaxed)));
    let turn = TURN.fetch_add(1, SeqCst) + 1;
    // The new thread inherits the mask: the program's signals are the program's threads' affair.
    let before = block_signals();
    let started =
        thread::Builder::new().name("tickscope".into()).stack_size(64 << 10).spawn(move || run(period, turn));
    // SAFETY: the mask this thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    // The child of a fork has no such thread to let go of.
    std::mem::forget(ticker.replace((started?, process())));
    Ok(())
}

/// Blocks every signal of this thread; answers what was blocked before.
pub(crate) fn block_signals() -> libc::sigset_t {
    // SAFETY: valid places for the sets.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

/// Nobody samples any more: the ticker's thread ends. Who enters Lua next while samples are taken starts another.
pub fn stop_ticker() {
    if let Some(thread) = take_ticker() {
        thread.thread().unpark();
    }
}

/// [`stop_ticker`], and waits until its thread is gone, which takes a tick.
pub fn end_ticker() {
    if let Some(thread) = take_ticker() {
        thread.thread().unpark();
        // It does not panic, and is gone then too.
        let _ = thread.join();
    }
}

/// The ticker's thread, which has been told to end, if it is of this process.
fn take_ticker() -> Option<thread::JoinHandle<()>> {
    let mut ticker = TICKER.lock();
    TURN.fetch_add(1, SeqCst);
    let (thread, of) = ticker.take()?;
    if of == process() {
        return Some(thread);
    }
    std::mem::forget(thread); // the parent's
    None
}

fn run(period: Duration, turn: u32) {
    let look = Look::new();
    let mut next = Instant::now() + period;
    let (mut idle, mut last) = (0, Instant::now());
    while TURN.load(SeqCst) == turn {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // Ticks that were missed are not made up for: samples weigh what passed since the one before.
        next = (next + period).max(Instant::now());
        let now = Instant::now();
        let elapsed = u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX);
        last = now;
        let mut inside = false;
        // A program that handles the signal itself gets none of ours.
        if signal::is_ours() {
            for seat in Seat::all() {
                inside |= seat.tick(&look, elapsed);
            }
        }
        idle = if inside { 0 } else { idle + 1 };
        if idle >= IDLE_ROUNDS {
            PARKED.store(true, SeqCst); // against `inside`: either it sees this, or the seat is seen here
            while PARKED.load(SeqCst)
                && TURN.load(SeqCst) == turn
                && !Seat::all().any(|seat| seat.state.load(SeqCst) == INSIDE)
            {
                thread::park();
            }
            PARKED.store(false, SeqCst);
            idle = 0;
            next = Instant::now() + period;
        }
    }
}

/// In the child of a `fork`: its one thread is the one that called, and the ticker is not there. For the child handler of
/// `pthread_atfork`. Who enters Lua next while samples are taken starts another.
pub fn after_fork() {
    let own = signal::seat();
    for seat in Seat::all() {
        if own.is_some_and(|own| ptr::eq(own, seat)) {
            seat.thread.store(signal::this_thread(), Relaxed);
            // Whoever was about to send is not in this process.
            let _ = seat.state.compare_exchange(SENDING, INSIDE, SeqCst, Relaxed);
            seat.handled.store(seat.sent.load(Relaxed), Relaxed);
        } else {
            seat.thread.store(0, Relaxed);
            seat.state.store(OUTSIDE, Relaxed);
        }
    }
    PARKED.store(true, Relaxed); // whoever enters wakes it, and finds that there is none
}

/// This thread is about to wait in the system: the sampling signal must not end that early. Whether it was inside Lua:
/// give the answer to [`step_in`] afterwards.
#[inline]
pub fn step_out() -> bool {
    signal::seat().is_some_and(Seat::outside)
}

/// The wait announced by [`step_out`] is over.
#[inline]
pub fn step_in(was_inside: bool) {
    if was_inside && let Some(seat) = signal::seat() {
        seat.inside();
    }
}
