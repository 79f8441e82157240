//! What the tests share.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tickscope_scheduler::{Counters, Pool};

/// After this a test has failed: nothing here takes a second.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

/// Something that others wait for, with a deadline.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let (opened, result) =
            self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), LONG, |open| !*open).unwrap();
        assert!(!result.timed_out() && *opened, "nobody opened the door");
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
