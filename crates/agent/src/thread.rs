//! What one thread of the program has of the agent, from the moment it first has something to record.
//!
//! That is a recorder, which everything shares, and a tracer once the thread runs Lua.
//!
//! A detour brackets a call into Lua with [`enter`] and [`leave`]. Only the outermost call of a thread counts, and each
//! resumption of a coroutine: what is between them is Lua's own affair, which the hooks follow. Errors in Lua are jumps
//! that end calls without a return, so that a detour's frame owns nothing, and an outermost call that was jumped over is
//! noticed by the next one: it stands higher on the stack than what called it could.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use tickscope_core::quiet::is_quiet;
use tickscope_core::{CategoryId, Outcome, SwitchReason, SymbolId};
use tickscope_hooks::lua::{Collection, HostSpan, Tracer, Version, lua_State};
use tickscope_hooks::mono::Calls;
use tickscope_session::{Session, ThreadRecorder};

use crate::attach::{CONTROL, epoch};
use crate::cancel::Uncancelled;
use crate::home;
use crate::install::Installed;
use crate::io;
use crate::jit::JitThread;

/// Lua's statuses, the same in every version.
pub(crate) const LUA_OK: c_int = 0;
const LUA_YIELD: c_int = 1;

pub(crate) struct Thread {
    /// Leaked by `make`, freed by `Owner`, after the tracer.
    recorder: &'static ThreadRecorder,
    session: &'static Session,
    /// Tells it from others that stood in the same place: a call may end in another recording than it was entered in.
    serial: u64,
    /// See [`home::Home::generation`].
    generation: u32,
    /// None before the thread first runs Lua; `Err` when there cannot be one.
    tracer: OnceCell<Result<Tracer<&'static ThreadRecorder>, ()>>,
    /// Where the outermost call into Lua stands on this thread's stack; 0 outside Lua.
    outermost: Cell<usize>,
    /// The names of coroutines that the program resumes and that have yielded, for what they run is on no stack then; and
    /// their scripts.
    suspended: RefCell<HashMap<usize, (SymbolId, u32)>>,
    /// As `tracer`, for LuaJIT.
    jit: OnceCell<Result<JitThread, ()>>,
    /// What it has open of Mono's code.
    managed: Calls,
}

/// Nothing can be recorded on this thread: it runs without.
const NEVER: *const Thread = ptr::without_provenance(1);

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(ptr::null()) };
    /// The recording that `CURRENT` is of.
    static AS_OF: Cell<u32> = const { Cell::new(0) };
    /// Ends with the thread, and the thread's recording with it.
    static OWNER: Owner = const { Owner };
}

struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        retire(NEVER);
    }
}

/// Another recording has begun, or the one in force is over.
#[cold]
fn follow() {
    AS_OF.set(epoch());
    retire(ptr::null());
}

/// Drops what this thread records with.
fn retire(next: *const Thread) {
    let thread = CURRENT.replace(next);
    // Else it stays as it is: letting go takes system calls.
    if !thread.is_null() && !ptr::eq(thread, NEVER) && !is_quiet() {
        let _uncancelled = Uncancelled::new();
        // A thread that ends inside Lua comes back to none of the calls below, and a script that ends the process does
        // not either: hooks that handlers of the end call find no tracer and go.
        // SAFETY: made by `make`, and only reached through `CURRENT`, which no longer leads to it, and from calls that
        // are never left.
        unsafe {
            let Thread { recorder, tracer, jit, .. } = *Box::from_raw(thread.cast_mut());
            drop((tracer, jit));
            drop(Box::from_raw(ptr::from_ref(recorder).cast_mut()));
        }
        CONTROL.threads.fetch_sub(1, Ordering::Release);
    }
}

/// A call that was entered. Plain values: Lua may jump over the frame that holds it.
#[derive(Clone, Copy)]
pub(crate) struct Entered {
    thread: *const Thread,
    serial: u64,
    state: *mut lua_State,
    /// The span of an outermost call.
    span: Option<HostSpan>,
    symbol: SymbolId,
    resumed: bool,
}

/// How the program calls Lua.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// `lua_call` or `lua_pcall`.
    Function,
    /// `lua_resume`.
    Coroutine,
}

/// The program is about to call the function below `arguments` values on `state`'s stack. `None`: nothing to do when it
/// is back.
///
/// # Safety
/// `state` is as the function that the program called expects it; `here` is an address in the caller's frame.
#[inline]
pub(crate) unsafe fn enter(
    lua: &'static Installed,
    state: *mut lua_State,
    arguments: c_int,
    call: Call,
    here: usize,
) -> Option<Entered> {
    let record = current()?;
    let tracer = record.tracer(lua)?;
    let mut outermost = record.outermost.get();
    if outermost != 0 && here > outermost {
        // An error jumped over the call that stood there: it is over, and so is all that it called.
        tracer.leave_all(SwitchReason::Error);
        record.outermost.set(0);
        outermost = 0;
    }
    if outermost != 0 && call == Call::Function {
        return None;
    }
    // SAFETY: passed on to the caller.
    unsafe { Some(begin(lua, record, tracer, state, arguments, call, here)) }
}

