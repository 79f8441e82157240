//! A recorder that looks away while scripts are told what was recorded: what they do then is not recorded in turn.

use std::cell::Cell;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span, SpanId,
    StackId, StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};

/// Passes everything on to `R`, but takes no new spans, stacks and counters while it is mute.
///
/// What began before may end meanwhile, and tracks are switched as ever, so that everything stays balanced. Errors and
/// what scripts report are taken all the same.
pub(crate) struct Mute<R> {
    inner: R,
    mute: Cell<bool>,
}

impl<R> Mute<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, mute: Cell::new(false) }
    }

    pub(crate) fn inner(&self) -> &R {
        &self.inner
    }

    pub(crate) fn is_mute(&self) -> bool {
        self.mute.get()
    }

    /// Is mute from now on, or no more; answers what it was.
    pub(crate) fn set_mute(&self, mute: bool) -> bool {
        self.mute.replace(mute)
    }
}

impl<R: Recorder> Recorder for Mute<R> {
    #[inline(always)]
    fn now(&self) -> Ticks {
        self.inner.now()
    }

    #[inline(always)]
    fn enabled(&self, category: CategoryId) -> bool {
        let told = matches!(category, CategoryId::ERROR | CategoryId::ANOMALY);
        (!self.mute.get() || told) && self.inner.enabled(category)
    }

    #[inline(always)]
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        self.inner.enter(at, symbol, category)
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
        self.inner.enter_with(at, symbol, category, link, args)
    }

    #[inline(always)]
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        self.inner.exit(at, span, outcome, bytes);
    }

    #[inline(always)]
    fn arg(&self, key: KeyId, value: ArgInput<'_>) {
        self.inner.arg(key, value);
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
        self.inner.instant(at, symbol, category, scope, args);
    }

    #[inline(always)]
    fn counter(&self, at: Ticks, symbol: SymbolId, value: CounterValue) {
        if !self.mute.get() {
            self.inner.counter(at, symbol, value);
        }
    }

    #[inline(always)]
    fn link_point(&self, at: Ticks) -> LinkPoint {
        if self.mute.get() { None } else { self.inner.link_point(at) }
    }

    #[inline(always)]
    fn resume(&self, at: Ticks, track: TrackId) {
        self.inner.resume(at, track);
    }

    #[inline(always)]
    fn suspend(&self, at: Ticks, reason: SwitchReason) {
        self.inner.suspend(at, reason);
    }

    #[inline(always)]
    fn stack(&self, at: Ticks, stack: StackId, elapsed: u64, bytes: u64) {
        if !self.mute.get() {
            self.inner.stack(at, stack, elapsed, bytes);
        }
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
        self.inner.enter_on(at, track, symbol, category, link, args)
    }

    #[inline(always)]
    fn exit_on(&self, at: Ticks, track: TrackId, span: SpanId, outcome: Outcome) {
        self.inner.exit_on(at, track, span, outcome);
    }

    #[inline(always)]
    fn arg_on(&self, track: TrackId, span: SpanId, key: KeyId, value: ArgInput<'_>) {
        self.inner.arg_on(track, span, key, value);
    }

    #[inline(always)]
    fn link_point_on(&self, at: Ticks, track: TrackId) -> LinkPoint {
        self.inner.link_point_on(at, track)
    }

    #[inline(always)]
    fn track(&self) -> TrackId {
        self.inner.track()
    }

    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        self.inner.intern_symbol(symbol)
    }

    fn intern_key(&self, key: &str) -> KeyId {
        self.inner.intern_key(key)
    }

    fn intern_stack(&self, node: StackNode) -> StackId {
        self.inner.intern_stack(node)
    }

    fn new_track(&self, track: Track) -> TrackId {
        self.inner.new_track(track)
    }

    fn ticks_per_micro(&self) -> u64 {
        self.inner.ticks_per_micro()
    }
}
