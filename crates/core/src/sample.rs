//! What a session delivers: samples, in batches.
//!
//! Within one ring samples come in the order they were recorded, and so do those of one track; rings are interleaved
//! as they were drained. A report that must not depend on the interleaving sorts by (time, track, order of arrival).

use std::ops::Range;

use crate::{
    Account, CategoryId, Dictionary, KeyId, RingId, SpanId, StackId, SwitchReason, SymbolId, TrackId,
};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, in nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// The ring it came through; its thread.
    pub ring: RingId,
    /// The track it belongs to.
    pub track: TrackId,
    /// What happened.
    pub event: Event,
}

/// The kinds of [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A span began on the track.
    Begin(Begin),
    /// The innermost span of the track ended.
    End(End),
    /// A moment without length.
    Instant {
        /// What happened.
        symbol: SymbolId,
        /// Its kind.
        category: CategoryId,
        /// How far it is felt.
        scope: Scope,
        /// Its arguments.
        args: ArgRange,
    },
    /// A counter has this value from now on.
    Counter {
        /// Which counter.
        symbol: SymbolId,
        /// Its value.
        value: CounterValue,
    },
    /// The track (a coroutine, a fiber) runs on this ring's thread from now on, on top of `host`.
    Resume {
        /// The track that resumed it and waits meanwhile.
        host: TrackId,
    },
    /// The track stopped running on this ring's thread; its host runs on.
    Suspend {
        /// The track that runs again.
        host: TrackId,
        /// Why.
        reason: SwitchReason,
    },
    /// The source end of a causal link; a later [`Begin::link`] names `id`.
    LinkPoint {
        /// Name of this end.
        id: SpanId,
        /// The span that was innermost on the track.
        span: Option<SpanId>,
    },
    /// A sampled call stack.
    Stack {
        /// The innermost frame; walk it with [`Dictionary::frames`].
        stack: StackId,
        /// What the sample stands for.
        weight: Weight,
    },
    /// Records of this ring were lost between the sample before and the one behind.
    Gap {
        /// How many events.
        events: u64,
    },
    /// Where this ring's events went, counted from the session's start.
    Account(Account),
}

/// The begin of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begin {
    /// The span's id.
    pub span: SpanId,
    /// The span that was innermost on the same track; none for the track's outermost.
    pub parent: Option<SpanId>,
    /// What was called.
    pub symbol: SymbolId,
    /// Its kind.
    pub category: CategoryId,
    /// What caused it, where that is not its parent.
    pub link: Option<Link>,
    /// Arguments known at the begin.
    pub args: ArgRange,
}

/// The end of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// The span's id.
    pub span: SpanId,
    /// What was called.
    pub symbol: SymbolId,
    /// When it began.
    pub begin_ns: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes allocated from begin to end while the span's track or what it called was running; `u32::MAX` and above
    /// are stored as `u32::MAX`.
    pub bytes: u32,
    /// Arguments learned after the begin.
    pub args: ArgRange,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It returned.
    #[default]
    Ok = 0,
    /// It raised an error, or reported one.
    Error = 1,
    /// An error raised further in passed through it, or its frame vanished without a word.
    Unwound = 2,
    /// The recording ended before it did.
    Truncated = 3,
}

impl Outcome {
    /// Every outcome, in the order of its numbers.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Unwound, Self::Truncated];

    /// Lower-case name, as stored in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Unwound => "unwound",
            Self::Truncated => "truncated",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How far an instant is felt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scope {
    /// On its track.
    #[default]
    Track = 0,
    /// In the whole process.
    Process = 1,
    /// On the whole machine.
    Global = 2,
}

/// A causal edge that is not nesting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Why the target happened.
    pub kind: LinkKind,
    /// The [`Event::LinkPoint`] it comes from, or, when that one was dropped, the nearest recorded span around it.
    pub source: SpanId,
}

/// The kinds of causal edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LinkKind {
    /// Chosen by the program.
    #[default]
    Flow = 0,
    /// An event was triggered; the target handles it.
    Event = 1,
    /// An export was called.
    Export = 2,
    /// A coroutine or thread was created; the target is its first slice.
    Spawn = 3,
    /// A timer was set.
    Timer = 4,
    /// A task was queued.
    Task = 5,
    /// What was awaited answered; the target is the slice that goes on.
    Await = 6,
    /// The target follows a span of another process.
    Remote = 7,
}

impl LinkKind {
    /// Every kind, in the order of its numbers.
    pub const ALL: [Self; 8] = [
        Self::Flow,
        Self::Event,
        Self::Export,
        Self::Spawn,
        Self::Timer,
        Self::Task,
        Self::Await,
        Self::Remote,
    ];

    /// The kind of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Lower-case name, as stored in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Event => "event",
            Self::Export => "export",
            Self::Spawn => "spawn",
            Self::Timer => "timer",
            Self::Task => "task",
            Self::Await => "await",
            Self::Remote => "remote",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a sampled stack stands for, since the sample before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Nanoseconds that passed on the track's thread.
    pub time_ns: u64,
    /// Bytes allocated.
    pub bytes: u64,
}

/// The value of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CounterValue {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

macro_rules! whole {
    ($($kind:ty)*) => {
        $(impl From<$kind> for CounterValue {
            fn from(value: $kind) -> Self {
                // Beyond 63 bits the nearest floating-point number.
                i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
            }
        })*
    };
}

whole!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl From<f64> for CounterValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<f32> for CounterValue {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

/// A run of arguments in [`Batch::args`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgRange {
    /// Index of the first.
    pub start: u32,
    /// How many.
    pub len: u32,
}

impl ArgRange {
    /// No arguments.
    pub const NONE: Self = Self { start: 0, len: 0 };

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// A named, typed value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arg {
    /// Its name in the dictionary.
    pub key: KeyId,
    /// Its value.
    pub value: ArgValue,
}

/// The value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgValue {
    /// A signed whole number.
    Int(i64),
    /// An unsigned whole number.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// An address: written in hexadecimal.
    Pointer(u64),
    /// Text: `len` bytes from `start` of [`Batch::text`].
    Text {
        /// First byte.
        start: u32,
        /// How many bytes.
        len: u32,
    },
}

/// Samples in the order they were drained, with what they refer to.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The samples.
    pub samples: &'a [Sample],
    /// Their arguments; see [`ArgRange`].
    pub args: &'a [Arg],
    /// The text of the arguments.
    pub text: &'a str,
    /// Every name used so far, this batch's included.
    pub dictionary: &'a Dictionary,
}

impl<'a> Batch<'a> {
    /// The arguments of a sample; none for a range outside the batch.
    pub fn args(&self, range: ArgRange) -> &'a [Arg] {
        self.args.get(range.range()).unwrap_or_default()
    }

    /// The text of an argument's value; empty when it is not text or lies outside the batch.
    pub fn text(&self, value: ArgValue) -> &'a str {
        match value {
            ArgValue::Text { start, len } => {
                self.text.get(start as usize..start as usize + len as usize).unwrap_or_default()
            }
            _ => "",
        }
    }
}
