//! The table and all that crosses it, as C sees it: `include/tickscope_sink.h` is generated from here.
//!
//! Rules of version 1. A plugin exports one `TickscopeSink` named `tickscope_sink`. The host calls it on one thread, one
//! call at a time: `open`; then `batch`, `tick` and `flush` in any order; then `finish`; then `health`; `close` last. What the
//! host hands to a call is good until it returns, but for `TickscopeHost`, which is good for ever. Texts are UTF-8, need
//! not end in a zero byte, and may be NULL when empty. Nothing may unwind or jump out of a call. A minor version appends to
//! structures that carry a `size`, and adds numbers to the lists of constants; elements of arrays stay as they are.

use std::ffi::{c_char, c_void};

/// First field of the table: `tickscop` in ASCII, read as a little-endian number.
pub const TICKSCOPE_MAGIC: u64 = 0x706f_6373_6b63_6974;
/// Version of the table. The host's must be the same.
pub const TICKSCOPE_MAJOR: u32 = 1;
/// Additions to it. A plugin's may be older than the host's.
pub const TICKSCOPE_MINOR: u32 = 0;
/// Stands for the place of each field of version 1.0: a plugin whose compiler lays them out otherwise is refused.
pub const TICKSCOPE_LAYOUT: u64 = 0x5cb0_3fb3_1c4e_3c5f;

/// A call's answer: more.
pub const TICKSCOPE_CONTINUE: i32 = 0;
/// A call's answer: no more samples; `finish` is still called.
pub const TICKSCOPE_STOP: i32 = 1;
/// A call's answer, as is any other number: the sink gives up. Only `close` is called. Say why with `fail` before.
pub const TICKSCOPE_FAILED: i32 = -1;

/// Level of a log line: something failed.
pub const TICKSCOPE_ERROR: u32 = 1;
/// Level of a log line: something is not as it should be.
pub const TICKSCOPE_WARNING: u32 = 2;
/// Level of a log line: good to know.
pub const TICKSCOPE_INFO: u32 = 3;

/// Kind of a sample: `event.begin`.
pub const TICKSCOPE_BEGIN: u32 = 1;
/// Kind of a sample: `event.end`.
pub const TICKSCOPE_END: u32 = 2;
/// Kind of a sample: `event.instant`.
pub const TICKSCOPE_INSTANT: u32 = 3;
/// Kind of a sample: `event.counter`, a whole number.
pub const TICKSCOPE_COUNTER_INT: u32 = 4;
/// Kind of a sample: `event.counter`, a floating-point number.
pub const TICKSCOPE_COUNTER_FLOAT: u32 = 5;
/// Kind of a sample: `event.resume`, the track runs on this ring's thread from now on.
pub const TICKSCOPE_RESUME: u32 = 6;
/// Kind of a sample: `event.suspend`, the track stopped running.
pub const TICKSCOPE_SUSPEND: u32 = 7;
/// Kind of a sample: `event.link_point`, the source end of a causal link.
pub const TICKSCOPE_LINK_POINT: u32 = 8;
/// Kind of a sample: `event.stack`, a sampled call stack.
pub const TICKSCOPE_STACK: u32 = 9;
/// Kind of a sample: `event.gap`, records of this ring were lost here.
pub const TICKSCOPE_GAP: u32 = 10;
/// Kind of a sample: `event.account`, where this ring's events went.
pub const TICKSCOPE_ACCOUNT: u32 = 11;

/// Type of an argument: `value.int_value`.
pub const TICKSCOPE_ARG_INT: u32 = 1;
/// Type of an argument: `value.uint_value`.
pub const TICKSCOPE_ARG_UINT: u32 = 2;
/// Type of an argument: `value.float_value`.
pub const TICKSCOPE_ARG_FLOAT: u32 = 3;
/// Type of an argument: `value.uint_value`, 0 or 1.
pub const TICKSCOPE_ARG_BOOL: u32 = 4;
/// Type of an argument: `value.uint_value`, an address.
pub const TICKSCOPE_ARG_POINTER: u32 = 5;
/// Type of an argument: `value.text`, a part of the batch's text.
pub const TICKSCOPE_ARG_TEXT: u32 = 6;

/// How a sink is: all is well.
pub const TICKSCOPE_HEALTHY: u32 = 0;
/// How a sink is: it runs, and something it needs does not.
pub const TICKSCOPE_DEGRADED: u32 = 1;

/// A text: `len` bytes of UTF-8.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeText {
    /// Its first byte.
    pub bytes: *const c_char,
    /// How many.
    pub len: usize,
}

