//! Stacks of managed code, taken in Mono's sampling signal.
//!
//! The handler may interrupt anything, so it keeps addresses of methods in memory that was there before: a seat per
//! thread. A thread of the profiler's own, which Mono does not know and never stops, turns them into stacks on a track
//! of the sampled thread's. A sample weighs the processor time that the thread has used since its sample before: one that
//! waits inside managed code costs nothing.
//!
//! Not every place can be looked at ([`gate`]). What passes there counts for the next stack, of which it is most likely a
//! part, up to two milliseconds; what is more is told as the runtime's own.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use tickscope_core::{
    Depth, Recorder, StackId, StackNode, SwitchReason, SymbolId, Ticks, Track, TrackId, TrackKind,
};

use super::api::{Callback, Pointer};
use super::profiler::{Host, Installed, installed};
use super::{gate, methods};
use crate::lock::ForkLock;

/// Threads that are sampled at one time.
const SEATS: usize = 32;
/// Samples of a thread that wait to be read.
const WAITING: usize = 128;
/// Methods of a stack; what lies further out is cut.
const FRAMES: usize = 61;
/// Less processor time than this since the sample before is none.
const IDLE_NS: u64 = 50_000;
/// What may be added to the next stack from where none can be walked: two samples at 1 kHz.
const CARRIED_NS: u64 = 2_000_000;
/// How long a thread runs on before a signal that did not pass is sent again, at the least.
const AGAIN: Duration = Duration::from_millis(2);
/// So many times as often as samples are read.
const ROUNDS: u32 = 10;

struct Sample {
    at: u64,
    used_ns: u64,
    /// 0 where no stack can be walked.
    n_frames: usize,
    /// Innermost first.
    frames: [usize; FRAMES],
}

/// A thread's samples: written in its handler, read by one reader.
struct Seat {
    /// The thread's number; 0 for a free seat.
    thread: AtomicI32,
    written: AtomicU32,
    read: AtomicU32,
    /// Its processor time at the sample before.
    used_ns: AtomicU64,
    /// A signal did not pass. Mono sends a thread none until its handler has had the one before.
    owed: AtomicBool,
    samples: UnsafeCell<[Sample; WAITING]>,
}

// SAFETY: places from `read` to `written` are the reader's, the others the handler's of the one thread that has the seat.
unsafe impl Sync for Seat {}

static ALL: [Seat; SEATS] = [const {
    Seat {
        thread: AtomicI32::new(0),
        written: AtomicU32::new(0),
        read: AtomicU32::new(0),
        used_ns: AtomicU64::new(0),
        owed: AtomicBool::new(false),
        samples: UnsafeCell::new(
            [const { Sample { at: 0, used_ns: 0, n_frames: 0, frames: [0; FRAMES] } }; WAITING],
        ),
    }
}; SEATS];

thread_local! {
    static SEAT: Cell<Option<&'static Seat>> = const { Cell::new(None) };
    /// Whether the thread has run managed code: the runtime's own threads are not told of.
    static MANAGED: Cell<bool> = const { Cell::new(false) };
    /// A signal did not pass when the thread had no seat.
    static OWED: Cell<bool> = const { Cell::new(false) };
}

/// What the signal interrupted, as [`walk`] sees it.
struct Walk {
    n_frames: usize,
    frames: [usize; FRAMES],
}

unsafe extern "C" fn walk(
    method: Pointer,
    _domain: Pointer,
    _base: Pointer,
    _offset: c_int,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the `Walk` of `hit`, which waits for the walk.
    let walk = unsafe { &mut *data.cast::<Walk>() };
    if methods::known(method as usize).and_then(methods::Known::symbol).is_some()
        && let Some(place) = walk.frames.get_mut(walk.n_frames)
    {
        *place = method as usize;
        walk.n_frames += 1;
    }
    c_int::from(walk.n_frames == FRAMES)
}

/// Before Mono's handler, on the thread that is sampled. No lock, no allocation.
unsafe extern "C" fn stop_at_gate<H: Host>(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: a handler's arguments.
    unsafe {
        let closed = installed().is_none_or(|mono| mono.closed.contains(gate::interrupted(context)));
        match closed {
            false => gate::pass(signal, info, context),
            true => missed::<H>(),
        }
    }
}

/// The thread stands where it is not looked at.
fn missed<H: Host>() {
    let Some(seat) = SEAT.get().or_else(|| if MANAGED.get() { take_seat() } else { None }) else {
        OWED.set(true);
        return;
    };
    if H::depth() == Depth::Sample {
        seat.put::<H>(CARRIED_NS, &Walk { n_frames: 0, frames: [0; FRAMES] });
    }
    seat.owed.store(true, Release);
}

