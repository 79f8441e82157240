//! LuaJIT in a program that is not ours, sampled through its own profiler: call hooks would force it to interpret.
//!
//! # The profiler without its timer
//! `luaJIT_profile_start` sets a timer of the process and a handler of `SIGPROF`, which the system gives to any thread, so
//! that waits elsewhere end early. All that the handler does is to ask the machine to call back at its next safe point. So
//! it is started, its handler is noted, and the program's own timer and handler are put back at once: what asks is
//! [the ticker](super::ticker), on threads that are inside that machine and no others. Compiled code looks for the question
//! once per function, for which it is compiled with the profiler running (mode `f`).
//!
//! # What may be done in the callback
//! It runs on the machine's own thread, at a safe point, with hooks off. It reads the stack of the Lua thread that runs,
//! by `lua_getstack` and `lua_getinfo` without pushing anything, as LuaJIT's own `jit.profile.dumpstack` does.
//!
//! # One machine at a time
//! LuaJIT has one profiler per process, for one machine: the first that runs while samples are taken, and when it is closed
//! the next. A program that starts the profiler itself gets it, and is not sampled from then on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::mem::{MaybeUninit, transmute};
use std::ptr;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use tickscope_core::{
    Depth, DepthSwitch, Recorder, Runtime, StackId, StackNode, SymbolId, SymbolRef, Ticks, escape,
};

use super::api::*;
use super::layout::Layout;
use super::resource::{self, Scripts};
use super::signal;
use super::symbols::file_name;
use super::ticker::{self, Seat};
use super::tracer::TracerError;
use super::vm::Sources;

/// Frames in a stack; what lies further out is cut.
const FRAMES: usize = 128;

/// Called by LuaJIT at a safe point: data, the Lua thread that runs, how often it was asked, what the machine did.
pub type JitCallback = unsafe extern "C-unwind" fn(*mut c_void, *mut lua_State, c_int, c_int);
/// `luaJIT_profile_start`.
pub type JitStart = unsafe extern "C-unwind" fn(*mut lua_State, *const c_char, JitCallback, *mut c_void);
/// `luaJIT_profile_stop`.
pub type JitStop = unsafe extern "C-unwind" fn(*mut lua_State);

/// The functions of a LuaJIT, past any detour.
#[derive(Clone, Copy)]
pub struct JitLua {
    api: LuaApi,
    start: JitStart,
    stop: JitStop,
}

/// The machine that is sampled; 0 for none.
static SAMPLED: AtomicUsize = AtomicUsize::new(0);
/// LuaJIT's handler of `SIGPROF`, once it is known.
static TRIGGER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
/// The program uses the profiler itself, or it would not start.
static GIVEN_WAY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread's [`JitTracer`], for the callback.
    static CURRENT: Cell<*const c_void> = const { Cell::new(ptr::null()) };
}

impl JitLua {
    /// The functions of a LuaJIT.
    ///
    /// # Safety
    /// `api` was resolved as Lua 5.1's in a LuaJIT, and so were the other two.
    pub const unsafe fn new(api: LuaApi, start: JitStart, stop: JitStop) -> Self {
        Self { api, start, stop }
    }

    /// Its functions that it has in common with Lua 5.1.
    pub fn api(&self) -> &LuaApi {
        &self.api
    }

    /// `luaJIT_profile_start`, called by the program: ours gives way.
    ///
    /// # Safety
    /// As for the function itself.
    pub unsafe fn profile_start(
        &self,
        state: *mut lua_State,
        mode: *const c_char,
        callback: JitCallback,
        data: *mut c_void,
    ) {
        GIVEN_WAY.store(true, Relaxed);
        // SAFETY: passed on to the caller.
        unsafe {
            self.end(state);
            (self.start)(state, mode, callback, data);
        }
    }

    /// `luaJIT_profile_stop`, called by the program, or by LuaJIT when it closes a machine.
    ///
    /// # Safety
    /// As for the function itself.
    pub unsafe fn profile_stop(&self, state: *mut lua_State) {
        // While ours runs, the program's does not: there is nothing to stop.
        if SAMPLED.load(Acquire) == 0 {
            // SAFETY: passed on to the caller.
            unsafe { (self.stop)(state) };
        }
    }