/// What a plugin exports under the name `tickscope_sink`.
#[repr(C)]
#[derive(Debug)]
pub struct TickscopeSink {
    /// `TICKSCOPE_MAGIC`.
    pub magic: u64,
    /// `TICKSCOPE_MAJOR`.
    pub major: u32,
    /// `TICKSCOPE_MINOR`.
    pub minor: u32,
    /// `TICKSCOPE_LAYOUT`.
    pub layout: u64,
    /// Size of this structure in bytes.
    pub size: usize,
    /// Short lower-case name.
    pub name: TickscopeText,
    /// The plugin's own version.
    pub version: TickscopeText,
    /// One line for listings.
    pub about: TickscopeText,
    /// What options there are: a JSON Schema, see docs/plugins.md. Empty when there are none.
    pub schema: TickscopeText,
    /// Makes a sink and stores it in `sink`. `options` is a JSON object that the schema allows, defaults filled in.
    pub open: Option<
        unsafe extern "C" fn(
            host: *const TickscopeHost,
            options: TickscopeText,
            metadata: *const TickscopeMetadata,
            sink: *mut *mut c_void,
        ) -> i32,
    >,
    /// Takes samples. A batch may be empty and may cut between any two samples.
    pub batch: Option<unsafe extern "C" fn(sink: *mut c_void, batch: *const TickscopeBatch) -> i32>,
    /// A tick ended; its samples were in batches before. May be NULL.
    pub tick: Option<unsafe extern "C" fn(sink: *mut c_void, end_ns: u64) -> i32>,
    /// Puts on disk or on the wire what is buffered, within so many nanoseconds from now; samples wait meanwhile, and are left
    /// out when they are too many. May be NULL.
    pub flush: Option<unsafe extern "C" fn(sink: *mut c_void, within_ns: u64) -> i32>,
    /// The recording is over: leaves a complete output, within so many nanoseconds from now. The host does not wait longer.
    /// May be NULL.
    pub finish: Option<unsafe extern "C" fn(sink: *mut c_void, within_ns: u64) -> i32>,
    /// Tells how it went, after `finish`; not of a sink that failed. Its text is good until the next call. May be NULL.
    pub health: Option<unsafe extern "C" fn(sink: *mut c_void, health: *mut TickscopeHealth)>,
    /// Frees a sink that `open` made. Called once, last, whatever failed before; not where `open` left NULL.
    pub close: Option<unsafe extern "C" fn(sink: *mut c_void)>,
}

/// What a plugin may call, on any thread, until the process ends.
#[repr(C)]
#[derive(Debug)]
pub struct TickscopeHost {
    /// Size of this structure in bytes.
    pub size: usize,
    /// The host's `TICKSCOPE_MAJOR`.
    pub major: u32,
    /// The host's `TICKSCOPE_MINOR`.
    pub minor: u32,
    /// First argument of the functions below.
    pub context: *mut c_void,
    /// Shows a line to the user, behind the sink's name. A flood of lines is cut, and counted.
    pub log: unsafe extern "C" fn(context: *mut c_void, level: u32, text: TickscopeText),
    /// Says why the call that runs is about to answer `TICKSCOPE_FAILED`.
    pub fail: unsafe extern "C" fn(context: *mut c_void, reason: TickscopeText),
}

/// A free fact of a recording.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeFact {
    /// Its name.
    pub name: TickscopeText,
    /// Its value.
    pub value: TickscopeText,
}

/// What is known of a recording from its start.
#[repr(C)]
#[derive(Debug)]
pub struct TickscopeMetadata {
    /// Size of this structure in bytes.
    pub size: usize,
    /// Program and version that records.
    pub producer: TickscopeText,
    /// What is recorded: a server directory, a script, a program.
    pub subject: TickscopeText,
    /// `boundary`, `sample` or `trace`: how much is recorded.
    pub depth: TickscopeText,
    /// How long a tick may take, in nanoseconds; 0 where there are no ticks.
    pub budget_ns: u64,
    /// Process id of the recorded program.
    pub pid: u32,
    /// Version of the sample model.
    pub schema: u32,
    /// Monotonic time of the recording's start, in nanoseconds.
    pub start_ns: u64,
    /// Wall-clock time of the same moment, in nanoseconds since 1970 UTC.
    pub start_unix_ns: u64,
    /// Bound of the clock's error, in nanoseconds.
    pub clock_error_ns: u64,
    /// `tsc` or `monotonic`.
    pub clock_source: TickscopeText,
    /// Free facts: seed, command line, machine.
    pub facts: *const TickscopeFact,
    /// How many.
    pub n_facts: usize,
}

