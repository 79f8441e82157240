//! An opened sink in this process, called on the thread it is on.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickscope_abi::raw::*;
use tickscope_core::{Flow, Metadata};

use crate::opened::{self, Failure, Health, Level, Lines, Log, Opened, nanos};
use crate::pack::{self, Body, NewNames};

/// What a sink's `TickscopeHost` leads to. Never freed: threads of the plugin may use it for as long as they like.
struct HostSide {
    table: TickscopeHost,
    name: String,
    log: Log,
    lines: Lines,
    reason: Mutex<Option<String>>,
}

// SAFETY: what is not Sync in it is the pointer to itself, which nobody changes once it is shared.
unsafe impl Sync for HostSide {}

impl HostSide {
    fn new(name: &str, log: Log) -> &'static Self {
        let side = Box::into_raw(Box::new(Self {
            table: TickscopeHost {
                size: size_of::<TickscopeHost>(),
                major: TICKSCOPE_MAJOR,
                minor: TICKSCOPE_MINOR,
                context: std::ptr::null_mut(),
                log: log_line,
                fail,
            },
            name: name.to_owned(),
            log,
            lines: Lines::default(),
            reason: Mutex::new(None),
        }));
        // SAFETY: it was made here, is never freed, and is shared only once this is written.
        unsafe {
            (*side).table.context = side.cast();
            &*side
        }
    }
}

/// # Safety
/// `context` is from a [`HostSide`], `text` as `raw.rs` says.
unsafe extern "C" fn log_line(context: *mut c_void, level: u32, text: TickscopeText) {
    // SAFETY: the caller's; it lives for ever.
    let (side, text) = unsafe { (&*context.cast::<HostSide>(), line(text)) };
    if side.lines.admit() {
        let level = match level {
            TICKSCOPE_ERROR => Level::Error,
            TICKSCOPE_WARNING => Level::Warning,
            _ => Level::Info,
        };
        (side.log)(&side.name, level, &text);
    }
}

/// # Safety
/// As for [`log_line`].
unsafe extern "C" fn fail(context: *mut c_void, reason: TickscopeText) {
    // SAFETY: as in `log_line`.
    let (side, reason) = unsafe { (&*context.cast::<HostSide>(), line(reason)) };
    *side.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
}

/// One line of what may be anything.
///
/// # Safety
/// `text` points to as many bytes as it says, or is NULL.
unsafe fn line(text: TickscopeText) -> String {
    if text.bytes.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    opened::line(unsafe { std::slice::from_raw_parts(text.bytes.cast::<u8>(), text.len) })
}

/// An opened sink.
pub(crate) struct Instance {
    /// Its library's, completed by this host's idea of the table.
    table: Arc<TickscopeSink>,
    host: &'static HostSide,
    sink: *mut c_void,
    /// It failed: only `close` may follow.
    failed: bool,
}

// SAFETY: a sink is called by one thread at a time, and may not care which: see raw.rs.
unsafe impl Send for Instance {}

impl Instance {
    /// Opens the sink called `name` with options that the schema allows.
    pub(crate) fn open(
        table: Arc<TickscopeSink>,
        name: &str,
        options: &str,
        metadata: &Metadata,
        log: Log,
    ) -> Result<Self, Failure> {
        let host = HostSide::new(name, log);
        let mut sink = std::ptr::null_mut();
        let open = table.open.ok_or_else(|| "it has no `open`".to_owned())?;
        let answer = pack::with_metadata(metadata, |metadata| {
            // SAFETY: the function of a table of this version, and what it is lent lives until it returns.
            unsafe { open(&raw const host.table, TickscopeText::new(options), metadata, &raw mut sink) }
        });
        let mut instance = Self { table, host, sink, failed: false };
        match instance.answer(answer) {
            Ok(_) => Ok(instance),
            Err(reason) => Err(reason),
        }
    }

    /// What an answer means; of a failure, why.
    fn answer(&mut self, answer: i32) -> Result<Flow, Failure> {
        let reason = self.host.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        match answer {
            TICKSCOPE_CONTINUE => Ok(Flow::Continue),
            TICKSCOPE_STOP => Ok(Flow::Stop),
            _ => {
                self.failed = true;
                let reason = reason.filter(|reason| !reason.is_empty());
                Err(Failure::Said(reason.unwrap_or_else(|| "it gave no reason".into())))
            }
        }
    }

    fn take(&mut self, batch: &TickscopeBatch) -> Result<Flow, Failure> {
        // SAFETY: what `open` made, not closed yet; the batch lives until this returns.
        let answer = self.table.batch.map(|call| unsafe { call(self.sink, batch) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }
}

impl Opened for Instance {
    fn names(&mut self, names: &NewNames) -> Result<Flow, Failure> {
        self.take(&names.raw())
    }

    fn batch(&mut self, body: &Body, missed: u64) -> Result<Flow, Failure> {
        self.take(&body.raw(missed))
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, Failure> {
        // SAFETY: as in `take`.
        let answer = self.table.tick.map(|call| unsafe { call(self.sink, end_ns) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }

    fn flush(&mut self, within: Duration) -> Result<Flow, Failure> {
        // SAFETY: as in `take`.
        let answer = self.table.flush.map(|call| unsafe { call(self.sink, nanos(within)) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }

    fn finish(&mut self, within: Duration) -> Result<(), Failure> {
        self.host.lines.last_words();
        // SAFETY: as in `take`.
        let answer = self.table.finish.map(|call| unsafe { call(self.sink, nanos(within)) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE)).map(drop)
    }

    fn health(&mut self) -> Result<Option<Health>, Failure> {
        let Some(call) = self.table.health.filter(|_| !self.failed) else { return Ok(None) };
        let mut health = TickscopeHealth {
            size: size_of::<TickscopeHealth>(),
            state: TICKSCOPE_HEALTHY,
            spare: 0,
            message: TickscopeText::new(""),
            written: 0,
            lost: 0,
            bytes: 0,
        };
        // SAFETY: as in `take`.
        unsafe { call(self.sink, &raw mut health) };
        // SAFETY: good until the next call.
        let message = unsafe { line(health.message) };
        let degraded = health.state != TICKSCOPE_HEALTHY;
        let (written, lost, bytes) = (health.written, health.lost, health.bytes);
        // The call has no answer, but a panic in it leaves a reason.
        match self.host.reason.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Err(Failure::Said(reason)),
            None => Ok(Some(Health { degraded, message, written, lost, bytes })),
        }
    }

    fn unsaid(&self) -> u64 {
        self.host.lines.unsaid()
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        drop(self);
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Where `open` failed there may be nothing to close.
        if let Some(close) = self.table.close.filter(|_| !self.sink.is_null()) {
            // SAFETY: what `open` made, and the last call.
            unsafe { close(self.sink) };
        }
    }
}
