//! Reads a post of the resource `tickscope`, as it comes from a live FXServer: how long its ticks took.

use std::error::Error;

use tickscope_collect::tickscope_core::{Batch, Event, Flow, Sink, SinkError};
use tickscope_collect::{Collector, Taken};

/// Prints ticks.
struct Ticks;

impl Sink for Ticks {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::End(end) = sample.event {
                let millis = sample.time_ns.saturating_sub(end.begin_ns) / 1_000_000;
                println!("{} of {millis} ms", batch.dictionary.symbol(end.symbol).name);
            }
        }
        Ok(Flow::Continue)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let post = "tickscope 1\nfrom 65a1 1\nclock 190000000 1764147600\nlate 100\nticks 1 0 50000000 140000000\nover\n";
    let mut collector = Collector::new();
    println!("new: {}", collector.post(post.as_bytes(), 190_000_000)? == Taken::New);
    println!("again: {}", collector.post(post.as_bytes(), 191_000_000)? == Taken::New);
    println!("cut: {}", collector.post(&post.as_bytes()[..70], 192_000_000).unwrap_err()); // what the sender is told
    collector.finish();
    collector.drain(&mut Ticks)?;
    Ok(())
}