/// A name of code: of a function, an event, an export, a counter. Equal names in two resources are two symbols.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeSymbol {
    /// Its id.
    pub id: u32,
    /// 0 Lua, 1 Native, 2 C#, 3 JavaScript, 4 Host.
    pub runtime: u32,
    /// The resource it runs in; empty for the host.
    pub resource: TickscopeText,
    /// Name of the function, event, native, counter.
    pub name: TickscopeText,
    /// Source file; empty when unknown.
    pub file: TickscopeText,
    /// Line of the definition, from 1; 0 when unknown.
    pub line: u32,
    /// 0.
    pub spare: u32,
}

/// A track: one stack of spans.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeTrack {
    /// Its id. 0 is the process. An id that came before is a track whose name changed.
    pub id: u32,
    /// 0 process, 1 thread, 2 coroutine, 3 fiber, 4 task, 5 asynchronous operation, 6 named by the program.
    pub kind: u32,
    /// The track it is shown under.
    pub parent: u32,
    /// Process or thread id of the system; 0 for other kinds.
    pub os_id: u32,
    /// Name shown to people.
    pub name: TickscopeText,
    /// The resource its spans run in; empty when they belong to several or none.
    pub resource: TickscopeText,
}

/// A kind of span.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeCategory {
    /// Its id.
    pub id: u32,
    /// 0.
    pub spare: u32,
    /// Short lower-case name: `tick`, `event`, `native`.
    pub name: TickscopeText,
    /// One line.
    pub description: TickscopeText,
}

/// The name of an argument.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeKey {
    /// Its id.
    pub id: u32,
    /// 0.
    pub spare: u32,
    /// The name.
    pub name: TickscopeText,
}

/// A node of the tree of sampled stacks: a frame under its caller.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeStackNode {
    /// Its id. 0 is the empty stack.
    pub id: u32,
    /// The caller's frame, less than `id`; 0 for an outermost one.
    pub parent: u32,
    /// The function.
    pub symbol: u32,
    /// Line that was executing; 0 when unknown.
    pub line: u32,
}

/// A part of the batch's arguments, or of its text.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickscopeRange {
    /// Index of the first.
    pub start: u32,
    /// How many.
    pub len: u32,
}

/// The begin of a span.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeBegin {
    /// Its id, never 0.
    pub span: u64,
    /// The span it is within on its track; 0 for an outermost one.
    pub parent: u64,
    /// The link point or span that caused it, where that is not its parent; else 0.
    pub link: u64,
    /// 0 flow, 1 event, 2 export, 3 spawn, 4 timer, 5 task, 6 await, 7 remote.
    pub link_kind: u32,
    /// What was called.
    pub symbol: u32,
    /// Its kind.
    pub category: u32,
    /// Its arguments.
    pub args: TickscopeRange,
}

/// The end of a span.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeEnd {
    /// Its id.
    pub span: u64,
    /// When it began.
    pub begin_ns: u64,
    /// What was called.
    pub symbol: u32,
    /// 0 ok, 1 error, 2 unwound by an error further in, 3 open when the recording ended.
    pub outcome: u32,
    /// Bytes allocated meanwhile; `UINT32_MAX` stands for more.
    pub bytes: u32,
    /// Arguments learned after its begin.
    pub args: TickscopeRange,
}

/// A moment without length.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeInstant {
    /// What happened.
    pub symbol: u32,
    /// Its kind.
    pub category: u32,
    /// 0 felt on its track, 1 in the process, 2 on the machine.
    pub scope: u32,
    /// Its arguments.
    pub args: TickscopeRange,
}

/// The value of a counter from now on. The sample's kind says which it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub union TickscopeNumber {
    /// Of `TICKSCOPE_COUNTER_INT`, `TICKSCOPE_ARG_INT`.
    pub int_value: i64,
    /// Of `TICKSCOPE_ARG_UINT`, `TICKSCOPE_ARG_BOOL`, `TICKSCOPE_ARG_POINTER`.
    pub uint_value: u64,
    /// Of `TICKSCOPE_COUNTER_FLOAT`, `TICKSCOPE_ARG_FLOAT`.
    pub float_value: f64,
    /// Of `TICKSCOPE_ARG_TEXT`: bytes of the batch's text.
    pub text: TickscopeRange,
}

/// A counter has another value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TickscopeCounter {
    /// Which.
    pub symbol: u32,
    /// 0.
    pub spare: u32,
    /// Its value.
    pub value: TickscopeNumber,
}

/// The track runs, or does not run any more.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeSwitch {
    /// The track that waits while it runs.
    pub host: u32,
    /// Of a suspension: 0 it yielded, 1 it returned and is over, 2 it failed and is over.
    pub reason: u32,
}

/// The source of a link.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeLinkPoint {
    /// What `link` of a begin names.
    pub id: u64,
    /// The innermost span of the track then, or 0.
    pub span: u64,
}