/// In Mono's signal handler, on the thread that is sampled. No lock, no allocation.
pub(super) unsafe extern "C" fn hit<H: Host>(_: Pointer, ip: *const c_void, context: *const c_void) {
    if H::depth() != Depth::Sample {
        return;
    }
    let Some(mono) = installed() else { return };
    if !gate::stands() && !gate::build(stop_at_gate::<H>, context, &mono.closed) {
        UNSAFE.store(true, Relaxed);
    }
    // Before the gate stood.
    if UNSAFE.load(Relaxed) || mono.closed.contains(ip as usize) {
        return;
    }
    let mut found = Walk { n_frames: 0, frames: [0; FRAMES] };
    // SAFETY: the context is the handler's own, the walk is made for handlers, and the thread stands where it may be walked.
    unsafe {
        (mono.api.mono_stack_walk_async_safe)(walk as Callback, context, (&raw mut found).cast());
    }
    if found.n_frames > 0
        && let Some(seat) = SEAT.get().or_else(take_seat)
    {
        seat.put::<H>(IDLE_NS, &found);
    }
}

impl Seat {
    /// Keeps a stack for the time since the one before, if that is at least `least_ns`. In a handler of the seat's thread.
    fn put<H: Host>(&self, least_ns: u64, found: &Walk) {
        let used_ns = used_ns();
        let since = used_ns.saturating_sub(self.used_ns.load(Relaxed));
        if since < least_ns {
            return;
        }
        self.used_ns.store(used_ns, Relaxed);
        let written = self.written.load(Relaxed);
        if written.wrapping_sub(self.read.load(Acquire)) as usize == WAITING {
            return; // pairs with the Release in `read`
        }
        // SAFETY: the place is the handler's until `written` passes it.
        unsafe {
            let place = self.samples.get().cast::<Sample>().add(written as usize % WAITING);
            (*place).at = H::now().0;
            (*place).used_ns = since;
            (*place).n_frames = found.n_frames;
            (*place).frames = found.frames;
        }
        self.written.store(written.wrapping_add(1), Release); // pairs with the Acquire in `read`
    }
}

impl Seat {
    /// Sends the signal that did not pass, once the thread has run on: one that waits in a system call is left alone.
    fn send_again(&self) {
        if !self.owed.load(Acquire) {
            return;
        }
        let thread = self.thread.load(Acquire);
        // The clock of a thread's processor time, by its number (clock_getres(2)).
        let clock = (!thread << 3) | 6;
        let has_run = time(clock).is_none_or(|now| now.saturating_sub(self.used_ns.load(Relaxed)) >= IDLE_NS);
        if has_run && self.owed.swap(false, AcqRel) {
            gate::send(thread);
        }
    }
}

fn take_seat() -> Option<&'static Seat> {
    // SAFETY: no arguments, cannot fail.
    let thread = unsafe { libc::gettid() };
    let seat = ALL.iter().find(|seat| seat.thread.compare_exchange(0, thread, AcqRel, Relaxed).is_ok())?;
    // The first sample stands for the time since a signal before.
    let period = 1_000_000_000_u64 / 1_000;
    seat.used_ns.store(used_ns().saturating_sub(period), Relaxed);
    SEAT.set(Some(seat));
    Some(seat)
}

