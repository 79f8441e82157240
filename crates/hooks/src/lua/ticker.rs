//! Sampling a foreign program: one thread sends the signal to threads that are inside Lua, and to no other.
//!
//! A timer of each thread would signal it wherever it is, and its `epoll_wait` would return early; starting and stopping
//! the timer around each call into Lua takes two system calls. Here entering and leaving are an exchange each.
//!
//! # Protocol
//! A seat is `OUTSIDE`, `INSIDE`, or `SENDING` while the ticker makes up its mind and sends. The thread leaves by exchanging
//! `INSIDE` for `OUTSIDE`; while the ticker sends it waits. A signal sent is counted, and so is one handled: if the counts
//! differ when the thread leaves, the signal is on its way, and the return from any system call delivers it. So after
//! leaving none arrives. A thread that sleeps inside Lua (a server whose main loop is a script) gets none either; the
//! moment between the look at it and the signal is what [`step_out`] is for, around calls that wait.

use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, ptr, thread};

use super::signal;

const OUTSIDE: u32 = 0;
const INSIDE: u32 = 1;
const SENDING: u32 = 2;

/// Rounds without anybody inside, after which the ticker sleeps until it is woken.
const IDLE_ROUNDS: u32 = 50;

/// Where the ticker finds a thread. Never freed: used again by later threads.
pub(crate) struct Seat {
    /// The thread's number; 0 for a free seat.
    thread: AtomicI32,
    state: AtomicU32,
    sent: AtomicU32,
    handled: AtomicU32,
    next: AtomicPtr<Seat>,
}

static SEATS: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());
/// The ticker sleeps until somebody enters.
static PARKED: AtomicBool = AtomicBool::new(false);
/// Signals a second.
static HZ: AtomicU32 = AtomicU32::new(1000);
/// The ticker's thread, for waking it; and the process it runs in.
static TICKER: Mutex<Option<(thread::Thread, libc::pid_t)>> = Mutex::new(None);

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
        if PARKED.load(SeqCst) {
            wake();
        }
    }

    /// The thread is outside Lua; no signal of the ticker reaches it after this. Whether it was inside.
    #[inline]
    pub(crate) fn outside(&self) -> bool {
        loop {
            match self.state.compare_exchange(INSIDE, OUTSIDE, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(OUTSIDE) => return false,
                Err(_) => thread::yield_now(),
            }
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
    fn tick(&self) -> bool {
        if self.state.compare_exchange(INSIDE, SENDING, SeqCst, Relaxed).is_err() {
            return false;
        }
        let thread = self.thread.load(Relaxed);
        if thread != 0 && runs(thread) {
            self.sent.fetch_add(1, Relaxed);
            signal::send(thread);
        }
        self.state.store(INSIDE, SeqCst);
        true
    }
}

/// Whether a thread of this process is running or ready to.
fn runs(thread: libc::pid_t) -> bool {
    let Ok(text) = std::fs::read(format!("/proc/self/task/{thread}/stat")) else { return true };
    // The name in brackets may hold anything, brackets too.
    let after = text.iter().rposition(|byte| *byte == b')').map_or(0, |at| at + 2);
    text.get(after).is_none_or(|state| *state == b'R')
}

fn process() -> libc::pid_t {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getpid() }
}

#[cold]
fn wake() {
    PARKED.store(false, SeqCst);
    let ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
    match &*ticker {
        Some((ticker, of)) if *of == process() => ticker.unpark(),
        // The child of a fork. Without another ticker it is not sampled; it runs on.
        _ => drop(start_another(ticker)),
    }
}

/// Makes sure that the ticker runs. The first caller's rate is everybody's.
pub(crate) fn start(hz: u32) -> io::Result<()> {
    let ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
    if ticker.as_ref().is_some_and(|(_, of)| *of == process()) {
        return Ok(());
    }
    HZ.store(hz.max(1), Relaxed);
    start_another(ticker)
}

fn start_another(mut ticker: MutexGuard<'_, Option<(thread::Thread, libc::pid_t)>>) -> io::Result<()> {
    let period = Duration::from_nanos(1_000_000_000 / u64::from(HZ.load(Relaxed)));
    // The new thread inherits the mask: the program's signals are the program's threads' affair.
    let before = block_all();
    let started =
        thread::Builder::new().name("tickscope".into()).stack_size(64 << 10).spawn(move || run(period));
    // SAFETY: the mask this thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    *ticker = Some((started?.thread().clone(), process()));
    Ok(())
}

fn block_all() -> libc::sigset_t {
    // SAFETY: valid places for the sets.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

fn run(period: Duration) {
    let mut next = Instant::now() + period;
    let mut idle = 0;
    loop {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // Ticks that were missed are not made up for: samples weigh what passed since the one before.
        next = (next + period).max(Instant::now());
        let mut inside = false;
        for seat in Seat::all() {
            inside |= seat.tick();
        }
        idle = if inside { 0 } else { idle + 1 };
        if idle >= IDLE_ROUNDS {
            PARKED.store(true, SeqCst); // against `inside`: either it sees this, or the seat is seen here
            while PARKED.load(SeqCst) && !Seat::all().any(|seat| seat.state.load(SeqCst) == INSIDE) {
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
