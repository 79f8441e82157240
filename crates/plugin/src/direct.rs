//! One plugin on the caller's thread.

use std::sync::Arc;
use std::time::Duration;

use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError};

use crate::isolated::Leash;
use crate::library::Plugin;
use crate::opened::{Failure, Health, Log, Opened};
use crate::pack::Packer;

/// A plugin as a sink on the caller's thread, for tests and for hosts that have a thread for it. A call that hangs, hangs,
/// unless the plugin is isolated: then its process is ended after the [patience](crate::Isolation::patience) with it.
pub struct Direct {
    plugin: Arc<Plugin>,
    options: String,
    log: Log,
    within: Duration,
    packer: Packer,
    sink: Option<Box<dyn Opened>>,
    /// How the sink was at its end.
    pub health: Option<Health>,
}

/// What a sink has for a flush and for its end, unless told.
const WITHIN: Duration = Duration::from_secs(1);

fn failed(failure: Failure) -> SinkError {
    SinkError::Other(failure.to_string())
}

impl Direct {
    /// Not opened yet. `options` are from [`Schema::read`](crate::Schema::read).
    pub fn new(plugin: Arc<Plugin>, options: String, log: Log) -> Self {
        Self { plugin, options, log, within: WITHIN, packer: Packer::default(), sink: None, health: None }
    }

    /// With so much time for a flush and for its end.
    #[must_use]
    pub fn with_time(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("plugin", &self.plugin.name).finish_non_exhaustive()
    }
}

impl Sink for Direct {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        let (name, log) = (&self.plugin.name, self.log.clone());
        let opened = self.plugin.open(name, &self.options, metadata, log, &Arc::new(Leash::hurried()));
        self.sink = Some(opened.map_err(failed)?);
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let (names, body) = self.packer.pack(batch);
        let Some(sink) = &mut self.sink else { return Ok(Flow::Continue) };
        if let Some(names) = names
            && sink.names(&names).map_err(failed)? == Flow::Stop
        {
            return Ok(Flow::Stop);
        }
        sink.batch(&body, 0).map_err(failed)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        let Some(sink) = &mut self.sink else { return Ok(Flow::Continue) };
        sink.tick(end_ns).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        sink.flush(self.within).map(drop).map_err(failed)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(mut sink) = self.sink.take() else { return Ok(()) };
        let finished = sink.finish(self.within);
        let health = sink.health();
        self.health = health.clone().unwrap_or_default();
        let closed = sink.close();
        finished.and(health.map(drop)).and(closed).map_err(failed)
    }
}
