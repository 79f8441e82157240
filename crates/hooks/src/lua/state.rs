//! What a tracer knows of its thread: machines, coroutines, and the stack of contexts.

mod slices;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tickscope_core::{Depth, Recorder, Runtime, StackId, SwitchReason, SymbolId, SymbolRef, Ticks, TrackId};

use super::alloc::{Freed, Watcher};
use super::api::*;
use super::cache::SymbolCache;
use super::coroutine::{Context, Coroutine};
use super::entries::Entries;
use super::foreign::ForeignOptions;
use super::heap::Heap;
use super::interrupt::Shared;
use super::layout::Layout;
use super::library::Lua;
use super::meter::{Count, Meter};
use super::resource::Scripts;
use super::signal::{self, Timer};
use super::threads::LuaThread;
use super::ticker::{self, Seat};
use super::tracer::{TracerError, TracerOptions};
use super::vm::{VmId, VmOptions, VmRecord};
use super::{heap, hook, libraries};

thread_local! {
    /// The `State` of this thread's tracer, null without one. A constant initialiser and no destructor: reading it is
    /// one load.
    static CURRENT: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

/// The state of this thread's tracer, null without one.
#[inline(always)]
pub(crate) fn current<R: Recorder>() -> *const State<R> {
    CURRENT.get().cast()
}

/// Makes `state` this thread's; null for none.
pub(super) fn register<R: Recorder>(state: *const State<R>) {
    CURRENT.set(state.cast());
}

/// What hook functions reach through the thread. Only ever shared: every field that changes is a cell.
pub(crate) struct State<R: Recorder> {
    pub(crate) recorder: R,
    pub(crate) lua: &'static Lua,
    pub(crate) api: &'static LuaApi,
    pub(crate) layout: &'static Layout,
    /// What is different when the program is not ours.
    pub(crate) foreign: Option<ForeignOptions>,
    /// Sets this tracer apart from the others of the process.
    number: u64,
    pub(crate) depth: Cell<Depth>,
    hz: Cell<u32>,
    pub(super) ticks_per_micro: u64,
    /// Whether Lua's structures are read directly.
    pub(crate) direct: Cell<bool>,
    /// The coroutine at work, and its Lua thread.
    pub(crate) top: Cell<*const Coroutine>,
    pub(crate) top_state: Cell<*mut lua_State>,
    /// Bytes allocated by the machines of this thread whose allocator is ours.
    owned: Count,
    /// Where the machine at work counts its bytes, and what is to be added for the thread's. See [`State::allocated`].
    count: Cell<*const Count>,
    before: Cell<u64>,
    /// When the last event was recorded from here.
    pub(crate) last_event: Cell<u64>,
    pub(crate) last_sample: Cell<u64>,
    pub(crate) last_sample_bytes: Cell<u64>,
    pub(crate) cache: SymbolCache,
    pub(crate) entries: Entries,
    contexts: UnsafeCell<Vec<Context>>,
    coroutines: UnsafeCell<HashMap<usize, Box<Coroutine>>>,
    /// Records of threads that Lua freed while they stood in a context, boxed: contexts hold their addresses.
    #[expect(clippy::vec_box, reason = "contexts hold the addresses of the records")]
    graves: UnsafeCell<Vec<Box<Coroutine>>>,
    /// An explicit collection is being measured: its frees need no inference.
    pub(crate) measuring: Cell<bool>,
    vms: UnsafeCell<Vec<Option<Box<VmRecord>>>>,
    /// Address of a Lua thread less that of its memory block.
    thread_offset: Cell<usize>,
    pub(crate) stacks: UnsafeCell<HashMap<(StackId, SymbolId, u32), StackId>>,
    pub(crate) truncated: SymbolId,
    /// The thread's own track.
    pub(crate) thread_track: TrackId,
    pub(crate) interrupt: Arc<Shared>,
    pub(crate) raised: Cell<u32>,
    /// What the host calls its scripts, and which one the outermost call belongs to.
    pub(crate) scripts: RefCell<Scripts>,
    pub(crate) script: Cell<u32>,
    /// Sets the functions of one script apart from those of another in the symbol cache.
    pub(crate) script_salt: Cell<usize>,
    pub(super) timer: Cell<Option<Timer>>,
}

impl<R: Recorder + 'static> State<R> {
    pub(super) fn new(
        recorder: R,
        lua: &'static Lua,
        options: TracerOptions,
        foreign: Option<ForeignOptions>,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let truncated =
            recorder.intern_symbol(SymbolRef { runtime: Runtime::Lua, name: "…", ..SymbolRef::default() });
        let thread_track = recorder.track();
        let ticks_per_micro = recorder.ticks_per_micro();
        Self {
            recorder,
            lua,
            api: &lua.api,
            layout: lua.layout,
            foreign,
            number: NUMBERS.fetch_add(1, Relaxed),
            depth: Cell::new(Depth::Boundary),
            hz: Cell::new(options.sample_hz.max(1)),
            ticks_per_micro,
            direct: Cell::new(options.direct && lua.direct),
            top: Cell::new(ptr::null()),
            top_state: Cell::new(ptr::null_mut()),
            owned: Count::default(),
            count: Cell::new(ptr::null()),
            before: Cell::new(0),
            last_event: Cell::new(0),
            last_sample: Cell::new(0),
            last_sample_bytes: Cell::new(0),
            cache: SymbolCache::new(),
            entries: Entries::new(),
            contexts: UnsafeCell::new(Vec::with_capacity(64)),
            coroutines: UnsafeCell::new(HashMap::new()),
            graves: UnsafeCell::new(Vec::new()),
            measuring: Cell::new(false),
            vms: UnsafeCell::new(Vec::new()),
            thread_offset: Cell::new(0),
            stacks: UnsafeCell::new(HashMap::new()),
            truncated,
            thread_track,
            interrupt: Shared::of_this_thread(),
            raised: Cell::new(0),
            scripts: RefCell::default(),
            script: Cell::new(0),
            script_salt: Cell::new(0),
            timer: Cell::new(None),
        }
    }

    #[expect(clippy::mut_from_ref, reason = "cells of one thread; no two calls overlap")]
    pub(super) fn contexts(&self) -> &mut Vec<Context> {
        // SAFETY: one thread, and callers keep the reference for statements that reach no other caller.
        unsafe { &mut *self.contexts.get() }
    }

    #[expect(clippy::mut_from_ref, reason = "cells of one thread; no two calls overlap")]
    pub(super) fn vms(&self) -> &mut Vec<Option<Box<VmRecord>>> {
        // SAFETY: as in `contexts`.
        unsafe { &mut *self.vms.get() }
    }

    /// The stack of contexts, outermost first.
    pub(crate) fn context_stack(&self) -> &[Context] {
        self.contexts()
    }

    pub(super) fn vm(&self, vm: VmId) -> Option<&VmRecord> {
        self.vms().get(vm.0)?.as_deref()
    }

    /// Bytes that the machines at work on this thread have allocated since it has a tracer.
    #[inline(always)]
    pub(crate) fn allocated(&self) -> u64 {
        // SAFETY: this state's own or a meter's, which is never freed.
        self.before.get().wrapping_add(unsafe { (*self.count.get()).get() })
    }

    /// Whether allocators of the program are wrapped.
    #[inline(always)]
    pub(crate) fn meters(&self) -> bool {
        self.foreign.as_ref().is_some_and(|foreign| foreign.memory)
    }

    /// Whether what runs here counts its bytes there.
    pub(crate) fn counts_by(&self, count: *const Count) -> bool {
        ptr::eq(self.count.get(), count)
    }

    /// From now on the bytes of another machine count as this thread's.
    fn count_by(&self, count: *const Count) {
        let allocated = self.allocated();
        self.count.set(count);
        // SAFETY: as in `allocated`.
        self.before.set(allocated.wrapping_sub(unsafe { (*count).get() }));
    }

    /// Where the machine of `thread` counts its bytes.
    ///
    /// # Safety
    /// `thread` is alive and about to run here.
    unsafe fn count_of(&self, thread: *mut lua_State) -> *const Count {
        if !self.meters() {
            return &raw const self.owned;
        }
        // SAFETY: passed on to the caller.
        unsafe { Meter::of(self.lua, thread) }
            .map_or(&raw const self.owned, |meter| &raw const meter.allocated)
    }

    /// Where it stands from now on: before anything else is done with it.
    pub(super) fn settled(&self) {
        self.count.set(&raw const self.owned);
    }

    pub(super) fn every_coroutine(&self) -> Vec<&Coroutine> {
        // SAFETY: as in `contexts`; the boxes themselves stay where they are until their thread is freed.
        unsafe { (*self.coroutines.get()).values().map(|coroutine| &**coroutine).collect() }
    }

    pub(super) unsafe fn attach(
        &self,
        main: *mut lua_State,
        options: VmOptions,
    ) -> Result<VmId, TracerError> {
        // SAFETY: the caller vouches for `main`.
        let machine = unsafe { self.api.machine(main) };
        if self.vms().iter().flatten().any(|vm| vm.machine == machine) {
            return Err(TracerError::SecondAttach);
        }
        let vm = self.know(machine, options);
        if let Some(allocator) = self.vm(vm).and_then(|vm| vm.allocator.as_ref()) {
            allocator.watch(Some(Watcher {
                tracer: ptr::from_ref(self).cast(),
                forget: forget::<R>,
                now: now::<R>,
                collected: heap::collected::<R>,
                allocated: &raw const self.owned,
            }));
        }
        // SAFETY: the caller vouches for `main`.
        unsafe {
            libraries::install::<R>(main);
            self.learn_thread_offset(main);
            if let Some(record) = self.vm(vm) {
                record.hidden.borrow_mut().push(libraries::decorated_address::<R>());
                record
                    .natives
                    .borrow_mut()
                    .insert(libraries::wrapped_address::<R>(), "coroutine.wrap (resume)".into());
                super::natives::walk(self.api, main, record);
            }
            let coroutine = self.coroutine(main);
            self.install(&*coroutine);
        }
        Ok(vm)
    }

    /// A record for a machine.
    fn know(&self, machine: usize, options: VmOptions) -> VmId {
        let vms = self.vms();
        let id = vms.iter().position(Option::is_none).filter(|_| self.foreign.is_some()).unwrap_or(vms.len());
        let symbol = |name| {
            self.recorder.intern_symbol(SymbolRef {
                runtime: Runtime::Lua,
                resource: &options.resource,
                name,
                ..SymbolRef::default()
            })
        };
        let record = Box::new(VmRecord {
            machine,
            resource: options.resource.as_str().into(),
            salt: (id + 1) << 48,
            gc_measured: symbol("collect (measured)"),
            gc_inferred: symbol("collect (inferred)"),
            heap: Heap::default(),
            allocator: options.allocator,
            hidden: options.hidden.into(),
            hide_unnamed: options.hide_unnamed,
            sources: Default::default(),
            natives: Default::default(),
            walks: Cell::new(0),
            recorded: Cell::new(true),
        });
        match vms.get_mut(id) {
            Some(free) => *free = Some(record),
            None => vms.push(Some(record)),
        }
        VmId(id)
    }

    /// Finds out where in its memory block a Lua thread begins, so that the allocator's news can be understood.
    unsafe fn learn_thread_offset(&self, main: *mut lua_State) {
        // SAFETY: `main` is live and not running; the thread made here is popped again.
        unsafe {
            if (self.api.lua_checkstack)(main, 1) != 0 {
                (self.api.lua_newthread)(main);
                // `LUA_EXTRASPACE` is one pointer in every Lua since 5.3; a thread is preceded by it.
                self.thread_offset.set(size_of::<*const c_void>());
                self.api.pop(main, 1);
            }
        }
    }

    pub(super) fn detach(&self, vm: VmId) {
        let Some(record) = self.vms().get_mut(vm.0).and_then(Option::take) else { return };
        self.entries.forget(record.machine);
        if let Some(allocator) = &record.allocator {
            allocator.watch(None);
        }
        let at = self.recorder.now();
        let here = |context: &Context| {
            // SAFETY: a context's coroutine is kept until the context ends.
            ptr::eq(unsafe { (*context.coroutine).vm }, &*record)
        };
        while self.contexts().iter().any(here) {
            self.leave(SwitchReason::Yield, at);
        }
        self.cache.clear();
        let here = |coroutine: &Coroutine| ptr::eq(coroutine.vm, &*record);
        // by track, not by address: two runs of one program record the same
        let mut ending = self.every_coroutine();
        ending.retain(|coroutine| here(coroutine));
        ending.sort_by_key(|coroutine| coroutine.track.get());
        for coroutine in ending {
            self.end_track(coroutine, at);
            if self.foreign.is_none() {
                // SAFETY: the machine is alive, and so are its coroutines: the allocator tells when one is freed.
                unsafe { coroutine.thread.want(0) };
            }
        }
        // SAFETY: as in `contexts`; no context refers to this machine's coroutines any more.
        unsafe { (*self.coroutines.get()).retain(|_, coroutine| !here(coroutine)) };
    }

    pub(super) fn set_depth(&self, depth: Depth) -> Result<(), TracerError> {
        self.timer.set(None);
        if depth == Depth::Sample {
            let hz = self.hz.get();
            self.timer.set(Some(Timer::start(hz).map_err(|source| TracerError::Timer { hz, source })?));
            self.begin_slice(self.recorder.now());
        }
        self.depth.set(depth);
        for coroutine in self.every_coroutine() {
            self.install(coroutine);
        }
        Ok(())
    }

    /// Calls `idle` without sampling it.
    pub(super) fn unsampled<T>(&self, idle: impl FnOnce() -> T) -> T {
        let Some(timer) = self.timer.take() else { return idle() };
        let left = timer.pause();
        let result = idle();
        timer.resume(left);
        self.timer.set(Some(timer));
        result
    }

    /// Whether another depth has been chosen from outside.
    #[inline(always)]
    pub(crate) fn is_behind(&self) -> bool {
        self.foreign.as_ref().is_some_and(|foreign| foreign.depth.get() != self.depth.get())
    }

    /// Follows the depth chosen from outside. Hooks of coroutines follow when they run next.
    #[inline]
    pub(crate) fn catch_up(&self) {
        if self.is_behind() {
            self.follow();
        }
    }

    #[cold]
    fn follow(&self) {
        let Some(foreign) = &self.foreign else { return };
        let depth = foreign.depth.get();
        if depth == Depth::Sample {
            self.begin_slice(self.recorder.now());
            if signal::seat().is_none() && ticker::start(self.hz.get()).is_ok() {
                signal::set_seat(Some(Seat::take()), 1_000_000_000 / u64::from(self.hz.get()));
            }
        }
        self.depth.set(depth);
        if let Some(seat) = signal::seat() {
            if depth == Depth::Sample && !self.contexts().is_empty() {
                seat.inside();
            } else {
                seat.outside();
            }
        }
    }

    /// How much is recorded of a coroutine: what the depth says, unless its machine is left out.
    pub(crate) fn depth_of(&self, coroutine: &Coroutine) -> Depth {
        // SAFETY: a machine's record is kept until its coroutines are forgotten.
        match unsafe { coroutine.vm.as_ref() } {
            Some(vm) if !vm.recorded.get() => Depth::Boundary,
            _ => self.depth.get(),
        }
    }

    /// Whether the functions of a machine are recorded from now on. Hooks stand on coroutines, so that a call asks nothing.
    pub(super) fn set_recorded(&self, vm: VmId, recorded: bool) {
        let Some(vm) = self.vm(vm) else { return };
        if vm.recorded.replace(recorded) == recorded {
            return;
        }
        for coroutine in self.every_coroutine() {
            if ptr::eq(coroutine.vm, vm) {
                self.install(coroutine);
            }
        }
    }

    /// What our hook wants of a coroutine while nothing special is.
    fn wanted(&self, coroutine: &Coroutine) -> std::ffi::c_int {
        if self.depth_of(coroutine) == Depth::Trace {
            LUA_MASKCALL | LUA_MASKRET
        } else if coroutine.depth() > 0 {
            LUA_MASKRET // until what is open has returned
        } else {
            0
        }
    }

    /// Sets the hook that stands while nothing special is wanted of a coroutine.
    pub(crate) fn install(&self, coroutine: &Coroutine) {
        // SAFETY: called for coroutines that run, or, in a program of ours, whose end the allocator would have told.
        unsafe { coroutine.thread.want(self.wanted(coroutine)) };
    }

    /// Whether the Lua thread has been seen, in a machine that is still attached.
    pub(crate) fn knows(&self, thread: *mut lua_State) -> bool {
        // SAFETY: as in `contexts`.
        self.top_state.get() == thread || unsafe { (*self.coroutines.get()).contains_key(&(thread as usize)) }
    }

    /// The record of a Lua thread, made when it is new.
    ///
    /// # Safety
    /// `thread` is alive and belongs to this tracer's Lua.
    pub(crate) unsafe fn coroutine(&self, thread: *mut lua_State) -> *const Coroutine {
        // SAFETY: as in `contexts`.
        let known = unsafe { (*self.coroutines.get()).get(&(thread as usize)) };
        if let Some(coroutine) = known {
            let coroutine = &raw const **coroutine;
            // SAFETY: just found.
            if self.foreign.is_none() || unsafe { self.is_as_left(&*coroutine) } {
                return coroutine;
            }
            self.forget_thread(thread as usize);
        }
        // SAFETY: the caller vouches for `thread`; two slots are made sure of.
        let (is_main, machine) = unsafe {
            (self.api.lua_checkstack)(thread, 2);
            let is_main = (self.api.lua_pushthread)(thread) == 1;
            self.api.pop(thread, 1);
            (is_main, self.api.machine(thread))
        };
        let mut vm = self.find_machine(machine);
        if vm.is_null()
            && let Some(foreign) = &self.foreign
        {
            self.know(machine, VmOptions { resource: foreign.resource.clone(), ..VmOptions::default() });
            vm = self.find_machine(machine);
        }
        let record = self.lua.thread(thread);
        if self.foreign.is_some() {
            record.run_by(self.number);
        } else {
            record.renew();
        }
        let coroutine = Box::new(Coroutine::new(record, vm, is_main, self.allocated()));
        let address = &raw const *coroutine;
        // SAFETY: as in `contexts`.
        unsafe { (*self.coroutines.get()).insert(thread as usize, coroutine) };
        address
    }

    fn find_machine(&self, machine: usize) -> *const VmRecord {
        let found = self.vms().iter().flatten().find(|vm| vm.machine == machine);
        found.map_or(ptr::null(), |vm| &raw const **vm)
    }

    /// Whether a coroutine is still the one that was at its address, and ran nowhere else meanwhile.
    fn is_as_left(&self, coroutine: &Coroutine) -> bool {
        let here = coroutine.thread.run_by(self.number);
        coroutine.active.get() > 0 || (here && coroutine.is_current())
    }

    /// A Lua thread is gone, or became another, or ran elsewhere: its record goes, now or when its last context ends.
    fn forget_thread(&self, thread: usize) {
        // SAFETY: as in `contexts`: nothing holds a reference into the map.
        let Some(coroutine) = (unsafe { (*self.coroutines.get()).remove(&thread) }) else { return };
        if coroutine.active.get() > 0 {
            coroutine.dead.set(true);
            // SAFETY: as above.
            unsafe { (*self.graves.get()).push(coroutine) };
        } else {
            self.end_track(&coroutine, self.recorder.now());
        }
    }

    /// A machine of a foreign program is about to be closed by `thread`, one of its own. Its other threads are not touched.
    ///
    /// # Safety
    /// `thread` is alive.
    pub(crate) unsafe fn closed(&self, thread: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe {
            let machine = self.api.machine(thread);
            if let Some(record) = LuaThread::find(thread) {
                record.want(0);
            }
            let vm = self.vms().iter().position(|vm| vm.as_ref().is_some_and(|vm| vm.machine == machine));
            if let Some(vm) = vm {
                self.detach(VmId(vm));
            }
        }
    }

    /// Like [`Tracer::enter`]; `inferred` when a hook noticed by itself.
    ///
    /// # Safety
    /// As for [`Tracer::enter`].
    pub(crate) unsafe fn enter(
        &self,
        thread: *mut lua_State,
        boundary: Option<SymbolId>,
        inferred: bool,
        at: Ticks,
    ) {
        self.last_event.set(at.0);
        self.catch_up();
        // SAFETY: the caller vouches for `thread`; coroutines in contexts stay alive.
        unsafe {
            let coroutine = self.coroutine(thread);
            let record = &*coroutine;
            let count = self.count_of(thread);
            let mut ar = lua_Debug::new();
            // The calls of a thread that is active already belong to its earlier context. Those of one that was
            // suspended belong to this one.
            let again = record.active.get() > 0;
            let base = if !inferred && again && (self.api.lua_getstack)(thread, 0, &mut ar) != 0 {
                self.layout.call(&ar)
            } else {
                ptr::null()
            };
            let switched = !record.is_main && record.active.get() == 0;
            if switched {
                let track = self.track(record);
                record.skipped.set(record.skipped.get() + self.allocated() - record.suspended_at.get());
                self.recorder.resume(at, track);
            }
            let outermost = self.contexts().is_empty();
            if outermost {
                self.begin_slice(at);
                self.measuring.set(false); // an error may have jumped over what measured
            }
            record.active.set(record.active.get() + 1);
            self.contexts().push(Context {
                coroutine,
                boundary,
                base,
                count,
                keep: if record.is_main || !switched { record.depth() } else { 0 },
                inferred,
                switched,
                stack: Cell::new(None),
            });
            self.set_top();
            if !inferred {
                self.refresh_hook(record);
            }
            if outermost
                && self.foreign.is_some()
                && self.depth.get() == Depth::Sample
                && let Some(seat) = signal::seat()
            {
                seat.inside();
            }
        }
    }

    /// Makes sure of the hook of a coroutine that is about to run: it may be older than the depth in force.
    fn refresh_hook(&self, coroutine: &Coroutine) {
        if self.interrupt.requested() {
            // SAFETY: the coroutine is about to run, so it is alive.
            unsafe { hook::arm_interrupt(self, coroutine) };
        } else if self.foreign.is_some() {
            self.install(coroutine); // it may have been left with anything, by any thread
        } else if self.depth_of(coroutine) == Depth::Trace
            // SAFETY: as above.
            && unsafe { (self.api.lua_gethookmask)(coroutine.state()) } & LUA_MASKCALL == 0
        {
            self.install(coroutine);
        }
    }

    /// The innermost context has changed.
    fn set_top(&self) {
        let context = self.contexts().last();
        let coroutine = context.map_or(ptr::null(), |context| context.coroutine);
        self.top.set(coroutine);
        self.count_by(context.map_or(&raw const self.owned, |context| context.count));
        // SAFETY: records of coroutines in contexts are kept.
        let thread = unsafe { coroutine.as_ref() }.map(|coroutine| coroutine.thread);
        self.top_state.set(thread.map_or(ptr::null_mut(), |thread| thread.state()));
        // Of one that nobody announced nobody tells when it ends, but an allocator of ours.
        let lives = |context: &Context| self.foreign.is_none() || !context.inferred;
        signal::set_target(thread.filter(|_| context.is_some_and(lives)));
    }

    /// Like [`Tracer::leave`].
    pub(crate) fn leave(&self, reason: SwitchReason, at: Ticks) {
        self.leave_inferred(at);
        if let Some(context) = self.contexts().pop() {
            self.end_context(context, reason, at);
        }
    }

    /// Ends contexts that a hook inferred, above the innermost one that somebody announced.
    fn leave_inferred(&self, at: Ticks) {
        while let Some(context) = self.contexts().pop_if(|context| context.inferred) {
            self.end_context(context, SwitchReason::Yield, at);
        }
    }

    fn end_context(&self, context: Context, reason: SwitchReason, at: Ticks) {
        self.last_event.set(at.0);
        // SAFETY: coroutines in contexts are alive, in Rust's sense even when Lua has collected the thread.
        let coroutine = unsafe { &*context.coroutine };
        if self.depth.get() == Depth::Sample && signal::take_armed() {
            // A sample is due and no call came to take it at: what it stands for would be lost.
            self.contexts().push(context);
            self.sampled(coroutine, at);
            let Some(popped) = self.contexts().pop() else { return };
            return self.close_context(popped, coroutine, reason, at);
        }
        self.close_context(context, coroutine, reason, at);
    }

    fn close_context(&self, context: Context, coroutine: &Coroutine, reason: SwitchReason, at: Ticks) {
        let yields = context.switched && reason == SwitchReason::Yield;
        if !yields && coroutine.depth() > context.keep {
            coroutine.unwind(&self.recorder, at, self.allocated(), context.keep);
        }
        coroutine.active.set(coroutine.active.get() - 1);
        if context.switched {
            self.recorder.suspend(at, reason);
            coroutine.suspended_at.set(self.allocated());
            coroutine.unfinished.set(yields);
        }
        let below = self.contexts().last();
        if let Some(below) = below {
            below.stack.set(None);
        }
        self.set_top();
        match below {
            Some(below) if self.interrupt.requested() || (self.foreign.is_some() && !below.inferred) => {
                // SAFETY: the coroutine below runs on, so it is alive.
                self.refresh_hook(unsafe { &*below.coroutine });
            }
            Some(_) => {}
            None if self.foreign.is_some() => {
                if let Some(seat) = signal::seat() {
                    seat.outside();
                }
            }
            None => {}
        }
        if self.foreign.is_some()
            && !yields
            && !coroutine.is_main
            && coroutine.active.get() == 0
            && !coroutine.dead.get()
        {
            // It returned or died. Should it live on, it is a new one to us.
            self.forget_thread(coroutine.state() as usize);
        } else {
            self.bury(context.coroutine);
        }
    }

    /// A hook was called for a Lua thread that nobody announced: a C library resumed it, or it is back from one.
    ///
    /// # Safety
    /// `thread` is running.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn infer(&self, thread: *mut lua_State, at: Ticks) {
        let contexts = self.contexts();
        let announced = contexts.iter().rposition(|context| !context.inferred).unwrap_or(0);
        let found = contexts.iter().enumerate().skip(announced).rev().find(|(_, context)| {
            // SAFETY: coroutines in contexts are alive.
            unsafe { (*context.coroutine).state() == thread && !(*context.coroutine).dead.get() }
        });
        match found.map(|(index, _)| index) {
            Some(index) => {
                while self.contexts().len() > index + 1 {
                    if let Some(context) = self.contexts().pop() {
                        self.end_context(context, SwitchReason::Yield, at);
                    }
                }
            }
            // SAFETY: the thread is running, so it is alive.
            None => unsafe { self.enter(thread, None, true, at) },
        }
    }

    /// A coroutine that yielded will never go on: its machine is closed, or the collector took it. Its track ends here,
    /// with what is open on it.
    fn end_track(&self, coroutine: &Coroutine, at: Ticks) {
        if coroutine.unfinished.take()
            && let Some(track) = coroutine.track.get()
        {
            // What others allocated meanwhile is not its own.
            let meanwhile = self.allocated() - coroutine.suspended_at.get();
            coroutine.skipped.set(coroutine.skipped.get() + meanwhile);
            self.recorder.resume(at, track);
            coroutine.unwind(&self.recorder, at, self.allocated(), 0);
            self.recorder.suspend(at, SwitchReason::Return);
        }
    }

    /// Drops the record of a thread that Lua freed, unless it still stands in a context.
    fn bury(&self, coroutine: *const Coroutine) {
        // SAFETY: as in `contexts`. The record is alive: it is only dropped here and when its machine is detached.
        unsafe {
            let record = &*coroutine;
            if record.active.get() == 0 && record.dead.get() {
                (*self.graves.get()).retain(|grave| !ptr::eq(&**grave, coroutine));
            }
        }
    }
}

/// The allocator frees a prototype or a thread.
///
/// # Safety
/// `state` is a live `State<R>` of this thread.
unsafe fn forget<R: Recorder + 'static>(state: *const c_void, what: Freed, block: usize) {
    // SAFETY: see the function's contract.
    let state = unsafe { &*state.cast::<State<R>>() };
    match what {
        Freed::Prototype if state.direct.get() => state.cache.forget(block),
        Freed::Prototype => state.cache.clear(),
        Freed::Thread => {
            let thread = block + state.thread_offset.get();
            if let Some(record) = LuaThread::find(thread as *mut lua_State) {
                record.renew();
            }
            state.forget_thread(thread);
        }
    }
}

unsafe fn now<R: Recorder + 'static>(state: *const c_void) -> u64 {
    // SAFETY: `state` is a live `State<R>` of this thread.
    unsafe { (*state.cast::<State<R>>()).recorder.now().0 }
}