/// # Safety
/// As for [`enter`].
unsafe fn begin(
    lua: &Installed,
    thread: &'static Thread,
    tracer: &'static Tracer<&'static ThreadRecorder>,
    state: *mut lua_State,
    arguments: c_int,
    call: Call,
    here: usize,
) -> Entered {
    // SAFETY: passed on to the caller.
    unsafe {
        let fresh = call == Call::Function || (lua.api.lua_status)(state) == LUA_OK;
        let outermost = thread.outermost.get() == 0;
        let (mut span, mut symbol) = (None, SymbolId::OTHER);
        if outermost {
            thread.outermost.set(here);
            symbol = if fresh {
                tracer.entry_symbol(state, -arguments - 1)
            } else {
                let known = thread.suspended.borrow().get(&(state as usize)).copied();
                let (symbol, script) = known.unwrap_or((SymbolId::OTHER, 0));
                tracer.set_script(script);
                symbol
            };
            span = Some(tracer.span(symbol, CategoryId::ENTRY, None, &[]));
        }
        tracer.enter(state, outermost.then_some(symbol));
        Entered { thread, serial: thread.serial, state, span, symbol, resumed: call == Call::Coroutine }
    }
}

/// What was entered is back, with Lua's status.
#[inline]
pub(crate) fn leave(entered: Option<Entered>, status: c_int) {
    let Some(entered) = entered else { return };
    if !ptr::eq(CURRENT.get(), entered.thread) {
        return; // a fork inside: it was entered in the parent; or in another recording
    }
    // SAFETY: it is this thread's, so it is alive.
    let thread = unsafe { &*entered.thread };
    let (Some(Ok(tracer)), true) = (thread.tracer.get(), thread.serial == entered.serial) else { return };
    let (reason, outcome) = match status {
        LUA_OK => (SwitchReason::Return, Outcome::Ok),
        LUA_YIELD => (SwitchReason::Yield, Outcome::Ok),
        _ => (SwitchReason::Error, Outcome::Error),
    };
    if entered.span.is_some() {
        // SAFETY: what the program called with is alive.
        unsafe { tracer.leave_to_program(entered.state, reason) };
        // What an exception of the program's jumped over inside is over as well.
        tracer.leave_all(SwitchReason::Error);
    } else {
        tracer.leave(reason);
    }
    if let Some(span) = entered.span {
        tracer.end_span(span, outcome);
        thread.outermost.set(0);
        if entered.resumed {
            let mut suspended = thread.suspended.borrow_mut();
            match reason {
                SwitchReason::Yield => {
                    suspended.insert(entered.state as usize, (entered.symbol, tracer.script()))
                }
                _ => suspended.remove(&(entered.state as usize)),
            };
        }
        if AS_OF.get() != epoch() {
            follow();
        }
    }
}

/// A collection that the program asked for. Plain values, as [`Entered`].
#[derive(Clone, Copy)]
pub(crate) struct Collecting {
    serial: u64,
    collection: Collection,
}

/// The program calls `lua_gc`. `None` when that does not collect, or nobody records here.
///
/// # Safety
/// `state` is alive and run by this thread.
#[inline]
pub(crate) unsafe fn collecting(
    lua: &'static Installed,
    state: *mut lua_State,
    what: c_int,
) -> Option<Collecting> {
    const COLLECT: c_int = 2;
    const STEP: c_int = 5;
    const GENERATIONAL: c_int = 10;
    let collects =
        matches!(what, COLLECT | STEP) || what == GENERATIONAL && lua.api.version == Version::Lua54;
    let thread = existing().filter(|_| collects && AS_OF.get() == epoch())?;
    let tracer = thread.tracer.get()?.as_ref().ok()?;
    // SAFETY: passed on to the caller.
    Some(Collecting { serial: thread.serial, collection: unsafe { tracer.collecting(state) } })
}

/// It is done.
#[inline]
pub(crate) fn collected(collecting: Option<Collecting>) {
    if let Some(Collecting { serial, collection }) = collecting
        && let Some(thread) = existing().filter(|thread| thread.serial == serial)
        && let Some(Ok(tracer)) = thread.tracer.get()
    {
        tracer.collected(collection);
    }
}

/// The program closes a machine.
///
/// # Safety
/// `state` is alive.
pub(crate) unsafe fn closed(state: *mut lua_State) {
    let thread = CURRENT.get();
    if !thread.is_null() && !ptr::eq(thread, NEVER) {
        // SAFETY: the record lives until the thread ends; `state` is the caller's.
        unsafe {
            if let Some(Ok(tracer)) = (*thread).tracer.get() {
                tracer.closed(state);
            }
        }
    }
}

