//! Empty tasks spawned by one thread and run to their end, and how long a task takes from spawn to start: beside rayon,
//! tokio, may, smol's executor, `threadpool` and a queue behind a mutex.
//!
//! For 1, 2, 4, … workers, as many as there are cores: tasks a second, then the median and 99th percentile of the wait. Each
//! number of workers has a process of its own, because may's are set once.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use criterion::Criterion;
use tickscope::scheduler::Tasks;
use tickscope::{Batch, Flow, Recording, Sink, SinkError};
use tickscope_comparison::{Contestant, compete};
use tickscope_scheduler::{End, Moment, Observer, Pool, Priority, TaskId, TaskOptions};

/// Below what the bounded queues hold.
const TASKS: u64 = 50_000;
/// Which number of workers a process measures.
const WORKERS: &str = "TICKSCOPE_BENCH_WORKERS";

/// Somebody who runs closures.
trait Runs {
    const NAME: &'static str;

    fn new(workers: usize) -> Self;

    fn run<F: FnOnce() + Send + 'static>(&self, task: F);

    /// Waits for what goes on after so many tasks are done.
    fn settle(&self, _tasks: u64) {}

    /// Hands in so many tasks that count up.
    fn run_many(&self, count: &'static AtomicU64, tasks: u64) {
        for _ in 0..tasks {
            self.run(|| {
                count.fetch_add(1, Ordering::Release);
            });
        }
    }
}

struct Rayon(rayon::ThreadPool);

impl Runs for Rayon {
    const NAME: &'static str = "rayon";

    fn new(workers: usize) -> Self {
        Self(rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("a pool"))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        self.0.spawn(task);
    }
}

/// No handle, no observer.
struct Execute(Pool);

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().expect("a pool")
}

impl Runs for Execute {
    const NAME: &'static str = "tickscope: execute";

    fn new(workers: usize) -> Self {
        Self(pool(workers))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        self.0.execute(task).expect("it runs");
    }
}

/// With a handle, which is dropped.
struct Spawn(Pool);

impl Runs for Spawn {
    const NAME: &'static str = "tickscope: spawn";

    fn new(workers: usize) -> Self {
        Self(pool(workers))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        drop(self.0.spawn(task));
    }
}

#[derive(Default)]
struct Sums([AtomicU64; 3]);

impl Observer for Sums {
    fn queued(&self, task: TaskId, _worker: Option<usize>, _at: u64) -> u64 {
        task.get()
    }

    fn started(&self, moment: &Moment) {
        self.0[0].store(moment.waited, Ordering::Relaxed);
    }

    fn ended(&self, moment: &Moment, _end: End) {
        self.0[1].store(moment.ran, Ordering::Relaxed);
        self.0[2].store(moment.tag, Ordering::Relaxed);
    }
}

/// With a handle, options and an observer that is told of each task's times.
struct Everything(Pool);

impl Runs for Everything {
    const NAME: &'static str = "tickscope: spawn, observed";

    fn new(workers: usize) -> Self {
        Self(Pool::builder().workers(workers).observer(Sums::default()).build().expect("a pool"))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        let options = TaskOptions { priority: Priority::High, ..TaskOptions::default() };
        drop(self.0.spawn_with(options, task));
    }
}

/// With a handle, and each task in a recording: what caused it, how long it was queued, how long it ran. The recording is
/// collected at the same time, by a thread of its own.
struct Recorded {
    pool: Pool,
    recording: &'static Recording,
    collected: Arc<AtomicU64>,
    expected: AtomicU64,
}

/// A sink that counts.
struct Collected(Arc<AtomicU64>);

impl Sink for Collected {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.0.fetch_add(batch.samples.len() as u64, Ordering::Relaxed);
        Ok(Flow::Continue)
    }
}

/// Where it was spawned, its begin and its end.
const SAMPLES_EACH: u64 = 3;

impl Runs for Recorded {
    const NAME: &'static str = "tickscope: spawn, recorded";

    fn new(workers: usize) -> Self {
        static RECORDING: OnceLock<(Recording, Arc<AtomicU64>)> = OnceLock::new();
        let (recording, collected) = RECORDING.get_or_init(|| {
            let collected = Arc::<AtomicU64>::default();
            let sink = Collected(collected.clone());
            let recording = Recording::builder().ring_bytes(64 << 20).sink("count", sink).start();
            (recording.expect("a recording"), collected)
        });
        Self {
            pool: Pool::builder().workers(workers).observer(Tasks::new(recording)).build().expect("a pool"),
            recording,
            collected: collected.clone(),
            expected: AtomicU64::new(collected.load(Ordering::Relaxed)),
        }
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        drop(self.pool.spawn(task));
    }

