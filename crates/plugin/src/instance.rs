//! An opened sink, called on the thread it is on.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickscope_abi::raw::*;
use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError};

use crate::library::Plugin;
use crate::pack::{self, Body, NewNames, Packer};

/// Lines of one sink that are shown. The rest are counted.
const MAX_LINES: u64 = 100;
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

/// How a sink said it was doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// It runs, and something it needs does not.
    pub degraded: bool,
    /// What it says of itself; may be empty.
    pub message: String,
    /// Things it has written.
    pub written: u64,
    /// Things it could not deliver.
    pub lost: u64,
    /// Bytes it has written.
    pub bytes: u64,
}

/// What a sink's `TickscopeHost` leads to. Never freed: threads of the plugin may use it for as long as they like.
struct HostSide {
    table: TickscopeHost,
    name: String,
    log: Log,
    lines: AtomicU64,
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
            lines: AtomicU64::new(0),
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
    if side.lines.fetch_add(1, Ordering::Relaxed) < MAX_LINES {
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
    let bytes = unsafe { std::slice::from_raw_parts(text.bytes.cast::<u8>(), text.len) };
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MAX_LINE)]);
    let text = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(MAX_LINE).collect()
}

/// An opened sink. Every call may take as long as it likes: see [`Sinks`](crate::Sinks) for threads of their own.
pub(crate) struct Instance {
    plugin: Arc<Plugin>,
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
        plugin: Arc<Plugin>,
        name: &str,
        options: &str,
        metadata: &Metadata,
        log: Log,
    ) -> Result<Self, String> {
        let host = HostSide::new(name, log);
        let mut sink = std::ptr::null_mut();
        let open = plugin.table.open.ok_or("it has no `open`")?;
        let answer = pack::with_metadata(metadata, |metadata| {
            // SAFETY: the function of a table of this version, and what it is lent lives until it returns.
            unsafe { open(&raw const host.table, TickscopeText::new(options), metadata, &raw mut sink) }
        });
        let mut instance = Self { plugin, host, sink, failed: false };
        match instance.answer(answer) {
            Ok(_) => Ok(instance),
            Err(reason) => Err(reason),
        }
    }

    /// What an answer means; of a failure, why.
    fn answer(&mut self, answer: i32) -> Result<Flow, String> {
        let reason = self.host.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        match answer {
            TICKSCOPE_CONTINUE => Ok(Flow::Continue),
            TICKSCOPE_STOP => Ok(Flow::Stop),
            _ => {
                self.failed = true;
                Err(reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| "it gave no reason".into()))
            }
        }
    }

    fn take(&mut self, batch: &TickscopeBatch) -> Result<Flow, String> {
        // SAFETY: what `open` made, not closed yet; the batch lives until this returns.
        let answer = self.plugin.table.batch.map(|call| unsafe { call(self.sink, batch) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }

    pub(crate) fn names(&mut self, names: &NewNames) -> Result<Flow, String> {
        self.take(&names.raw())
    }

    pub(crate) fn batch(&mut self, body: &Body, missed: u64) -> Result<Flow, String> {
        self.take(&body.raw(missed))
    }

    pub(crate) fn tick(&mut self, end_ns: u64) -> Result<Flow, String> {
        // SAFETY: as in `take`.
        let answer = self.plugin.table.tick.map(|call| unsafe { call(self.sink, end_ns) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }

    pub(crate) fn flush(&mut self, within: Duration) -> Result<Flow, String> {
        // SAFETY: as in `take`.
        let answer = self.plugin.table.flush.map(|call| unsafe { call(self.sink, nanos(within)) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE))
    }

    pub(crate) fn finish(&mut self, within: Duration) -> Result<(), String> {
        // SAFETY: as in `take`.
        let answer = self.plugin.table.finish.map(|call| unsafe { call(self.sink, nanos(within)) });
        self.answer(answer.unwrap_or(TICKSCOPE_CONTINUE)).map(drop)
    }

    /// How it says it is doing; `None` where it does not tell, or had to say why it failed instead.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) fn health(&mut self) -> Result<Option<Health>, String> {
        let Some(call) = self.plugin.table.health.filter(|_| !self.failed) else { return Ok(None) };
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
            Some(reason) => Err(reason),
            None => Ok(Some(Health { degraded, message, written, lost, bytes })),
        }
    }

    /// Lines that were too many.
    pub(crate) fn unsaid(&self) -> u64 {
        self.host.lines.load(Ordering::Relaxed).saturating_sub(MAX_LINES)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Where `open` failed there may be nothing to close.
        if let Some(close) = self.plugin.table.close.filter(|_| !self.sink.is_null()) {
            // SAFETY: what `open` made, and the last call.
            unsafe { close(self.sink) };
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A plugin as a sink on the caller's thread, for tests and for hosts that have a thread for it. A call that hangs, hangs.
pub struct Direct {
    plugin: Arc<Plugin>,
    options: String,
    log: Log,
    packer: Packer,
    instance: Option<Instance>,
    /// How the sink was at its end.
    pub health: Option<Health>,
}

/// What a sink has for each call.
const WITHIN: Duration = Duration::from_secs(1);

impl Direct {
    /// Not opened yet. `options` are from [`Schema::read`](crate::Schema::read).
    pub fn new(plugin: Arc<Plugin>, options: String, log: Log) -> Self {
        Self { plugin, options, log, packer: Packer::default(), instance: None, health: None }
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("plugin", &self.plugin.name).finish_non_exhaustive()
    }
}

impl Sink for Direct {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        let (plugin, log) = (self.plugin.clone(), self.log.clone());
        let opened = Instance::open(plugin, &self.plugin.name, &self.options, metadata, log);
        self.instance = Some(opened.map_err(SinkError::Other)?);
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let (names, body) = self.packer.pack(batch);
        let Some(instance) = &mut self.instance else { return Ok(Flow::Continue) };
        if let Some(names) = names
            && instance.names(&names).map_err(SinkError::Other)? == Flow::Stop
        {
            return Ok(Flow::Stop);
        }
        instance.batch(&body, 0).map_err(SinkError::Other)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        let Some(instance) = &mut self.instance else { return Ok(Flow::Continue) };
        instance.tick(end_ns).map_err(SinkError::Other)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let Some(instance) = &mut self.instance else { return Ok(()) };
        instance.flush(WITHIN).map(drop).map_err(SinkError::Other)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(mut instance) = self.instance.take() else { return Ok(()) };
        let finished = instance.finish(WITHIN);
        let health = instance.health();
        self.health = health.clone().unwrap_or_default();
        finished.and(health.map(drop)).map_err(SinkError::Other)
    }
}
