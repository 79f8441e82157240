//! Several plugins as one sink, each on its own thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError};

use crate::library::Plugin;
use crate::opened::{Level, Log};
use crate::pack::Packer;
use crate::worker::{End, Outcome, Worker};

/// How long sinks may take to end when the recording has, unless told: all of them together.
pub const GRACE: Duration = Duration::from_secs(2);

/// A plugin with options, to be opened when a recording starts.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// What the sink is called.
    pub name: String,
    /// Its options: from [`Schema::read`](crate::Schema::read).
    pub options: String,
}

/// Several plugins as one [`Sink`]. None of its calls waits for a plugin but [`Sink::finish`], which waits for [`GRACE`] at
/// most, or as long as it was told; none fails: what became of each says [`Sinks::outcomes`].
pub struct Sinks {
    chosen: Vec<Chosen>,
    log: Log,
    grace: Duration,
    packer: Packer,
    workers: Vec<Worker>,
    outcomes: Vec<Outcome>,
}

impl Sinks {
    /// Not opened yet.
    pub fn new(chosen: Vec<Chosen>, log: Log) -> Self {
        let (workers, outcomes) = (Vec::new(), Vec::new());
        Self { chosen, log, grace: GRACE, packer: Packer::default(), workers, outcomes }
    }

    /// With so much time to end.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// How it went, in the order they were chosen; of a recording that is over.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sinks").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

impl Sink for Sinks {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        for chosen in &self.chosen {
            match Worker::start(chosen.clone(), metadata, self.log.clone()) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => {
                    let reason = format!("it gets no thread: {error}");
                    let name = chosen.name.clone();
                    (self.log)(&name, Level::Error, &reason);
                    let end = End::Failed { call: "open", reason };
                    self.outcomes.push(Outcome { name, end, ..Outcome::default() });
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if self.workers.is_empty() {
            return Ok(Flow::Continue);
        }
        let (names, body) = self.packer.pack(batch);
        for worker in &self.workers {
            worker.batch(names.as_ref(), &body);
        }
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.workers.iter().for_each(|worker| worker.tick(end_ns));
        Ok(Flow::Continue)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.workers.iter().for_each(Worker::flush);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let until = Instant::now() + self.grace;
        self.workers.iter().for_each(|worker| worker.end(until));
        let ended = self.workers.iter().map(|worker| worker.wait(until));
        self.outcomes.extend(ended);
        self.workers.clear();
        Ok(())
    }
}