    /// Before the machine of `state` is closed.
    ///
    /// # Safety
    /// `state` is alive.
    pub unsafe fn closed(&self, state: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe { self.end(state) }
    }

    /// Ends our sampling of the machine of `state`, if that is the one.
    unsafe fn end(&self, state: *mut lua_State) {
        // SAFETY: the caller vouches for `state`.
        unsafe {
            if SAMPLED.load(Relaxed) == 0 || SAMPLED.load(Relaxed) != self.api.machine(state) {
                return;
            }
            signal::set_trigger(ptr::null_mut());
            keeping_profiling_signal(|| (self.stop)(state));
            SAMPLED.store(0, Release);
        }
    }

    /// Makes sure that a machine is sampled, and says whether it is that of `state`.
    unsafe fn begin(&self, state: *mut lua_State, callback: JitCallback) -> bool {
        // SAFETY: the caller vouches for `state`, which is not running.
        unsafe {
            let machine = self.api.machine(state);
            if SAMPLED.load(Relaxed) == machine {
                return true;
            }
            if GIVEN_WAY.load(Relaxed) || SAMPLED.compare_exchange(0, machine, AcqRel, Relaxed).is_err() {
                return false;
            }
            let handler = keeping_profiling_signal(|| {
                // An interval that never passes: the timer is put back at once.
                (self.start)(state, c"fi1000000".as_ptr(), callback, ptr::null_mut());
                profiling_handler().sa_sigaction
            });
            let works = handler != libc::SIG_DFL && handler != libc::SIG_IGN;
            TRIGGER.store(ptr::without_provenance_mut(if works { handler } else { 0 }), Release);
            GIVEN_WAY.store(!works, Relaxed);
            works
        }
    }
}

fn profiling_handler() -> libc::sigaction {
    // SAFETY: all-zero is a valid `sigaction`, and a valid place for the answer.
    unsafe {
        let mut now: libc::sigaction = MaybeUninit::zeroed().assume_init();
        libc::sigaction(libc::SIGPROF, ptr::null(), &mut now);
        now
    }
}

/// Calls `change`, and gives the program its profiling timer and the handler of its signal back.
fn keeping_profiling_signal<T>(change: impl FnOnce() -> T) -> T {
    let handler = profiling_handler();
    // SAFETY: valid places for what is asked for, and what the system gave.
    unsafe {
        let mut timer: libc::itimerval = MaybeUninit::zeroed().assume_init();
        libc::getitimer(libc::ITIMER_PROF, &mut timer);
        let result = change();
        libc::setitimer(libc::ITIMER_PROF, &timer, ptr::null_mut());
        libc::sigaction(libc::SIGPROF, &handler, ptr::null_mut());
        result
    }
}

/// How a function is known: by the address and beginning of its chunk's name, and its line.
type Known = (usize, u64, c_int);

/// Samples what one thread runs in a LuaJIT. Stays on its thread; one per thread.
pub struct JitTracer<R: Recorder + 'static> {
    lua: &'static JitLua,
    recorder: R,
    depth: &'static DepthSwitch,
    hz: u32,
    name_native: fn(usize) -> Option<String>,
    /// What the program called last from outside; the script it is of, by number, which what it calls belongs to.
    entry: Cell<SymbolId>,
    script: Cell<u32>,
    scripts: RefCell<Scripts>,
    entries: RefCell<HashMap<SymbolId, u32>>,
    last: Cell<u64>,
    known: RefCell<HashMap<Known, SymbolId>>,
    natives: RefCell<HashMap<usize, SymbolId>>,
    called: RefCell<HashMap<Box<[u8]>, SymbolId>>,
    stacks: RefCell<HashMap<(StackId, SymbolId, u32), StackId>>,
    sources: Sources,
}