    fn settle(&self, tasks: u64) {
        let expected =
            self.expected.fetch_add(tasks * SAMPLES_EACH, Ordering::Relaxed) + tasks * SAMPLES_EACH;
        await_count(&self.collected, expected).expect("all tasks are recorded");
        assert_eq!(self.recording.overhead().account.dropped, 0, "a task that was not recorded costs less");
    }
}

/// All at once.
struct Batched(Pool);

impl Runs for Batched {
    const NAME: &'static str = "tickscope: batch";

    fn new(workers: usize) -> Self {
        Self(pool(workers))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        drop(self.0.spawn_batch([task]));
    }

    fn run_many(&self, count: &'static AtomicU64, tasks: u64) {
        drop(self.0.spawn_batch((0..tasks).map(|_| {
            || {
                count.fetch_add(1, Ordering::Release);
            }
        })));
    }
}

struct Tokio(tokio::runtime::Runtime);

impl Runs for Tokio {
    const NAME: &'static str = "tokio";

    fn new(workers: usize) -> Self {
        Self(tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().expect("a runtime"))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        drop(self.0.spawn(async move { task() }));
    }
}

struct May;

impl Runs for May {
    const NAME: &'static str = "may";

    fn new(workers: usize) -> Self {
        may::config().set_workers(workers);
        Self
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        // SAFETY: the tasks use no thread-local variables and little stack.
        drop(unsafe { may::coroutine::spawn(task) });
    }
}

struct Smol(Arc<async_executor::Executor<'static>>);

impl Runs for Smol {
    const NAME: &'static str = "async-executor";

    fn new(workers: usize) -> Self {
        let executor = Arc::new(async_executor::Executor::new());
        for _ in 0..workers {
            let executor = Arc::clone(&executor);
            std::thread::spawn(move || {
                futures_lite::future::block_on(executor.run(futures_lite::future::pending::<()>()));
            });
        }
        Self(executor)
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        self.0.spawn(async move { task() }).detach();
    }
}

struct Threadpool(threadpool::ThreadPool);

impl Runs for Threadpool {
    const NAME: &'static str = "threadpool";

    fn new(workers: usize) -> Self {
        Self(threadpool::ThreadPool::new(workers))
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        self.0.execute(task);
    }
}

type Queue = (Mutex<VecDeque<Box<dyn FnOnce() + Send>>>, Condvar);

struct Locked(Arc<Queue>);

impl Runs for Locked {
    const NAME: &'static str = "a queue behind a mutex";

    fn new(workers: usize) -> Self {
        let queue: Arc<Queue> = Arc::default();
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                loop {
                    let mut tasks = queue.0.lock().expect("nobody panics");
                    while tasks.is_empty() {
                        tasks = queue.1.wait(tasks).expect("nobody panics");
                    }
                    let task = tasks.pop_front();
                    drop(tasks);
                    task.into_iter().for_each(|task| task());
                }
            });
        }
        Self(queue)
    }

    fn run<F: FnOnce() + Send + 'static>(&self, task: F) {
        self.0.0.lock().expect("nobody panics").push_back(Box::new(task));
        self.0.1.notify_one();
    }
}

fn await_count(count: &AtomicU64, target: u64) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut rounds = 0u32;
    while count.load(Ordering::Acquire) < target {
        rounds += 1;
        // Seldom, for the tasks count in the same cache line.
        for _ in 0..100 {
            spin_loop();
        }
        if rounds.is_multiple_of(16) {
            std::thread::yield_now();
            if Instant::now() > end {
                return Err(format!("{} tasks of {target} ran", count.load(Ordering::Acquire)));
            }
        }
    }
    Ok(())
}

struct Throughput<P> {
    pool: P,
    count: &'static AtomicU64,
}

impl<P: Runs> Contestant for Throughput<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn check(&mut self) -> Result<(), String> {
        let sum: &AtomicU64 = Box::leak(Box::default());
        for n in 0..1000u64 {
            self.pool.run(move || {
                sum.fetch_add(n + 1_000_000, Ordering::Relaxed);
            });
        }
        await_count(sum, 1_000_000_000 + 999 * 500)?;
        self.pool.settle(1000);
        self.count.store(0, Ordering::Relaxed);
        self.pool.run_many(self.count, 1000);
        await_count(self.count, 1000)?;
        self.pool.settle(1000);
        Ok(())
    }

    fn round(&mut self, tasks: u64) -> Duration {
        self.count.store(0, Ordering::Relaxed);
        let start = Instant::now();
        self.pool.run_many(self.count, tasks);
        await_count(self.count, tasks).expect("all tasks run");
        let elapsed = start.elapsed();
        self.pool.settle(tasks);
        elapsed
    }
}

