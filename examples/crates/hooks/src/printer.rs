//! A recorder that prints the spans it is told of instead of recording them.

use std::cell::{Cell, RefCell};

use tickscope_hooks::tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span, StackId,
    StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};

#[derive(Default)]
pub struct Printer {
    names: RefCell<Vec<String>>,
    depth: Cell<usize>,
}

impl Recorder for Printer {
    fn now(&self) -> Ticks {
        Ticks(0)
    }
    fn enabled(&self, _: CategoryId) -> bool {
        true
    }
    fn enter(&self, _: Ticks, symbol: SymbolId, _: CategoryId) -> Span {
        let names = self.names.borrow();
        let name =
            (symbol.index().checked_sub(1)).and_then(|index| names.get(index)).map_or("?", |name| name);
        println!("{:width$}{name}", "", width = self.depth.get() * 2);
        self.depth.set(self.depth.get() + 1);
        Span::at(0)
    }
    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        _: Option<Link>,
        _: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        self.enter(at, symbol, category)
    }
    fn exit(&self, _: Ticks, _: Span, _: Outcome, _: u32) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
    fn arg(&self, _: KeyId, _: ArgInput<'_>) {}
    fn instant(&self, _: Ticks, _: SymbolId, _: CategoryId, _: Scope, _: &[(KeyId, ArgInput<'_>)]) {}
    fn counter(&self, _: Ticks, _: SymbolId, _: CounterValue) {}
    fn link_point(&self, _: Ticks) -> LinkPoint {
        None
    }
    fn resume(&self, _: Ticks, _: TrackId) {}
    fn suspend(&self, _: Ticks, _: SwitchReason) {}
    fn stack(&self, _: Ticks, _: StackId, _: u64, _: u64) {}
    fn track(&self) -> TrackId {
        TrackId(1)
    }
    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        let mut names = self.names.borrow_mut();
        names.push(match symbol.line {
            0 => symbol.name.to_owned(),
            line => format!("{} {}:{line}", symbol.name, symbol.file),
        });
        SymbolId(names.len() as u32)
    }
    fn intern_key(&self, _: &str) -> KeyId {
        KeyId(0)
    }
    fn intern_stack(&self, _: StackNode) -> StackId {
        StackId::ROOT
    }
    fn new_track(&self, _: Track) -> TrackId {
        TrackId(1)
    }
    fn ticks_per_micro(&self) -> u64 {
        1
    }
}
