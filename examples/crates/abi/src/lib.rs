//! A sink plugin that counts the spans of each resource.

use std::collections::BTreeMap;
use std::time::Duration;

use tickscope_abi::{Batch, Error, Event, Flow, Health, Host, Metadata, Sink, export_sink};

struct Spans {
    host: Host,
    of: BTreeMap<String, u64>,
}

impl Sink for Spans {
    const NAME: &'static str = "spans";
    const ABOUT: &'static str = "Counts the spans of each resource.";

    fn open(_options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        host.info(&format!("process {}", metadata.pid()));
        Ok(Self { host, of: BTreeMap::new() })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        for sample in batch.samples() {
            if let Event::End(end) = sample.event {
                let resource = &batch.names().symbol(end.symbol).resource;
                *self.of.entry(resource.to_string()).or_default() += 1;
            }
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        for (resource, spans) in &self.of {
            self.host.info(&format!("{resource:?}: {spans} spans"));
        }
        Ok(())
    }

    fn health(&self) -> Health {
        Health { written: self.of.values().sum(), ..Health::default() }
    }
}

export_sink!(Spans);
