//! Prints the calls of a small program, indented, as they are recorded.

use std::cell::{Cell, RefCell};

use mlua::ffi;
use tickscope_core::{
    ArgInput, CategoryId, CounterValue, Depth, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span,
    StackId, StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};
use tickscope_hooks::lua::{Tracer, TracerOptions, VmOptions};

/// Prints spans instead of recording them.
#[derive(Default)]
struct Printer {
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
        self.depth.set(self.depth.get() - 1);
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
        names.push(format!("{} {}:{}", symbol.name, symbol.file, symbol.line));
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = c"local function leaf(n) return ('x'):rep(n) end
        local function work() for i = 1, 3 do pcall(leaf, i) end end
        work()";
    let options = TracerOptions { depth: Depth::Trace, ..TracerOptions::default() };
    // SAFETY: mlua links its own Lua 5.4; the machine stays on this thread and is detached before it is closed.
    unsafe {
        let tracer =
            Tracer::new(Printer::default(), tickscope_hooks::lua_api_from!(tickscope_lua::ffi), options)?;
        let state = ffi::luaL_newstate();
        ffi::luaL_openlibs(state);
        let vm = tracer.attach(state.cast(), VmOptions::default())?;
        tracer.register_chunk(vm, source.to_bytes(), source.to_bytes());
        tracer.enter(state.cast(), None);
        let failed = ffi::luaL_loadstring(state, source.as_ptr()) != 0 || ffi::lua_pcall(state, 0, 0, 0) != 0;
        tracer.leave(SwitchReason::Return);
        tracer.detach(vm);
        ffi::lua_close(state);
        if failed { Err("the program failed".into()) } else { Ok(()) }
    }
}
