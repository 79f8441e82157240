//! What programs in C, and all that can call C, say of themselves: `include/tickscope.h`, which is generated from here.
//!
//! These functions record into the ring of the thread that calls them, beside what the hooks see of it. They may be called
//! on any thread, but not from a signal handler. Nothing in them unwinds or waits, but for naming something new.

use std::collections::HashMap;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkKind, Outcome, Recorder, Runtime, Scope, Span,
    SpanId, SymbolId, SymbolRef, TrackId,
};

use crate::thread::{self, Thread};

/// A name that was made known: a pointer that stays good as long as the process, and in its forks. NULL is the name of
/// what has none.
#[derive(Debug)]
pub struct TickscopeName {
    text: String,
    file: String,
    line: u32,
    /// What the session calls it as a symbol and as a key: the session's generation in the upper half.
    symbol: AtomicU64,
    key: AtomicU64,
}

/// Of [`tickscope_begin`] when nothing is recorded, and good for [`tickscope_end`].
pub const TICKSCOPE_NONE: u64 = u64::MAX;

type Table = Mutex<HashMap<(String, String, u32), &'static TickscopeName>>;

/// The table of names. A fork leaves its lock to whoever held it, so that a child takes a new table.
static NAMES: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

/// In the child of a fork: names stay, what the parent's session called them does not.
pub(crate) fn forked() {
    NAMES.store(std::ptr::null_mut(), Ordering::Release);
}

fn names() -> &'static Table {
    let table = NAMES.load(Ordering::Acquire); // pairs with the Release below
    // SAFETY: tables are never freed.
    if let Some(table) = unsafe { table.as_ref() } {
        return table;
    }
    let new = Box::into_raw(Box::<Table>::default());
    match NAMES.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as above.
        Ok(_) => unsafe { &*new },
        Err(table) => {
            // SAFETY: `new` was not shared; `table` as above.
            unsafe {
                drop(Box::from_raw(new));
                &*table
            }
        }
    }
}

impl TickscopeName {
    /// The number in `cache`, or what `intern` says, which is kept there.
    #[inline(always)]
    fn known(cache: &AtomicU64, generation: u32, intern: impl FnOnce() -> u32) -> u32 {
        let generation = u64::from(generation);
        let known = cache.load(Ordering::Relaxed);
        if known >> 32 == generation {
            return known as u32;
        }
        let number = intern();
        cache.store(generation << 32 | u64::from(number), Ordering::Relaxed);
        number
    }
}

/// # Safety
/// `name` is NULL or was given out.
#[inline(always)]
unsafe fn symbol(thread: &Thread, name: *const TickscopeName) -> SymbolId {
    // SAFETY: names are never freed.
    let Some(name) = (unsafe { name.as_ref() }) else { return SymbolId::OTHER };
    SymbolId(TickscopeName::known(&name.symbol, thread.generation(), || {
        let (name, file, line) = (name.text.as_str(), name.file.as_str(), name.line);
        thread
            .recorder()
            .intern_symbol(SymbolRef { runtime: Runtime::Native, resource: "", name, file, line })
            .0
    }))
}

/// # Safety
/// As for [`symbol`].
unsafe fn key(thread: &Thread, name: *const TickscopeName) -> Option<KeyId> {
    // SAFETY: names are never freed.
    let name = unsafe { name.as_ref() }?;
    Some(KeyId(TickscopeName::known(&name.key, thread.generation(), || {
        thread.recorder().intern_key(&name.text).0
    })))
}

/// # Safety
/// NULL or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: passed on to the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// 1 when this process is recorded, else 0: then the other functions do nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tickscope_recorded() -> i32 {
    i32::from(thread::current().is_some())
}

/// Makes a name known: a function, a kind of request, a counter, a key. The same text gives the same pointer. Takes a
/// lock: keep the pointer. NULL when `text` is.
///
/// # Safety
/// `text` is NULL or a C string in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_name(text: *const c_char) -> *const TickscopeName {
    // SAFETY: passed on to the caller.
    unsafe { tickscope_place(text, std::ptr::null(), 0) }
}

/// [`tickscope_name`], with the place in the source that it names.
///
/// # Safety
/// `text` and `file` are NULL or C strings in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_place(
    text: *const c_char,
    file: *const c_char,
    line: u32,
) -> *const TickscopeName {
    if text.is_null() {
        return std::ptr::null();
    }
    // SAFETY: passed on to the caller.
    let (text, file) = unsafe { (self::text(text), self::text(file)) };
    let mut names = names().lock().unwrap_or_else(PoisonError::into_inner);
    let name = names.entry((text, file, line)).or_insert_with_key(|(text, file, line)| {
        Box::leak(Box::new(TickscopeName {
            text: text.clone(),
            file: file.clone(),
            line: *line,
            symbol: AtomicU64::new(0),
            key: AtomicU64::new(0),
        }))
    });
    std::ptr::from_ref(*name)
}