/// A sampled call stack, and what it stands for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeStack {
    /// Nanoseconds since the sample before.
    pub time_ns: u64,
    /// Bytes allocated since.
    pub bytes: u64,
    /// The innermost frame.
    pub stack: u32,
    /// 0.
    pub spare: u32,
}

/// Where the events of a ring went since the start: attempted = committed + dropped, committed = delivered + overwritten
/// + discarded.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TickscopeAccount {
    /// Tried.
    pub attempted: u64,
    /// In the ring.
    pub committed: u64,
    /// Out of it.
    pub delivered: u64,
    /// Replaced by newer ones.
    pub overwritten: u64,
    /// Without the other half of their span.
    pub discarded: u64,
    /// Refused by a full ring.
    pub dropped: u64,
}

/// What happened: the field that the sample's kind says.
#[repr(C)]
#[derive(Clone, Copy)]
pub union TickscopeEvent {
    /// Of `TICKSCOPE_BEGIN`.
    pub begin: TickscopeBegin,
    /// Of `TICKSCOPE_END`.
    pub end: TickscopeEnd,
    /// Of `TICKSCOPE_INSTANT`.
    pub instant: TickscopeInstant,
    /// Of `TICKSCOPE_COUNTER_INT` and `TICKSCOPE_COUNTER_FLOAT`.
    pub counter: TickscopeCounter,
    /// Of `TICKSCOPE_RESUME`.
    pub resume: TickscopeSwitch,
    /// Of `TICKSCOPE_SUSPEND`.
    pub suspend: TickscopeSwitch,
    /// Of `TICKSCOPE_LINK_POINT`.
    pub link_point: TickscopeLinkPoint,
    /// Of `TICKSCOPE_STACK`.
    pub stack: TickscopeStack,
    /// Of `TICKSCOPE_GAP`: how many events.
    pub gap: u64,
    /// Of `TICKSCOPE_ACCOUNT`.
    pub account: TickscopeAccount,
}

/// One thing that happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TickscopeSample {
    /// When, in nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// The ring, so the thread, it came through.
    pub ring: u32,
    /// Its track.
    pub track: u32,
    /// What `event` is. Skip a kind that you do not know.
    pub kind: u32,
    /// 0.
    pub spare: u32,
    /// What happened.
    pub event: TickscopeEvent,
}

/// A named, typed value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TickscopeArg {
    /// Its name.
    pub key: u32,
    /// Which field of `value`: a `TICKSCOPE_ARG_…`. Skip one that you do not know.
    pub kind: u32,
    /// Its value.
    pub value: TickscopeNumber,
}

/// Samples in the order they were recorded on each thread, and the names that are new with them. A name crosses once:
/// keep it.
#[repr(C)]
#[derive(Debug)]
pub struct TickscopeBatch {
    /// Size of this structure in bytes.
    pub size: usize,
    /// Samples that this sink did not get since the batch before, because it was too slow. Spans may lack their begin or
    /// end then.
    pub missed: u64,
    /// The samples.
    pub samples: *const TickscopeSample,
    /// How many.
    pub n_samples: usize,
    /// Their arguments.
    pub args: *const TickscopeArg,
    /// How many.
    pub n_args: usize,
    /// The arguments' text.
    pub text: TickscopeText,
    /// New symbols.
    pub symbols: *const TickscopeSymbol,
    /// How many.
    pub n_symbols: usize,
    /// New tracks, and those whose name changed.
    pub tracks: *const TickscopeTrack,
    /// How many.
    pub n_tracks: usize,
    /// New categories.
    pub categories: *const TickscopeCategory,
    /// How many.
    pub n_categories: usize,
    /// New names of arguments.
    pub keys: *const TickscopeKey,
    /// How many.
    pub n_keys: usize,
    /// New nodes of the tree of stacks.
    pub stacks: *const TickscopeStackNode,
    /// How many.
    pub n_stacks: usize,
}

/// How a sink is doing.
#[repr(C)]
#[derive(Debug)]
pub struct TickscopeHealth {
    /// Size of this structure in bytes, as the host knows it.
    pub size: usize,
    /// `TICKSCOPE_HEALTHY` or `TICKSCOPE_DEGRADED`.
    pub state: u32,
    /// 0.
    pub spare: u32,
    /// What is wrong, or good to know; may be empty.
    pub message: TickscopeText,
    /// Things it has written: rows, requests, lines.
    pub written: u64,
    /// Things it could not deliver.
    pub lost: u64,
    /// Bytes it has written.
    pub bytes: u64,
}

// SAFETY: a table is never written to, and what its texts point to lives as long as the library, which is for ever.
unsafe impl Sync for TickscopeSink {}
// SAFETY: as above.
unsafe impl Send for TickscopeSink {}
