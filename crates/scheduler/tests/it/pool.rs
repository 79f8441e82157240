//! Spawning, joining, stealing, priorities, back-pressure.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};

use tickscope_scheduler::{BuildError, Pool, Priority, SpawnError, Spawner, Stop, TaskError, TaskOptions};

use crate::support::{Door, balanced, line, locked, occupy, pool, until};

#[test]
fn a_sum_over_many_tasks_is_exact() {
    let pool = pool(3);
    let handles: Vec<_> = (0..10_000u64).map(|n| pool.spawn(move || n)).collect();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 9_999 * 10_000 / 2);
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.finished, 10_000);
}

#[test]
fn there_is_a_worker_by_default() {
    let pool = Pool::new().unwrap();
    assert!(pool.workers() >= 1);
    assert_eq!(pool.spawn(|| 1).join(), Ok(1));
}

#[test]
fn senseless_numbers_are_refused() {
    assert!(matches!(Pool::builder().workers(0).build(), Err(BuildError::Workers { asked: 0, .. })));
    assert!(matches!(Pool::builder().capacity(0).build(), Err(BuildError::Capacity)));
    let error = Pool::builder().workers(1_000_000).build().unwrap_err();
    assert_eq!(error.to_string(), "a pool has from 1 to 4000 workers, not 1000000");
}

#[test]
fn a_panic_is_an_error_and_the_worker_lives() {
    let pool = pool(1);
    let text = pool.spawn(|| -> u32 { panic!("no {}", "luck") }).join();
    assert_eq!(text, Err(TaskError::Panicked { message: "no luck".into() }));
    let other = pool.spawn(|| std::panic::panic_any(7u32)).join();
    assert_eq!(other.unwrap_err().to_string(), "the task panicked: its payload is not text");
    assert_eq!(pool.spawn(|| 3).join(), Ok(3));
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!((counters.panicked, counters.finished), (2, 1));
}

#[test]
fn a_destructor_that_panics_does_not_end_the_worker() {
    struct Trap;
    impl Drop for Trap {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in drop");
            }
        }
    }
    let pool = pool(1);
    let door = occupy(&pool);
    // The result is dropped on the worker, the closure of the cancelled one too.
    drop(pool.spawn(|| Trap));
    let trap = Trap;
    let cancelled = pool.spawn(move || drop(trap));
    assert!(cancelled.cancel());
    door.open();
    assert_eq!(cancelled.join(), Err(TaskError::Cancelled));
    assert_eq!(pool.spawn(|| 3).join(), Ok(3));
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_handle_is_asked_without_waiting() {
    let pool = pool(1);
    let door = occupy(&pool);
    let mut handle = pool.spawn(|| "done");
    assert!(!handle.is_finished());
    assert_eq!(handle.try_join(), None);
    assert_eq!(handle.join_timeout(std::time::Duration::from_millis(1)), None);
    door.open();
    until("the task", || handle.is_finished());
    assert_eq!(handle.try_join(), Some(Ok("done")));
    assert_eq!(handle.try_join(), None, "a result is given once");
    assert!(!handle.is_finished());
}

#[test]
fn a_full_queue_refuses_and_gives_the_closure_back() {
    let pool = Pool::builder().workers(1).capacity(2).build().unwrap();
    let door = occupy(&pool);
    let first = pool.try_spawn(|| 1).unwrap();
    let second = pool.try_spawn(|| 2).unwrap();
    let refused = pool.try_spawn(|| 3).unwrap_err();
    assert_eq!(refused.why, SpawnError::Full { capacity: 2 });
    assert_eq!(refused.to_string(), "the pool's queue is full: 2 tasks wait");
    assert_eq!((refused.task)(), 3);
    door.open();
    assert_eq!((first.join(), second.join()), (Ok(1), Ok(2)));
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.spawned, 3, "what is refused is not counted");
}

