//! Handing tasks in.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::worker::tell_queued;
use super::{Counters, Shared, Worker, current};
use crate::error::SpawnError;
use crate::fiber::Sleep;
use crate::handle::Handle;
use crate::sleep::Ticket;
use crate::task::{Ground, Plan, Task, TaskId, closure, closure_with, future};

/// Frames of one stack that work for room in the queue, see [`Spawner::make_room`].
const MOST_MAKING_ROOM: u32 = 16;

/// Which of the tasks that wait a worker takes first.
///
/// Strict for what one worker takes from one place, but for one pick in sixty-one that goes the other way around, so that
/// nothing waits for ever. It does not stop what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before the others.
    High = 0,
    /// As most tasks are.
    #[default]
    Normal = 1,
    /// When there is nothing else.
    Low = 2,
}

pub(crate) const PRIORITIES: usize = 3;

/// What a task is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskOptions {
    /// Which of those that wait it goes before.
    pub priority: Priority,
    /// After this time, counted from the spawn, the task is cancelled, and its handle says
    /// [`TimedOut`](crate::TaskError::TimedOut).
    pub timeout: Option<Duration>,
    /// It runs on a stack of its own, so that it can be suspended. Futures need none.
    pub fiber: bool,
}

/// A task that was not taken in, given back.
pub struct Refused<F> {
    /// Why not.
    pub why: SpawnError,
    /// What was to be run.
    pub task: F,
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<F> std::error::Error for Refused<F> {}

/// Hands tasks to a pool. Clones go to the same pool, and may outlive it: what they spawn is then refused.
///
/// # Who waits for what
/// From outside the pool, `spawn` waits for room in a full queue and `try_spawn` refuses. A task of the same pool puts
/// what it spawns into its worker's own queue; if that is full, `spawn` makes room by running some of it (a fiber lets
/// its worker do so), and `try_spawn` refuses.
#[derive(Clone, Debug)]
pub struct Spawner {
    pub(super) shared: Arc<Shared>,
}

/// Where a task goes in.
pub(super) enum Place<'a> {
    /// Into the queue of the worker that runs the spawning task.
    Here(&'a Worker),
    Outside(Ticket),
}

impl Spawner {
    /// Runs a closure on a worker.
    ///
    /// Waits for room if the queue is full. After the pool has stopped, the handle says so.
    ///
    /// ```
    /// let pool = tickscope_scheduler::Pool::builder().build()?;
    /// assert_eq!(pool.spawn(|| 6 * 7).join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn spawn<F, T>(&self, body: F) -> Handle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(TaskOptions::default(), body)
    }

