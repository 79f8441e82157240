//! The plugin as hosts load it, and servers that it posts to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

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
        for sample in &mut example.samples {
            sample.time_ns += 20_000_000_000;
            if let tickscope_core::Event::End(end) = &mut sample.event {
                end.begin_ns += 20_000_000_000;
            }
        }
    }
    sinks.finish().unwrap();
    assert_eq!(trial.said(), Vec::<String>::new());
    let outcome = sinks.outcomes()[0].clone();
    (server.got(), outcome, all)
}
