//! What one begin and end costs, against two reads of the clock, in one run.
//!
//! A collector drains on another core all the time; bursts are short enough for the ring, so nothing may be dropped,
//! and every span must come out again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tickscope::{Batch, Category, Event, Flow, Recording, Sink, SinkError, profile, span, trace_loop};

/// Pairs measured at a time.
const BURST: u64 = 50_000;

/// Counts what comes out.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn wait_for(&self, ends: u64) {
        while self.0.load(Ordering::Acquire) < ends {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Sink for Counter {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let ends = batch.samples.iter().filter(|sample| matches!(sample.event, Event::End(_))).count();
        self.0.fetch_add(ends as u64, Ordering::Release);
        Ok(Flow::Continue)
    }
}

#[inline(never)]
fn pairs(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        let _span = span!("pair");
    }
    start.elapsed()
}

/// Some work, about as much as a small function does.
#[inline(never)]
fn work(n: u64) -> u64 {
    (0..16).fold(n, |hash, step| std::hint::black_box(hash.wrapping_mul(0x100_0000_01b3) ^ step))
}

#[inline(never)]
#[profile]
fn work_recorded(n: u64) -> u64 {
    (0..16).fold(n, |hash, step| std::hint::black_box(hash.wrapping_mul(0x100_0000_01b3) ^ step))
}

#[cfg(target_arch = "x86_64")]
fn clock() -> u64 {
    // SAFETY: every x86-64 processor has the instruction; it touches no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn clock() -> u64 {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// Bursts of `measure`, `threads` at once, each waited for; the mean time of one thread.
fn bursts(
    iterations: u64,
    threads: u64,
    seen: &Counter,
    sent: &mut u64,
    measure: fn(u64) -> Duration,
) -> Duration {
    let (mut total, mut left) = (Duration::ZERO, iterations);
    while left > 0 {
        let burst = left.min(BURST);
        left -= burst;
        if threads == 1 {
            total += measure(burst);
        } else {
            let gate = std::sync::Barrier::new(threads as usize);
            let took: Duration = std::thread::scope(|scope| {
                let run = || {
                    drop(span!("attach"));
                    gate.wait();
                    measure(burst)
                };
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
                workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
            });
            total += took / threads as u32;
            *sent += threads;
        }
        *sent += burst * threads;
        seen.wait_for(*sent);
    }
    total
}

fn pair(criterion: &mut Criterion) {
    static OFF: Category = Category::new("off", "Switched off in this bench.");
    let mut group = criterion.benchmark_group("pair");
    group.bench_function("two clock reads", |bencher| {
        bencher.iter(|| (std::hint::black_box(clock()), std::hint::black_box(clock())));
    });
    group.bench_function("nothing recorded", |bencher| bencher.iter(|| drop(span!("pair"))));
    group.bench_function("a small function", |bencher| bencher.iter(|| work(std::hint::black_box(7))));
    group.bench_function("a small function with the attribute, nothing recorded", |bencher| {
        bencher.iter(|| work_recorded(std::hint::black_box(7)));
    });
    group.bench_function("an iteration of a loop, nothing recorded", |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for n in trace_loop!(over: 0..iterations, "loop") {
                std::hint::black_box(n);
            }
            start.elapsed()
        });
    });

    let seen = Counter::default();
    let recording = Recording::builder()
        .filter("*,-off")
        .sink("counter", seen.clone())
        .start()
        .expect("no other recording");
    let mut sent = 0;
    group.bench_function("span", |bencher| {
        bencher.iter_custom(|iterations| bursts(iterations, 1, &seen, &mut sent, pairs));
    });
    group.bench_function("two clock reads again", |bencher| {
        bencher.iter(|| (std::hint::black_box(clock()), std::hint::black_box(clock())));
    });
    group.bench_function("two threads at once", |bencher| {
        bencher.iter_custom(|iterations| bursts(iterations, 2, &seen, &mut sent, pairs));
    });
    group.bench_function("category off", |bencher| bencher.iter(|| drop(span!(category: OFF, "pair"))));
    group.finish();

    let summary = recording.stop();
    let account = summary.account;
    assert!(account.holds(0) && account.dropped == 0, "{account:?}");
    assert_eq!(account.delivered, 2 * sent, "each span came out once");
    println!("{}", summary.overhead);
}

#[inline(never)]
fn clock_reads(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(clock());
        std::hint::black_box(clock());
    }
    start.elapsed()
}

/// The fastest of many short slices, taken in turns: what a busy machine cannot blur.
fn floors(criterion: &mut Criterion) {
    const SLICE: u64 = 500;
    let _ = criterion;
    let seen = Counter::default();
    let recording = Recording::builder().sink("counter", seen.clone()).start().expect("no other recording");
    let mut floor = [Duration::MAX; 2];
    let mut sent = 0;
    for _ in 0..200 {
        for _ in 0..BURST / SLICE {
            floor[0] = floor[0].min(clock_reads(SLICE));
            floor[1] = floor[1].min(pairs(SLICE));
        }
        sent += BURST;
        seen.wait_for(sent);
    }
    let account = recording.stop().account;
    assert!(account.holds(0) && account.dropped == 0 && account.delivered == 2 * sent, "{account:?}");
    let off = (0..20_000).map(|_| pairs(SLICE)).min().unwrap_or_default();
    let nanos = |time: Duration| time.as_nanos() as f64 / SLICE as f64;
    println!(
        "fastest slices of {SLICE}: two clock reads {:.2} ns, span {:.2} ns ({:.3} x), nothing recorded {:.2} ns",
        nanos(floor[0]),
        nanos(floor[1]),
        nanos(floor[1]) / nanos(floor[0]),
        nanos(off),
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = floors, pair
}
criterion_main!(benches);
