//! What the tests share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tickscope_scheduler::{Counters, Pool};

/// After this a test has failed: nothing here takes a second.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// Something that others wait for, with a deadline.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<AtomicBool>);

impl Door {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn wait(&self) {
        until("the door", || self.0.load(Ordering::Acquire));
    }
}

/// Keeps a worker busy until the door is opened; returns when it is busy.
pub(crate) fn occupy(pool: &Pool) -> Door {
    let (door, busy) = (Door::default(), Door::default());
    let (inside, started) = (door.clone(), busy.clone());
    pool.execute(move || {
        started.open();
        inside.wait();
    })
    .unwrap();
    busy.wait();
    door
}

/// Waits for a condition that no call waits for.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "waited too long for: {what}");
        std::thread::yield_now();
    }
}

/// The lock, taken so that the thread sanitizer sees it: it does not see the standard library wait for one.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        if let Ok(guard) = mutex.try_lock() {
            return guard;
        }
        std::thread::yield_now();
    }
}

/// A channel whose receiver gives up.
pub(crate) fn line<T>() -> (Sender<T>, Line<T>) {
    let (sender, receiver) = channel();
    (sender, Line(receiver))
}

pub(crate) struct Line<T>(Receiver<T>);

impl<T> Line<T> {
    #[track_caller]
    pub(crate) fn next(&self) -> T {
        match self.0.recv_timeout(LONG) {
            Ok(value) => value,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came"),
            Err(RecvTimeoutError::Disconnected) => panic!("the other end is gone"),
        }
    }
}

#[track_caller]
pub(crate) fn balanced(counters: Counters) {
    let ends = counters.finished + counters.panicked + counters.cancelled + counters.abandoned;
    assert_eq!(counters.spawned, ends, "{counters:?}");
}
