//! Batches as a plugin in Rust sees them: checked, without a copy.

use std::ffi::c_char;
use std::time::Duration;

use crate::names::Names;
use crate::raw::*;

/// The text that crossed, or an empty one where it is none.
///
/// # Safety
/// `text` points to as many bytes as it says for as long as `'a`, or is NULL.
pub(crate) unsafe fn text<'a>(text: TickscopeText) -> &'a str {
    // SAFETY: the caller's; bytes of C are bytes.
    std::str::from_utf8(unsafe { slice(text.bytes.cast::<u8>(), text.len) }).unwrap_or_default()
}

/// # Safety
/// `first` points to `len` elements that live and do not change for as long as `'a`, or is NULL.
pub(crate) unsafe fn slice<'a, T>(first: *const T, len: usize) -> &'a [T] {
    if first.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(first, len) }
}

impl TickscopeText {
    /// Lends a text to the other side.
    pub const fn new(text: &str) -> Self {
        Self { bytes: text.as_ptr().cast::<c_char>(), len: text.len() }
    }
}

impl TickscopeBatch {
    /// A batch of nothing, to be filled: `TickscopeBatch { samples, n_samples, ..TickscopeBatch::EMPTY }`.
    pub const EMPTY: Self = Self {
        size: size_of::<Self>(),
        missed: 0,
        samples: std::ptr::null(),
        n_samples: 0,
        args: std::ptr::null(),
        n_args: 0,
        text: TickscopeText::new(""),
        symbols: std::ptr::null(),
        n_symbols: 0,
        tracks: std::ptr::null(),
        n_tracks: 0,
        categories: std::ptr::null(),
        n_categories: 0,
        keys: std::ptr::null(),
        n_keys: 0,
        stacks: std::ptr::null(),
        n_stacks: 0,
    };
}

/// Samples in the order they were recorded on each thread, with the names they refer to.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    raw: &'a TickscopeBatch,
    names: &'a Names,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// When, in nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// The ring, so the thread, it came through.
    pub ring: u32,
    /// Its track.
    pub track: u32,
    /// What happened.
    pub event: Event<'a>,
}

