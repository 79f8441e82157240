//! What a host can learn about tasks while they come and go.

use std::time::Duration;

use crate::pool::End;
use crate::task::TaskId;

/// Told of every task's life. A pool without one does not read a clock and has one branch for it in each place.
///
/// Calls come from the thread that does the thing: `queued` from whoever spawns, the others from the worker. They may
/// come at the same time for different tasks, never for the same one. A panic in one is swallowed.
///
/// The number that `queued` returns is given to the other calls, so that a tracer can put there what the task was
/// caused by, and needs no table.
pub trait Observer: Send + Sync + 'static {
    /// A task was handed in, by the worker with this index or by a thread that is none.
    fn queued(&self, _task: TaskId, _worker: Option<usize>) -> u64 {
        0
    }

    /// A task begins.
    fn started(&self, _moment: &Moment) {}

    /// A task stops in the middle: a fiber or a future that waits.
    fn suspended(&self, _moment: &Moment) {}

    /// It goes on.
    fn resumed(&self, _moment: &Moment) {}

    /// A task is over. One that was never started has run for no time.
    fn ended(&self, _moment: &Moment, _end: End) {}
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The task.
    pub task: TaskId,
    /// What [`Observer::queued`] returned for it.
    pub tag: u64,
    /// The worker it runs on.
    pub worker: usize,
    /// In `started`: how long it was queued. In `ended` of a task that never started: the same. Zero otherwise.
    pub waited: Duration,
    /// How long it has run until now, without the time it was suspended.
    pub ran: Duration,
}
