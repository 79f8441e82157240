//! The gate: who may submit, who sleeps, who has to be woken. No wake-up is lost.
//!
//! # The counts
//! ```text
//! counts   submitted:39 | closed:1 | searching:12 | sleeping:12
//! taken        taken:39 | waiting for room:25
//! ```
//! `submitted` counts entries announced for the inboxes, `taken` those that workers took from them. Both wrap; only
//! their difference is looked at, and it stays below 2^39.
//!
//! # Why no wake-up is lost
//! A submitter adds to `submitted` *before* it pushes, and looks at the other counts of the same word as they were then.
//! A worker adds itself to `sleeping` in that word. The two additions have an order:
//!
//! - the worker's first: the submitter sees a sleeper, and after its push it wakes one, unless somebody is searching;
//! - the submitter's first: the worker sees more submitted than it had seen taken just before, and does not sleep.
//!
//! A submitter may rely on whoever is searching: a searcher ends by finding something or by going to sleep. In the
//! second case it passes the check above. In the first, the last searcher takes itself off the word and, if there is more
//! to do than it found, wakes the next. The load of `taken` comes before the addition: everything in it had been
//! submitted by then, so equal numbers mean that nothing was outstanding.
//!
//! Work that is not counted there (a worker's own queue, a woken fiber in its worker's inbox, a condition somebody waits
//! for) is made visible, then a fence, then a look at the counts; the sleeper adds itself, then a fence, then a last look
//! for such work. Two fences, one total order: one of them sees the other (Dekker).
//!
//! The list of sleepers is behind a lock that is taken only to go to sleep and to wake, both of which end in the kernel
//! anyway. Whoever takes a worker off the list also does its sums, so a worker that finds itself gone from the list
//! is accounted for as searching already.

use crossbeam_utils::CachePadded;

use crate::error::SpawnError;
use crate::sync::{
    AtomicU64, COUNT, Condvar, Mutex, Ordering, Thread, lock, maker_fence, sleeper_fence, thread, wait,
};

const SLEEPING: u64 = 1;
const SEARCHING: u64 = 1 << 12;
const CLOSED: u64 = 1 << 24;
/// One entry, in both words. At the top, so that the sums wrap.
const ENTRY: u64 = 1 << 25;
const ENTRIES: u64 = (1 << 39) - 1;
const ROOM_WAITERS: u64 = ENTRY - 1;

/// The most workers that the counts have room for.
pub(crate) const MAX_WORKERS: usize = 4_000;

fn sleeping(counts: u64) -> u64 {
    counts & (SEARCHING - 1)
}

fn searching(counts: u64) -> u64 {
    (counts / SEARCHING) & (SEARCHING - 1)
}

/// The entries in either word.
fn entries(word: u64) -> u64 {
    word / ENTRY
}

fn outstanding(submitted: u64, taken: u64) -> u64 {
    submitted.wrapping_sub(taken) & ENTRIES
}

/// The counts as a submitter found them. The push comes between having one and [`Gate::pushed`].
#[derive(Clone, Copy, Debug)]
#[must_use = "without `pushed`, nobody may be awake to see the push"]
pub(crate) struct Ticket(u64);

