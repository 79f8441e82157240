//! Waiting for a future, wherever one is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::{Shared, Worker, current};
use crate::fiber::Sleep;
use crate::task::Ground;

/// Runs a future to its end: on a fiber it is suspended, on a worker's own stack other tasks run meanwhile, and elsewhere
/// the thread is parked.
pub(crate) fn wait<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    current(|worker| match worker {
        Some(worker) if worker.on_fiber() => on_fiber(worker, future.as_mut()),
        Some(worker) => on_worker(worker, future.as_mut()),
        None => on_thread(future.as_mut()),
    })
}

fn on_fiber<F: Future>(worker: &Worker, mut future: Pin<&mut F>) -> F::Output {
    let waker = worker.task().map_or_else(|| Waker::noop().clone(), |task| task.waker());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        worker.suspend();
    }
}

/// Wakes a worker that waits with a task of its own on its stack.
struct Helper {
    called: AtomicBool,
    worker: usize,
    shared: Arc<Shared>,
}

impl Wake for Helper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.shared.gate.made_for(self.worker);
    }
}

/// What runs meanwhile runs on fibers: if it has to wait in turn, it is suspended and cannot bury what waits here.
fn on_worker<F: Future>(worker: &Worker, mut future: Pin<&mut F>) -> F::Output {
    let helper = Arc::new(Helper {
        called: AtomicBool::new(false),
        worker: worker.index,
        shared: Arc::clone(&worker.shared),
    });
    let waker = Waker::from(Arc::clone(&helper));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        worker.work_until(Ground::Fiber, &|| helper.called.load(Ordering::Acquire));
        helper.called.store(false, Ordering::Relaxed);
    }
}

/// Wakes a thread that is no worker.
struct Unpark {
    called: AtomicBool,
    thread: Thread,
}

impl Unpark {
    fn current() -> Arc<Self> {
        Arc::new(Self { called: AtomicBool::new(false), thread: std::thread::current() })
    }

    /// Whether it was called since the last time.
    fn was_called(&self) -> bool {
        self.called.swap(false, Ordering::Acquire)
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn on_thread<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return value;
    }
    let unpark = Unpark::current();
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        while !unpark.was_called() {
            std::thread::park();
        }
    }
}

/// As [`wait`], but no longer than this.
pub(crate) fn wait_for<R>(
    time: Option<Duration>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Option<R> {
    let Some(until) = time.and_then(|time| Instant::now().checked_add(time)) else {
        return Some(wait(pin!(poll_fn(poll))));
    };
    if let Some(shared) = current(|worker| worker.map(|worker| Arc::clone(&worker.shared))) {
        let mut sleep = pin!(Sleep::until(shared, until));
        return wait(pin!(poll_fn(|context| match poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
        })));
    }
    let unpark = Unpark::current();
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return Some(value);
        }
        while !unpark.was_called() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}
