//! The plugin as hosts load it, and who scrapes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::io::{Read, Write};
use std::net::TcpStream;

use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::Sinks;
use tickscope_trial::{LIMIT, Trial, wait};

fn trial() -> Trial {
    Trial::new("tickscope-prometheus")
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
        let trial = trial();
        let mut sinks = trial.sinks(options);
        let example = conformance::example();
        sinks.open(&example.metadata).unwrap();
        let address = wait("address", || {
            let lines = trial.said();
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
