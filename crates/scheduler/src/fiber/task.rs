//! What a task that runs on a fiber can do, and what the same calls do elsewhere.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::pool::{self, Shared};
use crate::timer::TimerId;

/// Whether the caller runs on a fiber of a pool.
pub fn is_fiber() -> bool {
    pool::current(|worker| worker.is_some_and(|worker| worker.on_fiber()))
}

/// Lets others go first: the fiber is resumed after what its worker has to do now.
///
/// On a worker's own stack, where nobody can be let in between, and outside pools, it yields the thread.
pub fn yield_now() {
    let suspended = pool::current(|worker| match worker.filter(|worker| worker.on_fiber()) {
        Some(worker) => {
            worker.stay_scheduled();
            worker.suspend();
            true
        }
        None => false,
    });
    if !suspended {
        std::thread::yield_now();
    }
}

/// Runs a future to its end. On a fiber, the worker does something else while the future waits; on a worker's own stack
/// it runs other tasks meanwhile; elsewhere the thread sleeps.
pub fn block_on<F: Future>(future: F) -> F::Output {
    pool::wait(pin!(future))
}

/// Waits at least this long. On a worker, the worker does something else meanwhile.
pub fn sleep(time: Duration) {
    let shared = pool::current(|worker| worker.map(|worker| Arc::clone(&worker.shared)));
    match shared {
        Some(shared) => block_on(Sleep::new(shared, time)),
        None => std::thread::sleep(time),
    }
}

/// Ready when a time is over; made by [`Spawner::sleep`](crate::Spawner::sleep).
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    shared: Arc<Shared>,
    deadline: Instant,
    timer: Option<TimerId>,
}

impl Sleep {
    pub(crate) fn new(shared: Arc<Shared>, time: Duration) -> Self {
        let now = Instant::now();
        // A time too long to be told is as good as a century.
        let deadline = now.checked_add(time).unwrap_or(now + Duration::from_secs(100 * 365 * 86_400));
        Self::until(shared, deadline)
    }

    pub(crate) fn until(shared: Arc<Shared>, deadline: Instant) -> Self {
        Self { shared, deadline, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = self.timer.take() {
            self.shared.timer.remove(timer);
        }
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let timer = self.shared.timer.wake_at(self.deadline, context.waker().clone());
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.shared.timer.remove(timer);
        }
    }
}
