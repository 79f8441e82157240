//! The plugin as hosts load it, and who takes what it sends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use tickscope_plugin::Outcome;
use tickscope_trial::{Got, Receiver, Trial};

fn trial() -> Trial {
    Trial::new("tickscope-otlp")
}

/// Records the example of the conformance suite, one of everything, and tells how that ended and what was said.
fn record(options: &str) -> (Outcome, Vec<String>) {
    let trial = trial();
    (trial.record_example(options), trial.said())
}

/// What came, traces before metrics: none waits for the other.
fn arrived(receiver: &Receiver) -> Vec<Got> {
    let mut got = receiver.got();
    got.sort_by_key(|got| !got.target.ends_with("/v1/traces"));
    got
}
