//! Loads the sink plugin it is given, as `./libspans.so` or `./libspans.so=limit=5`, and feeds it a recording.

use std::error::Error;
use std::sync::Arc;

use tickscope_plugin::tickscope_core::{Sink, conformance};
use tickscope_plugin::{SearchPath, Sinks};

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).ok_or("usage: alone-plugin PLUGIN[=OPTIONS]")?;
    let chosen = SearchPath::of_this_program().choose(&asked)?;
    println!("{}: {}", chosen.name, chosen.plugin.about);

    let mut sinks = Sinks::new(vec![chosen], Arc::new(|name, _level, line| println!("{name} says: {line}")));
    let recording = conformance::example(); // or a session's collector, by a `Pump`
    sinks.open(&recording.metadata)?;
    sinks.batch(&recording.as_batch())?; // does not wait for the plugin
    sinks.finish()?; // waits 2 s at most
    for outcome in sinks.outcomes() {
        let written = outcome.health.as_ref().map_or(0, |health| health.written);
        println!("{} took {} samples, wrote {written}", outcome.name, outcome.delivered);
    }
    Ok(())
}
