//! Stacks of managed code, taken in Mono's sampling signal.
//!
//! The handler may interrupt anything, so it keeps addresses of methods in memory that was there before: a seat per
//! thread. A thread of the profiler's own, which Mono does not know and never stops, turns them into stacks on a track
//! of the sampled thread's. A sample weighs the processor time that the thread has used since its sample before: one that
//! waits inside managed code costs nothing.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_void};
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
use super::{aborts, methods};
use crate::lock::ForkLock;

/// Threads that are sampled at one time.
const SEATS: usize = 32;
/// Samples of a thread that wait to be read.
const WAITING: usize = 128;
/// Methods of a stack; what lies further out is cut.
const FRAMES: usize = 61;
/// Less processor time than this since the sample before is none.
const IDLE_NS: u64 = 50_000;
/// How often samples are read.
const ROUND: Duration = Duration::from_millis(20);

struct Sample {
    at: u64,
    used_ns: u64,
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
    used_ns: AtomicU64,
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
        samples: UnsafeCell::new(
            [const { Sample { at: 0, used_ns: 0, n_frames: 0, frames: [0; FRAMES] } }; WAITING],
        ),
    }
}; SEATS];

thread_local! {
    static SEAT: Cell<Option<&'static Seat>> = const { Cell::new(None) };
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

/// In Mono's signal handler, on the thread that is sampled. No lock, no allocation.
pub(super) unsafe extern "C" fn hit<H: Host>(_: Pointer, _ip: *const c_void, context: *const c_void) {
    if H::depth() != Depth::Sample {
        return;
    }
    let Some(mono) = installed() else { return };
    let mut found = Walk { n_frames: 0, frames: [0; FRAMES] };
    // SAFETY: the context is the handler's own, and the walk is made for handlers.
    unsafe {
        (mono.api.mono_stack_walk_async_safe)(walk as Callback, context, (&raw mut found).cast());
    }
    if found.n_frames == 0 {
        return;
    }
    let Some(seat) = SEAT.get().or_else(take_seat) else { return };
    let used_ns = used_ns();
    let since = used_ns.saturating_sub(seat.used_ns.load(Relaxed));
    if since < IDLE_NS {
        return;
    }
    seat.used_ns.store(used_ns, Relaxed);
    let written = seat.written.load(Relaxed);
    if written.wrapping_sub(seat.read.load(Acquire)) as usize == WAITING {
        return; // pairs with the Release in `read`
    }
    // SAFETY: the place is the handler's until `written` passes it.
    unsafe {
        let place = seat.samples.get().cast::<Sample>().add(written as usize % WAITING);
        (*place).at = H::now().0;
        (*place).used_ns = since;
        (*place).n_frames = found.n_frames;
        (*place).frames = found.frames;
    }
    seat.written.store(written.wrapping_add(1), Release); // pairs with the Acquire in `read`
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
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the answer; async-signal-safe.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
/// Threads that unload a domain.
static UNLOADING: AtomicU32 = AtomicU32::new(0);

/// The program may abort threads.
static ABORTS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static UNLOADS: Cell<bool> = const { Cell::new(false) };
}

/// A thread has a name: the one that Mono makes to unload a domain, before it does. To stop the domain's threads it looks at
/// their stacks, and Mono ends the process when its own sampling signal comes between. So nothing is sampled meanwhile.
pub(super) unsafe extern "C" fn named<H: Host>(_: Pointer, thread: usize, name: *const c_char) {
    // SAFETY: no arguments, cannot fail.
    let here = unsafe { libc::pthread_self() } as usize;
    // SAFETY: Mono gives a C string.
    if thread != here || name.is_null() || unsafe { CStr::from_ptr(name) } != c"Domain unloader" {
        return;
    }
    if let Some(mono) = installed()
        && !UNLOADS.replace(true)
    {
        UNLOADING.fetch_add(1, AcqRel);
        follow::<H>(mono);
        // For a round of signals that has begun.
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A thread of Mono's is about to end.
pub(super) unsafe extern "C" fn stopping<H: Host>(_: Pointer, _thread: usize) {
    if UNLOADS.take() {
        UNLOADING.fetch_sub(1, AcqRel);
        if let Some(mono) = installed() {
            follow::<H>(mono);
        }
    }
}

/// An assembly was loaded, and nothing of it has run.
pub(super) unsafe extern "C" fn loaded<H: Host>(_: Pointer, image: Pointer) {
    let Some(mono) = installed() else { return };
    // SAFETY: Mono's image, on a thread of Mono's.
    let aborts = unsafe {
        let name = (mono.api.mono_image_get_name)(image);
        let framework = name.is_null() || methods::is_framework(&CStr::from_ptr(name).to_string_lossy());
        !framework && aborts::calls_abort(&mono.api, image)
    };
    if aborts && !ABORTS.swap(true, AcqRel) && H::depth() == Depth::Sample {
        H::say("a C# program that calls Thread.Abort is not sampled: Mono would end it when both meet");
        follow::<H>(mono);
    }
}

fn wanted<H: Host>() -> u32 {
    u32::from(H::depth() == Depth::Sample && UNLOADING.load(Acquire) == 0 && !ABORTS.load(Acquire))
}

/// Makes Mono sample when the depth says so, and stop when it does not. A few loads when nothing changes.
pub(super) fn follow<H: Host>(mono: &Installed) {
    if ASKED.load(Relaxed) == wanted::<H>() {
        return;
    }
    let _one_at_a_time = ASKING.lock();
    let wanted = wanted::<H>();
    if ASKED.swap(wanted, Relaxed) == wanted {
        return;
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
    loop {
        std::thread::sleep(ROUND);
        flush::<H>();
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