#[test]
fn spawn_waits_for_room() {
    let pool = Pool::builder().workers(1).capacity(1).build().unwrap();
    let door = occupy(&pool);
    pool.execute(|| {}).unwrap();
    let (told, came) = line();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (told, spawner) = (told.clone(), pool.spawner());
            scope.spawn(move || {
                let handle = spawner.spawn(|| 5);
                told.send(handle.join()).unwrap();
            });
        }
        // Whether they wait already or not: there is room for none until the door is opened.
        door.open();
        for _ in 0..3 {
            assert_eq!(came.next(), Ok(5));
        }
    });
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_task_that_spawns_into_a_full_queue_makes_room_itself() {
    let pool = Pool::builder().workers(1).capacity(4).build().unwrap();
    let spawner = pool.spawner();
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    let refused = pool
        .spawn(move || {
            let mut refused = 0;
            for _ in 0..100 {
                let counted = Arc::clone(&counted);
                let add = move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                };
                if let Err(error) = spawner.try_spawn(add) {
                    refused += 1;
                    spawner.execute(error.task).unwrap();
                }
            }
            refused
        })
        .join()
        .unwrap();
    assert!(refused >= 1, "four places for a hundred tasks and one worker");
    balanced(pool.stop(Stop::Drain));
    assert_eq!(done.load(Ordering::Relaxed), 100);
}

