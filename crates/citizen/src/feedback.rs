//! What a recording gives back to the scripts that are recorded: their host, which has the samples, answers.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use tickscope_core::{Outcome, Symbol};

/// Where scripts get their own recording from.
///
/// Every method is called on the server's thread, within a tick.
pub trait Feedback: Send + Sync {
    /// Waits until what was recorded before this call is where the other methods find it; `false` when that took too long.
    fn settle(&self) -> bool;

    /// Keeps samples for `listener` from now on.
    fn listen(&self, listener: u64);

    /// Keeps none any more.
    fn forget(&self, listener: u64);

    /// The samples kept for a listener since they were taken last.
    fn take(&self, listener: u64) -> Given;

    /// Writes what has been recorded so far. Calls [`settle`](Self::settle) itself.
    ///
    /// # Errors
    /// What went wrong, in words for a script's author.
    fn export(&self, format: ExportFormat, to: File) -> Result<(), String>;
}

/// A format that scripts may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Speedscope's JSON.
    Speedscope,
    /// A flame graph, as SVG.
    FlameGraph,
    /// Every sample, as comma-separated values.
    Csv,
}

/// Samples for one listener.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// In the order in which spans ended.
    pub samples: Vec<GivenSample>,
    /// How many more there were, for which there was no room.
    pub dropped: u64,
}

/// A span that began and ended while there was a listener, or a sampled stack.
#[derive(Clone, Debug)]
pub struct GivenSample {
    /// What was called; of a stack the innermost frame.
    pub symbol: Symbol,
    /// Name of the span's category; `stack`.
    pub category: Arc<str>,
    /// Number of the span: 1, 2, 3 … in the order in which they began. 0 for a stack.
    pub span: u64,
    /// That of the span around it on its track; 0 for none.
    pub parent: u64,
    /// Number of its track.
    pub track: u32,
    /// When it began, by the recording's clock; of a stack, from when its time counts.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Numbers of the ticks in which it began and ended: the last ones that had begun by then.
    pub ticks: (u64, u64),
    /// How it ended.
    pub outcome: Outcome,
}

/// A [`Feedback`] as part of a configuration.
#[derive(Clone)]
pub struct FeedbackHandle(pub(crate) Arc<dyn Feedback>);

impl FeedbackHandle {
    /// The handle of `feedback`.
    pub fn new(feedback: impl Feedback + 'static) -> Self {
        Self(Arc::new(feedback))
    }
}

impl fmt::Debug for FeedbackHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeedbackHandle")
    }
}
