//! An opened sink, wherever it runs: what it can be asked, and what it may say.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use tickscope_abi::Health;
use tickscope_core::Flow;

use crate::pack::{Body, NewNames};

/// Lines of one sink that are shown in a minute, and once more at its end. The rest are counted.
const MAX_LINES: u64 = 100;
const MINUTE: Duration = Duration::from_secs(60);
const MAX_LINE: usize = 1000;

/// How urgent a line of a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Good to know.
    Info,
}

/// Where lines of sinks go: the sink's name, the level, one line without control characters.
pub type Log = Arc<dyn Fn(&str, Level, &str) + Send + Sync>;

/// Why a sink is used no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It says so itself, and why.
    Said(String),
    /// Its process is gone: how, as in "died of SIGSEGV".
    Died(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(reason) => f.write_str(reason),
            Self::Died(how) => write!(f, "it {how}"),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Said(reason)
    }
}

/// Which lines of a sink are shown: a flood is cut, and somebody who speaks now and then for weeks is heard.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    since: Option<Instant>,
    shown: u64,
    unsaid: u64,
}

impl Lines {
    /// Whether one more is shown.
    pub(crate) fn admit(&self) -> bool {
        let mut heard = self.lock();
        let now = Instant::now();
        if heard.since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            (heard.since, heard.shown) = (Some(now), 0);
        }
        let shown = heard.shown < MAX_LINES;
        heard.shown += u64::from(shown);
        heard.unsaid += u64::from(!shown);
        shown
    }

    /// The sink says its last words: what it said before does not count.
    pub(crate) fn last_words(&self) {
        self.lock().since = None;
    }

    pub(crate) fn unsaid(&self) -> u64 {
        self.lock().unsaid
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An opened sink. Every call may take as long as it likes: see [`Sinks`](crate::Sinks) for threads of their own.
pub(crate) trait Opened: Send {
    fn names(&mut self, names: &NewNames) -> Result<Flow, Failure>;

    fn batch(&mut self, body: &Body, missed: u64) -> Result<Flow, Failure>;

    fn tick(&mut self, end_ns: u64) -> Result<Flow, Failure>;

    fn flush(&mut self, within: Duration) -> Result<Flow, Failure>;

    fn finish(&mut self, within: Duration) -> Result<(), Failure>;

    /// How it says it is doing; `None` where it does not tell, or had to say why it failed instead.
    ///
    /// # Errors
    /// Why it failed in this call.
    fn health(&mut self) -> Result<Option<Health>, Failure>;

    /// Lines that were too many. Known after `health`.
    fn unsaid(&self) -> u64;

    /// Between calls: hears what came meanwhile, without waiting for more.
    ///
    /// # Errors
    /// That it is gone.
    fn look(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Its last call. One that is dropped instead is closed too, and nobody hears how that went.
    ///
    /// # Errors
    /// That it did not come through it: what it should have put out is perhaps not there.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// One line of what may be anything.
pub(crate) fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_LINE)]);
    let text = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(MAX_LINE).collect()
}

/// As [`line`], however long.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
