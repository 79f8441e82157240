//! The API from outside: what a program says is what a recording holds.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tickscope::{ArgValue, Builder, Event, MemorySink, Outcome, Recording, RecordingSink};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod assembly;
mod context;
mod macros;
mod operations;
#[cfg(feature = "profile")]
mod profile;
mod recordings;
mod sampling;
mod sources;
#[cfg(feature = "scheduler")]
mod tasks;
#[cfg(feature = "tracing")]
mod tracing_layer;
mod work;

/// Tests that use the recording of all threads take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `program` on this thread with a recording of its own.
fn record(program: impl FnOnce(&Recording)) -> RecordingSink {
    record_with(Recording::builder(), program)
}

fn record_with(builder: Builder, program: impl FnOnce(&Recording)) -> RecordingSink {
    let memory = MemorySink::default();
    let recording =
        builder.subject("it").sink("memory", memory.clone()).start_apart().expect("a legal setup");
    let chosen = recording.on_this_thread();
    program(&recording);
    drop(chosen);
    let summary = recording.stop();
    assert!(summary.account.holds(0), "{:?}", summary.account);
    assert!(summary.account.discarded == 0 && summary.failed.is_empty(), "{summary:?}");
    memory.take()
}

/// What was recorded, one line a sample; times, tracks of threads and accounts left out.
fn story(sink: &RecordingSink) -> Vec<String> {
    let names = &sink.dictionary;
    let args = |range| {
        let one = |arg: &tickscope_core::Arg| match arg.value {
            ArgValue::Text { .. } => format!(" {}={:?}", names.key(arg.key), sink.as_batch().text(arg.value)),
            value => format!(" {}={value:?}", names.key(arg.key)),
        };
        sink.as_batch().args(range).iter().map(one).collect::<String>()
    };
    let line = |sample: &tickscope_core::Sample| {
        let track = names.track(sample.track);
        let place = match track.kind {
            tickscope_core::TrackKind::Thread => String::new(),
            kind => format!("{} {}: ", kind.name(), track.name),
        };
        let what = match sample.event {
            Event::Begin(begin) => {
                let category = match &*names.category(begin.category).name {
                    "default" => String::new(),
                    category => format!("[{category}]"),
                };
                let link = begin.link.map(|link| format!(" <-{}", link.kind.name())).unwrap_or_default();
                format!("begin {}{category}{link}{}", names.symbol(begin.symbol).name, args(begin.args))
            }
            Event::End(end) => {
                let outcome = match end.outcome {
                    Outcome::Ok => String::new(),
                    outcome => format!(" {}", outcome.name()),
                };
                format!("end {}{outcome}{}", names.symbol(end.symbol).name, args(end.args))
            }
            Event::Instant { symbol, scope, args: range, .. } => {
                format!("instant {} {scope:?}{}", names.symbol(symbol).name, args(range))
            }
            Event::Counter { symbol, value } => format!("counter {} {value:?}", names.symbol(symbol).name),
            Event::LinkPoint { .. } => "link point".into(),
            Event::Stack { .. } => "stack".into(),
            Event::Gap { events } => format!("gap {events}"),
            _ => return None,
        };
        Some(format!("{place}{what}"))
    };
    sink.samples.iter().filter_map(line).collect()
}

#[track_caller]
fn check(program: impl FnOnce(&Recording), expected: &[&str]) {
    assert_eq!(story(&record(program)), expected);
}
