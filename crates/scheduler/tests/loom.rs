//! Loom models of the protocols: the lists that hand tasks over, the gate that puts workers to sleep and wakes them, and
//! the word that hands a task's result over. `cargo xtask loom` runs them, then once more with each ordering weakened,
//! and expects that to fail.
#![cfg(loom)]
#![allow(dead_code, reason = "the models use parts of the sources they take in")]
#![allow(clippy::unwrap_used, reason = "a model that cannot go on fails")]

#[path = "../src/error.rs"]
mod error;
#[path = "../src/inbox.rs"]
mod inbox;
#[path = "../src/ring.rs"]
mod ring;
#[path = "../src/sleep.rs"]
mod sleep;
#[path = "../src/task/state.rs"]
mod state;
#[path = "../src/sync.rs"]
mod sync;

use std::ptr::{self, NonNull};
use std::task::{Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use loom::thread::{self, Thread};

use error::SpawnError;
use inbox::{Inbox, Linked};
use ring::Ring;
use sleep::Gate;
use state::{Cancel, Outcome, Start, State};

/// Something to hand over.
struct Parcel {
    link: AtomicPtr<Parcel>,
    content: UnsafeCell<usize>,
}

// SAFETY: one field, and only inboxes write it.
unsafe impl Linked for Parcel {
    fn link(&self) -> &AtomicPtr<Self> {
        &self.link
    }
}

fn parcel(content: usize) -> NonNull<Parcel> {
    let parcel = Parcel { link: AtomicPtr::new(ptr::null_mut()), content: UnsafeCell::new(0) };
    let parcel = NonNull::from(Box::leak(Box::new(parcel)));
    // Written afterwards, so that the model sees a race if the push does not publish it.
    // SAFETY: nobody else has it.
    unsafe { parcel.as_ref() }.content.with_mut(|to| unsafe { *to = content });
    parcel
}

fn unpack(parcel: NonNull<Parcel>) -> usize {
    // SAFETY: taken, so ours.
    let parcel = unsafe { Box::from_raw(parcel.as_ptr()) };
    parcel.content.with(|content| unsafe { *content })
}

fn send(inbox: &Inbox<Parcel>, content: usize) {
    // SAFETY: alive until it is unpacked, and new.
    unsafe { inbox.push(parcel(content)) };
}

#[test]
fn what_is_pushed_arrives_whole_once_and_in_order() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new());
        let senders: Vec<_> = [[1, 2], [11, 12]]
            .map(|contents| {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || contents.into_iter().for_each(|content| send(&inbox, content)))
            })
            .into();
        let take = || {
            let mut taken: Vec<usize> = inbox.take().map(unpack).collect();
            taken.reverse();
            taken
        };
        let mut seen = take();
        for sender in senders {
            sender.join().unwrap();
        }
        seen.extend(take());
        for first in [1, 11] {
            let of: Vec<usize> = seen.iter().copied().filter(|content| content / 10 == first / 10).collect();
            assert_eq!(of, [first, first + 1]);
        }
        assert_eq!(seen.len(), 4);
    });
}

#[test]
fn what_comes_through_the_ring_arrives_whole_once_and_in_order() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        // Two slots for three parcels: the last has to wait for a slot to be emptied.
        let ring = Arc::new(Ring::new(2));
        let sender = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || (1..=3).for_each(|content| ring.push(parcel(content))))
        };
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(ring.taking().into_iter().flatten().map(unpack));
            thread::yield_now();
        }
        sender.join().unwrap();
        assert_eq!(seen, [1, 2, 3]);
    });
}

#[test]
fn two_that_push_and_two_that_take_lose_nothing() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let ring = Arc::new(Ring::new(4));
        let take = |ring: &Ring<Parcel>| -> usize { ring.taking().into_iter().flatten().map(unpack).sum() };
        let sender = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.push(parcel(1)))
        };
        let taker = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || take(&ring))
        };
        ring.push(parcel(10));
        let seen = take(&ring) + taker.join().unwrap();
        sender.join().unwrap();
        assert_eq!(seen + take(&ring), 11);
    });
}

/// What a worker does: takes until it has so many, and sleeps when there is nothing.
fn work(gate: &Gate, inbox: &Inbox<Parcel>, index: usize, wanted: usize) {
    let mut had = 0;
    gate.search();
    loop {
        let entries = inbox.take().map(unpack).count();
        if entries > 0 {
            gate.took(entries as u64);
            gate.found(|| !inbox.is_empty());
            had += entries;
            if had >= wanted {
                return;
            }
            gate.search();
        } else {
            gate.sleep(index, || false);
            // Whoever announced something is to come to push it, which a worker that searches waits for.
            thread::yield_now();
        }
    }
}

