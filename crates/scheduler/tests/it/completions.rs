//! A thread that looks at its tasks on each tick.

use std::time::Duration;

use tickscope_scheduler::{Completions, Stop, TaskError, fiber};

use crate::futures::Bell;
use crate::support::{LONG, balanced, line, occupy, pool, until};

#[test]
fn what_is_done_comes_out_in_its_order() {
    let pool = pool(1);
    let mut jobs = Completions::new();
    assert!(!jobs.wait(None), "there is nothing to wait for");
    let door = occupy(&pool);
    for n in 0..5 {
        jobs.add(n, pool.spawn(move || n * 10));
    }
    assert!(!jobs.is_ready());
    assert_eq!((jobs.len(), jobs.take().len()), (5, 0));
    assert!(!jobs.wait(Some(Duration::from_millis(1))));
    door.open();
    let mut seen = Vec::new();
    while !jobs.is_empty() {
        assert!(jobs.wait(Some(LONG)));
        seen.extend(jobs.take().into_iter().map(|(key, result)| (key, result.unwrap())));
    }
    assert_eq!(seen, [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]);
}

#[test]
fn every_way_to_end_comes_out() {
    let pool = pool(1);
    let door = occupy(&pool);
    let mut jobs = Completions::new();
    jobs.add("good", pool.spawn(|| 1));
    jobs.add("bad", pool.spawn(|| panic!("bad")));
    jobs.add("never", pool.spawn_future(std::future::pending()));
    jobs.add("unwanted", pool.spawn(|| 2));
    let unwanted = jobs.handles().find(|(key, _)| **key == "unwanted").unwrap().1;
    assert!(unwanted.cancel());
    assert_eq!(jobs.take(), [("unwanted", Err(TaskError::Cancelled))], "at once");
    door.open();
    until("the two", || pool.counters().live() == 1);
    balanced(pool.stop(Stop::Abandon));
    let mut ends = jobs.take();
    ends.sort_by_key(|(key, _)| *key);
    assert_eq!(
        ends,
        [
            ("bad", Err(TaskError::Panicked { message: "bad".into() })),
            ("good", Ok(1)),
            ("never", Err(TaskError::Abandoned)),
        ]
    );
}

#[test]
fn what_was_done_before_it_was_added_comes_out() {
    let pool = pool(1);
    let handle = pool.spawn(|| 1);
    until("the task", || handle.is_finished());
    let mut jobs = Completions::new();
    jobs.add((), handle);
    assert!(jobs.is_ready());
    assert_eq!(jobs.take(), [((), Ok(1))]);
}

#[test]
fn the_owner_is_called() {
    let pool = pool(1);
    let (told, came) = line();
    let mut jobs = Completions::new();
    let first = pool.spawn(|| 1);
    until("the task", || first.is_finished());
    jobs.add(1, first);
    let tell = std::sync::Mutex::new(told);
    jobs.on_ready(move || tell.lock().unwrap().send(()).unwrap());
    came.next();
    assert_eq!(jobs.take().len(), 1);
    for key in 2..4 {
        jobs.add(key, pool.spawn(move || key));
        came.next();
        assert_eq!(jobs.take(), [(key, Ok(key))]);
    }
}

#[test]
fn the_owner_may_be_a_fiber_and_may_await() {
    let pool = pool(1);
    let bell = Bell::default();
    let waits = pool.spawn_future(bell.clone());
    let owner = pool.spawn_fiber(move || {
        let mut jobs = Completions::new();
        jobs.add((), waits);
        assert!(!jobs.wait(Some(Duration::from_millis(1))));
        bell.ring();
        fiber::block_on(&mut jobs);
        jobs.take().len()
    });
    assert_eq!(owner.join(), Ok(1));
}

#[test]
fn an_owner_that_goes_leaves_its_tasks_alone() {
    let pool = pool(1);
    let door = occupy(&pool);
    let mut jobs = Completions::new();
    for n in 0..10 {
        jobs.add(n, pool.spawn(|| ()));
    }
    drop(jobs);
    door.open();
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.finished, 11);
}
