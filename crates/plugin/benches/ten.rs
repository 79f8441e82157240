//! What ten plugins cost the program that is recorded, and its start.
//!
//! A thread does work and records a million spans a second of it; a collector feeds no plugin, or ten that sum up times by
//! symbol. Rounds of the two alternate, and the machine's bad moments fall on both. Without `--bench` the rounds are
//! short, nothing is calibrated, and only what must hold on any machine is checked.
#![allow(missing_docs, reason = "a program")]

#[path = "../tests/it/built.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "of the tests")]
mod built;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickscope_core::{CategoryId, Outcome, Recorder, Sink, SymbolId, SymbolRef};
use tickscope_plugin::{Chosen, End, Level, Log, Plugin, Sinks};
use tickscope_session::{Config, Pump, PumpConfig, Session};

const PLUGINS: usize = 10;
/// Spans a second.
const RATE: u64 = 1_000_000;
const SYMBOLS: u64 = 100;
/// Rounds with and without plugins, and spans of each.
const ROUNDS: (usize, u64) = (15, RATE);
const SHORT: (usize, u64) = (1, 20_000);

/// Ten libraries: one file would be loaded once.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let built = built::rust();
    let copy = |number| {
        let file = folder.join(format!("libsum{number}.so"));
        std::fs::copy(&built, &file).expect("the folder takes ten libraries");
        file
    };
    (0..PLUGINS).map(copy).collect()
}

fn load(libraries: &[PathBuf]) -> Sinks {
    let choose = |(number, file): (usize, &PathBuf)| {
        let plugin = Arc::new(Plugin::load(file).expect("it was built"));
        let options = plugin.schema.read("odd", "").expect("none are needed");
        Chosen { plugin, name: format!("sum {number}"), options }
    };
    let silent: Log = Arc::new(|_: &str, _: Level, _: &str| {});
    Sinks::new(libraries.iter().enumerate().map(choose).collect(), silent)
}

/// Some work: a step is a few nanoseconds.
#[inline(never)]
fn work(steps: u64, seed: u64) -> u64 {
    (0..steps).fold(seed, |hash, step| black_box(hash.wrapping_mul(0x100_0000_01b3) ^ step))
}

/// How long this thread has been on a core: others that keep it from one do not count.
fn on_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("its first field is a number"))
}

/// How a round went.
struct Round {
    took: Duration,
    /// Of that, on a core.
    ran: Duration,
    /// Events that found no room in the ring.
    dropped: u64,
    /// Samples that sinks were too slow for, all sinks together.
    missed: u64,
}

/// Records `spans` of `steps` of work each, fed to `libraries`.
fn round(libraries: &[PathBuf], spans: u64, steps: u64) -> Round {
    let (session, collector) = Session::new(Config::default()).expect("there is memory for a session");
    let pump = Pump::start(collector, vec![("plugins".into(), load(libraries))], PumpConfig::default());
    let recorder = session.thread("main");
    let symbols: Vec<SymbolId> = (0..SYMBOLS)
        .map(|number| recorder.intern_symbol(SymbolRef::host(&format!("function {number}"))))
        .collect();
    // Opened and fed: what follows is the same all the time.
    pump.handle().settle(Duration::from_secs(10));
    let (start, before) = (Instant::now(), on_core());
    for (number, symbol) in (0..spans).zip(symbols.iter().cycle()) {
        let span = recorder.enter(recorder.now(), *symbol, CategoryId::DEFAULT);
        black_box(work(steps, number));
        recorder.exit(recorder.now(), span, Outcome::Ok, 0);
    }
    let (took, ran) = (start.elapsed(), on_core().saturating_sub(before));
    drop(recorder);
    let finished = pump.stop();
    let account = finished.account;
    let outcomes = finished.sinks[0].sink.outcomes();
    assert_eq!(outcomes.len(), libraries.len());
    for outcome in outcomes {
        assert_eq!(outcome.end, End::Finished, "{outcome:?}");
        // What came out of the ring went to each sink, or was counted; the account itself is samples too.
        assert!(outcome.delivered + outcome.missed >= account.delivered, "{outcome:?} of {account:?}");
        assert_eq!(outcome.health.as_ref().map(|health| health.written), Some(outcome.delivered));
    }
    assert_eq!(account.attempted, 2 * spans);
    assert_eq!(account.delivered + account.dropped, account.attempted);
    Round { took, ran, dropped: account.dropped, missed: outcomes.iter().map(|outcome| outcome.missed).sum() }
}

/// The work of a span with which the producer makes [`RATE`] of them.
fn calibrate() -> u64 {
    let per_span = |steps| round(&[], RATE / 4, steps).ran.as_secs_f64() / (RATE / 4) as f64;
    let (few, many) = (100, 400);
    let (short, long) = (per_span(few), per_span(many));
    let step = (long - short) / (many - few) as f64;
    few.saturating_add_signed(((1.0 / RATE as f64 - short) / step) as i64)
}

fn spread(numbers: &mut [f64]) -> String {
    numbers.sort_by(f64::total_cmp);
    let (median, last) = (numbers[numbers.len() / 2], numbers[numbers.len() - 1]);
    format!("{median:.3} ({:.3} to {last:.3})", numbers[0])
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let folder = tempfile::tempdir().expect("there is room for files");
    let ten = libraries(folder.path());
    let (rounds, spans) = if full { ROUNDS } else { SHORT };

    let mut starts = Vec::new();
    for round in 0..rounds {
        // Copies of its own: what is loaded already costs nothing.
        let folder = folder.path().join(round.to_string());
        std::fs::create_dir(&folder).expect("there is room for files");
        let libraries = libraries(&folder);
        let start = Instant::now();
        let mut sinks = load(&libraries);
        sinks.open(&tickscope_core::Metadata::default()).expect("it never fails");
        starts.push(1e3 * start.elapsed().as_secs_f64());
        sinks.finish().expect("it never fails");
        assert!(sinks.outcomes().iter().all(|outcome| outcome.end == End::Finished));
    }

    let steps = if full { calibrate() } else { 100 };
    let (mut rates, mut walls, mut cores) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dropped, mut missed) = (0, 0);
    for _ in 0..rounds {
        let (none, ten) = (round(&[], spans, steps), round(&ten, spans, steps));
        rates.push(spans as f64 / none.took.as_secs_f64() / 1e6);
        walls.push(ten.took.as_secs_f64() / none.took.as_secs_f64());
        cores.push(ten.ran.as_secs_f64() / none.ran.as_secs_f64());
        dropped += none.dropped + ten.dropped;
        missed += ten.missed;
    }
    if !full {
        return;
    }
    println!("medians of {rounds} rounds, and the least and the most");
    println!("{PLUGINS} plugins are loaded and open in {} ms", spread(&mut starts));
    println!("without plugins the producer makes {} million spans a second", spread(&mut rates));
    println!("with {PLUGINS} it runs {} times as long", spread(&mut walls));
    println!("and is on its core {} times as long", spread(&mut cores));
    let given = 2 * spans * rounds as u64;
    println!(
        "rings dropped {dropped} of {} events; sinks missed {missed} of {} samples",
        2 * given,
        given * PLUGINS as u64
    );
}
