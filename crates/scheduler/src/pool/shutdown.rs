//! The end of a pool.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Counters, Pool, Shared, current};
use crate::sync::{lock, wait};

/// What happens to the tasks that a stopping pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All run to their end, those that wait included; a future that nobody ever wakes is waited for without end.
    Drain,
    /// As long as this they run; then what is left is abandoned.
    DrainFor(Duration),
    /// What runs is waited for, and can see that it [should stop](crate::is_cancelled). What is queued or suspended is
    /// dropped, of fibers by unwinding, and the handles say [`Abandoned`](crate::TaskError::Abandoned).
    Abandon,
}

/// How often whoever stops a pool looks for itself: an end that no worker sees is not told.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Pool {
    /// Stops the pool: takes nothing in any more but what tasks spawn themselves, deals with what there is, and ends the
    /// workers. Gives the counts, which then balance.
    ///
    /// From one of the pool's own tasks it only tells the workers, which end when everything else has.
    pub fn stop(mut self, how: Stop) -> Counters {
        self.end(how);
        self.counters()
    }

    fn end(&mut self, how: Stop) {
        let shared = &self.spawner.shared;
        shared.gate.close();
        let until = match how {
            Stop::Drain => None,
            Stop::DrainFor(time) => Instant::now().checked_add(time),
            Stop::Abandon => {
                shared.abandon();
                None
            }
        };
        if current(|worker| worker.is_some_and(|worker| std::sync::Arc::ptr_eq(&worker.shared, shared))) {
            shared.detached.store(true, Ordering::Release);
            shared.gate.wake_all();
            self.threads.clear();
            return;
        }
        if !self.threads.is_empty() {
            shared.await_quiet(until);
        }
        shared.end();
        for thread in self.threads.drain(..) {
            // A worker does not panic: tasks are caught.
            let _ = thread.join();
        }
        shared.timer.stop();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.spawner.shared.is_over() {
            self.end(Stop::Drain);
        }
    }
}

impl Shared {
    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.gate.wake_all();
        self.futures.wake();
    }

    /// The workers go home.
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.gate.wake_all();
    }

    fn await_quiet(&self, until: Option<Instant>) {
        let mut guard = lock(&self.quiet);
        while !self.is_quiet() {
            if until.is_some_and(|until| Instant::now() >= until) && !self.is_abandoned() {
                drop(guard);
                self.abandon();
                guard = lock(&self.quiet);
                continue;
            }
            guard = wait(&self.quieter, &self.quiet, guard, Some(LOOK_AGAIN));
        }
    }

    /// A worker has nothing to do.
    pub(super) fn tell_if_quiet(&self) {
        if self.gate.is_closed() && self.is_quiet() {
            if self.detached.load(Ordering::Acquire) && !self.is_over() {
                self.end();
                self.timer.stop();
            }
            drop(lock(&self.quiet));
            self.quieter.notify_all();
        }
    }
}
