//! The pool: workers, what they share, and how others reach them.

mod batch;
mod builder;
mod counters;
mod entrance;
mod futures;
mod scope;
mod shutdown;
mod spawner;
mod wait;
mod worker;

pub use batch::Batch;
pub use builder::{Builder, Pool};
pub use counters::{Counters, End};
pub use scope::{Scope, ScopedHandle};
pub use shutdown::Stop;
pub use spawner::{Priority, Refused, Spawner, TaskOptions};

pub(crate) use spawner::PRIORITIES;
pub(crate) use wait::{wait, wait_for};
pub(crate) use worker::{Worker, current, set_suspender};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use crossbeam_deque::Stealer;
use crossbeam_utils::CachePadded;

use crate::fiber::Stacks;
use crate::inbox::Inbox;
use crate::observer::Observer;
use crate::sleep::Gate;
use crate::task::{Header, Task};
use crate::timer::Timer;

use counters::Tally;
use entrance::Entrance;
use futures::Futures;

/// What all workers and all spawners of a pool know.
pub(crate) struct Shared {
    /// Tells pools apart.
    pub(crate) id: u32,
    pub(crate) gate: Gate,
    /// What came from outside, by priority.
    entrances: [Entrance; PRIORITIES],
    homes: Box<[CachePadded<Home>]>,
    /// What threads did that are no workers.
    outside: CachePadded<Tally>,
    capacity: usize,
    observer: Option<Box<dyn Observer>>,
    pub(crate) futures: Futures,
    pub(crate) timer: Timer,
    stacks: Stacks,
    /// What is queued or waits is to be dropped instead of run.
    abandoned: AtomicBool,
    /// Nobody waits for the end; the workers see to it themselves.
    detached: AtomicBool,
    /// Nothing is left; workers go home.
    over: AtomicBool,
    /// Whoever stops the pool waits here.
    quiet: Mutex<()>,
    quieter: Condvar,
}

/// What others reach of one worker.
struct Home {
    stealers: [Stealer<Task>; PRIORITIES],
    /// Its fibers that others woke.
    woken: Inbox<Header>,
    tally: Tally,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .field("workers", &self.homes.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// A task that is in the pool already comes back, from a thread that is none of its workers.
    pub(crate) fn submit_again(self: Arc<Self>, task: Task) {
        let ticket = self.gate.enter_again();
        self.entrances[task.header().priority as usize].push_again(task);
        self.gate.pushed(ticket);
    }

    /// A fiber goes on, on the worker it began on.
    pub(crate) fn send_home(self: Arc<Self>, worker: usize, task: Task) {
        // SAFETY: an entry is made once at a time, and its reference keeps it alive until it is taken.
        unsafe { self.homes[worker].woken.push(task.into_raw()) };
        self.gate.made_for(worker);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The sums over everybody. `spawned` is read last, so that it is never too small.
    pub(crate) fn counters(&self) -> Counters {
        let tallies = || self.homes.iter().map(|home| &home.tally).chain([&*self.outside]);
        let mut sums = Counters::default();
        for tally in tallies() {
            tally.add_ended(&mut sums);
        }
        sums.spawned = tallies().map(Tally::spawned).sum();
        sums
    }

    /// Whether nothing is left, once the gate is closed.
    ///
    /// Ends are read before beginnings: counts only grow, so if they are equal, then at the moment between the two
    /// readings everything that had begun had ended (Mattern, Distributed Computing 2 (1987)). Only tasks can spawn
    /// then, so it stays so.
    fn is_quiet(&self) -> bool {
        self.gate.waiting() == 0 && self.counters().live() == 0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A wake-up that came when the workers had gone: its task is over.
        for inbox in self.homes.iter().map(|home| &home.woken) {
            for header in inbox.take() {
                // SAFETY: the entry's reference.
                drop(unsafe { Task::from_raw(header) });
            }
        }
    }
}
