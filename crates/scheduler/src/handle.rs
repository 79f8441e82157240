//! What is left with whoever spawned a task.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::{SpawnError, TaskError};
use crate::pool;
use crate::task::{Cancel, Ground, Outcome, Task, TaskId};

/// A task's result, there or to come: joined, asked for, or awaited as a [`Future`].
///
/// Dropping it lets the task run on; its result is then dropped where it ran.
#[derive(Debug)]
#[must_use = "dropping a handle detaches its task; `execute` says so"]
pub struct Handle<T> {
    source: Source,
    result: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Source {
    Task(Task),
    Rejected(SpawnError),
    Taken,
}

impl<T> Handle<T> {
    #[inline]
    pub(crate) fn new(task: Task) -> Self {
        Self { source: Source::Task(task), result: PhantomData }
    }

    pub(crate) fn rejected(why: SpawnError) -> Self {
        Self { source: Source::Rejected(why), result: PhantomData }
    }

    /// Waits for the result.
    ///
    /// In a fiber, the worker does something else meanwhile. In another task of the same pool, what was not started yet
    /// is run at once, and otherwise the worker runs other tasks while it waits; so tasks can wait for each other
    /// on a single worker. Two tasks that wait for each other wait for ever.
    ///
    /// # Errors
    /// The task panicked, was cancelled or abandoned, its time was up, or it was never taken in.
    pub fn join(mut self) -> Result<T, TaskError> {
        if let Some(result) = self.try_join() {
            return result;
        }
        if let Source::Task(task) = &self.source
            && task.may_be_claimed()
        {
            pool::current(|worker| {
                if let Some(worker) =
                    worker.filter(|worker| worker.shared.id == task.header().pool && !worker.on_fiber())
                {
                    task.clone().run(worker, Ground::Claimed);
                }
            });
        }
        pool::wait(pin!(self))
    }

    /// The result, if it is there. `None` before, and after it was taken.
    pub fn try_join(&mut self) -> Option<Result<T, TaskError>> {
        let outcome = match &self.source {
            Source::Task(task) => task.header().state.outcome(),
            _ => Outcome::Pending,
        };
        self.take(outcome)
    }

    /// Waits for the result, but no longer than this.
    pub fn join_timeout(&mut self, time: Duration) -> Option<Result<T, TaskError>> {
        pool::wait_for(Some(time), |context| Pin::new(&mut *self).poll(context))
    }

    /// Whether [`try_join`](Self::try_join) would give a result. One load.
    #[inline]
    pub fn is_finished(&self) -> bool {
        match &self.source {
            Source::Task(task) => task.header().state.outcome() != Outcome::Pending,
            Source::Rejected(_) => true,
            Source::Taken => false,
        }
    }

    /// Says that the result is not wanted. False if it is there, or was cancelled before.
    ///
    /// The handle has its answer at once. A task in a queue is dropped when its turn comes; a future or fiber that waits
    /// is dropped, of a fiber by unwinding; what runs goes on, and may ask [`is_cancelled`](crate::is_cancelled).
    pub fn cancel(&self) -> bool {
        match &self.source {
            Source::Task(task) => task.cancel(Cancel::Asked),
            _ => false,
        }
    }

    /// The task's name; `None` if it was never taken in, or its result was taken.
    pub fn id(&self) -> Option<TaskId> {
        match &self.source {
            Source::Task(task) => Some(task.header().id),
            _ => None,
        }
    }

    /// Leaves a waker; true if there is nothing to wait for.
    pub(crate) fn listen(&mut self, waker: &Waker) -> bool {
        match &self.source {
            Source::Task(task) => task.header().state.listen(waker) != Outcome::Pending,
            _ => true,
        }
    }

    fn take(&mut self, outcome: Outcome) -> Option<Result<T, TaskError>> {
        let result = match (&self.source, outcome) {
            (Source::Rejected(why), _) => Err(TaskError::Rejected(*why)),
            (Source::Task(task), Outcome::Done) => {
                // SAFETY: done, and the handle is here; the handle's type is that of the task's result.
                unsafe { task.read() }
            }
            (Source::Task(_), Outcome::Cancelled(Cancel::Asked)) => Err(TaskError::Cancelled),
            (Source::Task(_), Outcome::Cancelled(Cancel::TimedOut)) => Err(TaskError::TimedOut),
            _ => return None,
        };
        self.leave();
        Some(result)
    }

    #[inline]
    fn leave(&mut self) {
        if let Source::Task(task) = std::mem::replace(&mut self.source, Source::Taken) {
            if task.header().state.let_go() {
                // Its reference is gone already.
                std::mem::forget(task);
            } else if task.header().state.leave() {
                // SAFETY: done, and left to us. If it was read, nothing is there any more, which is safe to drop.
                unsafe { task.forget_outcome() };
            }
        }
    }
}

impl<T> Future for Handle<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When the result was taken before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &self.source {
            Source::Task(task) => task.header().state.listen(context.waker()),
            Source::Rejected(_) => Outcome::Done,
            Source::Taken => panic!("a handle is polled after it gave its result"),
        };
        self.take(outcome).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Handle<T> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}
