//! A game server's tick that hands work to a pool, recorded: which task was spawned by what, how long it was queued, how long
//! it ran, and where it waited.
//!
//! `cargo run -p tickscope --features scheduler --example tasks -- tasks.perfetto-trace`, then open the file at
//! <https://ui.perfetto.dev>: arrows lead from each `spawn` to the task, and fibers have rows of their own.

use std::time::Duration;

use tickscope::scheduler::Tasks;
use tickscope::{CategoryId, Recording, span};
use tickscope_scheduler::{Pool, Spawner, fiber};

/// A task that spawns another and waits for it: the arrows lead from `tick` to `restock`, and from there to `price`.
fn restock(spawner: Spawner, shop: u64) -> impl FnOnce() -> u64 + Send {
    move || {
        let prices: Vec<_> = (0..4).map(|item| spawner.spawn(price(shop, item))).collect();
        let _sum = span!("sum", shop = shop);
        prices.into_iter().map(|price| price.join().unwrap_or_default()).sum()
    }
}

fn price(shop: u64, item: u64) -> impl FnOnce() -> u64 + Send {
    move || (0..20_000).fold(shop + item, |price, n| (price * 31 + n) % 9_973)
}

/// A future that waits for a timer: a span for each part that runs, each linked to the one before.
async fn announce(spawner: Spawner) {
    drop(span!("write"));
    spawner.sleep(Duration::from_millis(3)).await;
    drop(span!("send"));
}

/// A fiber that waits in the middle of its own span.
fn save() {
    let _transaction = span!("transaction");
    for _ in 0..2 {
        fiber::sleep(Duration::from_millis(2));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "tasks.perfetto-trace".into());
    let recording = Recording::builder().subject("tasks").file(&path).start()?;
    let pool = Pool::builder().workers(2).observer(Tasks::new(&recording)).build()?;
    for number in 1..=5u64 {
        let tick = span!(category: CategoryId::TICK, "tick", tick = number);
        let restocks: Vec<_> = (0..3).map(|shop| pool.spawn(restock(pool.spawner(), shop))).collect();
        let announced = pool.spawn_future(announce(pool.spawner()));
        let saved = pool.spawn_fiber(save);
        drop(tick);
        for restocked in restocks {
            restocked.join()?;
        }
        announced.join()?;
        saved.join()?;
    }
    drop(pool);
    let summary = recording.stop();
    println!("{path}: {} events, {} dropped", summary.account.delivered, summary.account.dropped);
    Ok(())
}
