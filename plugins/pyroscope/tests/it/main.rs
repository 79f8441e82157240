//! The plugin as hosts load it, and servers that it posts to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::io::Read;

use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::Outcome;
use tickscope_trial::{Got, Receiver, Trial};

fn trial() -> Trial {
    Trial::new("tickscope-pyroscope")
}

/// Takes posts and answers each so.
fn server(status: u16) -> Receiver {
    Receiver::start(status, "text/plain", b"")
}

/// Records the example of the conformance suite `times` times, each 20 s after the one before, and what was posted then.
fn posted(options: &str, times: u64) -> (Vec<Got>, Outcome, RecordingSink) {
    let (server, trial) = (server(200), trial());
    let options = format!("{{\"url\": \"http://{}\"{options}}}", server.address());
    let mut sinks = trial.sinks(&options);
    let mut example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    let mut all = RecordingSink { metadata: example.metadata.clone(), ..RecordingSink::default() };
    for _ in 0..times {
        sinks.batch(&example.as_batch()).unwrap();
        all.batch(&example.as_batch()).unwrap();
        later(&mut example);
    }
    sinks.finish().unwrap();
    assert_eq!(trial.said(), Vec::<String>::new());
    let outcome = sinks.outcomes()[0].clone();
    // Time and memory come each in their order, and take turns here.
    let (memory, time): (Vec<Got>, Vec<Got>) = server.got().into_iter().partition(is_memory);
    assert_eq!(time.len(), memory.len());
    let got = time.into_iter().zip(memory).flat_map(|(time, memory)| [time, memory]).collect();
    (got, outcome, all)
}

/// The same, 20 s later.
fn later(example: &mut RecordingSink) {
    for sample in &mut example.samples {
        sample.time_ns += 20_000_000_000;
        if let tickscope_core::Event::End(end) = &mut sample.event {
            end.begin_ns += 20_000_000_000;
        }
    }
}

fn unpacked(body: &[u8]) -> String {
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut raw).unwrap();
    String::from_utf8_lossy(&raw).into_owned()
}

fn is_memory(got: &Got) -> bool {
    unpacked(&got.body).contains("alloc_space")
}