fn throughput<P: Runs + 'static>(workers: usize) -> Box<dyn Contestant> {
    Box::new(Throughput { pool: P::new(workers), count: Box::leak(Box::default()) })
}

/// Nanoseconds from spawn to start, one task at a time.
fn latency<P: Runs>(pool: &P, pause: Option<Duration>, samples: usize) -> Vec<u64> {
    let epoch = Instant::now();
    let started: &AtomicU64 = Box::leak(Box::default());
    let done: &AtomicBool = Box::leak(Box::default());
    let mut waited = Vec::with_capacity(samples);
    for _ in 0..samples {
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        done.store(false, Ordering::Relaxed);
        let before = epoch.elapsed().as_nanos() as u64;
        pool.run(move || {
            started.store(epoch.elapsed().as_nanos() as u64, Ordering::Relaxed);
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            spin_loop();
        }
        waited.push(started.load(Ordering::Relaxed).saturating_sub(before));
    }
    pool.settle(samples as u64);
    waited.sort_unstable();
    waited
}

fn print_latency<P: Runs>(workers: usize, baseline: &mut Option<[f64; 4]>) {
    let pool = P::new(workers);
    // Taken in turns with pauses of the others' bursts, the median of rounds.
    let mut rounds: Vec<[f64; 4]> = (0..9)
        .map(|_| {
            let hot = latency(&pool, None, 20_000);
            let idle = latency(&pool, Some(Duration::from_millis(1)), 150);
            let at = |sorted: &[u64], q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize] as f64 / 1e3;
            [at(&hot, 0.5), at(&hot, 0.99), at(&idle, 0.5), at(&idle, 0.99)]
        })
        .collect();
    let median = |column: usize, rounds: &mut Vec<[f64; 4]>| {
        rounds.sort_by(|a, b| a[column].total_cmp(&b[column]));
        rounds[rounds.len() / 2][column]
    };
    let figures = [0, 1, 2, 3].map(|column| median(column, &mut rounds));
    let base = *baseline.get_or_insert(figures);
    println!(
        "{:<30} {:>8.2} {:>8.2} {:>8.2} {:>8.2}   {:>5.2}x {:>5.2}x {:>5.2}x {:>5.2}x",
        P::NAME,
        figures[0],
        figures[1],
        figures[2],
        figures[3],
        figures[0] / base[0],
        figures[1] / base[1],
        figures[2] / base[2],
        figures[3] / base[3],
    );
}

fn latencies(workers: usize) {
    println!("\nspawn to start, {workers} workers, µs, medians of 9 rounds, and ratios to rayon");
    println!("{:<30} {:>8} {:>8} {:>8} {:>8}", "", "hot p50", "hot p99", "idle p50", "idle p99");
    let mut baseline = None;
    print_latency::<Rayon>(workers, &mut baseline);
    print_latency::<Execute>(workers, &mut baseline);
    print_latency::<Spawn>(workers, &mut baseline);
    print_latency::<Everything>(workers, &mut baseline);
    print_latency::<Recorded>(workers, &mut baseline);
    print_latency::<Tokio>(workers, &mut baseline);
    print_latency::<May>(workers, &mut baseline);
    print_latency::<Smol>(workers, &mut baseline);
    print_latency::<Threadpool>(workers, &mut baseline);
    print_latency::<Locked>(workers, &mut baseline);
}

fn measure(workers: usize, testing: bool) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut contestants = [
        throughput::<Rayon>(workers),
        throughput::<Execute>(workers),
        throughput::<Spawn>(workers),
        throughput::<Everything>(workers),
        throughput::<Recorded>(workers),
        throughput::<Batched>(workers),
        throughput::<Tokio>(workers),
        throughput::<May>(workers),
        throughput::<Smol>(workers),
        throughput::<Threadpool>(workers),
        throughput::<Locked>(workers),
    ];
    compete(&mut criterion, &format!("empty tasks, {workers} workers"), TASKS, &mut contestants);
    if !testing {
        latencies(workers);
    }
}

fn main() {
    let testing = std::env::args().any(|argument| argument == "--test");
    if let Some(workers) = std::env::var(WORKERS).ok().and_then(|workers| workers.parse().ok()) {
        measure(workers, testing);
        return;
    }
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    for workers in
        std::iter::successors(Some(1), |workers| Some(workers * 2)).take_while(|workers| *workers <= cores)
    {
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(std::env::args_os().skip(1))
            .env(WORKERS, workers.to_string())
            .status()
            .expect("this program runs");
        assert!(status.success(), "with {workers} workers: {status}");
    }
}
