//! A sink that keeps a recording in memory.

use std::sync::{Arc, Mutex};

use tickscope_core::{Batch, Flow, Metadata, RecordingSink, Sink, SinkError};

use crate::recording::lock;

/// Keeps a recording in memory, for tests and for programs that look at their own recording. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemorySink(Arc<Mutex<RecordingSink>>);

impl MemorySink {
    /// What was recorded so far; it is kept here no longer.
    pub fn take(&self) -> RecordingSink {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Sink for MemorySink {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        lock(&self.0).open(metadata)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        lock(&self.0).batch(batch)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        lock(&self.0).tick(end_ns)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        lock(&self.0).finish()
    }
}
