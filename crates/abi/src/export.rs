//! A [`Sink`] behind the table: what the host calls, with panics caught on this side.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::batch::{Batch, Metadata};
use crate::layout::layout;
use crate::names::Names;
use crate::raw::*;
use crate::sink::{Error, Flow, Host, Sink};

/// Exports a [`Sink`] under the name that hosts look for. Once in a library; its manifest says
/// `crate-type = ["cdylib"]`.
#[macro_export]
macro_rules! export_sink {
    ($sink:ty) => {
        /// The table of this plugin.
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals, reason = "the name that hosts look for")]
        pub static tickscope_sink: $crate::raw::TickscopeSink =
            $crate::table::<$sink>(::std::env!("CARGO_PKG_VERSION"));

        const _: () = ::std::assert!(
            ::std::cfg!(panic = "unwind"),
            "a plugin whose panics abort ends the program that loads it: leave out panic = \"abort\""
        );
    };
}

/// The table of `S`; [`export_sink!`](crate::export_sink) exports it.
pub const fn table<S: Sink>(version: &'static str) -> TickscopeSink {
    TickscopeSink {
        magic: TICKSCOPE_MAGIC,
        major: TICKSCOPE_MAJOR,
        minor: TICKSCOPE_MINOR,
        layout: layout(),
        size: size_of::<TickscopeSink>(),
        name: TickscopeText::new(S::NAME),
        version: TickscopeText::new(version),
        about: TickscopeText::new(S::ABOUT),
        schema: TickscopeText::new(S::SCHEMA),
        open: Some(open::<S>),
        batch: Some(batch::<S>),
        tick: Some(tick::<S>),
        flush: Some(flush::<S>),
        finish: Some(finish::<S>),
        health: Some(health::<S>),
        close: Some(close::<S>),
    }
}

/// What the host's `sink` points to.
struct Instance<S> {
    sink: S,
    names: Names,
    host: Host,
    /// Lent to the host until the next call.
    message: String,
}

unsafe extern "C" fn open<S: Sink>(
    host: *const TickscopeHost,
    options: TickscopeText,
    metadata: *const TickscopeMetadata,
    sink: *mut *mut c_void,
) -> i32 {
    // SAFETY: the host's side of the contract in raw.rs: all of these are good until the call returns, the host for ever.
    let (host, options, metadata) =
        unsafe { (Host::new(host), crate::sink::options(options), Metadata::new(&*metadata)) };
    listen_to_panics();
    shielded(host, || {
        let made = S::open(options, &metadata, host)?;
        let instance = Instance { sink: made, names: Names::default(), host, message: String::new() };
        // SAFETY: a place for a pointer, by contract.
        unsafe { *sink = Box::into_raw(Box::new(instance)).cast() };
        Ok(Flow::Continue)
    })
}

/// # Safety
/// `sink` is from `open` of the same `S`, and nothing else uses it meanwhile.
unsafe fn instance<'a, S>(sink: *mut c_void) -> &'a mut Instance<S> {
    // SAFETY: the caller's.
    unsafe { &mut *sink.cast::<Instance<S>>() }
}

unsafe extern "C" fn batch<S: Sink>(sink: *mut c_void, batch: *const TickscopeBatch) -> i32 {
    // SAFETY: by contract the host hands back what `open` gave it, one call at a time, and a batch that is good until
    // this returns.
    let (instance, raw) = unsafe { (instance::<S>(sink), &*batch) };
    shielded(instance.host, || {
        // SAFETY: as above.
        unsafe { instance.names.take(raw) };
        // SAFETY: as above.
        instance.sink.batch(&unsafe { Batch::new(raw, &instance.names) })
    })
}

unsafe extern "C" fn tick<S: Sink>(sink: *mut c_void, end_ns: u64) -> i32 {
    // SAFETY: as in `batch`.
    let instance = unsafe { instance::<S>(sink) };
    shielded(instance.host, || instance.sink.tick(end_ns))
}

unsafe extern "C" fn flush<S: Sink>(sink: *mut c_void, within_ns: u64) -> i32 {
    // SAFETY: as in `batch`.
    let instance = unsafe { instance::<S>(sink) };
    shielded(instance.host, || instance.sink.flush(Duration::from_nanos(within_ns)).map(|()| Flow::Continue))
}

unsafe extern "C" fn finish<S: Sink>(sink: *mut c_void, within_ns: u64) -> i32 {
    // SAFETY: as in `batch`.
    let instance = unsafe { instance::<S>(sink) };
    shielded(instance.host, || instance.sink.finish(Duration::from_nanos(within_ns)).map(|()| Flow::Continue))
}

unsafe extern "C" fn health<S: Sink>(sink: *mut c_void, health: *mut TickscopeHealth) {
    // SAFETY: as in `batch`; the host lends a whole structure of its version, which is not older than this.
    let (instance, health) = unsafe { (instance::<S>(sink), &mut *health) };
    let host = instance.host;
    shielded(host, || {
        let told = instance.sink.health();
        instance.message = told.message;
        health.state = if told.degraded { TICKSCOPE_DEGRADED } else { TICKSCOPE_HEALTHY };
        health.message = TickscopeText::new(&instance.message);
        (health.written, health.lost, health.bytes) = (told.written, told.lost, told.bytes);
        Ok(Flow::Continue)
    });
}

unsafe extern "C" fn close<S: Sink>(sink: *mut c_void) {
    // SAFETY: as in `batch`, and nothing uses it afterwards: `close` comes last.
    let instance = unsafe { Box::from_raw(sink.cast::<Instance<S>>()) };
    let host = instance.host;
    shielded(host, || {
        drop(instance);
        Ok(Flow::Continue)
    });
}

thread_local! {
    /// Whether this thread is in a call of the host.
    static IN_CALL: Cell<bool> = const { Cell::new(false) };
    /// What the newest panic in one said.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the author's code: its error, or that it panicked, becomes the reason the host is told.
fn shielded(host: Host, call: impl FnOnce() -> Result<Flow, Error>) -> i32 {
    let before = IN_CALL.replace(true);
    // What was half done when it panicked is only closed afterwards.
    let result = catch_unwind(AssertUnwindSafe(call));
    IN_CALL.set(before);
    match result {
        Ok(Ok(Flow::Continue)) => TICKSCOPE_CONTINUE,
        Ok(Ok(Flow::Stop)) => TICKSCOPE_STOP,
        Ok(Err(error)) => {
            host.fail(&error.to_string());
            TICKSCOPE_FAILED
        }
        Err(panic) => {
            let said = SAID.take();
            host.fail(if said.is_empty() { "it panicked" } else { &said });
            // The payload's own drop may panic again.
            std::mem::forget(panic);
            TICKSCOPE_FAILED
        }
    }
}

/// Has panics in calls kept for the host, which tells them in its own way, instead of printed. Others go where they went.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IN_CALL.get() {
                return before(panic);
            }
            let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
            let said = format!("it panicked{}: {}", place.unwrap_or_default(), message(panic.payload()));
            SAID.set(said);
        }));
    });
}

fn message(payload: &dyn Any) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a word",
    }
}
