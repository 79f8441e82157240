//! The plugin as hosts load it, and who takes what it sends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;
mod receiver;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tickscope_core::{Sink, conformance};
use tickscope_plugin::{Chosen, Level, Log, Outcome, Plugin, Sinks};

/// For anything to happen that a test waits for.
const LIMIT: Duration = Duration::from_secs(30);

/// The library that cargo made of this package beside the tests.
fn library() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.with_file_name("libtickscope_otlp.so")
}

fn chosen(options: &str) -> Chosen {
    let plugin = Arc::new(Plugin::load(&library()).unwrap());
    let options = plugin.schema.read("otlp", options).unwrap();
    Chosen { name: plugin.name.clone(), plugin, options }
}

/// What sinks say.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn log(&self) -> Log {
        let said = self.0.clone();
        Arc::new(move |name: &str, level: Level, line: &str| {
            said.lock().unwrap().push(format!("{name}: {level:?}: {line}"));
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Waits until `look` finds something.
#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "no {what} in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Records the example of the conformance suite, one of everything, and tells how that ended and what was said.
fn record(options: &str) -> (Outcome, Vec<String>) {
    let said = Said::default();
    let mut sinks = Sinks::new(vec![chosen(options)], said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    sinks.batch(&example.as_batch()).unwrap();
    sinks.finish().unwrap();
    (sinks.outcomes()[0].clone(), said.lines())
}
