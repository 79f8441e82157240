//! What a job costs, beside what two threads need to wake each other.
//!
//! ```console
//! $ cargo bench -p tickscope-worker --bench jobs
//! ```
//! The host ticks as soon as an answer is ready, as one would that has nothing else to do.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use criterion::{Criterion, criterion_group, criterion_main};
use mlua::{Function, Lua};
use tickscope_worker::{Options, Owner, Workers, library};

struct Host {
    lua: Lua,
    owner: Owner,
    ready: Receiver<()>,
}

fn host(workers: usize) -> Host {
    let lua = Lua::new();
    let workers = Workers::start(Options { workers: Some(workers), ..Options::default() });
    let (to, ready) = channel();
    let wake = move || {
        let _ = to.send(());
    };
    let owner =
        Owner::new(&lua, Arc::new(workers.expect("there are threads")), wake).expect("there is memory");
    lua.globals().set("Async", library(&lua, &owner).expect("there is memory")).expect("there is memory");
    Host { lua, owner, ready }
}

impl Host {
    /// Runs a script's coroutine to its end.
    fn run(&self, script: &Function) {
        let thread = self.lua.create_thread(script.clone()).expect("there is memory");
        thread.resume::<()>(()).expect("the script runs");
        while self.owner.open() > 0 {
            self.ready.recv().expect("workers answer");
            let (_, failed) = self.owner.tick(&self.lua);
            assert!(failed.is_empty(), "{failed:?}");
        }
    }
}

fn jobs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jobs");

    let (to, from) = channel::<thread::Thread>();
    let other = thread::spawn(move || {
        while let Ok(asker) = from.recv() {
            asker.unpark();
        }
    });
    group.bench_function("two threads wake each other", |bencher| {
        bencher.iter(|| {
            to.send(thread::current()).expect("it listens");
            thread::park();
        });
    });
    drop(to);
    other.join().expect("it ended");

    let host = host(1);
    let small: Function = host
        .lua
        .load("return function() answer = Async.Await(Async.Run(function(a, b) return a + b end, 1, 2)) end")
        .eval()
        .expect("it compiles");
    host.run(&small);
    assert_eq!(host.lua.globals().get::<i64>("answer").ok(), Some(3));
    group.bench_function("Async.Run of a small function, and Await", |bencher| {
        bencher.iter(|| host.run(black_box(&small)));
    });

    let text: Function = host
        .lua
        .load("local text = ('x'):rep(1000000) return function() answer = #Async.Await(Async.Run(function(text) return text end, text)) end")
        .eval()
        .expect("it compiles");
    host.run(&text);
    assert_eq!(host.lua.globals().get::<i64>("answer").ok(), Some(1_000_000));
    group.bench_function("a megabyte of text, there and back", |bencher| {
        bencher.iter(|| host.run(black_box(&text)))
    });
    group.finish();
}

const WORK: &str = "local function work(n) local s = 0 for i = 1, n do s = s + i % 7 end return s end";
const LENGTH: i64 = 3_000_000;
const SUM: i64 = 8_999_997;

/// Two long calls by one worker and by two; and by plain threads with a machine each, which is what the processor has to give.
fn scaling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jobs/two of equal length");
    group.sample_size(20);
    for threads in [1, 2] {
        let machines: Vec<_> = (0..threads)
            .map(|_| {
                let (to, calls) = channel::<(usize, std::sync::mpsc::Sender<i64>)>();
                thread::spawn(move || {
                    let lua = Lua::new();
                    let work: Function = lua.load(format!("{WORK} return work")).eval().expect("it compiles");
                    for (count, answer) in calls {
                        for _ in 0..count {
                            let sum = work.call(LENGTH).expect("it runs");
                            let _ = answer.send(sum); // checked there
                        }
                    }
                });
                to
            })
            .collect();
        group.bench_function(format!("{threads} plain threads"), |bencher| {
            bencher.iter(|| {
                let (to, answers) = channel();
                for machine in &machines {
                    machine.send((2 / threads, to.clone())).expect("it listens");
                }
                drop(to);
                assert_eq!(answers.iter().sum::<i64>(), 2 * SUM);
            })
        });
    }
    for workers in [1, 2] {
        let host = host(workers);
        let work: Function = host
            .lua
            .load(format!(
                "{WORK} return function() answer = Async.All {{ Async.Run(work, {LENGTH}), Async.Run(work, {LENGTH}) }} end"
            ))
            .eval()
            .expect("it compiles");
        host.run(&work);
        assert_eq!(host.lua.globals().get::<i64>("answer").ok(), Some(SUM));
        group.bench_function(format!("{workers} workers"), |bencher| {
            bencher.iter(|| host.run(black_box(&work)))
        });
    }
    group.finish();
}

criterion_group!(benches, jobs, scaling);
criterion_main!(benches);
