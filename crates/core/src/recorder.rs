//! The producer's side: what a hook or a macro calls.

use crate::{
    CategoryId, CounterValue, KeyId, Link, Outcome, Scope, SpanId, StackId, StackNode, SymbolId, SymbolRef,
    Ticks, Track, TrackId,
};

/// Records what happens on one thread.
///
/// Methods take `&self` because hooks re-enter. Those under "hot" must not lock, allocate, format, make system calls
/// or unwind; those under "cold" may, and are called once per name.
///
/// # Protocol
/// - The current track starts as the thread's own; [`Recorder::resume`] and [`Recorder::suspend`] nest.
/// - Spans of the current track nest: `exit` ends the innermost one. A span that was refused ([`Span::DROPPED`]) is
///   exited like any other, and everything below it is refused too.
pub trait Recorder {
    /// Hot. Reads the clock.
    fn now(&self) -> Ticks;

    /// Hot. Whether spans of `category` are wanted; callers skip the rest when not.
    fn enabled(&self, category: CategoryId) -> bool;

    /// Hot. Begins a span on the current track.
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span;

    /// Hot. Begins a span with what caused it and its arguments.
    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Span;

    /// Hot. Ends the innermost span of the current track. `bytes` were allocated within it.
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32);

    /// Hot. Adds an argument to the innermost span of the current track.
    fn arg(&self, key: KeyId, value: ArgInput<'_>);

    /// Hot. Records a moment on the current track.
    fn instant(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    );

    /// Hot. Records a counter's new value on the current track.
    fn counter(&self, at: Ticks, symbol: SymbolId, value: CounterValue);

    /// Hot. Marks the source of links: pass it to [`Recorder::enter_with`] wherever the effect begins, on any thread.
    fn link_point(&self, at: Ticks) -> LinkPoint;

    /// Hot. `track` runs on this thread from now on; the track current until now is its host and waits.
    fn resume(&self, at: Ticks, track: TrackId);

    /// Hot. The current track stops running; its host is current again. Spans left open stay open, unless `reason`
    /// says that the track is over.
    fn suspend(&self, at: Ticks, reason: SwitchReason);

    /// Hot. Records a sampled stack of the current track that stands for `elapsed` ticks and `bytes` allocated.
    fn stack(&self, at: Ticks, stack: StackId, elapsed: u64, bytes: u64);

    /// Hot. Begins a span on a track that belongs to no thread: an asynchronous operation, whichever track is current.
    /// `None` when it was not recorded, as here.
    fn enter_on(
        &self,
        _at: Ticks,
        _track: TrackId,
        _symbol: SymbolId,
        _category: CategoryId,
        _link: Option<Link>,
        _args: &[(KeyId, ArgInput<'_>)],
    ) -> Option<SpanId> {
        None
    }

    /// Hot. Ends a span begun by [`Recorder::enter_on`], on this thread or another.
    fn exit_on(&self, _at: Ticks, _track: TrackId, _span: SpanId, _outcome: Outcome) {}

    /// Hot. Adds an argument to an open span begun by [`Recorder::enter_on`].
    fn arg_on(&self, _track: TrackId, _span: SpanId, _key: KeyId, _value: ArgInput<'_>) {}

    /// Hot. Marks the source of links on a track that belongs to no thread. `None` when it was not recorded, as here.
    fn link_point_on(&self, _at: Ticks, _track: TrackId) -> LinkPoint {
        None
    }

    /// Hot. The track that is current.
    fn track(&self) -> TrackId;

    /// Cold. The id of a symbol; [`SymbolId::OTHER`] when the arena is full.
    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId;

    /// Cold. The id of an argument's name.
    fn intern_key(&self, key: &str) -> KeyId;

    /// Cold. The id of a node of the stack tree; its parent when the arena is full.
    fn intern_stack(&self, node: StackNode) -> StackId;

    /// Cold. Makes a track; for a coroutine possibly one of the same definition that is over
    /// ([`Recorder::suspend`] said `Return` or `Error`). [`TrackId::PROCESS`] when the arena is full.
    fn new_track(&self, track: Track) -> TrackId;

    /// Cold. Clock ticks in one microsecond: for thresholds in hook code.
    fn ticks_per_micro(&self) -> u64;
}

/// A thread's recorder serves all on that thread who have something to record.
impl<R: Recorder + ?Sized> Recorder for &R {
    #[inline(always)]
    fn now(&self) -> Ticks {
        (**self).now()
    }

    #[inline(always)]
    fn enabled(&self, category: CategoryId) -> bool {
        (**self).enabled(category)
    }

    #[inline(always)]
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        (**self).enter(at, symbol, category)
    }

    #[inline(always)]
    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        (**self).enter_with(at, symbol, category, link, args)
    }

    #[inline(always)]
    fn instant(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        (**self).instant(at, symbol, category, scope, args)
    }

    #[inline(always)]
    fn enter_on(
        &self,
        at: Ticks,
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Option<SpanId> {
        (**self).enter_on(at, track, symbol, category, link, args)
    }

    #[inline(always)]
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        (**self).exit(at, span, outcome, bytes)
    }

    #[inline(always)]
    fn arg(&self, key: KeyId, value: ArgInput<'_>) {
        (**self).arg(key, value)
    }

    #[inline(always)]
    fn counter(&self, at: Ticks, symbol: SymbolId, value: CounterValue) {
        (**self).counter(at, symbol, value)
    }

    #[inline(always)]
    fn link_point(&self, at: Ticks) -> LinkPoint {
        (**self).link_point(at)
    }

    #[inline(always)]
    fn resume(&self, at: Ticks, track: TrackId) {
        (**self).resume(at, track)
    }

    #[inline(always)]
    fn suspend(&self, at: Ticks, reason: SwitchReason) {
        (**self).suspend(at, reason)
    }

    #[inline(always)]
    fn stack(&self, at: Ticks, stack: StackId, elapsed: u64, bytes: u64) {
        (**self).stack(at, stack, elapsed, bytes)
    }

    #[inline(always)]
    fn exit_on(&self, at: Ticks, track: TrackId, span: SpanId, outcome: Outcome) {
        (**self).exit_on(at, track, span, outcome)
    }

    #[inline(always)]
    fn arg_on(&self, track: TrackId, span: SpanId, key: KeyId, value: ArgInput<'_>) {
        (**self).arg_on(track, span, key, value)
    }

    #[inline(always)]
    fn link_point_on(&self, at: Ticks, track: TrackId) -> LinkPoint {
        (**self).link_point_on(at, track)
    }

    #[inline(always)]
    fn track(&self) -> TrackId {
        (**self).track()
    }

    #[inline(always)]
    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        (**self).intern_symbol(symbol)
    }

    #[inline(always)]
    fn intern_key(&self, key: &str) -> KeyId {
        (**self).intern_key(key)
    }

    #[inline(always)]
    fn intern_stack(&self, node: StackNode) -> StackId {
        (**self).intern_stack(node)
    }

    #[inline(always)]
    fn new_track(&self, track: Track) -> TrackId {
        (**self).new_track(track)
    }

    #[inline(always)]
    fn ticks_per_micro(&self) -> u64 {
        (**self).ticks_per_micro()
    }
}

