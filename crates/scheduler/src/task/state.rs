//! The life of a task in one word, and who owns what in it.
//!
//! ```text
//! references | BEGUN | TIMEOUT | CANCEL | LISTENING | HANDLE | DONE | RUNNING | SCHEDULED
//! ```
//!
//! - `SCHEDULED`: an entry for the task is in some queue, or about to be. Whoever sets it makes the entry; only one is
//!   there at a time.
//! - `RUNNING`: one worker owns the body. Woken meanwhile, it gets `SCHEDULED` too, and that worker makes the entry.
//! - `BEGUN`: a worker has owned the body, and never cleared: what was suspended since may have to go on where it was.
//! - `DONE`: the outcome is written. It belongs to the handle, or, if that is gone, to the worker that set `DONE`.
//! - `LISTENING`: the waker is written. It belongs to whoever first sets `DONE` or `CANCEL` over it; while neither is
//!   set, the handle may take it back by clearing `LISTENING`.
//! - `CANCEL`: the result is not wanted. Set only while not `DONE`, and never cleared: from then on the handle
//!   gives the error, whatever the body does.

use std::task::Waker;

use crate::sync::{AtomicUsize, FINISH, LISTEN, OUTCOME, Ordering, UNREF, UnsafeCell, last_fence};

const SCHEDULED: usize = 1;
const RUNNING: usize = 1 << 1;
const DONE: usize = 1 << 2;
const HANDLE: usize = 1 << 3;
const LISTENING: usize = 1 << 4;
const CANCEL: usize = 1 << 5;
const TIMEOUT: usize = 1 << 6;
const BEGUN: usize = 1 << 7;
const REFERENCE: usize = 1 << 8;

/// What became of an entry that was taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The body is the caller's to run.
    Run,
    /// The body is the caller's to drop.
    Cancelled(Cancel),
    /// Somebody else ran it.
    Stale,
}

/// Why a result is not wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    Asked,
    TimedOut,
}

/// What a handle sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The outcome is written and the handle's.
    Done,
    Cancelled(Cancel),
    Pending,
}

#[derive(Debug)]
pub(crate) struct State {
    word: AtomicUsize,
    /// In a box, for most tasks are waited for by nobody and have to be small.
    waker: UnsafeCell<Option<Box<Waker>>>,
}

// SAFETY: the waker is guarded by the word, as the module says, and is itself `Send` and `Sync`.
unsafe impl Sync for State {}

fn reason(word: usize) -> Cancel {
    if word & TIMEOUT != 0 { Cancel::TimedOut } else { Cancel::Asked }
}

impl State {
    /// About to be queued, with so many references beside the entry's.
    pub(crate) fn new(handle: bool, others: usize) -> Self {
        let handle = if handle { HANDLE + REFERENCE } else { 0 };
        Self {
            word: AtomicUsize::new(SCHEDULED + handle + (others + 1) * REFERENCE),
            waker: UnsafeCell::new(None),
        }
    }

