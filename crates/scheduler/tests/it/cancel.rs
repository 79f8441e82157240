//! Cancelling and deadlines, of tasks in every state.

use std::time::Duration;

use tickscope_scheduler::{Stop, TaskError, TaskOptions, fiber, is_cancelled};

use crate::support::{balanced, line, occupy, pool, until};

#[test]
fn a_queued_task_is_cancelled_at_once() {
    let pool = pool(1);
    let door = occupy(&pool);
    let handle = pool.spawn(|| panic!("it never runs"));
    assert!(handle.cancel());
    assert!(!handle.cancel(), "it was cancelled before");
    assert_eq!(handle.join(), Err::<(), _>(TaskError::Cancelled));
    door.open();
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!((counters.cancelled, counters.finished), (1, 1));
}

#[test]
fn a_running_task_can_see_it_and_its_handle_does_not_wait() {
    let pool = pool(1);
    let (told, came) = line();
    let seen = told.clone();
    let handle = pool.spawn(move || {
        told.send("runs").unwrap();
        until("being cancelled", is_cancelled);
        seen.send("saw it").unwrap();
    });
    assert_eq!(came.next(), "runs");
    assert!(handle.cancel());
    assert_eq!(handle.join(), Err(TaskError::Cancelled));
    assert_eq!(came.next(), "saw it");
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.cancelled, 1);
}

#[test]
fn cancelling_what_is_done_changes_nothing() {
    let pool = pool(1);
    let handle = pool.spawn(|| 1);
    until("the task", || handle.is_finished());
    assert!(!handle.cancel());
    assert_eq!(handle.join(), Ok(1));
}

#[test]
fn who_waits_is_told() {
    let pool = pool(2);
    let (told, came) = line();
    let runs = pool.spawn(move || {
        told.send(()).unwrap();
        until("being cancelled", is_cancelled);
    });
    came.next();
    let id = runs.id();
    assert!(id.is_some());
    let door = occupy(&pool);
    std::thread::scope(|scope| {
        let mut runs = runs;
        let (give, take) = std::sync::mpsc::channel();
        scope.spawn(move || {
            assert!(runs.join_timeout(Duration::from_millis(1)).is_none());
            give.send(()).unwrap();
            assert!(runs.cancel());
            assert_eq!(runs.join(), Err(TaskError::Cancelled));
        });
        take.recv().unwrap();
    });
    door.open();
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_suspended_fiber_is_unwound() {
    struct Told(std::sync::mpsc::Sender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }
    let pool = pool(1);
    let (told, came) = line();
    let handle = pool.spawn_fiber(move || {
        told.send("runs").unwrap();
        let _guard = Told(told);
        fiber::block_on(std::future::pending::<()>());
    });
    assert_eq!(came.next(), "runs");
    assert!(handle.cancel());
    assert_eq!(came.next(), "dropped");
    assert_eq!(handle.join(), Err(TaskError::Cancelled));
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_scope_on_a_cancelled_fiber_waits_for_its_tasks() {
    let pool = pool(2);
    let (told, came) = line();
    let spawner = pool.spawner();
    let (inside, seen) = (told.clone(), told);
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let handle = pool.spawn_fiber(move || {
        let borrowed = String::from("alive");
        let result = spawner.scope(|scope| {
            let borrowed = &borrowed;
            drop(scope.spawn(move || {
                inside.send(String::from("runs")).unwrap();
                opened.recv().unwrap();
                inside.send(borrowed.clone()).unwrap();
            }));
        });
        // Cancelled meanwhile, so it is unwound instead.
        drop(result);
        fiber::block_on(std::future::pending::<()>());
        seen.send(String::from("never")).unwrap();
    });
    assert_eq!(came.next(), "runs");
    assert!(handle.cancel());
    open.send(()).unwrap();
    assert_eq!(came.next(), "alive");
    balanced(pool.stop(Stop::Drain));
    assert_eq!(handle.join(), Err(TaskError::Cancelled));
}

#[test]
fn a_future_that_waits_is_dropped() {
    let pool = pool(1);
    let (told, came) = line::<u8>();
    let handle = pool.spawn_future(async move {
        told.send(1).unwrap();
        std::future::pending::<()>().await;
        drop(told);
    });
    assert_eq!(came.next(), 1);
    assert!(handle.cancel());
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.cancelled, 1);
    assert_eq!(handle.join(), Err(TaskError::Cancelled));
}

#[test]
fn time_is_up_in_a_queue_in_a_fiber_and_while_running() {
    let pool = pool(2);
    let timed =
        |fiber| TaskOptions { timeout: Some(Duration::from_millis(2)), fiber, ..TaskOptions::default() };
    let runs = pool.spawn_with(timed(false), || until("its time", is_cancelled));
    assert_eq!(runs.join(), Err(TaskError::TimedOut));
    let waits = pool.spawn_with(timed(true), || fiber::block_on(std::future::pending::<()>()));
    assert_eq!(waits.join(), Err(TaskError::TimedOut));
    let (one, other) = (occupy(&pool), occupy(&pool));
    let queued = pool.spawn_with(timed(false), || panic!("it never runs"));
    assert_eq!(queued.join(), Err::<(), _>(TaskError::TimedOut));
    one.open();
    other.open();
    let in_time = TaskOptions { timeout: Some(Duration::from_secs(3600)), ..TaskOptions::default() };
    assert_eq!(pool.spawn_with(in_time, || 1).join(), Ok(1));
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.cancelled, 3);
}

#[test]
fn a_cancelled_batch_drops_what_was_not_started() {
    let pool = pool(1);
    let door = occupy(&pool);
    let batch = pool.spawn_batch((0..100).map(|n| move || n));
    batch.cancel();
    door.open();
    assert!(batch.join().iter().all(|result| *result == Err(TaskError::Cancelled)));
    balanced(pool.stop(Stop::Drain));
}
