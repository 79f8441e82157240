//! What a host can learn about tasks while they come and go.

use std::sync::OnceLock;
use std::time::Instant;

use crate::pool::End;
use crate::task::TaskId;

/// Told of every task's life. A pool without one does not read a clock and has one branch for it in each place.
///
/// Calls come from the thread that does the thing: `queued` from whoever spawns, the others from the worker. They may
/// come at the same time for different tasks, never for the same one. A panic in one is swallowed,
/// but not in [`now`](Self::now).
///
/// On a worker they nest: between `started` or `resumed` of a task and its `suspended` or `ended`, other tasks may begin
/// and stop, because the first waits for them on the worker's stack; they stop before it goes on.
///
/// The number that `queued` returns is given to the other calls, so that a tracer can put there what the task was
/// caused by, and needs no table.
///
/// A ready-made one, which writes tasks into a recording, is `tickscope::scheduler::Tasks`.
pub trait Observer: Send + Sync + 'static {
    /// The clock that times are read from: three times for a task that does not wait. Nanoseconds since its first reading,
    /// unless the observer has a clock of its own. It must not panic: unlike the other calls it is not guarded.
    fn now(&self) -> u64 {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    /// A task was handed in, by the worker with this index or by a thread that is none.
    fn queued(&self, _task: TaskId, _worker: Option<usize>, _at: u64) -> u64 {
        0
    }

    /// A task begins.
    fn started(&self, _moment: &Moment) {}

    /// A task stops in the middle: a fiber or a future that waits. What this returns takes the place of what `queued`
    /// returned, which it is unless the observer wants another.
    fn suspended(&self, moment: &Moment) -> u64 {
        moment.tag
    }

    /// It goes on; perhaps only to be dropped, if it was cancelled or abandoned.
    fn resumed(&self, _moment: &Moment) {}

    /// A task is over. One that was never started has run for no time.
    fn ended(&self, _moment: &Moment, _end: End) {}
}

/// What a task's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// It runs from its beginning to its end on the worker's own stack.
    Closure,
    /// It has a stack of its own, may be suspended, and stays on its worker.
    Fiber,
    /// It is polled, each time by any worker.
    Future,
}

/// Where a task stands. Times are [`Observer::now`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The task.
    pub task: TaskId,
    /// The type of its body, which for a closure or an `async` block tells where it is written:
    /// `shop::restock::{{closure}}`.
    pub name: &'static str,
    /// What its body is. A closure that may have to wait for others is run as a fiber.
    pub kind: TaskKind,
    /// What [`Observer::queued`] returned for it, or [`Observer::suspended`] after that.
    pub tag: u64,
    /// The worker it runs on.
    pub worker: usize,
    /// Now.
    pub at: u64,
    /// In `started`: how long it was queued. In `ended` of a task that never started: the same. Zero otherwise.
    pub waited: u64,
    /// How long it has run until now, without the time it was suspended.
    pub ran: u64,
}
