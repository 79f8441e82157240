//! Four threads record what they do; a pump collects beside them and counts the spans of each thread.

use std::collections::BTreeMap;
use std::thread;

use tickscope_session::tickscope_core::{
    Batch, CategoryId, Event, Flow, Outcome, Recorder, Sink, SinkError, SymbolRef,
};
use tickscope_session::{Config, ConfigError, Pump, PumpConfig, Session};

/// Spans by thread and name.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Sink for Counts {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::End(end) = sample.event {
                let thread = &batch.dictionary.track(sample.track).name;
                let name = &batch.dictionary.symbol(end.symbol).name;
                *self.0.entry(format!("{thread}: {name}")).or_default() += 1;
            }
        }
        Ok(Flow::Continue)
    }
}

fn main() -> Result<(), ConfigError> {
    let (session, collector) = Session::new(Config::default())?;
    let pump = Pump::start(collector, vec![("counts".to_owned(), Counts::default())], PumpConfig::default());
    let packet = session.intern_symbol(SymbolRef::host("packet"));

    thread::scope(|scope| {
        for number in 1..=4 {
            let session = &session;
            scope.spawn(move || {
                let recorder = session.thread(&format!("net {number}"));
                for _ in 0..number * 1_000 {
                    let span = recorder.enter(recorder.now(), packet, CategoryId::DEFAULT);
                    recorder.exit(recorder.now(), span, Outcome::Ok, 0);
                }
            });
        }
    });

    let finished = pump.stop();
    for (name, spans) in finished.sinks.iter().flat_map(|outcome| &outcome.sink.0) {
        println!("{name}: {spans} spans");
    }
    println!("{} begins and ends, {} dropped", finished.account.delivered, finished.account.dropped);
    Ok(())
}
