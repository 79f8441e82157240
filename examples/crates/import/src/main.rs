//! What another profiler recorded, here stacks that `perf` and others fold, as samples: which function took longest itself.

use std::collections::BTreeMap;

use tickscope_import::tickscope_core::{Batch, Event, Flow, Sink, SinkError, SourceError, drain};
use tickscope_import::{Import, Options};

/// What each function took itself.
#[derive(Default)]
struct Own(BTreeMap<String, u64>);

impl Sink for Own {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::Stack { stack, weight } = sample.event {
                let Some(innermost) = batch.dictionary.frames(stack).next() else { continue };
                let name = &batch.dictionary.symbol(innermost.symbol).name;
                *self.0.entry(name.to_string()).or_default() += weight.time_ns;
            }
        }
        Ok(Flow::Continue)
    }
}

fn main() -> Result<(), SourceError> {
    let folded = "server;tick;economy;pay 30\nserver;tick;economy;pay;log 4\nserver;tick;weather 11\n";
    let mut import = Import::new("stacks.txt", folded.into(), &Options::default())?; // told by its contents
    let mut own = Own::default();
    drain(&mut import, &mut own)?;
    for (name, nanos) in &own.0 {
        println!("{name}: {nanos} ns");
    }
    Ok(())
}
