//! One thread's tracer: its state, and what the host calls.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use tickscope_core::{
    CategoryId, Depth, KeyId, Link, Outcome, Recorder, Span, StackId, SwitchReason, SymbolId, TrackId,
};

use super::alloc::MemoryCounts;
use super::api::*;
use super::foreign::ForeignOptions;
use super::heap::Collection;
use super::interrupt::InterruptHandle;
use super::library::Lua;
use super::state::{State, current, register};
use super::vm::{VmId, VmOptions};
use super::{hook, libraries, meter, signal};

/// How a thread is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracerOptions {
    /// How much is recorded; see [`Tracer::set_depth`].
    pub depth: Depth,
    /// Samples a second at depth sample.
    pub sample_hz: u32,
    /// Whether Lua's structures are read directly where a check finds them laid out as expected. Without, each traced
    /// call asks Lua for its function, at more than twice the cost.
    pub direct: bool,
}

impl Default for TracerOptions {
    fn default() -> Self {
        Self { depth: Depth::Sample, sample_hz: 1000, direct: true }
    }
}

/// Why a tracer cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracerError {
    /// This thread has a tracer already.
    #[error("this thread is traced already; drop its tracer first")]
    SecondTracer,
    /// The system refused the sampling timer.
    #[error("cannot sample {hz} times a second: the system refused a timer; use depth boundary or trace")]
    Timer {
        /// The rate asked for.
        hz: u32,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What has to be read of Lua's structures is not where this version keeps it.
    #[error("cannot trace this {version}: {reason}")]
    Layout {
        /// The version it was taken for.
        version: Version,
        /// What was found.
        reason: &'static str,
    },
    /// The machine is known already.
    #[error("this Lua state is traced already")]
    SecondAttach,
}

/// Records what the Lua machines of one thread do. Stays on its thread; one per thread.
///
/// The host attaches its machines, says with [`Tracer::enter`] and [`Tracer::leave`] which Lua thread it runs and on
/// whose behalf, and the hooks do the rest. Coroutines that scripts resume themselves are followed without the host's
/// help.
pub struct Tracer<R: Recorder + 'static> {
    state: NonNull<State<R>>,
    _stays: PhantomData<*mut R>,
}