#[test]
fn what_is_urgent_comes_first() {
    let pool = pool(1);
    let door = occupy(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let spawn = |priority, name| {
        let order = Arc::clone(&order);
        pool.spawn_with(TaskOptions { priority, ..TaskOptions::default() }, move || {
            locked(&order).push(name);
        })
    };
    let handles = [
        spawn(Priority::Low, "low"),
        spawn(Priority::Normal, "normal 1"),
        spawn(Priority::High, "high 1"),
        spawn(Priority::Normal, "normal 2"),
        spawn(Priority::High, "high 2"),
    ];
    door.open();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(*locked(&order), ["high 1", "high 2", "normal 1", "normal 2", "low"]);
}

#[test]
fn what_is_not_urgent_comes_at_all() {
    let pool = pool(1);
    let low = Door::default();
    let opened = low.clone();
    fn again(spawner: Spawner, stop: Arc<AtomicU64>) {
        if stop.load(Ordering::Relaxed) == 0 {
            let (spawner, next) = (spawner.clone(), spawner);
            let options = TaskOptions { priority: Priority::High, ..TaskOptions::default() };
            drop(next.spawn_with(options, move || again(spawner, stop)));
        }
    }
    let stop = Arc::new(AtomicU64::new(0));
    let (spawner, flag) = (pool.spawner(), Arc::clone(&stop));
    // There is always something urgent.
    pool.execute(move || again(spawner, flag)).unwrap();
    drop(pool.spawn_with(TaskOptions { priority: Priority::Low, ..TaskOptions::default() }, move || {
        opened.open()
    }));
    low.wait();
    stop.store(1, Ordering::Relaxed);
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_worker_without_work_steals() {
    let pool = pool(2);
    let spawner = pool.spawner();
    // The child is in its parent's worker's own queue, and its parent does not end without it.
    let thread = pool.spawn(move || {
        let (told, came) = line();
        drop(spawner.spawn(move || told.send(std::thread::current().id()).unwrap()));
        (std::thread::current().id(), came.next())
    });
    let (parent, child) = thread.join().unwrap();
    assert_ne!(parent, child);
}

#[test]
fn a_fork_joins_on_a_single_worker() {
    fn fib(spawner: &Spawner, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let other = spawner.clone();
        let left = spawner.spawn(move || fib(&other, n - 1));
        let right = fib(spawner, n - 2);
        left.join().unwrap() + right
    }
    for workers in [1, 2] {
        let pool = pool(workers);
        let spawner = pool.spawner();
        assert_eq!(pool.spawn(move || fib(&spawner, 16)).join(), Ok(987));
        balanced(pool.stop(Stop::Drain));
    }
}

#[test]
fn a_worker_that_waits_runs_others_even_if_they_wait_in_turn() {
    // Each task waits for the next, handed over afterwards, so no one can be run where it is waited for.
    let pool = pool(1);
    let (doors, keys): (Vec<_>, Vec<_>) = (0..50).map(|_| std::sync::mpsc::channel()).unzip();
    let mut handles = Vec::new();
    for (at, key) in keys.into_iter().enumerate() {
        handles.push(pool.spawn_fiber(move || {
            let next: Option<tickscope_scheduler::Handle<usize>> = key.recv().unwrap();
            next.map_or(0, |next| next.join().unwrap()) + at
        }));
    }
    let mut next = None;
    for (door, handle) in doors.into_iter().zip(handles).rev() {
        door.send(next).unwrap();
        next = Some(handle);
    }
    let last = next.unwrap();
    // From a task on the worker's own stack.
    assert_eq!(pool.spawn(move || last.join()).join().unwrap(), Ok(49 * 50 / 2));
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn scoped_tasks_borrow() {
    let pool = pool(2);
    let words = ["a".to_owned(), "bcd".to_owned()];
    let mut lengths = [0; 2];
    let total = pool.scope(|scope| {
        for (word, length) in words.iter().zip(&mut lengths) {
            drop(scope.spawn(move || *length = word.len()));
        }
        scope.spawn(|| words.iter().map(String::len).sum::<usize>()).join()
    });
    assert_eq!(total, Ok(Ok(4)));
    assert_eq!(lengths, [1, 3]);
}

#[test]
fn a_scope_tells_of_panics_that_nobody_heard_of() {
    let pool = pool(1);
    let result = pool.scope(|scope| drop(scope.spawn(|| panic!("unheard"))));
    assert_eq!(result, Err(TaskError::Panicked { message: "unheard".into() }));
    let result = pool.scope(|scope| scope.spawn(|| panic!("heard")).join());
    assert_eq!(result, Ok(Err::<(), _>(TaskError::Panicked { message: "heard".into() })));
}

#[test]
fn a_scope_on_a_worker_does_not_block_it() {
    let pool = pool(1);
    let spawner = pool.spawner();
    let sum = pool.spawn(move || {
        let numbers = [1, 2, 3];
        spawner
            .scope(|scope| numbers.each_ref().map(|n| scope.spawn(move || *n * 2)).map(|h| h.join().unwrap()))
    });
    assert_eq!(sum.join().unwrap(), Ok([2, 4, 6]));
}

#[test]
fn a_batch_keeps_its_order_and_its_panics_apart() {
    let pool = pool(2);
    let results = pool
        .spawn_batch((0..1000u32).map(|n| {
            move || {
                assert!(n != 700, "seven hundred");
                n * 2
            }
        }))
        .join();
    assert_eq!(results.len(), 1000);
    for (n, result) in results.into_iter().enumerate() {
        match n {
            700 => assert_eq!(result, Err(TaskError::Panicked { message: "seven hundred".into() })),
            _ => assert_eq!(result, Ok(n as u32 * 2)),
        }
    }
    assert_eq!(pool.spawn_batch(Vec::<fn() -> u8>::new()).join(), []);
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!((counters.finished, counters.panicked), (999, 1));
}

/// A poll that finds the queue full works for room on its worker's stack, and what it works on is another such poll.
#[test]
fn futures_that_spawn_into_a_full_queue_do_not_pile_up() {
    const FUTURES: usize = 20_000;
    let pool = Pool::builder().workers(1).capacity(1).build().unwrap();
    let gate = Arc::new(Mutex::new((false, Vec::<Waker>::new())));
    let waiting: Vec<_> = (0..FUTURES)
        .map(|n| {
            let (gate, inner) = (gate.clone(), pool.spawner());
            pool.spawn_future(async move {
                poll_fn(|context| {
                    let mut gate = gate.lock().unwrap();
                    if gate.0 {
                        return Poll::Ready(());
                    }
                    gate.1.push(context.waker().clone());
                    Poll::Pending
                })
                .await;
                let parts = [inner.spawn(move || n), inner.spawn(|| 1)];
                let mut sum = 0;
                for part in parts {
                    sum += part.await.unwrap();
                }
                sum
            })
        })
        .collect();
    while gate.lock().unwrap().1.len() < FUTURES {
        std::thread::yield_now();
    }
    // All of them go on at once.
    let hold = Arc::new(Barrier::new(2));
    let held = hold.clone();
    let holds = pool.spawn(move || held.wait().is_leader());
    let wakers = {
        let mut gate = gate.lock().unwrap();
        gate.0 = true;
        std::mem::take(&mut gate.1)
    };
    wakers.into_iter().for_each(Waker::wake);
    hold.wait();
    let _ = holds.join().unwrap();
    let sum: usize = waiting.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, FUTURES * (FUTURES - 1) / 2 + FUTURES);
}
