//! Fibers, bare and as tasks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tickscope_scheduler::fiber::{self, Fiber, Resumed, Stacks};
use tickscope_scheduler::{Pool, Stop, TaskError};

use crate::futures::Bell;
use crate::support::{balanced, locked, pool, until};

#[test]
fn a_fiber_stops_in_the_middle() {
    let stacks = Stacks::new(32 << 10, 1);
    let mut fiber = Fiber::new(&stacks, |fiber| {
        let mut sum = 0;
        for n in 1..=3 {
            sum += n;
            fiber.suspend();
        }
        sum
    })
    .unwrap();
    for _ in 0..3 {
        assert_eq!(fiber.resume(), Resumed::Suspended);
    }
    assert!(!fiber.is_done());
    assert_eq!(fiber.resume(), Resumed::Returned(6));
    assert!(fiber.is_done());
}

#[test]
fn stacks_are_used_again_up_to_a_number() {
    let stacks = Stacks::new(32 << 10, 2);
    let address = || {
        let mut fiber =
            Fiber::new(&stacks, |_| std::ptr::from_ref(&std::hint::black_box(0u8)) as usize).unwrap();
        let Resumed::Returned(address) = fiber.resume() else { panic!("it does not suspend") };
        address
    };
    assert_eq!(address(), address());
    let three: Vec<_> = (0..3).map(|_| Fiber::new(&stacks, |_| ()).unwrap()).collect();
    assert_eq!(stacks.kept(), 0);
    drop(three);
    assert_eq!(stacks.kept(), 2);
}

#[test]
fn a_dropped_fiber_runs_its_destructors() {
    let stacks = Stacks::new(32 << 10, 1);
    let alive = Arc::new(());
    let inside = Arc::clone(&alive);
    let mut fiber = Fiber::new(&stacks, move |fiber| {
        let inside = inside;
        fiber.suspend();
        drop(inside);
    })
    .unwrap();
    assert_eq!(fiber.resume(), Resumed::Suspended);
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(fiber);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
#[should_panic(expected = "in a fiber")]
fn a_bare_fibers_panic_is_its_drivers() {
    let stacks = Stacks::new(64 << 10, 1);
    let mut fiber = Fiber::new(&stacks, |_| panic!("in a fiber")).unwrap();
    let _: Resumed<()> = fiber.resume();
}

#[test]
fn fibers_of_one_worker_take_turns() {
    let pool = pool(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let bell = Bell::default();
    let handles: Vec<_> = [1, 2]
        .map(|number| {
            let (order, bell) = (Arc::clone(&order), bell.clone());
            pool.spawn_fiber(move || {
                fiber::block_on(bell);
                for step in 0..3 {
                    locked(&order).push((number, step));
                    fiber::yield_now();
                }
            })
        })
        .into();
    until("both to wait", || bell.waiting() == 2);
    // On their worker, so that neither runs before both are woken.
    pool.spawn(move || bell.ring()).join().unwrap();
    for handle in handles {
        handle.join().unwrap();
    }
    let mut order = locked(&order).clone();
    // Whoever was woken first is first in each round.
    let first = order[0].0;
    order.iter_mut().for_each(|(number, _)| *number = if *number == first { 1 } else { 2 });
    assert_eq!(order, [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2)]);
}

#[test]
fn a_fiber_that_always_yields_lets_tasks_in() {
    let pool = pool(1);
    let stop = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&stop);
    let fiber = pool.spawn_fiber(move || {
        let mut rounds = 0u64;
        while seen.load(Ordering::Relaxed) == 0 {
            rounds += 1;
            fiber::yield_now();
        }
        rounds
    });
    pool.spawn(move || stop.store(1, Ordering::Relaxed)).join().unwrap();
    fiber.join().unwrap();
    balanced(pool.stop(Stop::Drain));
}

#[test]
fn a_started_fiber_stays_on_its_thread() {
    let pool = pool(3);
    let handles: Vec<_> = (0..60)
        .map(|_| {
            let spawner = pool.spawner();
            pool.spawn_fiber(move || {
                assert!(fiber::is_fiber());
                let here = std::thread::current().id();
                for _ in 0..20 {
                    spawner.spawn(|| ()).join().unwrap();
                    fiber::yield_now();
                    assert_eq!(std::thread::current().id(), here);
                }
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    balanced(pool.stop(Stop::Drain));
    assert!(!fiber::is_fiber());
}

#[test]
fn a_panic_in_a_fiber_is_an_error() {
    let pool = pool(1);
    let handle = pool.spawn_fiber(|| {
        fiber::yield_now();
        panic!("in the middle");
    });
    assert_eq!(handle.join(), Err::<(), _>(TaskError::Panicked { message: "in the middle".into() }));
    assert_eq!(pool.spawn_fiber(|| 1).join(), Ok(1));
}

#[test]
#[cfg_attr(tsan, ignore = "the sanitizer counts the frames of all suspended fibers as one thread's")]
fn ten_thousand_fibers_wait_and_go_on() {
    let pool = Pool::builder().workers(2).fiber_stack(32 << 10).build().unwrap();
    let bell = Bell::default();
    let handles: Vec<_> = (0..10_000u64)
        .map(|n| {
            let bell = bell.clone();
            pool.spawn_fiber(move || {
                fiber::block_on(bell);
                n
            })
        })
        .collect();
    until("all to wait", || bell.waiting() == 10_000);
    assert_eq!(pool.counters().live(), 10_000);
    bell.ring();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 9_999 * 10_000 / 2);
    let counters = pool.stop(Stop::Drain);
    balanced(counters);
    assert_eq!(counters.finished, 10_000);
}
