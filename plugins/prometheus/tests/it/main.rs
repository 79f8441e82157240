//! The plugin as hosts load it, and who scrapes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::{Chosen, Level, Log, Plugin, Sinks};

/// For anything to happen that a test waits for.
const LIMIT: Duration = Duration::from_secs(30);

/// The library that cargo made of this package beside the tests.
fn library() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.with_file_name("libtickscope_prometheus.so")
}

fn chosen(options: &str) -> Chosen {
    let plugin = Arc::new(Plugin::load(&library()).unwrap());
    let options = plugin.schema.read("prometheus", options).unwrap();
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

/// A recording that goes on, served.
struct Served {
    sinks: Sinks,
    example: RecordingSink,
    address: String,
}

impl Served {
    /// With the example of the conformance suite: one of everything.
    fn start(options: &str) -> Self {
        let said = Said::default();
        let mut sinks = Sinks::new(vec![chosen(options)], said.log());
        let example = conformance::example();
        sinks.open(&example.metadata).unwrap();
        let address = wait("address", || {
            let lines = said.lines();
            let line = lines.first()?.strip_prefix("prometheus: Info: metrics at http://")?;
            Some(line.strip_suffix("/metrics")?.to_owned())
        });
        let mut served = Self { sinks, example, address };
        served.feed(1);
        served
    }

    /// Records the example once more, so that it was `times` times, and waits until that is seen.
    fn feed(&mut self, times: usize) {
        self.sinks.batch(&self.example.as_batch()).unwrap();
        let line = format!("\ntickscope_samples_total {}\n", times * self.example.samples.len());
        wait("sample", || self.scrape("").1.contains(&line).then_some(()));
    }

    /// Head and body.
    fn scrape(&self, accept: &str) -> (String, String) {
        ask(&self.address, &format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"))
    }
}

/// One request, and head and body of the answer.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
