//! A recorder that records nothing: to run scripts without a session.

use std::cell::Cell;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span, StackId,
    StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};

/// Takes everything and keeps nothing. Its clock counts calls.
#[derive(Debug, Default)]
pub struct NoRecorder {
    ticks: Cell<u64>,
}

impl Recorder for NoRecorder {
    fn now(&self) -> Ticks {
        self.ticks.set(self.ticks.get() + 1);
        Ticks(self.ticks.get())
    }

    fn enabled(&self, _category: CategoryId) -> bool {
        false
    }

    fn enter(&self, _at: Ticks, _symbol: SymbolId, _category: CategoryId) -> Span {
        Span::DROPPED
    }

    fn enter_with(
        &self,
        _at: Ticks,
        _symbol: SymbolId,
        _category: CategoryId,
        _link: Option<Link>,
        _args: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        Span::DROPPED
    }

    fn exit(&self, _at: Ticks, _span: Span, _outcome: Outcome, _bytes: u32) {}

    fn arg(&self, _key: KeyId, _value: ArgInput<'_>) {}

    fn instant(
        &self,
        _at: Ticks,
        _symbol: SymbolId,
        _category: CategoryId,
        _scope: Scope,
        _args: &[(KeyId, ArgInput<'_>)],
    ) {
    }

    fn counter(&self, _at: Ticks, _symbol: SymbolId, _value: CounterValue) {}

    fn link_point(&self, _at: Ticks) -> LinkPoint {
        None
    }

    fn resume(&self, _at: Ticks, _track: TrackId) {}

    fn suspend(&self, _at: Ticks, _reason: SwitchReason) {}

    fn stack(&self, _at: Ticks, _stack: StackId, _elapsed: u64, _bytes: u64) {}

    fn track(&self) -> TrackId {
        TrackId::PROCESS
    }

    fn intern_symbol(&self, _symbol: SymbolRef<'_>) -> SymbolId {
        SymbolId::OTHER
    }

    fn intern_key(&self, _key: &str) -> KeyId {
        KeyId(0)
    }

    fn intern_stack(&self, _node: StackNode) -> StackId {
        StackId::ROOT
    }

    fn new_track(&self, _track: Track) -> TrackId {
        TrackId::PROCESS
    }

    fn ticks_per_micro(&self) -> u64 {
        1
    }
}
