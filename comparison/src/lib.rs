//! What the benches share: contestants, their rounds, and the table of ratios.
//!
//! Each bench runs its contestants twice. Criterion measures each on its own, with its statistics; then they take turns,
//! round after round, and the table divides each round by the baseline of the same round. On a machine that others use
//! too, the second is the one to trust.

mod tracy;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

pub use tracy::TracyServer;

/// Somebody who does the same work.
pub trait Contestant {
    /// Shown in tables.
    fn name(&self) -> &'static str;

    /// Does a little of the work and looks at what came out of it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&mut self) -> Result<(), String>;

    /// Does `items` pieces of work and says how long they took; what has to be cleared away between rounds is not in
    /// that time.
    fn round(&mut self, items: u64) -> Duration;
}

/// Checks every contestant, measures each with criterion, and prints the ratios of rounds in turn to the first one's.
///
/// # Panics
/// When a contestant's check fails: a number for work that was not done is worth nothing.
pub fn compete(criterion: &mut Criterion, title: &str, items: u64, contestants: &mut [Box<dyn Contestant>]) {
    for contestant in contestants.iter_mut() {
        if let Err(why) = contestant.check() {
            panic!("{title}: {} does not do the work: {why}", contestant.name());
        }
    }
    let mut group = criterion.benchmark_group(title);
    group.throughput(Throughput::Elements(items));
    for contestant in contestants.iter_mut() {
        group.bench_function(contestant.name(), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| contestant.round(items)).sum());
        });
    }
    group.finish();
    if !std::env::args().any(|argument| argument == "--test") {
        print_ratios(title, items, contestants);
    }
}

fn print_ratios(title: &str, items: u64, contestants: &mut [Box<dyn Contestant>]) {
    const ROUNDS: usize = 301;
    let mut times = vec![Vec::with_capacity(ROUNDS); contestants.len()];
    let end = Instant::now() + Duration::from_secs(60);
    for _ in 0..ROUNDS {
        for (times, contestant) in times.iter_mut().zip(contestants.iter_mut()) {
            times.push(contestant.round(items).as_secs_f64() * 1e9 / items as f64);
        }
        if Instant::now() > end {
            break;
        }
    }
    println!(
        "\n{title}, {} rounds in turn, ns each, ratio to {}, millions a second",
        times[0].len(),
        contestants[0].name()
    );
    println!("{:<44} {:>9} {:>9} {:>9} {:>7} {:>8}", "", "median", "p10", "p90", "ratio", "M/s");
    let baseline = times[0].clone();
    for (times, contestant) in times.iter().zip(contestants.iter()) {
        let ratios: Vec<f64> = times.iter().zip(&baseline).map(|(time, baseline)| time / baseline).collect();
        println!(
            "{:<44} {:>9.2} {:>9.2} {:>9.2} {:>6.2}x {:>8.2}",
            contestant.name(),
            quantile(times, 0.5),
            quantile(times, 0.1),
            quantile(times, 0.9),
            quantile(&ratios, 0.5),
            1e3 / quantile(times, 0.5)
        );
    }
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}
