//! Where batches come from: a session's collector, a capture reader.

use crate::{Metadata, Sink, SinkError};

/// What a call of [`Source::poll`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was there; ask again later.
    Idle,
    /// So many samples were pushed.
    Pushed(usize),
    /// The last sample was pushed before; every span has ended.
    End,
}

/// Why a source could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The sink gave up.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Its input could not be read.
    #[error("cannot read {from}")]
    Io {
        /// File or format.
        from: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The input is not what it should be.
    #[error("{from}: {problem} at byte {offset}; expected {expected}")]
    Malformed {
        /// File or format.
        from: String,
        /// Where, in bytes from its start.
        offset: u64,
        /// What was found.
        problem: String,
        /// What was expected, and what to do.
        expected: String,
    },
}

/// Produces samples, a batch at a time. What was pushed before an error stays valid.
pub trait Source {
    /// What is known of the recording.
    fn metadata(&self) -> &Metadata;

    /// Pushes what there is into `sink`: batches, and [`Sink::tick`] for each tick that ended. Neither opens nor
    /// finishes the sink. Once the sink said [`Flow::Stop`](crate::Flow::Stop), answers [`Progress::End`].
    fn poll(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError>;
}

/// Opens `sink`, pushes all of `source` into it, and finishes it. For sources that end by themselves.
pub fn drain(source: &mut dyn Source, sink: &mut dyn Sink) -> Result<(), SourceError> {
    sink.open(source.metadata())?;
    while !matches!(source.poll(sink)?, Progress::End) {}
    sink.finish()?;
    Ok(())
}