/// Begins a span on this thread: what is recorded until its end is inside it. Two reads of the clock per span, no lock, no
/// allocation. [`TICKSCOPE_NONE`] when nothing is recorded.
///
/// # Safety
/// `name` is NULL or from [`tickscope_name`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_begin(name: *const TickscopeName) -> u64 {
    let Some(thread) = thread::current() else { return TICKSCOPE_NONE };
    let recorder = thread.recorder();
    // SAFETY: passed on to the caller.
    let symbol = unsafe { symbol(thread, name) };
    recorder.enter(recorder.now(), symbol, CategoryId::DEFAULT).position().unwrap_or(TICKSCOPE_NONE)
}

/// [`tickscope_begin`] of what happens because of `flow`, a number from [`tickscope_flow`] on any thread of the process.
///
/// # Safety
/// As for [`tickscope_begin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_begin_from(name: *const TickscopeName, flow: u64) -> u64 {
    let Some(thread) = thread::current() else { return TICKSCOPE_NONE };
    let recorder = thread.recorder();
    // SAFETY: passed on to the caller.
    let symbol = unsafe { symbol(thread, name) };
    let link = SpanId::from_raw(flow).map(|source| Link { kind: LinkKind::Flow, source });
    let span = recorder.enter_with(recorder.now(), symbol, CategoryId::DEFAULT, link, &[]);
    span.position().unwrap_or(TICKSCOPE_NONE)
}

/// Ends a span that this thread began, and what is open inside it.
#[unsafe(no_mangle)]
pub extern "C" fn tickscope_end(span: u64) {
    end(span, Outcome::Ok);
}

/// [`tickscope_end`] of what failed.
#[unsafe(no_mangle)]
pub extern "C" fn tickscope_fail(span: u64) {
    end(span, Outcome::Error);
}

fn end(span: u64, outcome: Outcome) {
    if let Some(thread) = thread::current() {
        let recorder = thread.recorder();
        let span = if span == TICKSCOPE_NONE { Span::DROPPED } else { Span::at(span) };
        recorder.exit(recorder.now(), span, outcome, 0);
    }
}

/// Adds `key = value` to the innermost open span of this thread.
///
/// # Safety
/// `key` is NULL or from [`tickscope_name`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_number(key: *const TickscopeName, value: f64) {
    if let Some(thread) = thread::current()
        // SAFETY: passed on to the caller.
        && let Some(key) = unsafe { self::key(thread, key) }
    {
        thread.recorder().arg(key, ArgInput::Float(value));
    }
}

/// Adds `key = value` to the innermost open span of this thread. Long texts are cut at 2,048 bytes.
///
/// # Safety
/// `key` is NULL or from [`tickscope_name`]; `value` is NULL or a C string in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_text(key: *const TickscopeName, value: *const c_char) {
    if value.is_null() {
        return;
    }
    if let Some(thread) = thread::current()
        // SAFETY: passed on to the caller.
        && let Some(key) = unsafe { self::key(thread, key) }
    {
        // SAFETY: passed on to the caller. Borrowed as it is when it is UTF-8.
        let value = unsafe { CStr::from_ptr(value) }.to_string_lossy();
        thread.recorder().arg(key, ArgInput::Text(&value));
    }
}

/// Records a moment on this thread.
///
/// # Safety
/// As for [`tickscope_begin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_instant(name: *const TickscopeName) {
    if let Some(thread) = thread::current() {
        let recorder = thread.recorder();
        // SAFETY: passed on to the caller.
        let symbol = unsafe { symbol(thread, name) };
        recorder.instant(recorder.now(), symbol, CategoryId::DEFAULT, Scope::Track, &[]);
    }
}

/// Records the new value of a counter of the process.
///
/// # Safety
/// As for [`tickscope_begin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_counter(name: *const TickscopeName, value: f64) {
    if let Some(thread) = thread::current() {
        let recorder = thread.recorder();
        // SAFETY: passed on to the caller.
        let symbol = unsafe { symbol(thread, name) };
        recorder.counter_on(recorder.now(), TrackId::PROCESS, symbol, CounterValue::Float(value));
    }
}

/// Marks this moment as the cause of spans that begin later, on any thread, by [`tickscope_begin_from`]. 0 when nothing
/// is recorded around it.
#[unsafe(no_mangle)]
pub extern "C" fn tickscope_flow() -> u64 {
    let Some(thread) = thread::current() else { return 0 };
    let recorder = thread.recorder();
    recorder.link_point(recorder.now()).map_or(0, SpanId::raw)
}

/// Names this thread in the capture. Only the first thing a thread does with this library, or with a script, is in time;
/// a thread that is not named gets the system's name for it. 1 when it was in time, else 0.
///
/// # Safety
/// `name` is NULL or a C string in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tickscope_name_thread(name: *const c_char) -> i32 {
    // SAFETY: passed on to the caller.
    let name = unsafe { text(name) };
    i32::from(!name.is_empty() && thread::begin_as(&name))
}
