//! A loop of 20 ticks a second: heavy work goes to a pool, work that has to stay gets 5 ms of each tick.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tickscope_scheduler::{Completions, Pool, Stop, TickBudget};

fn heavy(seed: u64) -> u64 {
    (0..20_000_000).fold(seed, |sum, n| sum.wrapping_mul(6364136223846793005).wrapping_add(n))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::new()?;
    let mut jobs = Completions::new();
    let mut here = TickBudget::new(Duration::from_millis(5));
    let sorted = Rc::new(Cell::new(0));
    let count = Rc::clone(&sorted);
    here.each(0..300u64, move |seed| {
        let mut numbers: Vec<u64> =
            (0..20_000u64).map(|n| n.wrapping_mul(seed | 1).rotate_left(40)).collect();
        numbers.sort_unstable();
        count.set(count.get() + 1);
    });
    for tick in 0..20u64 {
        let begun = Instant::now();
        if tick % 5 == 0 {
            jobs.add(tick, pool.spawn(move || heavy(tick)));
        }
        for (from, result) in jobs.take() {
            println!("tick {tick}: the job of tick {from} gave {result:?}");
        }
        let report = here.tick();
        println!("tick {tick}: {} lists sorted, in {:?}", sorted.get(), report.used);
        std::thread::sleep(TickBudget::SERVER_TICK.saturating_sub(begun.elapsed()));
    }
    println!("{:?}", pool.stop(Stop::Drain));
    Ok(())
}
