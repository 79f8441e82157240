//! The consumer's side.

use crate::{Batch, Metadata};

/// What a sink wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More.
    Continue,
    /// No more: `finish` is called and the sink is done.
    Stop,
}

/// Why a sink gave up. Messages are shown to the user behind the sink's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Its output could not be written.
    #[error("cannot write {to}")]
    Io {
        /// File or format.
        to: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl SinkError {
    /// An I/O error on `to`.
    pub fn io(to: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { to: to.into(), source }
    }
}

/// Consumes batches of samples; a collector or reader pushes.
///
/// `open` comes first and once, then batches, then `finish` once. `Ok(Flow::Stop)` asks to stop and `finish` is still
/// called; `Err` stops this sink at once, without `finish`; other sinks go on.
///
/// Every sink must pass [`conformance::check`](crate::conformance::check).
pub trait Sink {
    /// The recording starts.
    fn open(&mut self, _metadata: &Metadata) -> Result<(), SinkError> {
        Ok(())
    }

    /// More samples. A batch may be empty and may split spans anywhere.
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError>;

    /// A tick ended at `end_ns`; its samples were in batches before. A sink that reports per tick overrides it.
    fn tick(&mut self, _end_ns: u64) -> Result<Flow, SinkError> {
        Ok(Flow::Continue)
    }

    /// Puts on disk or on the wire what is buffered, so that a kill from here on loses none of it.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// The recording is over: every span has ended. Leaves a complete, valid output.
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        (**self).open(metadata)
    }
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        (**self).batch(batch)
    }
    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        (**self).tick(end_ns)
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        (**self).flush()
    }
    fn finish(&mut self) -> Result<(), SinkError> {
        (**self).finish()
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        (**self).open(metadata)
    }
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        (**self).batch(batch)
    }
    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        (**self).tick(end_ns)
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        (**self).flush()
    }
    fn finish(&mut self) -> Result<(), SinkError> {
        (**self).finish()
    }
}

/// Keeps everything it is given: for tests, and for programs that look at a whole recording in memory.
///
/// Memory grows with the recording. Argument ranges are rebased onto [`RecordingSink::args`] and
/// [`RecordingSink::text`].
#[derive(Clone, Debug, Default)]
pub struct RecordingSink {
    /// What `open` was given.
    pub metadata: Metadata,
    /// Every sample.
    pub samples: Vec<crate::Sample>,
    /// Their arguments.
    pub args: Vec<crate::Arg>,
    /// The arguments' text.
    pub text: String,
    /// The names as of the last batch.
    pub dictionary: crate::Dictionary,
    /// When each tick ended.
    pub ticks: Vec<u64>,
    /// Whether `finish` was called.
    pub finished: bool,
}

impl RecordingSink {
    /// All that was recorded, as one batch.
    pub fn as_batch(&self) -> Batch<'_> {
        Batch { samples: &self.samples, args: &self.args, text: &self.text, dictionary: &self.dictionary }
    }
}

impl Sink for RecordingSink {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.metadata = metadata.clone();
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let (args, text) = (self.args.len() as u32, self.text.len() as u32);
        self.text.push_str(batch.text);
        self.args.extend(batch.args.iter().map(|arg| {
            let mut arg = *arg;
            if let crate::ArgValue::Text { start, .. } = &mut arg.value {
                *start += text;
            }
            arg
        }));
        let rebase = |range: &mut crate::ArgRange| {
            if range.is_empty() {
                *range = crate::ArgRange::NONE;
            } else {
                range.start += args;
            }
        };
        self.samples.extend(batch.samples.iter().map(|sample| {
            let mut sample = *sample;
            match &mut sample.event {
                crate::Event::Begin(begin) => rebase(&mut begin.args),
                crate::Event::End(end) => rebase(&mut end.args),
                crate::Event::Instant { args, .. } => rebase(args),
                _ => {}
            }
            sample
        }));
        self.dictionary = batch.dictionary.clone();
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.ticks.push(end_ns);
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.finished = true;
        Ok(())
    }
}
