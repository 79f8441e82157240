//! One thread that wakes others in time, started when there is first something to wait for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Instant;

use crate::sync::{lock, wait};
use crate::task::{Cancel, Task};

/// Names something that is to happen, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId {
    at: Instant,
    number: u64,
}

#[derive(Debug)]
enum Due {
    Wake(Waker),
    TimeOut(Task),
}

#[derive(Debug, Default)]
struct Plans {
    due: BTreeMap<TimerId, Due>,
    /// Where a task's deadline stands.
    tasks: HashMap<u64, TimerId>,
    next: u64,
    stopped: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Clockwork {
    plans: Mutex<Plans>,
    sooner: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Timer(Arc<Clockwork>);

impl Timer {
    pub(crate) fn wake_at(&self, at: Instant, waker: Waker) -> TimerId {
        self.add(at, Due::Wake(waker), None)
    }

    /// Cancels the task then.
    pub(crate) fn time_out_at(&self, at: Instant, task: Task) {
        let id = task.header().id.get();
        self.add(at, Due::TimeOut(task), Some(id));
    }

    fn add(&self, at: Instant, due: Due, task: Option<u64>) -> TimerId {
        let mut plans = lock(&self.0.plans);
        plans.next += 1;
        let id = TimerId { at, number: plans.next };
        let first = plans.due.first_key_value().is_none_or(|(first, _)| id < *first);
        plans.due.insert(id, due);
        if let Some(task) = task {
            plans.tasks.insert(task, id);
        }
        if plans.thread.is_none() && !plans.stopped {
            let clockwork = Arc::clone(&self.0);
            // Without a thread nothing is ever due: better than no answer is to try again with the next.
            plans.thread = std::thread::Builder::new()
                .name("scheduler-timer".into())
                .spawn(move || tick(&clockwork))
                .ok();
        }
        drop(plans);
        if first {
            self.0.sooner.notify_one();
        }
        id
    }

    pub(crate) fn remove(&self, id: TimerId) {
        let removed = lock(&self.0.plans).due.remove(&id);
        drop(removed);
    }

    /// The task has ended.
    pub(crate) fn forget(&self, task: u64) {
        let mut plans = lock(&self.0.plans);
        let id = plans.tasks.remove(&task);
        let removed = id.and_then(|id| plans.due.remove(&id));
        // A task's last reference runs other people's destructors: not under the lock.
        drop(plans);
        drop(removed);
    }

    pub(crate) fn stop(&self) {
        let mut plans = lock(&self.0.plans);
        plans.stopped = true;
        let due = std::mem::take(&mut plans.due);
        plans.tasks.clear();
        let thread = plans.thread.take();
        drop(plans);
        self.0.sooner.notify_one();
        drop(due);
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // It only wakes and cancels, which does not panic.
            let _ = thread.join();
        }
    }
}

fn tick(clockwork: &Clockwork) {
    let mut plans = lock(&clockwork.plans);
    while !plans.stopped {
        let now = Instant::now();
        let Some((first, _)) = plans.due.first_key_value() else {
            plans = wait(&clockwork.sooner, &clockwork.plans, plans, None);
            continue;
        };
        if first.at > now {
            let left = first.at - now;
            plans = wait(&clockwork.sooner, &clockwork.plans, plans, Some(left));
            continue;
        }
        let Some((_, due)) = plans.due.pop_first() else { continue };
        if let Due::TimeOut(task) = &due {
            plans.tasks.remove(&task.header().id.get());
        }
        drop(plans);
        match due {
            Due::Wake(waker) => waker.wake(),
            Due::TimeOut(task) => {
                task.cancel(Cancel::TimedOut);
            }
        }
        plans = lock(&clockwork.plans);
    }
}
