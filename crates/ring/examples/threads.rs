//! Moves events from one thread to another, one by one and in chunks, and checks that all arrive in order.
//!
//! ```console
//! $ cargo run --release -p tickscope-ring --example threads
//! ```

use std::time::{Duration, Instant};

use tickscope_ring::{Config, ConfigError, Policy, heap};

const EVENTS: u64 = 10_000_000;

/// Pushes numbered events with `push`, which answers how many it took from the number it was given on.
fn run(push: impl Fn(&tickscope_ring::Producer, u64) -> u64 + Send) -> Result<Duration, ConfigError> {
    let (producer, mut consumer) = heap(Config { capacity: 1 << 14, policy: Policy::Drop })?;
    let start = Instant::now();
    let ordered = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 0;
            while next < EVENTS {
                let taken = push(&producer, next);
                if taken == 0 {
                    std::thread::yield_now(); // full: the program would count a drop and go on
                }
                next += taken;
            }
        });
        let (mut seen, mut ordered) = (0, true);
        while seen < EVENTS {
            let drained = consumer.drain(|_, slots| {
                for slot in slots {
                    ordered &= slot.words() == [seen, !seen];
                    seen += 1;
                }
            });
            if drained == 0 {
                std::thread::yield_now();
            }
        }
        ordered
    });
    assert!(ordered, "events arrive in the order they were pushed");
    Ok(start.elapsed())
}

fn main() -> Result<(), ConfigError> {
    let single = run(|producer, next| u64::from(producer.push([[next, !next]]).is_ok()))?;
    let chunks = run(|producer, next| {
        let most = 64.min(EVENTS - next) as usize;
        producer.push_batch(most, |index| [[next + index as u64, !(next + index as u64)]]) as u64
    })?;
    for (how, took) in [("one by one", single), ("64 at a time", chunks)] {
        println!("{how}: {:.2} ns an event", took.as_nanos() as f64 / EVENTS as f64);
    }
    Ok(())
}