impl<R: Recorder + 'static> JitTracer<R> {
    /// A tracer for this thread.
    ///
    /// # Errors
    /// When the system does not let the signal be handled.
    pub fn new(
        lua: &'static JitLua,
        recorder: R,
        depth: &'static DepthSwitch,
        hz: u32,
        name_native: fn(usize) -> Option<String>,
    ) -> Result<Box<Self>, TracerError> {
        signal::install().map_err(|source| TracerError::Timer { hz, source })?;
        let tracer = Box::new(Self {
            lua,
            recorder,
            depth,
            hz: hz.max(1),
            name_native,
            entry: Cell::new(SymbolId::OTHER),
            script: Cell::new(0),
            scripts: RefCell::default(),
            entries: RefCell::default(),
            last: Cell::new(0),
            known: RefCell::default(),
            natives: RefCell::default(),
            called: RefCell::default(),
            stacks: RefCell::default(),
            sources: Sources::default(),
        });
        CURRENT.set((&raw const *tracer).cast());
        Ok(tracer)
    }

    /// The program is about to run Lua on `state`, in an outermost call of this thread whose function has `symbol`.
    ///
    /// # Safety
    /// `state` is alive and not running.
    pub unsafe fn enter(&self, state: *mut lua_State, symbol: SymbolId, at: Ticks) {
        self.entry.set(symbol);
        self.script.set(self.entries.borrow().get(&symbol).copied().unwrap_or(0));
        self.last.set(at.0);
        if self.depth.get() == Depth::Boundary {
            return;
        }
        if signal::seat().is_none() && ticker::start(self.hz).is_ok() {
            signal::set_seat(Some(Seat::take()), 1_000_000_000 / u64::from(self.hz));
        }
        // SAFETY: passed on to the caller.
        if unsafe { self.lua.begin(state, sample::<R>) }
            && let Some(seat) = signal::seat()
        {
            signal::set_trigger(TRIGGER.load(Acquire));
            seat.inside();
        }
    }

    /// It is back.
    pub fn leave(&self) {
        if let Some(seat) = signal::seat() {
            seat.outside();
        }
        signal::set_trigger(ptr::null_mut());
    }

    /// Leaves everything behind: for the child of a fork.
    pub fn abandon(self: Box<Self>) {
        give_up_seat();
        std::mem::forget(self);
    }

    /// The symbol of the function at `index` of `state`'s stack, which the program is about to call from outside;
    /// [`SymbolId::OTHER`] when it is none.
    ///
    /// # Safety
    /// `state` is alive; `index` is valid.
    pub unsafe fn entry_symbol(&self, state: *mut lua_State, index: c_int) -> SymbolId {
        let api = &self.lua.api;
        // SAFETY: passed on to the caller; room is made for what is pushed, and `>` takes it off again.
        unsafe {
            if (api.lua_type)(state, index) != LUA_TFUNCTION || (api.lua_checkstack)(state, 2) == 0 {
                return SymbolId::OTHER;
            }
            if let Some(function) = (api.lua_tocfunction)(state, index) {
                let symbol = || {
                    let name = (self.name_native)(function as usize).unwrap_or_else(|| "?".into());
                    self.symbol(Runtime::Native, "", &name, "", 0)
                };
                return *self.natives.borrow_mut().entry(function as usize).or_insert_with(symbol);
            }
            (api.lua_pushvalue)(state, index);
            let mut ar = lua_Debug::new();
            (api.lua_getinfo)(state, c">S".as_ptr(), &mut ar);
            self.script.set(0);
            let symbol = self.lua_symbol(&ar);
            if !self.entries.borrow().contains_key(&symbol) {
                let name = resource::of_chunk(Layout::of(Version::Lua51).source(&ar));
                let script = self.scripts.borrow_mut().number(&name);
                self.entries.borrow_mut().insert(symbol, script);
            }
            symbol
        }
    }

    fn symbol(&self, runtime: Runtime, resource: &str, name: &str, file: &str, line: u32) -> SymbolId {
        self.recorder.intern_symbol(SymbolRef { runtime, resource, name, file, line })
    }

    /// # Safety
    /// `ar` was filled with `S`, and with `n` or not at all.
    unsafe fn lua_symbol(&self, ar: &lua_Debug) -> SymbolId {
        let layout = Layout::of(Version::Lua51);
        // SAFETY: Lua's strings are valid while the function is, which is on the stack or about to run.
        let (source, line) = unsafe { (layout.source(ar), layout.line_defined(ar)) };
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in source.iter().take(64) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        let identity = (ar.source as usize, hash ^ u64::from(self.script.get()), line);
        if let Some(symbol) = self.known.borrow().get(&identity) {
            return *symbol;
        }
        let file = file_name(source, "");
        let number = u32::try_from(line).unwrap_or(0);
        // SAFETY: as above.
        let is_chunk = unsafe { ar.what.read() } == b'm' as c_char;
        let name = if is_chunk {
            "main chunk".to_owned()
        } else {
            // SAFETY: as above.
            let called = unsafe { super::symbols::text(ar.name) };
            self.sources
                .name(source, number, called.as_deref())
                .unwrap_or_else(|| format!("function <{file}:{line}>"))
        };
        let resource = resource::of_chunk(source);
        let symbol = self.symbol(Runtime::Lua, &resource, &name, &file, if is_chunk { 0 } else { number });
        self.known.borrow_mut().insert(identity, symbol);
        symbol
    }

    /// # Safety
    /// `state` runs and stands at a safe point.
    unsafe fn stack(&self, state: *mut lua_State) -> StackId {
        let (api, layout) = (&self.lua.api, Layout::of(Version::Lua51));
        let mut frames = [(SymbolId::OTHER, 0_u32); FRAMES];
        let mut taken = 0;
        let mut ar = lua_Debug::new();
        // SAFETY: passed on to the caller; nothing is pushed.
        unsafe {
            while taken < FRAMES && (api.lua_getstack)(state, taken as c_int, &mut ar) != 0 {
                (api.lua_getinfo)(state, c"nSl".as_ptr(), &mut ar);
                frames[taken] = if ar.what.read() == b'C' as c_char {
                    (self.native(&ar), 0)
                } else {
                    (self.lua_symbol(&ar), u32::try_from(layout.current_line(&ar)).unwrap_or(0))
                };
                taken += 1;
            }
        }
        let mut stack = self.node(StackId::ROOT, self.entry.get(), 0);
        for (symbol, line) in frames[..taken].iter().rev() {
            stack = self.node(stack, *symbol, *line);
        }
        stack
    }

    /// The symbol of a C function, by what its caller calls it: its address cannot be asked for without a stack slot.
    ///
    /// # Safety
    /// `ar` was filled with `n`.
    unsafe fn native(&self, ar: &lua_Debug) -> SymbolId {
        let name: &[u8] = match ar.name.is_null() {
            true => b"?",
            // SAFETY: Lua's strings are valid while the function is.
            false => unsafe { std::ffi::CStr::from_ptr(ar.name) }.to_bytes(),
        };
        if let Some(symbol) = self.called.borrow().get(name) {
            return *symbol;
        }
        let symbol = self.symbol(Runtime::Native, "", &escape(name), "", 0);
        self.called.borrow_mut().insert(name.into(), symbol);
        symbol
    }

    fn node(&self, parent: StackId, symbol: SymbolId, line: u32) -> StackId {
        *self
            .stacks
            .borrow_mut()
            .entry((parent, symbol, line))
            .or_insert_with(|| self.recorder.intern_stack(StackNode { parent, symbol, line }))
    }
}

