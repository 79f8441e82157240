//! Building a pool, and owning one.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;

use crossbeam_deque::Worker as Deque;
use crossbeam_utils::CachePadded;

use super::counters::Tally;
use super::entrance::Entrance;
use super::{Home, PRIORITIES, Shared, Spawner, Worker};
use crate::error::BuildError;
use crate::fiber::Stacks;
use crate::inbox::Inbox;
use crate::observer::Observer;
use crate::sleep::{Gate, MAX_WORKERS};
use crate::task::Task;

static POOLS: AtomicU32 = AtomicU32::new(0);

/// What a pool is to be like.
pub struct Builder {
    workers: Option<usize>,
    capacity: usize,
    name: String,
    fiber_stack: usize,
    kept_stacks: usize,
    observer: Option<Box<dyn Observer>>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            workers: None,
            capacity: 65_536,
            name: "worker".into(),
            fiber_stack: 256 << 10,
            kept_stacks: 64,
            observer: None,
        }
    }
}

impl Builder {
    /// How many workers. Otherwise the cores that this process may use, less one for the thread that owns the pool; at
    /// least one.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many tasks may wait at the entrance, and as many again in each worker's own queue; otherwise 65,536. Woken
    /// futures come in over the number.
    pub fn capacity(mut self, tasks: usize) -> Self {
        self.capacity = tasks;
        self
    }

    /// What the threads are called, before a number.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The stack of a fiber, in bytes; otherwise 256 KiB, of which only what is touched takes memory.
    pub fn fiber_stack(mut self, bytes: usize) -> Self {
        self.fiber_stack = bytes;
        self
    }

    /// How many stacks are kept for later while no fiber uses them; otherwise 64.
    pub fn kept_stacks(mut self, stacks: usize) -> Self {
        self.kept_stacks = stacks;
        self
    }

    /// Tells somebody about every task.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// A number makes no sense, or the system gives no thread.
    pub fn build(self) -> Result<Pool, BuildError> {
        let workers = self.workers.unwrap_or_else(default_workers);
        if workers == 0 || workers > MAX_WORKERS {
            return Err(BuildError::Workers { asked: workers, max: MAX_WORKERS });
        }
        if self.capacity == 0 {
            return Err(BuildError::Capacity);
        }
        let queues: Vec<[Deque<Task>; PRIORITIES]> =
            (0..workers).map(|_| std::array::from_fn(|_| Deque::new_fifo())).collect();
        let homes = queues.iter().map(|queues| {
            let stealers = std::array::from_fn(|level| queues[level].stealer());
            CachePadded::new(Home { stealers, woken: Inbox::new(), tally: Tally::default() })
        });
        let shared = Arc::new(Shared {
            id: POOLS.fetch_add(1, Ordering::Relaxed),
            gate: Gate::new(self.capacity),
            entrances: std::array::from_fn(|_| Entrance::new(self.capacity)),
            homes: homes.collect(),
            outside: CachePadded::default(),
            capacity: self.capacity,
            observer: self.observer,
            futures: super::futures::Futures::default(),
            timer: crate::timer::Timer::default(),
            stacks: Stacks::new(self.fiber_stack, self.kept_stacks),
            abandoned: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            over: AtomicBool::new(false),
            quiet: Mutex::new(()),
            quieter: Condvar::new(),
        });
        // Built up in the pool itself, so that an error on the way stops the workers that are there.
        let mut pool = Pool { spawner: Spawner { shared: Arc::clone(&shared) }, threads: Vec::new() };
        for (index, queues) in queues.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("{}-{index}", self.name))
                .spawn(move || Worker::new(index, shared, queues).main());
            pool.threads.push(thread.map_err(|source| BuildError::Thread { index, source })?);
        }
        Ok(pool)
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Workers, and the right to stop them. Tasks are handed in through the [`Spawner`] that this is as well.
///
/// Dropping it drains it: see [`stop`](Self::stop).
#[derive(Debug)]
pub struct Pool {
    pub(super) spawner: Spawner,
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Workers as many as the cores less one, and the other defaults.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// To choose.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// For others who are to hand in tasks.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Deref for Pool {
    type Target = Spawner;

    fn deref(&self) -> &Spawner {
        &self.spawner
    }
}
