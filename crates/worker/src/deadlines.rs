//! Jobs that may not take longer than they were given: one thread looks at the clock for all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::interrupt::{Stop, Why};

/// Stops jobs at their time. Dropped, it stops none any more.
#[derive(Default)]
pub(crate) struct Deadlines {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: BinaryHeap<Reverse<Due>>,
    closed: bool,
}

struct Due {
    at: Instant,
    job: Weak<Stop>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            match state.due.peek() {
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Reverse(due)) if due.at > now => {
                    let left = due.at - now;
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(_) => {
                    if let Some(job) = state.due.pop().and_then(|Reverse(due)| due.job.upgrade()) {
                        job.ask(Why::Timeout);
                    }
                }
            }
        }
    }
}

impl Deadlines {
    /// Stops a job at `at`, unless it is over by then.
    pub(crate) fn add(&self, at: Instant, job: &Arc<Stop>) {
        self.shared.lock().due.push(Reverse(Due { at, job: Arc::downgrade(job) }));
        self.shared.changed.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = self.shared.clone();
            // Without the thread jobs are not stopped; they run as they would without a deadline.
            *thread =
                std::thread::Builder::new().name("lua deadlines".into()).spawn(move || shared.serve()).ok();
        }
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