/// The kinds of [`Sample`]. Their fields are explained at their types.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A span began.
    Begin(&'a TickscopeBegin),
    /// The innermost span of the track ended.
    End(&'a TickscopeEnd),
    /// A moment without length.
    Instant(&'a TickscopeInstant),
    /// A counter has this value from now on.
    Counter {
        /// Which.
        symbol: u32,
        /// Its value.
        value: CounterValue,
    },
    /// The track runs on this ring's thread from now on.
    Resume(&'a TickscopeSwitch),
    /// The track stopped running.
    Suspend(&'a TickscopeSwitch),
    /// The source of a link; a later begin names it.
    LinkPoint(&'a TickscopeLinkPoint),
    /// A sampled stack; its frames: [`Names::frames`].
    Stack(&'a TickscopeStack),
    /// So many events of this ring were lost here.
    Gap(u64),
    /// Where this ring's events went.
    Account(&'a TickscopeAccount),
    /// Something that a newer host knows and this version does not.
    Unknown(u32),
}

/// The value of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CounterValue {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl CounterValue {
    /// The value as a floating-point number; whole numbers beyond 2^53 are rounded.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// The value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ArgValue<'a> {
    /// A signed whole number.
    Int(i64),
    /// An unsigned whole number.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// An address.
    Pointer(u64),
    /// Text.
    Text(&'a str),
}

impl<'a> Batch<'a> {
    /// What crossed, with the names that crossed before: for hosts that are written in Rust, and tests.
    ///
    /// # Safety
    /// `raw` and all it points to live and do not change for as long as `'a`, and are what [`raw`](crate::raw) says.
    pub unsafe fn new(raw: &'a TickscopeBatch, names: &'a Names) -> Self {
        Self { raw, names }
    }

    /// The samples, in order.
    #[inline]
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample<'a>> + use<'a> {
        // SAFETY: promised to `new`.
        self.raw_samples().iter().map(|sample| unsafe { sample.read() })
    }

    /// The samples as they crossed.
    #[inline]
    pub fn raw_samples(&self) -> &'a [TickscopeSample] {
        // SAFETY: promised to `new`.
        unsafe { slice(self.raw.samples, self.raw.n_samples) }
    }

    /// Samples that were left out before this batch, because the sink was too slow for them.
    pub fn missed(&self) -> u64 {
        self.raw.missed
    }

    /// Every name so far, this batch's included.
    pub fn names(&self) -> &'a Names {
        self.names
    }

    /// Names and values of a sample's arguments; none for a range outside of the batch.
    pub fn args(&self, range: TickscopeRange) -> impl Iterator<Item = (&'a str, ArgValue<'a>)> + use<'a> {
        let batch = *self;
        let (start, len) = (range.start as usize, range.len as usize);
        // SAFETY: promised to `new`.
        let args = unsafe { slice(self.raw.args, self.raw.n_args) };
        let args = args.get(start..start.saturating_add(len)).unwrap_or_default();
        args.iter().filter_map(move |arg| Some((batch.names.key(arg.key), batch.value(arg)?)))
    }

    fn value(&self, arg: &TickscopeArg) -> Option<ArgValue<'a>> {
        // SAFETY: eight bytes that were written; `kind` says as what.
        Some(unsafe {
            match arg.kind {
                TICKSCOPE_ARG_INT => ArgValue::Int(arg.value.int_value),
                TICKSCOPE_ARG_UINT => ArgValue::Uint(arg.value.uint_value),
                TICKSCOPE_ARG_FLOAT => ArgValue::Float(arg.value.float_value),
                TICKSCOPE_ARG_BOOL => ArgValue::Bool(arg.value.uint_value != 0),
                TICKSCOPE_ARG_POINTER => ArgValue::Pointer(arg.value.uint_value),
                TICKSCOPE_ARG_TEXT => ArgValue::Text(self.text(arg.value.text)),
                _ => return None,
            }
        })
    }

    fn text(&self, range: TickscopeRange) -> &'a str {
        // SAFETY: promised to `new`.
        let text: &[u8] = unsafe { slice(self.raw.text.bytes.cast(), self.raw.text.len) };
        let (start, len) = (range.start as usize, range.len as usize);
        let part = text.get(start..start.saturating_add(len)).unwrap_or_default();
        std::str::from_utf8(part).unwrap_or_default()
    }
}

impl TickscopeSample {
    /// The sample, for `match`. Costs nothing: what happened is borrowed.
    #[inline]
    ///
    /// # Safety
    /// The field of `event` that `kind` says was written, whole, as the host does.
    pub unsafe fn read(&self) -> Sample<'_> {
        // SAFETY: the caller's.
        let event = unsafe {
            match self.kind {
                TICKSCOPE_BEGIN => Event::Begin(&self.event.begin),
                TICKSCOPE_END => Event::End(&self.event.end),
                TICKSCOPE_INSTANT => Event::Instant(&self.event.instant),
                TICKSCOPE_COUNTER_INT => {
                    let counter = &self.event.counter;
                    Event::Counter {
                        symbol: counter.symbol,
                        value: CounterValue::Int(counter.value.int_value),
                    }
                }
                TICKSCOPE_COUNTER_FLOAT => {
                    let counter = &self.event.counter;
                    let value = CounterValue::Float(counter.value.float_value);
                    Event::Counter { symbol: counter.symbol, value }
                }
                TICKSCOPE_RESUME => Event::Resume(&self.event.resume),
                TICKSCOPE_SUSPEND => Event::Suspend(&self.event.suspend),
                TICKSCOPE_LINK_POINT => Event::LinkPoint(&self.event.link_point),
                TICKSCOPE_STACK => Event::Stack(&self.event.stack),
                TICKSCOPE_GAP => Event::Gap(self.event.gap),
                TICKSCOPE_ACCOUNT => Event::Account(&self.event.account),
                other => Event::Unknown(other),
            }
        };
        Sample { time_ns: self.time_ns, ring: self.ring, track: self.track, event }
    }
}

/// What is known of a recording from its start.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a>(&'a TickscopeMetadata);

impl<'a> Metadata<'a> {
    /// # Safety
    /// As for [`Batch::new`].
    pub(crate) unsafe fn new(raw: &'a TickscopeMetadata) -> Self {
        Self(raw)
    }

    /// Program and version that records.
    pub fn producer(&self) -> &'a str {
        // SAFETY: promised to `new`.
        unsafe { text(self.0.producer) }
    }

    /// What is recorded: a server directory, a script, a program.
    pub fn subject(&self) -> &'a str {
        // SAFETY: promised to `new`.
        unsafe { text(self.0.subject) }
    }

    /// The last part of the subject, as `city` of `/srv/city/`: what it is called where the user does not say; may be empty.
    pub fn subject_name(&self) -> &'a str {
        self.subject().trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// `boundary`, `sample` or `trace`.
    pub fn depth(&self) -> &'a str {
        // SAFETY: promised to `new`.
        unsafe { text(self.0.depth) }
    }

    /// How long a tick may take; zero where there are no ticks.
    pub fn budget(&self) -> Duration {
        Duration::from_nanos(self.0.budget_ns)
    }

    /// Process id of the recorded program.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Monotonic time of the recording's start, in nanoseconds.
    pub fn start_ns(&self) -> u64 {
        self.0.start_ns
    }

    /// Wall-clock time of `time_ns`, in nanoseconds since 1970 UTC.
    pub fn unix_ns(&self, time_ns: u64) -> u64 {
        self.0.start_unix_ns.saturating_add_signed(time_ns.wrapping_sub(self.0.start_ns) as i64)
    }

    /// Free facts: seed, command line, machine.
    pub fn facts(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        // SAFETY: promised to `new`.
        let facts = unsafe { slice(self.0.facts, self.0.n_facts) };
        // SAFETY: as above.
        facts.iter().map(|fact| unsafe { (text(fact.name), text(fact.value)) })
    }

    /// All of it, as it crossed.
    pub fn raw(&self) -> &'a TickscopeMetadata {
        self.0
    }
}
