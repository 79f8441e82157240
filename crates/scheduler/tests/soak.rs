//! Everything at once for a long time, and the counts balance: `TICKSCOPE_SOAK=full cargo test --release --test soak`
//! takes an hour.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tickscope_scheduler::{
    Completions, Counters, Observer, Pool, Priority, Spawner, Stop, TaskError, TaskOptions, fiber,
};

/// A pool lives so long; then it is stopped, and the next one built.
const ROUND: Duration = Duration::from_secs(2);

/// Counts on its own what the pool says that it did.
#[derive(Clone, Default)]
struct Witness(Arc<[AtomicU64; 2]>);

impl Observer for Witness {
    fn queued(&self, _task: tickscope_scheduler::TaskId, _worker: Option<usize>, _at: u64) -> u64 {
        self.0[0].fetch_add(1, Ordering::Relaxed)
    }

    fn ended(&self, _moment: &tickscope_scheduler::Moment, _end: tickscope_scheduler::End) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

/// One task of some kind; its handle goes to the owner.
fn one(spawner: &Spawner, dice: &mut Dice, jobs: &mut Completions<u64, u64>) {
    let n = dice.roll(1000);
    let handle = match dice.roll(8) {
        0 => {
            spawner.spawn(
                move || if n.is_multiple_of(50) { std::panic::resume_unwind(Box::new("meant")) } else { n },
            )
        }
        1 => {
            let inner = spawner.clone();
            spawner.spawn_fiber(move || {
                fiber::yield_now();
                inner.spawn(move || n).join().unwrap_or(n)
            })
        }
        2 => {
            let inner = spawner.clone();
            spawner.spawn_future(async move {
                inner.sleep(Duration::from_micros(n)).await;
                inner.spawn(move || n).await.unwrap_or(n)
            })
        }
        3 => {
            let timeout = Some(Duration::from_micros(n));
            spawner.spawn_with(TaskOptions { timeout, fiber: true, ..TaskOptions::default() }, move || {
                fiber::sleep(Duration::from_micros(500));
                n
            })
        }
        4 => {
            let handle = spawner.spawn(move || n);
            handle.cancel();
            handle
        }
        5 => {
            let inner = spawner.clone();
            spawner.spawn(move || {
                let parts = [1, 2, 3];
                let sums = inner.scope(|scope| {
                    parts.each_ref().map(|part| scope.spawn(move || n * part)).map(|handle| handle.join())
                });
                sums.map_or(n, |sums| sums.into_iter().flatten().sum())
            })
        }
        6 => {
            let inner = spawner.clone();
            spawner.spawn(move || inner.spawn_batch((0..n / 10).map(|m| move || m)).join().len() as u64)
        }
        _ => {
            let priority = [Priority::High, Priority::Normal, Priority::Low][n as usize % 3];
            spawner.spawn_with(TaskOptions { priority, ..TaskOptions::default() }, move || n)
        }
    };
    jobs.add(n, handle);
}

fn round(dice: &mut Dice, length: Duration) -> Counters {
    let witness = Witness::default();
    let workers = 1 + dice.roll(4) as usize;
    let capacity = [1, 64, 65_536][dice.roll(3) as usize];
    let pool = Pool::builder().workers(workers).capacity(capacity).observer(witness.clone()).build().unwrap();
    let end = Instant::now() + length;
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let spawner = pool.spawner();
            let mut dice = Dice(dice.0 + seed);
            scope.spawn(move || {
                let mut jobs = Completions::new();
                while Instant::now() < end {
                    for _ in 0..dice.roll(200) {
                        one(&spawner, &mut dice, &mut jobs);
                    }
                    jobs.wait(Some(Duration::from_millis(1)));
                    for (_, result) in jobs.take() {
                        assert!(
                            !matches!(result, Err(TaskError::Abandoned | TaskError::Rejected(_))),
                            "{result:?}"
                        );
                    }
                    // Some are never looked at again.
                    if dice.roll(50) == 0 {
                        jobs = Completions::new();
                    }
                }
            });
        }
    });
    let how = [Stop::Drain, Stop::Abandon, Stop::DrainFor(Duration::from_millis(1))][dice.roll(3) as usize];
    let counters = pool.stop(how);
    let ended = counters.finished + counters.panicked + counters.cancelled + counters.abandoned;
    assert_eq!(counters.spawned, ended, "{counters:?} with {workers} workers, capacity {capacity}, {how:?}");
    let [queued, told] = [0, 1].map(|at| witness.0[at].load(Ordering::Relaxed));
    assert_eq!((queued, told), (counters.spawned, ended), "what the observer was told");
    counters
}

#[test]
fn the_counts_balance_after_a_long_time() {
    let (total, length) = match std::env::var("TICKSCOPE_SOAK").as_deref() {
        Ok("full") => (Duration::from_secs(3600), ROUND),
        Ok("small") => (Duration::from_secs(20), ROUND),
        _ => (Duration::from_secs(1), Duration::from_millis(200)),
    };
    let end = Instant::now() + total;
    let mut dice = Dice(7);
    let (mut rounds, mut tasks) = (0u64, 0u64);
    while Instant::now() < end {
        tasks += round(&mut dice, length).spawned;
        rounds += 1;
    }
    println!("{tasks} tasks in {rounds} pools, all accounted for");
}
