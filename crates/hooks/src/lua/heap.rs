//! What is recorded of a machine's heap: its collections, and in foreign programs its size.
//!
//! Explicit collections are spans that are measured. The collector's own work, which comes in pieces as memory is taken,
//! is inferred from runs of frees. The size is a counter on the thread's track, `lua.heap_bytes`, recorded when an entry
//! ends and at samples outside of coroutines: at most every ten milliseconds, and only when it changed by more than one
//! percent. Of the machines that live at once sixty-four have a counter, from the second on with a number in its name.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use tickscope_core::{
    CategoryId, CounterValue, Outcome, Recorder, Runtime, Span, SymbolId, SymbolRef, Ticks,
};

use super::Allocator;
use super::api::*;
use super::meter::Meter;
use super::state::State;
use super::vm::VmRecord;

/// Microseconds between two looks at one machine.
const BETWEEN: u64 = 10_000;
/// Machines that have a counter.
const COUNTERS: u32 = 64;

/// What was recorded of a machine's size.
#[derive(Default)]
pub(crate) struct Heap {
    /// When it was looked at last, and what was recorded last.
    looked: Cell<Option<Ticks>>,
    bytes: Cell<u64>,
    /// The number of its meter from 1, and its counter.
    counter: Cell<(u32, SymbolId)>,
}

/// An explicit collection that is under way; see [`Tracer::collecting`](super::Tracer::collecting).
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    symbol: Option<SymbolId>,
    from: Ticks,
    /// `None` where an error of a finalizer may jump over whoever measures: the span is recorded when it is over, unless
    /// something else was meanwhile.
    span: Option<Span>,
    nested: bool,
}

impl<R: Recorder + 'static> State<R> {
    /// Records the size of `thread`'s machine, where that is worth it.
    ///
    /// # Safety
    /// `thread` is alive and stands still or runs the hook that calls this; `vm` is null or alive.
    #[inline]
    pub(crate) unsafe fn weigh(&self, vm: *const VmRecord, thread: *mut lua_State, at: Ticks) {
        // SAFETY: passed on to the caller.
        let Some(vm) = (unsafe { vm.as_ref() }).filter(|_| self.meters()) else { return };
        let since = vm.heap.looked.get().map_or(u64::MAX, |looked| at.0.wrapping_sub(looked.0));
        if since >= BETWEEN * self.ticks_per_micro {
            vm.heap.looked.set(Some(at));
            // SAFETY: passed on to the caller.
            unsafe { self.weigh_now(vm, thread, at) };
        }
    }

    #[cold]
    unsafe fn weigh_now(&self, vm: &VmRecord, thread: *mut lua_State, at: Ticks) {
        const COUNT: c_int = 3;
        const COUNT_REST: c_int = 4;
        // SAFETY: passed on to the caller.
        let (kib, rest, meter) = unsafe {
            let size = |what| u64::try_from((self.api.lua_gc)(thread, what, 0));
            (size(COUNT), size(COUNT_REST), Meter::standing(self.lua, thread))
        };
        // A machine in the middle of a collection does not say.
        let (Ok(kib), Ok(rest), Some(meter)) = (kib, rest, meter) else { return };
        let bytes = kib << 10 | rest & 1023;
        if bytes.abs_diff(vm.heap.bytes.get()) * 100 <= vm.heap.bytes.get()
            || meter.number >= COUNTERS
            // A counter belongs to a track, and there are thousands of coroutines.
            || self.recorder.track() != self.thread_track
            || !self.recorder.enabled(CategoryId::METRIC)
        {
            return;
        }
        vm.heap.bytes.set(bytes);
        let number = meter.number + 1;
        let (of, mut symbol) = vm.heap.counter.get();
        if of != number {
            symbol = self.heap_counter(vm, number);
            vm.heap.counter.set((number, symbol));
        }
        self.last_event.set(at.0);
        self.recorder.counter(at, symbol, CounterValue::Int(bytes as i64));
    }

    fn heap_counter(&self, vm: &VmRecord, number: u32) -> SymbolId {
        let name = match number {
            1 => "lua.heap_bytes".to_owned(),
            _ => format!("lua.heap_bytes {number}"),
        };
        let (runtime, resource) = (Runtime::Lua, &*vm.resource);
        self.recorder.intern_symbol(SymbolRef { runtime, resource, name: &name, ..SymbolRef::default() })
    }

    /// See [`Tracer::collecting`](super::Tracer::collecting).
    ///
    /// # Safety
    /// `thread` is alive and run by this OS thread.
    pub(crate) unsafe fn collecting(&self, thread: *mut lua_State) -> Collection {
        let from = self.recorder.now();
        let symbol = self.recorder.enabled(CategoryId::GC).then(|| {
            // SAFETY: passed on to the caller; a coroutine's machine is kept as long as the coroutine.
            unsafe { (*self.coroutine(thread)).vm.as_ref() }.map(|vm| vm.gc_measured)
        });
        let symbol = symbol.flatten();
        // Errors of finalizers are warnings there.
        let span = symbol.filter(|_| self.api.version == Version::Lua54).map(|symbol| {
            self.last_event.set(from.0);
            self.recorder.enter(from, symbol, CategoryId::GC)
        });
        Collection { symbol, from, span, nested: self.measuring.replace(true) }
    }

    pub(crate) fn collected(&self, collection: Collection) {
        let Collection { symbol, from, span, nested } = collection;
        self.measuring.set(nested);
        let at = self.recorder.now();
        let Some(symbol) = symbol else { return };
        match span {
            Some(span) => self.recorder.exit(at, span, Outcome::Ok, 0),
            None if self.last_event.get() <= from.0 => {
                let span = self.recorder.enter(from, symbol, CategoryId::GC);
                self.recorder.exit(at, span, Outcome::Ok, 0);
            }
            None => return,
        }
        self.last_event.set(at.0);
    }

    /// The collector of the machine at work freed blocks between two times.
    pub(super) fn collected_meanwhile(&self, from: u64, to: u64) {
        // SAFETY: the coroutine at work is kept, and its machine as long.
        if let Some(vm) = unsafe { self.top.get().as_ref().and_then(|top| top.vm.as_ref()) } {
            self.infer_collection(vm, from, to);
        }
    }

    fn infer_collection(&self, vm: &VmRecord, from: u64, to: u64) {
        // Spans nest: one that would begin before something already recorded is not told.
        if self.measuring.get() || self.last_event.get() > from || !self.recorder.enabled(CategoryId::GC) {
            return;
        }
        let span = self.recorder.enter(Ticks(from), vm.gc_inferred, CategoryId::GC);
        self.recorder.exit(Ticks(to), span, Outcome::Ok, 0);
        self.last_event.set(to);
    }
}

/// The collector freed blocks between two times.
///
/// # Safety
/// `state` is a live `State<R>` of this thread.
pub(super) unsafe fn collected<R: Recorder + 'static>(
    state: *const c_void,
    allocator: *const Allocator,
    from: u64,
    to: u64,
) {
    // SAFETY: see the function's contract.
    let state = unsafe { &*state.cast::<State<R>>() };
    let mut vms = state.vms().iter().flatten();
    let vm =
        vms.find(|vm| vm.allocator.as_ref().is_some_and(|own| std::ptr::eq::<Allocator>(&***own, allocator)));
    if let Some(vm) = vm {
        state.infer_collection(vm, from, to);
    }
}