/// Written by submitters only, so a line of its own.
#[derive(Debug)]
struct Entrance {
    counts: AtomicU64,
    /// `taken` as a submitter last saw it: while there is room by that, the workers' line need not be read.
    taken_seen: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Gate {
    entrance: CachePadded<Entrance>,
    taken: CachePadded<AtomicU64>,
    idle: Mutex<Vec<(usize, Thread)>>,
    room: Mutex<()>,
    freed: Condvar,
    capacity: u64,
}

impl Gate {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entrance: CachePadded::new(Entrance { counts: AtomicU64::new(0), taken_seen: AtomicU64::new(0) }),
            taken: CachePadded::new(AtomicU64::new(0)),
            idle: Mutex::new(Vec::new()),
            room: Mutex::new(()),
            freed: Condvar::new(),
            capacity: (capacity as u64).min(ENTRIES / 2),
        }
    }

    /// Room for one more entry, if there is some.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Ticket, SpawnError> {
        let counts = self.entrance.counts.fetch_add(ENTRY, COUNT);
        if counts & CLOSED != 0 {
            return Err(self.leave(SpawnError::Stopped));
        }
        let submitted = entries(counts);
        // Relaxed: an old value is too small, so it can only make us look again.
        let seen = self.entrance.taken_seen.load(Ordering::Relaxed);
        if outstanding(submitted, seen) >= self.capacity {
            let taken = entries(self.taken.load(Ordering::Relaxed));
            if outstanding(submitted, taken) >= self.capacity {
                return Err(self.leave(SpawnError::Full { capacity: self.capacity as usize }));
            }
            self.entrance.taken_seen.store(taken, Ordering::Relaxed);
        }
        Ok(Ticket(counts))
    }

    #[cold]
    fn leave(&self, why: SpawnError) -> SpawnError {
        self.entrance.counts.fetch_sub(ENTRY, COUNT);
        // While we were counted, somebody else may have found it full. Adding nothing orders us with who waits.
        if self.taken.fetch_add(0, COUNT) & ROOM_WAITERS != 0 {
            self.tell_of_room();
        }
        why
    }

    #[cold]
    fn tell_of_room(&self) {
        // Behind the lock, so that who counted itself as waiting does wait.
        drop(lock(&self.room));
        self.freed.notify_all();
    }

    /// Waits for room; an error if the pool stops first.
    pub(crate) fn enter_blocking(&self) -> Result<Ticket, SpawnError> {
        loop {
            match self.enter() {
                Err(SpawnError::Full { .. }) => self.await_room(),
                other => return other,
            }
        }
    }

    #[cold]
    fn await_room(&self) {
        let mut guard = lock(&self.room);
        // In the word that takers add to: either a taker sees us waiting, or we see what it took.
        let mut taken = self.taken.fetch_add(1, COUNT);
        loop {
            let counts = self.entrance.counts.load(Ordering::Acquire);
            let full = outstanding(entries(counts), entries(taken)) >= self.capacity;
            if !full || counts & CLOSED != 0 {
                break;
            }
            guard = wait(&self.freed, &self.room, guard, None);
            taken = self.taken.load(Ordering::Acquire);
        }
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// An entry that is let in whether there is room or not: something that is already in the pool comes back.
    #[inline]
    pub(crate) fn enter_again(&self) -> Ticket {
        Ticket(self.entrance.counts.fetch_add(ENTRY, COUNT))
    }

    /// What was announced has been pushed.
    #[inline]
    pub(crate) fn pushed(&self, ticket: Ticket) {
        if sleeping(ticket.0) > 0 && searching(ticket.0) == 0 {
            self.wake_one();
        }
    }

    /// A worker took `entries` from the inboxes.
    #[inline]
    pub(crate) fn took(&self, entries: u64) {
        let before = self.taken.fetch_add(entries * ENTRY, COUNT);
        if before & ROOM_WAITERS != 0 {
            self.tell_of_room();
        }
    }

    /// The entries that are announced and not taken. Exact when nobody submits.
    pub(crate) fn waiting(&self) -> u64 {
        let taken = entries(self.taken.load(Ordering::Acquire));
        outstanding(entries(self.entrance.counts.load(Ordering::Acquire)), taken)
    }

    /// From now on nobody enters but what comes back.
    pub(crate) fn close(&self) {
        self.entrance.counts.fetch_or(CLOSED, COUNT);
        self.tell_of_room();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.entrance.counts.load(Ordering::Acquire) & CLOSED != 0
    }

    /// A worker has run out of work and begins to look for more.
    #[inline]
    pub(crate) fn search(&self) {
        self.entrance.counts.fetch_add(SEARCHING, COUNT);
    }

    /// A searching worker found something. `more` tells whether there is other work that is not counted here.
    #[inline]
    pub(crate) fn found(&self, more: impl FnOnce() -> bool) {
        let taken = entries(self.taken.load(Ordering::Acquire));
        let counts = self.entrance.counts.fetch_sub(SEARCHING, COUNT);
        if searching(counts) == 1 && sleeping(counts) > 0 {
            sleeper_fence();
            if entries(counts) != taken || more() {
                self.wake_one();
            }
        }
    }

    /// A searching worker goes to sleep, unless there is something to do; it is searching again when this returns.
    /// `ready` is the last look for what is not counted here.
    pub(crate) fn sleep(&self, worker: usize, ready: impl FnOnce() -> bool) {
        let taken = entries(self.taken.load(Ordering::Acquire));
        let counts = {
            let mut idle = lock(&self.idle);
            idle.push((worker, thread::current()));
            self.entrance.counts.fetch_add(SLEEPING.wrapping_sub(SEARCHING), COUNT)
        };
        sleeper_fence();
        if entries(counts) == taken && !ready() {
            thread::park();
        }
        // Also after a wake-up that nobody meant: tasks may use `unpark` for their own ends.
        self.take_off(worker);
    }

    /// Makes a sleeping worker a searching one, if it still sleeps.
    fn take_off(&self, worker: usize) -> Option<Thread> {
        let mut idle = lock(&self.idle);
        let at = idle.iter().position(|(index, _)| *index == worker)?;
        let (_, thread) = idle.swap_remove(at);
        self.entrance.counts.fetch_add(SEARCHING - SLEEPING, COUNT);
        Some(thread)
    }

    #[cold]
    fn wake_one(&self) {
        let mut idle = lock(&self.idle);
        // The one that went to sleep last: its caches are the warmest.
        let Some((_, thread)) = idle.pop() else { return };
        self.entrance.counts.fetch_add(SEARCHING - SLEEPING, COUNT);
        drop(idle);
        thread.unpark();
    }

    /// There is work that is not counted here, and any worker may do it.
    #[inline]
    pub(crate) fn made(&self) {
        maker_fence();
        let counts = self.entrance.counts.load(Ordering::Relaxed);
        if sleeping(counts) > 0 && searching(counts) == 0 {
            self.wake_one();
        }
    }

    /// There is something for this worker alone.
    #[inline]
    pub(crate) fn made_for(&self, worker: usize) {
        maker_fence();
        if sleeping(self.entrance.counts.load(Ordering::Relaxed)) > 0
            && let Some(thread) = self.take_off(worker)
        {
            thread.unpark();
        }
    }

    /// Everybody is to look around.
    pub(crate) fn wake_all(&self) {
        maker_fence();
        let mut idle = lock(&self.idle);
        for (_, thread) in idle.drain(..) {
            self.entrance.counts.fetch_add(SEARCHING - SLEEPING, COUNT);
            thread.unpark();
        }
    }
}
