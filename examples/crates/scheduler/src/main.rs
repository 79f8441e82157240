//! A loop of ticks that hands heavy work to a pool, and does a little in each tick of what it cannot hand away.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use tickscope_scheduler::{Completions, Pool, Stop, TickBudget};

/// How many numbers take `steps` of Collatz's rule to reach 1, below `limit`.
fn reach(steps: u32, limit: u64) -> usize {
    let takes = |mut n: u64| {
        let mut taken = 0;
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            taken += 1;
        }
        taken
    };
    (1..limit).filter(|&n| takes(n) == steps).count()
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder().workers(2).build()?;
    let mut jobs = Completions::new();
    for steps in [16, 50, 100] {
        jobs.add(steps, pool.spawn(move || reach(steps, 100_000)));
    }
    jobs.add(0, pool.spawn(|| panic!("a task's panic is its error")));

    // What has to stay on this thread gets 5 ms of each tick.
    let mut here = TickBudget::new(Duration::from_millis(5));
    let saved = Rc::new(Cell::new(0));
    let count = Rc::clone(&saved);
    here.each(0..10_000, move |_player| count.set(count.get() + 1));

    let mut answers = Vec::new();
    while !jobs.is_empty() || !here.is_empty() {
        answers.extend(jobs.take()); // never waits
        here.tick();
        std::thread::sleep(Duration::from_millis(1)); // the rest of a tick
    }
    answers.sort_by_key(|(steps, _)| *steps);
    for (steps, answer) in answers {
        match answer {
            Ok(numbers) => println!("{numbers} numbers below 100000 take {steps} steps"),
            Err(error) => println!("{error}"),
        }
    }
    let counters = pool.stop(Stop::Drain);
    println!("{} saved; {} tasks finished, {} panicked", saved.get(), counters.finished, counters.panicked);
    Ok(())
}
