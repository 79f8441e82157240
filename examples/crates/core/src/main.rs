//! A sink that finds the slowest span of each name.

use std::collections::BTreeMap;

use tickscope_core::{Batch, Event, Flow, Sink, SinkError, conformance};

/// Longest time of each name, in nanoseconds.
#[derive(Default)]
struct Slowest(BTreeMap<String, u64>);

impl Sink for Slowest {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::End(end) = sample.event {
                let name = batch.dictionary.symbol(end.symbol).name.to_string();
                let slowest = self.0.entry(name).or_default();
                *slowest = (*slowest).max(sample.time_ns.saturating_sub(end.begin_ns));
            }
        }
        Ok(Flow::Continue)
    }
}

fn main() -> Result<(), SinkError> {
    // All that a recording may hold, in batches of several sizes.
    conformance::check(Slowest::default);

    // With `drain` any `Source` goes here: a collector, a capture that is read back.
    let recording = conformance::example();
    let mut slowest = Slowest::default();
    slowest.open(&recording.metadata)?;
    slowest.batch(&recording.as_batch())?;
    slowest.finish()?;
    for (name, nanos) in &slowest.0 {
        println!("{nanos:>5} ns  {name:?}");
    }
    Ok(())
}
