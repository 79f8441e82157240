//! LuaJIT: its outermost calls are recorded, and it is sampled through its own profiler.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use tickscope_core::{CategoryId, Depth, Outcome, Recorder, Span, SymbolId};
use tickscope_hooks::lua::{JitCallback, JitLua, JitStart, JitStop, JitTracer, LuaApi, Version, lua_State};
use tickscope_hooks::process::detour::{Detours, Request};
use tickscope_hooks::process::lua::FoundLua;
use tickscope_session::{Session, ThreadRecorder};

use crate::home;
use crate::install::name_native;
use crate::thread::{self, LUA_OK, Thread};

/// Lua's status of a coroutine that yielded.
const LUA_YIELD: c_int = 1;

/// The functions that are detoured, and what stands in for them.
const FUNCTIONS: [(&str, *const ()); 6] = [
    ("lua_call", call as *const ()),
    ("lua_pcall", pcall as *const ()),
    ("lua_resume", resume as *const ()),
    ("lua_close", close as *const ()),
    ("luaJIT_profile_start", profile_start as *const ()),
    ("luaJIT_profile_stop", profile_stop as *const ()),
];

/// The program's LuaJIT with the agent in it.
struct Installed {
    lua: JitLua,
    call: unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int),
    pcall: unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int, c_int) -> c_int,
    resume: unsafe extern "C-unwind" fn(*mut lua_State, c_int) -> c_int,
    close: unsafe extern "C-unwind" fn(*mut lua_State),
}

/// Set before the first detour is enabled, and never freed.
static INSTALLED: AtomicPtr<Installed> = AtomicPtr::new(std::ptr::null_mut());

/// Why a LuaJIT is left alone in a program that runs already.
pub(crate) const NOT_FROM_OUTSIDE: &str =
    "LuaJIT can be recorded only from the start of a program: start it with tickscope record";

/// Whether a LuaJIT is hooked.
pub(crate) fn is_installed() -> bool {
    !INSTALLED.load(Ordering::Acquire).is_null()
}

#[inline(always)]
fn installed() -> &'static Installed {
    // SAFETY: set before the detours were enabled.
    unsafe { &*INSTALLED.load(Ordering::Relaxed) }
}

/// Hooks a LuaJIT; says why not otherwise.
///
/// # Safety
/// No other thread is in the first bytes of its functions.
pub(crate) unsafe fn install(lua: &FoundLua) -> Result<(), String> {
    if !INSTALLED.load(Ordering::Acquire).is_null() {
        return Err("another LuaJIT of this process is recorded already".into());
    }
    let mut requests = Vec::new();
    for (symbol, replacement) in FUNCTIONS {
        let function = *lua.symbols.get(symbol).ok_or_else(|| format!("it has no {symbol}"))?;
        requests.push(Request { symbol, function, replacement });
    }
    let mut detours = Detours::prepare(&lua.module, &requests).map_err(|error| error.to_string())?;
    let mut past_detours =
        |name: &str| detours.trampoline(name).or_else(|| Some(lua.symbols.get(name)?.address as *const ()));
    // SAFETY: the symbols are those of one library, found in it: LuaJIT has Lua 5.1's interface.
    let api = unsafe { LuaApi::resolve(Version::Lua51, &mut past_detours) };
    let api = api.map_err(|error| error.to_string())?;
    let original = |name: &str| past_detours(name).ok_or_else(|| format!("it has no {name}"));
    // SAFETY: LuaJIT's functions of these names have these types (`luajit.h`, `lua.h`).
    let made = unsafe {
        let start: JitStart = std::mem::transmute::<*const (), JitStart>(original("luaJIT_profile_start")?);
        let stop: JitStop = std::mem::transmute::<*const (), JitStop>(original("luaJIT_profile_stop")?);
        Installed {
            lua: JitLua::new(api, start, stop),
            call: std::mem::transmute::<*const (), unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int)>(
                original("lua_call")?,
            ),
            pcall: std::mem::transmute::<
                *const (),
                unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int, c_int) -> c_int,
            >(original("lua_pcall")?),
            resume: std::mem::transmute::<
                *const (),
                unsafe extern "C-unwind" fn(*mut lua_State, c_int) -> c_int,
            >(original("lua_resume")?),
            close: std::mem::transmute::<*const (), unsafe extern "C-unwind" fn(*mut lua_State)>(original(
                "lua_close",
            )?),
        }
    };
    INSTALLED.store(Box::into_raw(Box::new(made)), Ordering::Release);
    // SAFETY: passed on to the caller; each replacement has its function's signature and lets pass what unwinds; this
    // library is never unloaded.
    unsafe { detours.enable() }.map_err(|error| error.to_string())?;
    // For ever: a thread may be in a trampoline at any time.
    std::mem::forget(detours);
    Ok(())
}

/// What a thread has for LuaJIT.
pub(crate) struct JitThread {
    tracer: Box<JitTracer<&'static ThreadRecorder>>,
    /// Where the outermost call stands on this thread's stack; 0 outside LuaJIT. And its span.
    outermost: Cell<usize>,
    span: Cell<Span>,
    /// The names of coroutines that have yielded.
    suspended: RefCell<HashMap<usize, SymbolId>>,
}

