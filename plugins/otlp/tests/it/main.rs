//! The plugin as hosts load it, and who takes what it sends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use tickscope_plugin::Outcome;
use tickscope_trial::Trial;

fn trial() -> Trial {
    Trial::new("tickscope-otlp")
}

/// Records the example of the conformance suite, one of everything, and tells how that ended and what was said.
fn record(options: &str) -> (Outcome, Vec<String>) {
    let trial = trial();
    (trial.record_example(options), trial.said())
}
