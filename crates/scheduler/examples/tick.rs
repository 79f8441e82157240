//! A loop of 20 ticks a second that hands heavy work to a pool, and asks on each tick what is done.

use std::time::{Duration, Instant};

use tickscope_scheduler::{Handle, Pool, Stop};

fn heavy(seed: u64) -> u64 {
    (0..20_000_000).fold(seed, |sum, n| sum.wrapping_mul(6364136223846793005).wrapping_add(n))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::new()?;
    let mut jobs: Vec<(u64, Handle<u64>)> = Vec::new();
    for tick in 0..20u64 {
        let begun = Instant::now();
        if tick % 5 == 0 {
            jobs.push((tick, pool.spawn(move || heavy(tick))));
        }
        jobs.retain_mut(|(from, job)| match job.try_join() {
            Some(result) => {
                println!("tick {tick}: the job of tick {from} gave {result:?}");
                false
            }
            None => true,
        });
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(50), "the tick took {took:?}");
        std::thread::sleep(Duration::from_millis(50).saturating_sub(took));
    }
    println!("{:?}", pool.stop(Stop::Drain));
    Ok(())
}