impl JitThread {
    pub(crate) fn new(recorder: &'static ThreadRecorder, session: &'static Session) -> Result<Self, ()> {
        let home = home::get().ok_or(())?;
        let made = JitTracer::new(&installed().lua, recorder, session.depth(), home.settings.hz, name_native);
        let tracer = made.map_err(|error| home.note(&error.to_string()))?;
        if home.settings.depth == Depth::Trace {
            home.say("LuaJIT has no trace: its functions were sampled instead");
        }
        Ok(Self {
            tracer,
            outermost: Cell::new(0),
            span: Cell::new(Span::DROPPED),
            suspended: RefCell::default(),
        })
    }

    /// In the child of a fork.
    pub(crate) fn abandon(self) {
        self.tracer.abandon();
    }

    /// The outermost call has ended.
    fn end(&self, thread: &Thread, outcome: Outcome) {
        self.tracer.leave();
        let recorder = thread.recorder();
        recorder.exit(recorder.now(), self.span.replace(Span::DROPPED), outcome, 0);
        self.outermost.set(0);
    }
}

/// An outermost call. Plain values: an error may jump over the frame that holds it.
#[derive(Clone, Copy)]
struct Entered {
    thread: &'static Thread,
    jit: &'static JitThread,
    symbol: SymbolId,
}

/// The program is about to call the function below `arguments` values on `state`'s stack. `None` inside of another call.
///
/// # Safety
/// `state` is as the function that the program called expects it; `here` is an address in the caller's frame.
unsafe fn enter(state: *mut lua_State, arguments: c_int, resumes: bool, here: usize) -> Option<Entered> {
    let thread = thread::current()?;
    let jit = thread.jit()?;
    let outermost = jit.outermost.get();
    if outermost != 0 {
        if here <= outermost {
            return None;
        }
        jit.end(thread, Outcome::Error); // an error jumped over it
    }
    jit.outermost.set(here);
    // SAFETY: passed on to the caller.
    let symbol = unsafe {
        if resumes && (installed().lua.api().lua_status)(state) != LUA_OK {
            jit.suspended.borrow().get(&(state as usize)).copied().unwrap_or(SymbolId::OTHER)
        } else {
            jit.tracer.entry_symbol(state, -arguments - 1)
        }
    };
    let recorder = thread.recorder();
    let at = recorder.now();
    jit.span.set(recorder.enter(at, symbol, CategoryId::ENTRY));
    // SAFETY: passed on to the caller.
    unsafe { jit.tracer.enter(state, symbol, at) };
    Some(Entered { thread, jit, symbol })
}

/// What was entered is back, with Lua's status. The coroutine that was resumed, if it was one.
fn leave(entered: Option<Entered>, status: c_int, coroutine: Option<*mut lua_State>) {
    let Some(Entered { thread, jit, symbol }) = entered else { return };
    if !thread.is_current() {
        return; // a fork inside: it was entered in the parent
    }
    let outcome = if matches!(status, LUA_OK | LUA_YIELD) { Outcome::Ok } else { Outcome::Error };
    jit.end(thread, outcome);
    if let Some(state) = coroutine {
        let mut suspended = jit.suspended.borrow_mut();
        match status {
            LUA_YIELD => suspended.insert(state as usize, symbol),
            _ => suspended.remove(&(state as usize)),
        };
    }
}

/// An address in the frame of the function that asks.
macro_rules! here {
    () => {{
        let here = 0_u8;
        &raw const here as usize
    }};
}

unsafe extern "C-unwind" fn call(state: *mut lua_State, arguments: c_int, results: c_int) {
    // SAFETY: called as `lua_call`. An error inside jumps over this frame, which owns nothing.
    unsafe {
        let entered = enter(state, arguments, false, here!());
        (installed().call)(state, arguments, results);
        leave(entered, LUA_OK, None);
    }
}

unsafe extern "C-unwind" fn pcall(
    state: *mut lua_State,
    arguments: c_int,
    results: c_int,
    handler: c_int,
) -> c_int {
    // SAFETY: called as `lua_pcall`.
    unsafe {
        let entered = enter(state, arguments, false, here!());
        let status = (installed().pcall)(state, arguments, results, handler);
        leave(entered, status, None);
        status
    }
}

unsafe extern "C-unwind" fn resume(state: *mut lua_State, arguments: c_int) -> c_int {
    // SAFETY: called as `lua_resume`, which always returns.
    unsafe {
        let entered = enter(state, arguments, true, here!());
        let status = (installed().resume)(state, arguments);
        leave(entered, status, Some(state));
        status
    }
}

unsafe extern "C-unwind" fn close(state: *mut lua_State) {
    // SAFETY: called as `lua_close`.
    unsafe {
        installed().lua.closed(state);
        (installed().close)(state);
    }
}

unsafe extern "C-unwind" fn profile_start(
    state: *mut lua_State,
    mode: *const c_char,
    callback: JitCallback,
    data: *mut c_void,
) {
    // SAFETY: called as `luaJIT_profile_start`.
    unsafe { installed().lua.profile_start(state, mode, callback, data) }
}

unsafe extern "C-unwind" fn profile_stop(state: *mut lua_State) {
    // SAFETY: called as `luaJIT_profile_stop`.
    unsafe { installed().lua.profile_stop(state) }
}
