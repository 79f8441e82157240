//! Field numbers: Perfetto's, as its published protos have them, and the four packet fields of our own.
//!
//! Perfetto's trace processor skips packet fields it does not know, so what only the reader needs (span ids,
//! definitions, records) stands in fields far above those in use. What people look at in Perfetto stands in
//! Perfetto's own fields, on the same packets.

/// Fields of `TracePacket`.
pub(super) mod packet {
    pub const CLOCK_SNAPSHOT: u32 = 6;
    pub const TIMESTAMP: u32 = 8;
    pub const SEQUENCE: u32 = 10;
    pub const TRACK_EVENT: u32 = 11;
    pub const INTERNED: u32 = 12;
    pub const FLAGS: u32 = 13;
    /// The clock of its time, if it is not the sequence's.
    pub const CLOCK: u32 = 58;
    pub const DEFAULTS: u32 = 59;
    pub const DESCRIPTOR: u32 = 60;
    pub const PERF_SAMPLE: u32 = 66;
    pub const STACK_SAMPLE: u32 = 135;
    /// Ours, on a begin: its span id less the span id before it on the sequence, zigzag.
    pub const SPAN: u32 = 2000;
    /// Ours: what ids stand for; see [`super::definition`].
    pub const DEFINITIONS: u32 = 2001;
    /// Ours: how the packet is to be read, where its track event alone does not tell; see [`super::record`].
    pub const RECORD: u32 = 2002;
    /// Ours: the recording's metadata; see [`super::head`].
    pub const HEAD: u32 = 2003;
}

/// Fields of `TrackEvent`.
pub(super) mod event {
    pub const CATEGORY: u32 = 3;
    pub const ANNOTATION: u32 = 4;
    pub const TYPE: u32 = 9;
    pub const NAME: u32 = 10;
    pub const TRACK: u32 = 11;
    pub const COUNTER: u32 = 30;
    pub const DOUBLE_COUNTER: u32 = 44;
    pub const FLOW: u32 = 47;
    pub const TERMINATING_FLOW: u32 = 48;

    pub const BEGIN: u64 = 1;
    pub const END: u64 = 2;
    pub const INSTANT: u64 = 3;
    pub const COUNTER_TYPE: u64 = 4;
}

/// Fields of `DebugAnnotation`.
pub(super) mod annotation {
    pub const NAME: u32 = 1;
    pub const BOOL: u32 = 2;
    pub const UINT: u32 = 3;
    pub const INT: u32 = 4;
    pub const DOUBLE: u32 = 5;
    pub const STRING: u32 = 6;
    pub const POINTER: u32 = 7;
}

/// Fields of `InternedData`.
pub(super) mod interned {
    pub const CATEGORIES: u32 = 1;
    pub const EVENT_NAMES: u32 = 2;
    pub const ANNOTATION_NAMES: u32 = 3;
    pub const SOURCE_LOCATIONS: u32 = 4;
    pub const FUNCTION_NAMES: u32 = 5;
    pub const FRAMES: u32 = 6;
    pub const CALLSTACKS: u32 = 7;
    pub const SOURCE_PATHS: u32 = 18;
    pub const STRING_VALUES: u32 = 29;
    pub const ASYNC_CONTEXTS: u32 = 51;
}

/// Names of annotations that the writer adds: interned under 1, 2, … on every sequence. A user's key `k` has the id
/// `k + FIRST_KEY`, so the two are never mixed up whatever a key is called.
pub(super) const OWN_KEYS: [&str; 9] =
    ["outcome", "bytes", "link", "resource", "events", "scope", "reason", "continued_since_ns", "runs"];
pub(super) const KEY_OUTCOME: u64 = 1;
pub(super) const KEY_BYTES: u64 = 2;
pub(super) const KEY_LINK: u64 = 3;
pub(super) const KEY_RESOURCE: u64 = 4;
pub(super) const KEY_EVENTS: u64 = 5;
pub(super) const KEY_SCOPE: u64 = 6;
pub(super) const KEY_REASON: u64 = 7;
pub(super) const KEY_CONTINUED: u64 = 8;
pub(super) const KEY_RUNS: u64 = 9;
pub(super) const FIRST_KEY: u64 = 16;