/// This thread is the only one of a new process: what it had belongs to its parent.
pub(crate) fn forked() {
    CONTROL.threads.store(0, Ordering::Relaxed);
    let thread = CURRENT.replace(ptr::null());
    if !thread.is_null() && !ptr::eq(thread, NEVER) {
        // Its place is not given back: calls that are under way tell by its address that they are not of this process.
        // The recorder stays too: it would write to the parent's session.
        // SAFETY: made by `make`; nothing else is done with its tracer any more.
        let (tracer, jit) =
            unsafe { (ptr::read(&raw const (*thread).tracer), ptr::read(&raw const (*thread).jit)) };
        if let Some(Ok(tracer)) = tracer.into_inner() {
            tracer.abandon();
        }
        if let Some(Ok(jit)) = jit.into_inner() {
            jit.abandon();
        }
    }
}

/// This thread's; made when there is none. `None` when nothing can be recorded here.
#[inline]
pub(crate) fn current() -> Option<&'static Thread> {
    if AS_OF.get() != epoch() {
        follow();
    }
    let mut thread = CURRENT.get();
    if thread.is_null() {
        thread = make(None);
    }
    if ptr::eq(thread, NEVER) {
        return None;
    }
    // SAFETY: lives until the thread or the recording ends, or is the child of a fork; nobody keeps it longer than a call.
    Some(unsafe { &*thread })
}

/// As [`current`], but makes nothing. Async-signal-safe.
#[inline]
pub(crate) fn existing() -> Option<&'static Thread> {
    let thread = CURRENT.get();
    if thread.is_null() || ptr::eq(thread, NEVER) {
        return None;
    }
    // SAFETY: as in `current`.
    Some(unsafe { &*thread })
}

/// A call into Lua that is inside another one failed: the calls that died in it are over, before whoever called goes on.
///
/// # Safety
/// `state` is what was called with, and the call is back.
#[cold]
pub(crate) unsafe fn failed(state: *mut lua_State) {
    if let Some(Ok(tracer)) = existing().and_then(|thread| thread.tracer.get()) {
        // SAFETY: passed on to the caller.
        unsafe { tracer.settle(state) };
    }
}

/// As [`current`], for a thread that has a name. Whether there was none yet.
pub(crate) fn begin_as(name: &str) -> bool {
    if AS_OF.get() != epoch() {
        follow();
    }
    CURRENT.get().is_null() && !ptr::eq(make(Some(name)), NEVER)
}

#[cold]
fn make(name: Option<&str>) -> *const Thread {
    // What is called here must not come here again.
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    CURRENT.set(NEVER);
    let _uncancelled = Uncancelled::new();
    // Counted before the session is had: it is not freed meanwhile.
    CONTROL.threads.fetch_add(1, Ordering::AcqRel);
    // The owner is asked for last: there is none any more when the thread is ending.
    if epoch() != 0
        && !is_quiet()
        && let Some(home) = home::get()
        && let Some(session) = home.session()
        && OWNER.try_with(|_| ()).is_ok()
    {
        let recorder = Box::leak(Box::new(session.thread(&name.map_or_else(system_name, str::to_owned))));
        if home.settings.io {
            io::prepare(recorder, home.generation());
        }
        let thread = Thread {
            recorder,
            session,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            generation: home.generation(),
            tracer: OnceCell::new(),
            outermost: Cell::new(0),
            suspended: RefCell::default(),
            jit: OnceCell::new(),
            managed: Calls::default(),
        };
        CURRENT.set(Box::into_raw(Box::new(thread)));
    } else {
        CONTROL.threads.fetch_sub(1, Ordering::Release);
    }
    CURRENT.get()
}

impl Thread {
    /// Where all that happens on this thread is recorded.
    pub(crate) fn recorder(&self) -> &'static ThreadRecorder {
        self.recorder
    }

    /// Which session its names are numbered in.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether this is the thread's record still: not in the child of a fork.
    pub(crate) fn is_current(&self) -> bool {
        ptr::eq(CURRENT.get(), self)
    }

    /// What it has for LuaJIT, which is there when this is called.
    #[inline]
    pub(crate) fn jit(&'static self) -> Option<&'static JitThread> {
        self.jit.get_or_init(|| JitThread::new(self.recorder, self.session)).as_ref().ok()
    }

    /// What the thread has open of Mono's code.
    pub(crate) fn managed(&self) -> &Calls {
        &self.managed
    }

    #[inline]
    fn tracer(&'static self, lua: &'static Installed) -> Option<&'static Tracer<&'static ThreadRecorder>> {
        self.tracer.get_or_init(|| self.trace(lua)).as_ref().ok()
    }

    #[cold]
    fn trace(&self, lua: &'static Installed) -> Result<Tracer<&'static ThreadRecorder>, ()> {
        let home = home::get().filter(|_| !is_quiet()).ok_or(())?;
        let _uncancelled = Uncancelled::new();
        // SAFETY: detours give it states of this library only, each run by this thread; `Owner` drops it before the
        // thread ends, and not inside Lua.
        let tracer = unsafe { lua.foreign.tracer(self.recorder, lua.options(home, self.session)) };
        tracer.map_err(|error| home.note(&error.to_string()))
    }
}

/// What the system calls this thread.
fn system_name() -> String {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    let name = name.trim_end();
    if name.is_empty() { "thread".into() } else { name.into() }
}