impl<R: Recorder + 'static> Tracer<R> {
    /// A tracer of this thread that calls the Lua of `api` and records into `recorder`.
    ///
    /// # Errors
    /// When this thread has one already, or the system has no timer to sample with.
    ///
    /// # Safety
    /// `api` holds the functions of one Lua 5.4. Every machine attached later belongs to that Lua, runs on this thread
    /// only, and is closed or detached before the tracer is dropped.
    pub unsafe fn new(recorder: R, api: LuaApi, options: TracerOptions) -> Result<Self, TracerError> {
        if api.version != Version::Lua54 || api.libraries.is_none() {
            let reason = "only a Lua 5.4 with all its functions is traced from inside its program";
            return Err(TracerError::Layout { version: api.version, reason });
        }
        // SAFETY: passed on to the caller.
        let lua =
            unsafe { Lua::known(&api, hook::trace::<R, 3, false>, hook::general::<R>, meter::allocate::<R>) }
                .map_err(|reason| TracerError::Layout { version: api.version, reason })?;
        libraries::prepare(&api);
        let tracer = Self::with(recorder, lua, options, None)?;
        tracer.set_depth(options.depth)?;
        Ok(tracer)
    }

    /// A tracer of this thread; without a depth yet.
    pub(crate) fn with(
        recorder: R,
        lua: &'static Lua,
        options: TracerOptions,
        foreign: Option<ForeignOptions>,
    ) -> Result<Self, TracerError> {
        if !current::<R>().is_null() {
            return Err(TracerError::SecondTracer);
        }
        signal::install().map_err(|source| TracerError::Timer { hz: options.sample_hz, source })?;
        let state = Box::new(State::new(recorder, lua, options, foreign));
        state.settled();
        let tracer = Self { state: NonNull::from(Box::leak(state)), _stays: PhantomData };
        register(tracer.state.as_ptr().cast_const());
        Ok(tracer)
    }

    fn state(&self) -> &State<R> {
        // SAFETY: leaked by `new`, freed by `drop`, and only ever shared.
        unsafe { self.state.as_ref() }
    }

    /// The recorder everything goes to.
    pub fn recorder(&self) -> &R {
        &self.state().recorder
    }

    /// The Lua this tracer calls.
    pub fn api(&self) -> &LuaApi {
        self.state().api
    }

    /// Makes a machine known: replaces `coroutine.resume`, `wrap` and `close`, `collectgarbage`, `debug.sethook` and
    /// `gethook` by versions that do the same and tell the tracer, and names its C functions.
    ///
    /// Call it after the standard libraries were opened and before any script runs.
    ///
    /// # Errors
    /// When it is attached already.
    ///
    /// # Safety
    /// `main` is the live main thread of a machine of this tracer's Lua, not running, with the standard libraries it
    /// will have. The allocator in `options`, if any, is the one it was created with.
    pub unsafe fn attach(&self, main: *mut lua_State, options: VmOptions) -> Result<VmId, TracerError> {
        // SAFETY: passed on to the caller.
        unsafe { self.state().attach(main, options) }
    }

    /// Forgets a machine: before `lua_close`. Open calls end.
    pub fn detach(&self, vm: VmId) {
        self.state().detach(vm);
    }

    /// A machine of a foreign program is about to be closed: before `lua_close(thread)`. Its Lua threads are forgotten and,
    /// but for `thread`, not touched.
    ///
    /// # Safety
    /// `thread` is alive.
    pub unsafe fn closed(&self, thread: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe { self.state().closed(thread) }
    }

    /// Whether the functions of a machine are recorded from now on: as the depth in force says, or not at all. What the
    /// host records of its own is not touched. Calls that are open when it ends are recorded until they return.
    ///
    /// This costs a call nothing: a coroutine of a machine that is left out has no hook.
    pub fn set_recorded(&self, vm: VmId, recorded: bool) {
        self.state().set_recorded(vm, recorded);
    }

    /// How much is recorded from now on. Calls that are open when tracing ends are recorded until they return.
    ///
    /// # Errors
    /// When the system refuses the timer that sampling needs.
    ///
    /// In a foreign program this sets the switch that all tracers share.
    pub fn set_depth(&self, depth: Depth) -> Result<(), TracerError> {
        if let Some(foreign) = &self.state().foreign {
            foreign.depth.set(depth);
            return Ok(());
        }
        self.state().set_depth(depth)
    }

    /// Calls `idle`, in which the host only sleeps, without the timer of depth sample: a thousand signals a second would
    /// wake it, for nothing. Time to the next sample does not go by meanwhile.
    pub fn unsampled<T>(&self, idle: impl FnOnce() -> T) -> T {
        self.state().unsampled(idle)
    }

    /// The depth in force.
    pub fn depth(&self) -> Depth {
        self.state().depth.get()
    }

    /// The host is about to run Lua on `thread`, on behalf of whatever runs now. `boundary` names the piece of work in
    /// sampled stacks: the symbol of the span that is open around it.
    ///
    /// A coroutine becomes the recorder's current track; a machine's main thread runs on the track that is current.
    /// Pairs with [`Tracer::leave`].
    ///
    /// # Safety
    /// `thread` is alive and belongs to an attached machine.
    pub unsafe fn enter(&self, thread: *mut lua_State, boundary: Option<SymbolId>) {
        let state = self.state();
        // SAFETY: passed on to the caller.
        unsafe { state.enter(thread, boundary, false, state.recorder.now()) };
    }

    /// The Lua that the innermost [`Tracer::enter`] announced has come back to the host.
    pub fn leave(&self, reason: SwitchReason) {
        let state = self.state();
        state.leave(reason, state.recorder.now());
    }

    /// Nothing runs Lua on this thread any more, whatever was announced: an error, a C++ exception or `longjmp` may have
    /// passed the calls that would have said so.
    pub fn leave_all(&self, reason: SwitchReason) {
        while self.state().context_stack().iter().any(|context| !context.inferred) {
            self.leave(reason);
        }
    }

    /// As [`Tracer::leave`], where the program goes on that called Lua in `thread`: records how large its machine is, when
    /// that has changed by more than one percent and was not looked at for ten milliseconds.
    ///
    /// # Safety
    /// `thread` is the one that was entered, and alive.
    pub unsafe fn leave_to_program(&self, thread: *mut lua_State, reason: SwitchReason) {
        let state = self.state();
        let at = state.recorder.now();
        let announced = state.context_stack().iter().rfind(|context| !context.inferred);
        // SAFETY: a context's coroutine is kept.
        let vm = announced.map_or(ptr::null(), |context| unsafe { (*context.coroutine).vm });
        state.leave(reason, at);
        // SAFETY: passed on to the caller; a machine's record is kept until the program closes it.
        unsafe { state.weigh(vm, thread, at) };
    }

    /// The program is about to have the machine of `thread` collect garbage (`lua_gc`).
    ///
    /// # Safety
    /// `thread` is alive and run by this OS thread.
    pub unsafe fn collecting(&self, thread: *mut lua_State) -> Collection {
        // SAFETY: passed on to the caller.
        unsafe { self.state().collecting(thread) }
    }

    /// It has.
    pub fn collected(&self, collection: Collection) {
        self.state().collected(collection);
    }

    /// A protected call from C inside a call from Lua has failed: ends the calls that died in it now, so that what the C
    /// code ends next is not ended before them.
    ///
    /// # Safety
    /// `thread` is alive, and what it runs stands still.
    pub unsafe fn settle(&self, thread: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe { hook::failed(self.state(), thread) };
    }

    /// The track of a coroutine; made, and named after its function, when it has none yet. A machine's main thread
    /// has none: the answer is the current track.
    ///
    /// # Safety
    /// `thread` is alive and belongs to an attached machine.
    pub unsafe fn track(&self, thread: *mut lua_State) -> TrackId {
        // SAFETY: passed on to the caller.
        unsafe {
            let coroutine = self.state().coroutine(thread);
            self.state().track(&*coroutine)
        }
    }

    /// Gives a coroutine a track made by the host, before it first runs.
    ///
    /// # Safety
    /// `thread` is alive and belongs to an attached machine.
    pub unsafe fn set_track(&self, thread: *mut lua_State, track: TrackId) {
        // SAFETY: passed on to the caller.
        unsafe { (*self.state().coroutine(thread)).track.set(Some(track)) };
    }

    /// Begins a span of the host's own on the current track: a native call, a boundary. End it with
    /// [`Tracer::end_span`] in reverse order.
    pub fn span(
        &self,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, tickscope_core::ArgInput<'_>)],
    ) -> HostSpan {
        let state = self.state();
        let at = state.recorder.now();
        state.last_event.set(at.0);
        let span = state.recorder.enter_with(at, symbol, category, link, args);
        let coroutine = state.at_work();
        HostSpan { span, coroutine: coroutine.addr(), bytes: state.bytes_of(coroutine.addr()).unwrap_or(0) }
    }

    /// Ends a span begun by [`Tracer::span`], with the bytes allocated within it.
    pub fn end_span(&self, span: HostSpan, outcome: Outcome) {
        let state = self.state();
        let at = state.recorder.now();
        state.last_event.set(at.0);
        let bytes = state.bytes_of(span.coroutine).map_or(0, |bytes| bytes.saturating_sub(span.bytes));
        state.recorder.exit(at, span.span, outcome, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Records the current stack with weight zero: who is about to wait, called by whom.
    ///
    /// # Safety
    /// Called from a C function that the current coroutine called, or while nothing runs.
    pub unsafe fn await_stack(&self) -> StackId {
        let state = self.state();
        // SAFETY: passed on to the caller.
        let stack = unsafe { state.current_stack() };
        let at = state.recorder.now();
        state.last_event.set(at.0);
        state.recorder.stack(at, stack, 0, 0);
        stack
    }

    /// Says what a chunk's source was, so that its functions get their names from their definitions. `chunk` is the
    /// name given to `lua_load`, with its `@` or `=`.
    pub fn register_chunk(&self, vm: VmId, chunk: &[u8], source: &[u8]) {
        if let Some(vm) = self.state().vm(vm) {
            vm.register_chunk(chunk, source);
        }
    }

    /// The symbol of the function at `index` of `thread`'s stack; [`SymbolId::OTHER`] when it is none.
    ///
    /// # Safety
    /// `thread` is alive, belongs to an attached machine and has two free stack slots; `index` is valid.
    pub unsafe fn function_symbol(&self, thread: *mut lua_State, index: std::ffi::c_int) -> SymbolId {
        // SAFETY: passed on to the caller.
        unsafe { self.state().function_symbol(thread, index) }
    }

    /// The symbol of the function at `index` of `thread`'s stack, which a foreign program is about to call from outside
    /// of Lua. What runs from then on belongs to the script that the program knows it as, if it does.
    ///
    /// # Safety
    /// As for [`Tracer::function_symbol`].
    pub unsafe fn entry_symbol(&self, thread: *mut lua_State, index: std::ffi::c_int) -> SymbolId {
        // SAFETY: passed on to the caller.
        unsafe { self.state().entry_symbol(thread, index) }
    }

    /// The script that what runs belongs to, for [`Tracer::set_script`].
    pub fn script(&self) -> u32 {
        self.state().script.get()
    }

    /// What runs from now on belongs to a script: it is a coroutine of that script's that goes on.
    pub fn set_script(&self, script: u32) {
        self.state().set_script(script);
    }

    /// Pushes onto `thread` a function `wrap(name, function)`: it returns a function that does the same, recorded at
    /// every depth as a span called `name`. Arguments, nils, results, yields and errors pass through.
    ///
    /// # Safety
    /// `thread` is alive, belongs to an attached machine and has a free stack slot.
    pub unsafe fn push_wrap(&self, thread: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe { (self.api().lua_pushcclosure)(thread, libraries::decorate::<R>, 0) };
    }

    /// Bytes allocated so far by every machine of this thread whose allocations are counted.
    pub fn allocated(&self) -> u64 {
        self.state().allocated()
    }

    /// Memory of a machine that was attached with its [`Allocator`](super::Allocator).
    pub fn memory(&self, vm: VmId) -> Option<MemoryCounts> {
        Some(self.state().vm(vm)?.allocator.as_ref()?.counts())
    }

    /// Lets another thread stop the Lua that runs on this one.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(Arc::clone(&self.state().interrupt))
    }

    /// Ends an interrupt: Lua runs again. The host calls it when the interrupted Lua has come back.
    pub fn clear_interrupt(&self) {
        let state = self.state();
        state.interrupt.clear();
        state.raised.set(0);
        signal::disarm();
        for coroutine in state.every_coroutine() {
            state.install(coroutine);
        }
    }

    /// Number of coroutines and machines' main threads known now.
    pub fn coroutines(&self) -> usize {
        self.state().every_coroutine().len()
    }
}