#[test]
fn nobody_sleeps_while_something_is_submitted() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let gate = Arc::new(Gate::new(8));
        let inbox = Arc::new(Inbox::new());
        let senders: Vec<_> = (0..2)
            .map(|content| {
                let (gate, inbox) = (Arc::clone(&gate), Arc::clone(&inbox));
                thread::spawn(move || {
                    let ticket = gate.enter().unwrap();
                    send(&inbox, content);
                    gate.pushed(ticket);
                })
            })
            .collect();
        // A wake-up that is lost is a deadlock.
        work(&gate, &inbox, 0, 2);
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(gate.waiting(), 0);
    });
}

#[test]
fn nobody_sleeps_while_there_is_work_elsewhere() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(8));
        let made = Arc::new(AtomicBool::new(false));
        let maker = {
            let (gate, made) = (Arc::clone(&gate), Arc::clone(&made));
            thread::spawn(move || {
                // As a deque is pushed to, or a waiting condition comes true.
                made.store(true, Ordering::Release);
                gate.made();
            })
        };
        gate.search();
        while !made.load(Ordering::Acquire) {
            gate.sleep(0, || made.load(Ordering::Acquire));
        }
        gate.found(|| false);
        maker.join().unwrap();
    });
}

#[test]
fn a_worker_is_woken_for_what_is_its_own() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(8));
        let home = Arc::new(Inbox::new());
        let waker = {
            let (gate, home) = (Arc::clone(&gate), Arc::clone(&home));
            thread::spawn(move || {
                send(&home, 1);
                gate.made_for(3);
            })
        };
        gate.search();
        loop {
            if home.take().map(unpack).count() > 0 {
                break;
            }
            gate.sleep(3, || !home.is_empty());
        }
        gate.found(|| false);
        waker.join().unwrap();
    });
}

#[test]
fn who_waits_for_room_gets_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let gate = Arc::new(Gate::new(1));
        let inbox = Arc::new(Inbox::new());
        let senders: Vec<_> = (0..2)
            .map(|content| {
                let (gate, inbox) = (Arc::clone(&gate), Arc::clone(&inbox));
                thread::spawn(move || {
                    let ticket = gate.enter_blocking().unwrap();
                    send(&inbox, content);
                    gate.pushed(ticket);
                })
            })
            .collect();
        work(&gate, &inbox, 0, 2);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn who_waits_for_room_is_told_of_the_end() {
    loom::model(|| {
        let gate = Arc::new(Gate::new(1));
        let ticket = gate.enter().unwrap();
        let waits = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.enter_blocking().map(drop))
        };
        gate.close();
        assert_eq!(waits.join().unwrap(), Err(SpawnError::Stopped));
        gate.pushed(ticket);
    });
}

/// A task with a value, and a count of who drops what.
struct Job {
    state: State,
    value: UnsafeCell<Option<usize>>,
    dropped: AtomicUsize,
    /// What is looked at while there is a reference, and changed when there is none.
    seen: UnsafeCell<bool>,
}

// SAFETY: the state says whose the value is; that it does is what the models check.
unsafe impl Sync for Job {}
// SAFETY: as above.
unsafe impl Send for Job {}

impl Job {
    fn new(handle: bool) -> Arc<Self> {
        Arc::new(Self {
            state: State::new(handle, 0),
            value: UnsafeCell::new(None),
            dropped: AtomicUsize::new(0),
            seen: UnsafeCell::new(false),
        })
    }

    fn take(&self) -> Option<usize> {
        self.value.with_mut(|value| unsafe { (*value).take() })
    }

    fn drop_value(&self) {
        assert!(self.take().is_some(), "the outcome is dropped once, by whose it is");
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// What a worker does with an entry.
    fn run(&self) {
        match self.state.start() {
            Start::Stale => return,
            Start::Run | Start::Cancelled(_) => {}
        }
        self.value.with_mut(|value| unsafe { *value = Some(5) });
        if self.state.finish() {
            self.drop_value();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

fn here() -> Waker {
    Waker::from(std::sync::Arc::new(Unpark(thread::current())))
}

#[test]
fn a_result_reaches_who_waits_for_it() {
    loom::model(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.run())
        };
        loop {
            match job.state.listen(&here()) {
                Outcome::Done => break,
                Outcome::Cancelled(_) => unreachable!(),
                Outcome::Pending => thread::park(),
            }
        }
        assert_eq!(job.take(), Some(5));
        worker.join().unwrap();
    });
}

#[test]
fn a_result_is_there_when_it_is_seen() {
    loom::model(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.run())
        };
        if job.state.outcome() == Outcome::Done {
            assert_eq!(job.take(), Some(5));
        }
        worker.join().unwrap();
    });
}