/// Names of events that the writer adds, likewise. A symbol `s` has the id `s + FIRST_NAME`.
pub(super) const OWN_NAMES: [&str; 4] = ["link", "gap", "suspend", "recording"];
pub(super) const NAME_LINK: u64 = 1;
pub(super) const NAME_GAP: u64 = 2;
pub(super) const NAME_SUSPEND: u64 = 3;
pub(super) const NAME_RECORDING: u64 = 4;
pub(super) const FIRST_NAME: u64 = 16;
/// Ids of the names of run slices start here: a coroutine's name, not a symbol's.
pub(super) const FIRST_RUN_NAME: u64 = 1 << 33;

/// The file's own sequence; ring `r` has the sequence `r + FIRST_SEQUENCE`.
pub(super) const OWN_SEQUENCE: u64 = 1;
pub(super) const FIRST_SEQUENCE: u64 = 2;

/// Track `t` has the uuid `t + 1`: 0 is Perfetto's default track.
pub(super) const FIRST_TRACK: u64 = 1;
/// Uuids of counter tracks start here.
pub(super) const FIRST_COUNTER: u64 = 1 << 33;

/// Fields of [`packet::DEFINITIONS`], each a message whose field 1 is the id.
pub(super) mod definition {
    /// id, runtime, resource, name, file, line.
    pub const SYMBOL: u32 = 1;
    /// id, kind, parent, os id, name, resource.
    pub const TRACK: u32 = 2;
    /// id, name, description.
    pub const CATEGORY: u32 = 3;
    /// id, name.
    pub const KEY: u32 = 4;
    /// id, parent, symbol, line.
    pub const STACK: u32 = 5;
    /// uuid, track, symbol.
    pub const COUNTER: u32 = 6;
}

/// Fields of [`packet::RECORD`]: field 1 says what it is, the others are numbers.
pub(super) mod record {
    pub const KIND: u32 = 1;
    /// Begin of a run slice on the host's track. 2: the track that runs.
    pub const RESUME: u64 = 1;
    /// End of a run slice. 2: the reason; where no run slice was open, 3: the track and 4: its host.
    pub const SUSPEND: u64 = 2;
    /// 2: the id; 3: the span, where it is not the innermost of the track; 4: 1 when field 3 counts.
    pub const LINK_POINT: u64 = 3;
    /// 2: events lost.
    pub const GAP: u64 = 4;
    /// 2 to 7: the account's fields in their order; 8: the track.
    pub const ACCOUNT: u64 = 5;
    /// 2: the stack; 3: nanoseconds; 4: bytes; 5: the track.
    pub const STACK: u64 = 6;
    /// A begin whose parent is not the innermost span of its track. 2: the parent, 0 for none.
    pub const ORPHAN: u64 = 7;
    /// A tick ended. 2: when.
    pub const TICK: u64 = 8;
    /// The recording (or this file of it) is complete. 2: 1 when another file goes on.
    pub const FINISH: u64 = 9;
    /// For Perfetto's eyes only: no sample.
    pub const DISPLAY: u64 = 10;
}

/// Fields of [`packet::HEAD`].
pub(super) mod head {
    pub const SCHEMA: u32 = 1;
    pub const PRODUCER: u32 = 2;
    pub const SUBJECT: u32 = 3;
    pub const BUDGET: u32 = 4;
    pub const DEPTH: u32 = 5;
    pub const PID: u32 = 6;
    pub const START: u32 = 7;
    pub const START_UNIX: u32 = 8;
    pub const CLOCK_SOURCE: u32 = 9;
    pub const CLOCK_ERROR: u32 = 10;
    /// A message: 1 name, 2 value.
    pub const FACT: u32 = 11;
    /// Number of this file of a rotation, from 0.
    pub const PART: u32 = 12;
}