/// An open span, as its producer holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(u64);

impl Span {
    /// A span that was not recorded: category off, sampled out, ring full, or below such a one.
    pub const DROPPED: Self = Self(u64::MAX);

    /// The span whose record stands at `position` of its ring.
    pub const fn at(position: u64) -> Self {
        Self(position)
    }

    /// Position of its record; `None` when it was not recorded.
    pub const fn position(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

/// The source of a link, `None` when nothing around it was recorded.
pub type LinkPoint = Option<SpanId>;

/// Why a track stopped running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SwitchReason {
    /// It yielded and will run again.
    #[default]
    Yield = 0,
    /// It returned and is over.
    Return = 1,
    /// It raised an error and is over.
    Error = 2,
}

impl SwitchReason {
    /// Every reason, in the order of its numbers.
    pub const ALL: [Self; 3] = [Self::Yield, Self::Return, Self::Error];

    /// Lower-case name, as stored in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yield => "yield",
            Self::Return => "return",
            Self::Error => "error",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// The value of an argument as its producer has it. Text longer than 2,048 bytes is cut at a character.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArgInput<'a> {
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

macro_rules! from {
    ($($kind:ty => $variant:ident as $wide:ty),* $(,)?) => {
        $(impl From<$kind> for ArgInput<'_> {
            fn from(value: $kind) -> Self {
                Self::$variant(value as $wide)
            }
        })*
    };
}

from! {
    i8 => Int as i64, i16 => Int as i64, i32 => Int as i64, i64 => Int as i64, isize => Int as i64,
    u8 => Uint as u64, u16 => Uint as u64, u32 => Uint as u64, u64 => Uint as u64, usize => Uint as u64,
    f32 => Float as f64, f64 => Float as f64, bool => Bool as bool,
}

impl<'a> From<&'a str> for ArgInput<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for ArgInput<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<T> From<*const T> for ArgInput<'_> {
    fn from(pointer: *const T) -> Self {
        Self::Pointer(pointer as usize as u64)
    }
}
