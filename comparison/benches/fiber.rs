//! A fiber resumed and suspended again: beside corosensei, which is beneath ours, and through a pool's worker.

use std::hint::black_box;
use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult};
use criterion::{Criterion, criterion_group, criterion_main};
use tickscope_comparison::{Contestant, compete};
use tickscope_scheduler::fiber::{self, Fiber, Resumed, Stacks};
use tickscope_scheduler::{Pool, Spawner};

const SWITCHES: u64 = 100_000;

struct Bare(Coroutine<(), (), ()>);

impl Contestant for Bare {
    fn name(&self) -> &'static str {
        "corosensei"
    }

    fn check(&mut self) -> Result<(), String> {
        counted(|count| {
            let mut coroutine = Coroutine::new(move |yielder, ()| {
                while count() < 10 {
                    yielder.suspend(());
                }
            });
            while let CoroutineResult::Yield(()) = coroutine.resume(()) {}
        })
    }

    fn round(&mut self, switches: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..switches {
            black_box(self.0.resume(()).as_yield());
        }
        start.elapsed()
    }
}

struct Ours(Fiber<()>);

impl Contestant for Ours {
    fn name(&self) -> &'static str {
        "tickscope: Fiber"
    }

    fn check(&mut self) -> Result<(), String> {
        counted(|count| {
            let stacks = Stacks::new(64 << 10, 1);
            let fiber = Fiber::new(&stacks, move |fiber| {
                while count() < 10 {
                    fiber.suspend();
                }
            });
            let mut fiber = fiber.expect("a stack");
            while fiber.resume() == Resumed::Suspended {}
        })
    }

    fn round(&mut self, switches: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..switches {
            black_box(self.0.resume() == Resumed::Suspended);
        }
        start.elapsed()
    }
}

/// Through the scheduler: the fiber goes to the end of its worker's queue each time.
struct Scheduled(Spawner);

impl Contestant for Scheduled {
    fn name(&self) -> &'static str {
        "tickscope: yield_now on a worker"
    }

    fn check(&mut self) -> Result<(), String> {
        if self.0.spawn_fiber(|| (fiber::yield_now(), 3).1).join() == Ok(3) {
            Ok(())
        } else {
            Err("it did not come to its end".into())
        }
    }

    fn round(&mut self, switches: u64) -> Duration {
        let timed = self.0.spawn_fiber(move || {
            let start = Instant::now();
            (0..switches).for_each(|_| fiber::yield_now());
            start.elapsed()
        });
        timed.join().expect("it does not panic")
    }
}

fn counted(run: impl FnOnce(Box<dyn Fn() -> u32>)) -> Result<(), String> {
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let inside = std::rc::Rc::clone(&count);
    run(Box::new(move || {
        inside.set(inside.get() + 1);
        inside.get()
    }));
    if count.get() == 10 { Ok(()) } else { Err(format!("{} rounds instead of 10", count.get())) }
}

fn fibers(criterion: &mut Criterion) {
    let stacks = Stacks::new(64 << 10, 1);
    let ours = Fiber::new(&stacks, |fiber| {
        loop {
            fiber.suspend();
        }
    });
    let pool = Pool::builder().workers(1).build().expect("a pool");
    compete(
        criterion,
        "resume and suspend",
        SWITCHES,
        &mut [
            Box::new(Bare(Coroutine::new(|yielder, ()| {
                loop {
                    yielder.suspend(());
                }
            }))),
            Box::new(Ours(ours.expect("a stack"))),
            Box::new(Scheduled(pool.spawner())),
        ],
    );
}

criterion_group!(benches, fibers);
criterion_main!(benches);
