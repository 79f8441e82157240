//! Counts that balance: every task that was spawned ends in one of four ways.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::TaskError;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It returned.
    Finished,
    /// It panicked.
    Panicked,
    /// It was cancelled, or its time was up, before it had returned.
    Cancelled,
    /// The pool stopped without waiting for it.
    Abandoned,
}

impl End {
    pub(crate) fn of(error: &TaskError) -> Self {
        match error {
            TaskError::Panicked { .. } => Self::Panicked,
            TaskError::Cancelled | TaskError::TimedOut => Self::Cancelled,
            TaskError::Abandoned | TaskError::Rejected(_) => Self::Abandoned,
        }
    }
}

/// How many tasks a pool has seen. `spawned` = `finished` + `panicked` + `cancelled` + `abandoned` + those still
/// [live](Self::live).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Taken in. What was refused is not counted.
    pub spawned: u64,
    /// Returned.
    pub finished: u64,
    /// Panicked.
    pub panicked: u64,
    /// Cancelled, or out of time.
    pub cancelled: u64,
    /// Dropped when the pool stopped.
    pub abandoned: u64,
}

impl Counters {
    /// Queued, running or suspended.
    pub fn live(&self) -> u64 {
        self.spawned.wrapping_sub(self.finished + self.panicked + self.cancelled + self.abandoned)
    }
}

/// One thread's part of the counts, or that of all threads that are no workers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    spawned: AtomicU64,
    ended: [AtomicU64; 4],
}

impl Tally {
    /// By any thread.
    #[inline]
    pub(super) fn spawned_outside(&self, tasks: u64) -> u64 {
        self.spawned.fetch_add(tasks, Ordering::Relaxed)
    }

    /// By the one worker whose tally it is.
    #[inline]
    pub(super) fn spawned_here(&self, tasks: u64) -> u64 {
        let before = self.spawned.load(Ordering::Relaxed);
        self.spawned.store(before + tasks, Ordering::Relaxed);
        before
    }

    /// By the one worker whose tally it is.
    #[inline]
    pub(super) fn ended(&self, end: End, tasks: u64) {
        let count = &self.ended[end as usize];
        // Releases what the task spawned: whoever counts this end counts that beginning too.
        count.store(count.load(Ordering::Relaxed) + tasks, Ordering::Release);
    }

    pub(super) fn add_ended(&self, sums: &mut Counters) {
        let [finished, panicked, cancelled, abandoned] =
            [0, 1, 2, 3].map(|end| self.ended[end].load(Ordering::Acquire));
        sums.finished += finished;
        sums.panicked += panicked;
        sums.cancelled += cancelled;
        sums.abandoned += abandoned;
    }

    pub(super) fn spawned(&self) -> u64 {
        self.spawned.load(Ordering::Acquire)
    }
}