/// Processor time of this thread.
fn used_ns() -> u64 {
    time(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// In nanoseconds; `None` when there is no such clock (any more).
fn time(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer; async-signal-safe.
    let found = unsafe { libc::clock_gettime(clock, &mut time) } == 0;
    found.then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Who reads: a recorder of its own, and what it knows of seats.
struct Reader<R> {
    recorder: R,
    tracks: [Option<(i32, TrackId)>; SEATS],
    last: u64,
}

/// Samples are read by one at a time.
static READING: ForkLock<()> = ForkLock::new(());
/// The sampling that Mono was asked for.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// A `Reader` of the host's recorder, made by the first to read.
static READER: std::sync::atomic::AtomicPtr<c_void> = std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

/// Held while Mono is asked for another sampling.
static ASKING: ForkLock<()> = ForkLock::new(());
/// Mono's signal is not what it was taken for, and no gate can be put before its handler.
static UNSAFE: AtomicBool = AtomicBool::new(false);

fn wanted<H: Host>() -> u32 {
    u32::from(H::depth() == Depth::Sample && !UNSAFE.load(Relaxed))
}

/// Makes Mono sample when the depth says so, and stop when it does not. A few loads when nothing changes.
/// On a thread that is about to run managed code.
pub(super) fn follow<H: Host>(mono: &Installed) {
    MANAGED.set(true);
    if OWED.get()
        && let Some(seat) = SEAT.get().or_else(take_seat)
    {
        OWED.set(false);
        seat.owed.store(true, Release);
    }
    if ASKED.load(Relaxed) == wanted::<H>() {
        return;
    }
    let _one_at_a_time = ASKING.lock();
    let wanted = wanted::<H>();
    if ASKED.swap(wanted, Relaxed) == wanted {
        return;
    }
    if UNSAFE.load(Relaxed) {
        H::say(
            "C# is not sampled any more: this Mono's sampling signal is not one that it could be guarded from",
        );
    }
    let real = 2;
    // SAFETY: the handle that Mono gave.
    unsafe {
        (mono.api.mono_profiler_set_sample_mode)(
            mono.handle as Pointer,
            if wanted == 1 { real } else { 0 },
            H::sample_hz(),
        )
    };
    if wanted == 1 && READER.load(Acquire).is_null() {
        // The new thread inherits the mask: the program's signals are the program's threads' affair.
        let before = crate::lua::block_signals();
        let _ = std::thread::Builder::new()
            .name("tickscope mono".into())
            .stack_size(256 << 10)
            .spawn(read_on::<H>);
        // SAFETY: the mask this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
}

fn read_on<H: Host>() {
    let Some(recorder) = H::own_thread("managed stacks") else { return };
    let reader = Box::new(Reader { recorder, tracks: [None; SEATS], last: 0 });
    READER.store(Box::into_raw(reader).cast(), Release);
    let mut rounds = 0_u32;
    loop {
        std::thread::sleep(AGAIN);
        ALL.iter().for_each(Seat::send_again);
        rounds += 1;
        if rounds.is_multiple_of(ROUNDS) {
            flush::<H>();
        }
    }
}

/// Records what waits.
pub(super) fn flush<H: Host>() {
    let _one_at_a_time = READING.lock();
    // SAFETY: made by `read_on` for the same host, never freed, and the lock is held.
    if let Some(reader) = unsafe { READER.load(Acquire).cast::<Reader<H::Recorder>>().as_mut() } {
        for index in 0..SEATS {
            reader.read(index);
        }
    }
}

impl<R: Recorder> Reader<R> {
    fn read(&mut self, index: usize) {
        let seat = &ALL[index];
        let thread = seat.thread.load(Acquire);
        let (mut read, written) = (seat.read.load(Relaxed), seat.written.load(Acquire)); // pairs with `hit`
        if thread == 0 {
            return;
        }
        if read == written {
            // SAFETY: sends nothing; asks whether the thread is there.
            let gone = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) } != 0;
            if gone {
                self.tracks[index] = None;
                seat.thread.store(0, Release);
            }
            return;
        }
        let track = self.track(index, thread);
        let first = self.recorder.now().0;
        self.last = self.last.max(1);
        let mut resumed = false;
        while read != written {
            // SAFETY: places from `read` to `written` are the reader's.
            let sample = unsafe { &*seat.samples.get().cast::<Sample>().add(read as usize % WAITING) };
            self.last = sample.at.clamp(self.last, first.max(self.last));
            if !resumed {
                self.recorder.resume(Ticks(self.last), track);
                resumed = true;
            }
            let mut stack = StackId::ROOT;
            if sample.n_frames == 0
                && let Some(mono) = installed()
            {
                let symbol = mono.names(&self.recorder).not_walked;
                stack = self.recorder.intern_stack(StackNode { parent: stack, symbol, line: 0 });
            }
            for method in sample.frames.iter().take(sample.n_frames).rev() {
                let symbol = methods::known(*method).and_then(methods::Known::symbol);
                let symbol = symbol.unwrap_or(SymbolId::OTHER);
                stack = self.recorder.intern_stack(StackNode { parent: stack, symbol, line: 0 });
            }
            let elapsed = sample.used_ns * self.recorder.ticks_per_micro() / 1_000;
            self.recorder.stack(Ticks(self.last), stack, elapsed, 0);
            read = read.wrapping_add(1);
            seat.read.store(read, Release); // pairs with the Acquire in `hit`
        }
        self.recorder.suspend(Ticks(self.last), SwitchReason::Yield);
    }

    fn track(&mut self, index: usize, thread: i32) -> TrackId {
        if let Some((known, track)) = self.tracks[index]
            && known == thread
        {
            return track;
        }
        let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).unwrap_or_default();
        let track = self.recorder.new_track(Track {
            kind: TrackKind::Coroutine,
            parent: self.recorder.track(),
            os_id: 0,
            name: format!("{} {thread}", name.trim_end()).as_str().into(),
            resource: "".into(),
        });
        self.tracks[index] = Some((thread, track));
        track
    }
}