impl<R: Recorder + 'static> Tracer<R> {
    /// Leaves everything behind without recording: for the child of a fork, where the tracer is its parent's and so is
    /// what its recorder writes to. Leaks what it had. Hooks that it left on Lua threads do nothing until they are
    /// called under another tracer of this thread.
    pub fn abandon(self) {
        if let Some(seat) = signal::seat() {
            seat.give_back();
            signal::set_seat(None, 1_000_000);
        }
        signal::forget();
        register::<R>(ptr::null());
        std::mem::forget(self);
    }
}

impl<R: Recorder + 'static> Drop for Tracer<R> {
    fn drop(&mut self) {
        let state = self.state();
        state.timer.set(None);
        state.interrupt.close();
        while !state.contexts().is_empty() {
            state.leave(SwitchReason::Yield, state.recorder.now());
        }
        for index in 0..state.vms().len() {
            state.detach(VmId(index));
        }
        if let Some(seat) = signal::seat() {
            seat.give_back();
            signal::set_seat(None, 1_000_000);
        }
        signal::forget();
        register::<R>(ptr::null());
        // SAFETY: leaked by `new`; no hook, allocator or signal handler of this thread leads here any more.
        drop(unsafe { Box::from_raw(self.state.as_ptr()) });
    }
}

/// A span of the host, see [`Tracer::span`].
#[derive(Clone, Copy, Debug)]
pub struct HostSpan {
    span: Span,
    /// Whose it is: what is at work when it ends may be something that a hook inferred, and that nobody has left yet.
    coroutine: usize,
    bytes: u64,
}

impl HostSpan {
    /// The recorder's span.
    pub fn span(&self) -> Span {
        self.span
    }
}