    /// An entry was taken from a queue.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        let word = self.word.load(OUTCOME);
        if word == SCHEDULED + REFERENCE {
            // Nobody else has it, so nobody else changes it.
            self.word.store(BEGUN + RUNNING + REFERENCE, Ordering::Relaxed);
            return Start::Run;
        }
        self.start_unless(RUNNING | DONE, word)
    }

    /// Somebody who waits for the task wants to run it, without having its entry: only before it has begun. The entry is
    /// stale then.
    pub(crate) fn claim(&self) -> Start {
        self.start_unless(RUNNING | DONE | BEGUN, self.word.load(OUTCOME))
    }

    fn start_unless(&self, unless: usize, mut word: usize) -> Start {
        loop {
            if word & SCHEDULED == 0 || word & unless != 0 {
                return Start::Stale;
            }
            let next = word & !SCHEDULED | RUNNING | BEGUN;
            // Acquires what who woke the task did before, and what the last worker left in the body.
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if word & CANCEL != 0 => return Start::Cancelled(reason(word)),
                Ok(_) => return Start::Run,
                Err(now) => word = now,
            }
        }
    }

    /// The body is not finished and waits. True if it was woken meanwhile: then the caller makes the entry.
    pub(crate) fn suspend(&self) -> bool {
        self.word.fetch_and(!RUNNING, Ordering::AcqRel) & SCHEDULED != 0
    }

    /// True if the caller has to make an entry.
    pub(crate) fn wake(&self) -> bool {
        self.word.fetch_or(SCHEDULED, Ordering::AcqRel) & (SCHEDULED | RUNNING | DONE) == 0
    }

    /// For the worker that runs the task: whether nobody else has it, nor ever will. Then there is nothing to hand over.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        self.word.load(OUTCOME) & !(CANCEL | TIMEOUT | SCHEDULED | LISTENING | BEGUN) == RUNNING + REFERENCE
    }

    /// The outcome is written, by the worker that runs the task. Wakes who listens; true if nobody will read the
    /// outcome, so that it is the caller's to drop.
    #[inline]
    pub(crate) fn finish(&self) -> bool {
        // RUNNING is set and DONE is not, so this adds one and takes the other.
        let before = self.word.fetch_add(DONE - RUNNING, FINISH);
        if before & LISTENING != 0 && before & CANCEL == 0 {
            self.wake_listener();
        }
        before & HANDLE == 0
    }

    /// The result is not wanted any more. False if it is there already, or was not wanted before. True otherwise, and
    /// who listens is woken; the caller then wakes the task, for a body that waits has to be dropped.
    pub(crate) fn cancel(&self, why: Cancel) -> bool {
        let bits = if why == Cancel::TimedOut { CANCEL | TIMEOUT } else { CANCEL };
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & (DONE | CANCEL) != 0 {
                return false;
            }
            match self.word.compare_exchange_weak(word, word | bits, LISTEN, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if word & LISTENING != 0 {
            self.wake_listener();
        }
        true
    }

    /// Of the two that end a task, called by the one that saw `LISTENING` first.
    #[cold]
    fn wake_listener(&self) {
        // SAFETY: ours, as the module says: the handle sees DONE or CANCEL and keeps off.
        let waker = self.waker.with_mut(|waker| unsafe { (*waker).take() });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a body that runs should stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.word.load(Ordering::Relaxed) & CANCEL != 0
    }

    /// Not started, and nobody about to.
    pub(crate) fn is_queued(&self) -> bool {
        self.word.load(Ordering::Relaxed) & (SCHEDULED | RUNNING | DONE | CANCEL | BEGUN) == SCHEDULED
    }

    /// For the handle.
    #[inline]
    pub(crate) fn outcome(&self) -> Outcome {
        outcome_of(self.word.load(OUTCOME))
    }

    /// For the handle: leaves a waker, if there is something to wait for.
    pub(crate) fn listen(&self, waker: &Waker) -> Outcome {
        let word = self.word.load(OUTCOME);
        if outcome_of(word) != Outcome::Pending {
            return outcome_of(word);
        }
        if word & LISTENING != 0 {
            let before = self.word.fetch_and(!LISTENING, LISTEN);
            if outcome_of(before) != Outcome::Pending {
                return outcome_of(before);
            }
        }
        // SAFETY: not LISTENING, so the waker is the handle's, and there is one handle.
        self.waker.with_mut(|slot| unsafe {
            match &mut *slot {
                Some(old) if old.will_wake(waker) => {}
                slot => *slot = Some(Box::new(waker.clone())),
            }
        });
        outcome_of(self.word.fetch_or(LISTENING, LISTEN))
    }

    /// The handle goes while the task is not over, and its reference with it. False if neither goes, because the outcome is
    /// there, or this is the last reference.
    #[inline]
    pub(crate) fn let_go(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let is_pending = word & DONE == 0 && word / REFERENCE > 1;
        // As two steps would be `leave` and `unreference`; the second releases.
        is_pending
            && self.word.compare_exchange(word, word - HANDLE - REFERENCE, UNREF, Ordering::Relaxed).is_ok()
    }

    /// The handle goes. True if the outcome is there, and so the caller's to drop.
    pub(crate) fn leave(&self) -> bool {
        self.word.fetch_and(!HANDLE, Ordering::AcqRel) & DONE != 0
    }

    pub(crate) fn reference(&self) {
        self.word.fetch_add(REFERENCE, Ordering::Relaxed);
    }

    /// A reference goes. True if it was the last: the task is the caller's to free.
    #[inline]
    pub(crate) fn unreference(&self) -> bool {
        // Whoever has the only reference can have no company by the time it gives it back.
        let last = self.word.load(Ordering::Relaxed) / REFERENCE == 1
            || self.word.fetch_sub(REFERENCE, UNREF) / REFERENCE == 1;
        if last && cfg!(tsan) {
            // The sanitizer does not see what a fence orders.
            self.word.load(Ordering::Acquire);
        } else if last {
            last_fence();
        }
        last
    }
}

fn outcome_of(word: usize) -> Outcome {
    if word & CANCEL != 0 {
        Outcome::Cancelled(reason(word))
    } else if word & DONE != 0 {
        Outcome::Done
    } else {
        Outcome::Pending
    }
}