#[test]
fn a_waker_is_exchanged_while_the_task_ends() {
    loom::model(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.run())
        };
        let mut outcome = job.state.listen(Waker::noop());
        while outcome == Outcome::Pending {
            outcome = job.state.listen(&here());
            if outcome == Outcome::Pending {
                thread::park();
            }
        }
        assert_eq!(job.take(), Some(5));
        worker.join().unwrap();
    });
}

#[test]
fn an_outcome_nobody_wants_is_dropped_once() {
    loom::model(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.run())
        };
        if job.state.leave() {
            job.drop_value();
        }
        worker.join().unwrap();
        assert_eq!(job.dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_handle_that_goes_early_takes_its_reference_with_it() {
    loom::model(|| {
        let job = Job::new(true);
        let free = |job: &Job| {
            if job.state.unreference() {
                // As freeing it would be.
                job.seen.with_mut(|seen| unsafe { *seen = true });
            }
        };
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || {
                job.run();
                free(&job);
            })
        };
        job.seen.with(|seen| assert!(!unsafe { *seen }));
        if !job.state.let_go() {
            if job.state.leave() {
                job.drop_value();
            }
            free(&job);
        }
        worker.join().unwrap();
        assert_eq!(job.dropped.load(Ordering::Relaxed), 1);
        assert!(job.seen.with(|seen| unsafe { *seen }), "somebody was the last");
    });
}

#[test]
fn cancelling_tells_who_waits_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.run())
        };
        let canceller = {
            let job = Arc::clone(&job);
            thread::spawn(move || job.state.cancel(Cancel::TimedOut))
        };
        let outcome = loop {
            match job.state.listen(&here()) {
                Outcome::Pending => thread::park(),
                outcome => break outcome,
            }
        };
        let cancelled = canceller.join().unwrap();
        let expected = if cancelled { Outcome::Cancelled(Cancel::TimedOut) } else { Outcome::Done };
        assert_eq!(outcome, expected, "who cancels knows what the handle says");
        if job.state.leave() {
            job.drop_value();
        }
        worker.join().unwrap();
        assert_eq!(job.dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_body_that_is_woken_while_it_runs_is_run_again() {
    loom::model(|| {
        let job = Job::new(false);
        assert_eq!(job.state.start(), Start::Run);
        let rung = Arc::new(AtomicBool::new(false));
        let waker = {
            let (job, rung) = (Arc::clone(&job), Arc::clone(&rung));
            thread::spawn(move || {
                rung.store(true, Ordering::Relaxed);
                // True: the body waits, and the entry is this thread's to make.
                job.state.wake()
            })
        };
        // The body did not see it yet, and waits.
        let again = job.state.suspend();
        let entered = waker.join().unwrap();
        assert!(again ^ entered, "one of the two makes the entry");
        assert_eq!(job.state.start(), Start::Run);
        assert!(rung.load(Ordering::Relaxed));
    });
}

#[test]
fn what_has_begun_is_not_claimed() {
    loom::model(|| {
        let job = Job::new(true);
        let worker = {
            let job = Arc::clone(&job);
            thread::spawn(move || {
                let runs = job.state.start() == Start::Run;
                // A fiber that waits, and is woken at once: it has an entry again.
                if runs && !job.state.suspend() {
                    assert!(job.state.wake());
                }
                runs
            })
        };
        let claimed = job.state.claim() == Start::Run;
        assert!(claimed != worker.join().unwrap(), "it begins once");
        assert_eq!(job.state.claim(), Start::Stale);
    });
}

#[test]
fn a_body_goes_from_worker_to_worker() {
    loom::model(|| {
        let job = Job::new(false);
        let first = {
            let job = Arc::clone(&job);
            thread::spawn(move || {
                assert_eq!(job.state.start(), Start::Run);
                job.value.with_mut(|value| unsafe { *value = Some(1) });
                job.state.suspend()
            })
        };
        // Whoever makes the entry, the second worker may have it at once.
        if job.state.wake() {
            if job.state.start() == Start::Run {
                assert_eq!(job.take(), Some(1));
            }
            first.join().unwrap();
        } else if first.join().unwrap() {
            assert_eq!(job.state.start(), Start::Run);
            assert_eq!(job.take(), Some(1));
        }
    });
}

#[test]
fn the_last_reference_is_the_last() {
    loom::model(|| {
        let job = Job::new(false);
        job.state.reference();
        let drop_one = |job: &Job| {
            job.value.with(|value| assert!(unsafe { *value }.is_none()));
            if job.state.unreference() {
                // As freeing it would be.
                job.value.with_mut(|value| unsafe { *value = Some(0) });
            }
        };
        let other = {
            let job = Arc::clone(&job);
            thread::spawn(move || drop_one(&job))
        };
        drop_one(&job);
        other.join().unwrap();
        assert_eq!(job.take(), Some(0));
    });
}