impl<R: Recorder + 'static> Drop for JitTracer<R> {
    fn drop(&mut self) {
        give_up_seat();
    }
}

fn give_up_seat() {
    CURRENT.set(ptr::null());
    signal::set_trigger(ptr::null_mut());
    if let Some(seat) = signal::seat() {
        seat.give_back();
        signal::set_seat(None, 1_000_000);
    }
    signal::forget();
}

/// LuaJIT's callback. May raise: no.
unsafe extern "C-unwind" fn sample<R: Recorder + 'static>(
    _: *mut c_void,
    state: *mut lua_State,
    _samples: c_int,
    _vm_state: c_int,
) {
    // SAFETY: registered by `JitTracer::new` on this thread, for its recorder's type; null when it is gone.
    let Some(tracer) = (unsafe { CURRENT.get().cast::<JitTracer<R>>().as_ref() }) else { return };
    let at = tracer.recorder.now();
    // SAFETY: LuaJIT calls back for the Lua thread that runs.
    let stack = unsafe { tracer.stack(state) };
    tracer.recorder.stack(at, stack, at.0.saturating_sub(tracer.last.replace(at.0)), 0);
}

/// Asks the machine at work for a call back.
///
/// # Safety
/// `trigger` is LuaJIT's handler, and the machine that it has to do with is alive. Async-signal-safe.
pub(super) unsafe fn ask(trigger: *mut ()) {
    // SAFETY: the kind of handler that LuaJIT sets: it has no `SA_SIGINFO`.
    unsafe { transmute::<*mut (), unsafe extern "C" fn(c_int)>(trigger)(libc::SIGPROF) }
}
