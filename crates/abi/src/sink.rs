//! What the author of a plugin implements.

use std::fmt;
use std::time::Duration;

use crate::batch::{Batch, Metadata, text};
use crate::raw::*;

/// What a sink wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More.
    Continue,
    /// No more samples; [`Sink::finish`] is still called.
    Stop,
}

/// Why a sink gave up: shown to the user behind its name. Made from any error by `?`, its causes included.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error that says `reason`.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            cause = error.source();
        }
        Self(reason)
    }
}

/// How a sink is doing: for the summary at the end of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// It runs, and something it needs does not.
    pub degraded: bool,
    /// What is wrong, or good to know; may be empty.
    pub message: String,
    /// Things it has written: rows, requests, lines.
    pub written: u64,
    /// Things it could not deliver.
    pub lost: u64,
    /// Bytes it has written.
    pub bytes: u64,
}

/// The program that loaded the plugin. May be kept, copied, and used on any thread.
#[derive(Clone, Copy)]
pub struct Host(&'static TickscopeHost);

// SAFETY: the host's functions may be called on any thread, and its structure lives for ever: see raw.rs.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// # Safety
    /// `host` is a host's, which lives until the process ends.
    pub(crate) unsafe fn new(host: *const TickscopeHost) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { &*host })
    }

    /// Says what failed.
    pub fn error(&self, text: &str) {
        self.log(TICKSCOPE_ERROR, text);
    }

    /// Says what is not as it should be.
    pub fn warning(&self, text: &str) {
        self.log(TICKSCOPE_WARNING, text);
    }

    /// Says what is good to know.
    pub fn info(&self, text: &str) {
        self.log(TICKSCOPE_INFO, text);
    }

    fn log(&self, level: u32, text: &str) {
        // SAFETY: `new` was promised a live host; the text is lent for the call.
        unsafe { (self.0.log)(self.0.context, level, TickscopeText::new(text)) }
    }

    pub(crate) fn fail(&self, reason: &str) {
        // SAFETY: as in `log`.
        unsafe { (self.0.fail)(self.0.context, TickscopeText::new(reason)) }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host {{ version: {}.{} }}", self.0.major, self.0.minor)
    }
}

/// A sink that [`export_sink!`](crate::export_sink) makes a plugin of. Each recording opens one; it is called on one thread
/// of its own, one call at a time, and may be slow: samples that it has no time for are left out and counted.
///
/// `Err` ends this sink; the recording and other sinks go on. So does a panic, which is caught. A call that never comes back
/// is left behind 2 s after the recording's end.
pub trait Sink: Sized + Send + 'static {
    /// Short lower-case name, as in `--sink NAME`.
    const NAME: &'static str;
    /// One line for `tickscope plugins`.
    const ABOUT: &'static str = "";
    /// What options there are, as a JSON Schema: the host checks and completes them. Empty: there are none.
    const SCHEMA: &'static str = "";

    /// A recording starts. `options` is a JSON object that the schema allows, defaults filled in.
    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error>;

    /// More samples. A batch may be empty and may split spans anywhere.
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error>;

    /// A tick ended at `end_ns`; its samples were in batches before.
    fn tick(&mut self, _end_ns: u64) -> Result<Flow, Error> {
        Ok(Flow::Continue)
    }

    /// Puts on disk or on the wire what is buffered, within the time.
    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }

    /// The recording is over: leaves a complete, valid output, within the time.
    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }

    /// How it is going.
    fn health(&self) -> Health {
        Health::default()
    }
}

/// # Safety
/// As for [`text`].
pub(crate) unsafe fn options<'a>(options: TickscopeText) -> &'a str {
    // SAFETY: the caller's.
    unsafe { text(options) }
}
