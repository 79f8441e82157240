//! The end of a pool: nothing is lost, nothing hangs, everything is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tickscope_scheduler::{Pool, SpawnError, Stop, TaskError, fiber, is_cancelled};

use crate::support::{balanced, line, occupy, pool, until};

#[test]
fn draining_runs_all_there_is_and_what_that_spawns() {
    let pool = pool(2);
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..100 {
        let (spawner, done) = (pool.spawner(), Arc::clone(&done));
        pool.execute(move || {
            for _ in 0..10 {
                let done = Arc::clone(&done);
                spawner
                    .execute(move || {
                        done.fetch_add(1, Ordering::Relaxed);
                    })
                    .unwrap();
            }
        })
        .unwrap();
    }
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!((counters.finished, done.load(Ordering::Relaxed)), (1100, 1000));
}

#[test]
fn dropping_drains() {
    let (told, came) = line();
    let pool = pool(1);
    let door = occupy(&pool);
    let handle = pool.spawn(move || told.send(1).unwrap());
    door.open();
    drop(pool);
    assert_eq!(came.next(), 1);
    assert_eq!(handle.join(), Ok(()), "a result outlives its pool");
}

#[test]
fn a_stopped_pool_takes_nothing() {
    let pool = pool(1);
    let spawner = pool.spawner();
    balanced(pool.stop(Stop::Drain));
    let error = spawner.spawn(|| 1).join().unwrap_err();
    assert_eq!(error, TaskError::Rejected(SpawnError::Stopped));
    assert_eq!(error.to_string(), "the pool has been stopped and takes no more tasks");
    assert_eq!(spawner.try_spawn(|| 1).unwrap_err().why, SpawnError::Stopped);
    assert_eq!(spawner.execute(|| {}), Err(SpawnError::Stopped));
    assert!(spawner.spawn_future(async { 1 }).join().is_err());
    assert!(spawner.spawn_batch([|| 1, || 2]).join().iter().all(Result::is_err));
    assert_eq!(spawner.scope(|scope| scope.spawn(|| 1).join()), Ok(Err(SpawnError::Stopped.into())));
    assert_eq!(spawner.counters().spawned, 0);
}

#[test]
fn whoever_waits_for_room_is_told_of_the_end() {
    let pool = Pool::builder().workers(1).capacity(1).build().unwrap();
    let door = occupy(&pool);
    pool.execute(|| {}).unwrap();
    let spawner = pool.spawner();
    let waits = std::thread::spawn(move || spawner.execute(|| {}));
    let opens = std::thread::spawn(move || door.open());
    let counters = pool.stop(Stop::Drain);
    opens.join().unwrap();
    // Room came first, or the end did.
    let taken = waits.join().unwrap().is_ok();
    balanced(counters);
    assert_eq!(counters.finished, 2 + u64::from(taken));
}

#[test]
fn abandoning_drops_what_waits_and_tells_what_runs() {
    struct Dropped(Arc<AtomicU64>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicU64::new(0));
    let pool = pool(1);
    let (told, came) = line();
    // A fiber that waits, and a future: both are to be dropped with what they hold.
    let held = Dropped(Arc::clone(&drops));
    let started = told.clone();
    let fiber = pool.spawn_fiber(move || {
        let held = held;
        started.send(()).unwrap();
        fiber::block_on(std::future::pending::<()>());
        drop(held);
    });
    let held = Dropped(Arc::clone(&drops));
    let started = told.clone();
    let future = pool.spawn_future(async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
        drop(held);
    });
    came.next();
    came.next();
    let runs = pool.spawn(move || {
        told.send(()).unwrap();
        until("the end", is_cancelled);
        "saw it"
    });
    came.next();
    let held = Dropped(Arc::clone(&drops));
    let queued = pool.spawn(move || drop(held));
    let batch = pool.spawn_batch((0..100).map(|n| move || n));
    let counters = pool.stop(Stop::Abandon);
    balanced(counters);
    assert_eq!(runs.join(), Ok("saw it"));
    assert_eq!(fiber.join(), Err(TaskError::Abandoned));
    assert_eq!(future.join(), Err(TaskError::Abandoned));
    assert_eq!(queued.join(), Err(TaskError::Abandoned));
    assert!(batch.join().iter().all(|result| *result == Err(TaskError::Abandoned)));
    assert_eq!((counters.finished, counters.abandoned), (1, 103));
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

#[test]
fn a_drain_with_a_deadline_ends() {
    let pool = pool(1);
    let never = pool.spawn_future(std::future::pending::<()>());
    let soon = pool.spawn(|| 1);
    let counters = pool.stop(Stop::DrainFor(Duration::from_millis(20)));
    balanced(counters);
    assert_eq!(soon.join(), Ok(1));
    assert_eq!(never.join(), Err(TaskError::Abandoned));
}

#[test]
fn a_drain_waits_for_what_sleeps() {
    let pool = pool(1);
    let fiber = pool.spawn_fiber(|| {
        fiber::sleep(Duration::from_millis(5));
        1
    });
    let spawner = pool.spawner();
    let future = pool.spawn_future(async move {
        spawner.sleep(Duration::from_millis(5)).await;
        2
    });
    balanced(pool.stop(Stop::Drain));
    assert_eq!((fiber.join(), future.join()), (Ok(1), Ok(2)));
}

#[test]
fn a_pool_dropped_by_its_own_task_ends() {
    let pool = pool(2);
    let spawner = pool.spawner();
    let (give, take) = std::sync::mpsc::channel::<Pool>();
    let (told, came) = line();
    spawner
        .execute(move || {
            let pool = take.recv().unwrap();
            drop(pool);
            told.send(()).unwrap();
        })
        .unwrap();
    give.send(pool).unwrap();
    came.next();
    until("the task's end", || spawner.counters().live() == 0);
    assert_eq!(spawner.execute(|| {}), Err(SpawnError::Stopped));
}