    /// As [`spawn`](Self::spawn), with options.
    #[inline]
    pub fn spawn_with<F, T>(&self, options: TaskOptions, body: F) -> Handle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        current(|worker| match self.admit(worker, true) {
            // SAFETY: the bounds.
            Ok(place) => unsafe { self.put::<F, T, F>(place, options, body) },
            Err(why) => Handle::rejected(why),
        })
    }

    /// As [`spawn`](Self::spawn), but does not wait.
    ///
    /// # Errors
    /// The queue is full, or the pool has stopped. The closure is in the error.
    pub fn try_spawn<F, T>(&self, body: F) -> Result<Handle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_spawn_with(TaskOptions::default(), body)
    }

    /// As [`try_spawn`](Self::try_spawn), with options.
    ///
    /// # Errors
    /// The queue is full, or the pool has stopped. The closure is in the error.
    pub fn try_spawn_with<F, T>(&self, options: TaskOptions, body: F) -> Result<Handle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        current(|worker| match self.admit(worker, false) {
            // SAFETY: the bounds.
            Ok(place) => Ok(unsafe { self.put::<F, T, F>(place, options, body) }),
            Err(why) => Err(Refused { why, task: body }),
        })
    }

    /// Runs a closure on a worker, for its effects: there is no handle, and a panic is only counted. The cheapest way in.
    ///
    /// Waits for room if the queue is full.
    ///
    /// # Errors
    /// The pool has stopped.
    #[inline]
    pub fn execute<F>(&self, body: F) -> Result<(), SpawnError>
    where
        F: FnOnce() + Send + 'static,
    {
        current(|worker| {
            let place = self.admit(worker, true)?;
            let plan = self.plan(&place, TaskOptions::default());
            self.enqueue(place, closure(plan, false, body));
            Ok(())
        })
    }

    /// Runs a closure on a fiber: it may wait in the middle without holding up its worker. See [`fiber`](crate::fiber).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tickscope_scheduler::{Pool, fiber};
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let other = pool.spawn(|| 20);
    /// let sum = pool.spawn_fiber(move || {
    ///     fiber::sleep(Duration::from_millis(1));
    ///     other.join().map(|value| value + 22)
    /// });
    /// assert_eq!(sum.join()??, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_fiber<F, T>(&self, body: F) -> Handle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(TaskOptions { fiber: true, ..TaskOptions::default() }, body)
    }

    /// Polls a future on the workers until it is ready.
    ///
    /// It is polled on a worker's own stack: one that has to wait should `await`. A poll that calls [`Handle::join`] works on other
    /// tasks further up that stack, futures that do so too among them.
    pub fn spawn_future<F>(&self, body: F) -> Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_future_with(TaskOptions::default(), body)
    }

    /// As [`spawn_future`](Self::spawn_future), with options.
    pub fn spawn_future_with<F>(&self, options: TaskOptions, body: F) -> Handle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        current(|worker| {
            let place = match self.admit(worker, true) {
                Ok(place) => place,
                Err(why) => return Handle::rejected(why),
            };
            let task = future(self.plan(&place, options), &self.shared, body);
            // SAFETY: three references were counted: the entry's, the handle's, the pool's.
            let (handle, kept) = unsafe { (task.counted(), task.counted()) };
            self.shared.futures.insert(kept);
            self.time(options, &task);
            self.enqueue(place, task);
            Handle::new(handle)
        })
    }

    /// Ready after this time. For futures of this pool: the pool's timer ends with it.
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep::new(Arc::clone(&self.shared), time)
    }

    /// What became of the tasks so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.homes.len()
    }

    /// How many tasks wait at the entrance. Those in workers' own queues are not among them.
    pub fn waiting(&self) -> usize {
        self.shared.gate.waiting() as usize
    }

    /// Finds room.
    #[inline]
    pub(super) fn admit<'a>(&self, worker: Option<&'a Worker>, wait: bool) -> Result<Place<'a>, SpawnError> {
        if let Some(worker) = worker
            && Arc::ptr_eq(&worker.shared, &self.shared)
        {
            if self.shared.is_abandoned() {
                return Err(SpawnError::Stopped);
            }
            if worker.queued() >= self.shared.capacity {
                if !wait {
                    return Err(SpawnError::Full { capacity: self.shared.capacity });
                }
                self.make_room(worker);
            }
            return Ok(Place::Here(worker));
        }
        let gate = &self.shared.gate;
        let ticket = if wait { gate.enter_blocking() } else { gate.enter() }?;
        Ok(Place::Outside(ticket))
    }

    /// A worker never waits for room: it would wait for itself. It works until there is some.
    ///
    /// A future is polled on the worker's stack, and its poll may come here in turn. Past a few such frames the task is let in
    /// over the capacity: a stack that is full ends the process.
    #[cold]
    fn make_room(&self, worker: &Worker) {
        let room = || worker.queued() < self.shared.capacity;
        if worker.on_fiber() {
            while !room() {
                worker.stay_scheduled();
                worker.suspend();
            }
        } else if worker.making_room.get() < MOST_MAKING_ROOM {
            worker.making_room.set(worker.making_room.get() + 1);
            worker.work_until(Ground::Fiber, &room);
            worker.making_room.set(worker.making_room.get() - 1);
        }
    }

    #[inline]
    pub(super) fn plan(&self, place: &Place<'_>, options: TaskOptions) -> Plan {
        Plan {
            pool: self.shared.id,
            id: self.count(place, 1),
            priority: options.priority,
            fiber: options.fiber,
            timed: options.timeout.is_some(),
            hidden: false,
            extra: self.shared.observer.is_some(),
        }
    }

    /// Counts tasks that were taken in, and gives the first one's name.
    #[inline]
    pub(super) fn count(&self, place: &Place<'_>, tasks: u64) -> TaskId {
        match place {
            Place::Here(worker) => {
                TaskId((worker.index as u64 + 1) << 48 | worker.tally_spawned(tasks) & ((1 << 48) - 1))
            }
            Place::Outside(_) => TaskId(self.shared.outside.spawned_outside(tasks)),
        }
    }

    fn time(&self, options: TaskOptions, task: &Task) {
        if let Some(timeout) = options.timeout
            && let Some(deadline) = Instant::now().checked_add(timeout)
        {
            self.shared.timer.time_out_at(deadline, task.clone());
        }
    }

    /// # Safety
    /// As [`closure_with`].
    #[inline]
    pub(super) unsafe fn put<F, T, N>(&self, place: Place<'_>, options: TaskOptions, body: F) -> Handle<T>
    where
        F: FnOnce() -> T,
    {
        // SAFETY: the caller's promise.
        let task = unsafe { closure_with::<F, T, N>(self.plan(&place, options), true, body) };
        // SAFETY: two references were counted, the entry's and the handle's.
        let handle = unsafe { task.counted() };
        self.time(options, &task);
        self.enqueue(place, task);
        Handle::new(handle)
    }

    #[inline]
    pub(super) fn enqueue(&self, place: Place<'_>, task: Task) {
        match place {
            Place::Here(worker) => {
                tell_queued(&self.shared, task.header(), Some(worker.index));
                worker.push(task);
            }
            Place::Outside(ticket) => {
                tell_queued(&self.shared, task.header(), None);
                self.shared.entrances[task.header().priority as usize].push(task);
                self.shared.gate.pushed(ticket);
            }
        }
    }
}

/// A task that is counted and told otherwise.
pub(super) fn hidden(shared: &Shared, options: TaskOptions) -> Plan {
    Plan {
        pool: shared.id,
        id: TaskId(0),
        priority: options.priority,
        fiber: options.fiber,
        timed: false,
        hidden: true,
        extra: true,
    }
}
