//! What one thread of the program has of the agent, from the moment it first runs Lua.
//!
//! A detour brackets a call into Lua with [`enter`] and [`leave`]. Only the outermost call of a thread counts, and each
//! resumption of a coroutine: what is between them is Lua's own affair, which the hooks follow. Errors in Lua are jumps
//! that end calls without a return, so that a detour's frame owns nothing, and an outermost call that was jumped over is
//! noticed by the next one: it stands higher on the stack than what called it could.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr;

use tickscope_core::{CategoryId, Outcome, SwitchReason, SymbolId};
use tickscope_hooks::lua::{HostSpan, Tracer, lua_State};
use tickscope_session::{Session, ThreadRecorder};

use crate::HOME;
use crate::install::{DEPTH, Installed};

/// Lua's statuses, the same in every version.
pub(crate) const LUA_OK: c_int = 0;
const LUA_YIELD: c_int = 1;

struct Thread {
    tracer: Tracer<ThreadRecorder>,
    session: &'static Session,
    /// Where the outermost call into Lua stands on this thread's stack; 0 outside Lua.
    outermost: Cell<usize>,
    /// The names of coroutines that the program resumes and that have yielded: what they run is on no stack then.
    suspended: RefCell<HashMap<usize, SymbolId>>,
}

/// No tracer can be had on this thread: it runs without.
const NEVER: *const Thread = ptr::without_provenance(1);

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(ptr::null()) };
    /// Ends with the thread, and the thread's recording with it.
    static OWNER: Owner = const { Owner };
}

struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        let thread = CURRENT.replace(NEVER);
        if thread.is_null() || ptr::eq(thread, NEVER) {
            return;
        }
        // SAFETY: made by `make`, and only reached through `CURRENT`, which no longer leads to it.
        unsafe {
            // A script that ends the process is still inside Lua: its hooks may come again.
            if (*thread).outermost.get() == 0 {
                drop(Box::from_raw(thread.cast_mut()));
            }
        }
    }
}

/// A call that was entered. Plain values: Lua may jump over the frame that holds it.
#[derive(Clone, Copy)]
pub(crate) struct Entered {
    thread: *const Thread,
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
    let mut thread = CURRENT.get();
    if thread.is_null() {
        thread = make(lua);
    }
    if ptr::eq(thread, NEVER) {
        return None;
    }
    // SAFETY: a thread's record lives until the thread ends.
    let record = unsafe { &*thread };
    let mut outermost = record.outermost.get();
    if outermost != 0 && here > outermost {
        // An error jumped over the call that stood there: it is over.
        record.tracer.leave(SwitchReason::Error);
        record.outermost.set(0);
        outermost = 0;
    }
    if outermost != 0 && call == Call::Function {
        return None;
    }
    // SAFETY: passed on to the caller.
    unsafe { Some(begin(lua, record, state, arguments, call, here, outermost == 0)) }
}

/// # Safety
/// As for [`enter`].
unsafe fn begin(
    lua: &Installed,
    thread: &Thread,
    state: *mut lua_State,
    arguments: c_int,
    call: Call,
    here: usize,
    outermost: bool,
) -> Entered {
    // SAFETY: passed on to the caller.
    unsafe {
        let fresh = call == Call::Function || (lua.api.lua_status)(state) == LUA_OK;
        let (mut span, mut symbol) = (None, SymbolId::OTHER);
        if outermost {
            DEPTH.set(thread.session.wanted_depth());
            thread.outermost.set(here);
            symbol = if fresh {
                thread.tracer.function_symbol(state, -arguments - 1)
            } else {
                thread.suspended.borrow().get(&(state as usize)).copied().unwrap_or(SymbolId::OTHER)
            };
            span = Some(thread.tracer.span(symbol, CategoryId::ENTRY, None, &[]));
        }
        thread.tracer.enter(state, outermost.then_some(symbol));
        Entered { thread, state, span, symbol, resumed: call == Call::Coroutine }
    }
}

/// What was entered is back, with Lua's status.
#[inline]
pub(crate) fn leave(entered: Option<Entered>, status: c_int) {
    let Some(entered) = entered else { return };
    // SAFETY: a thread's record lives until the thread ends.
    let thread = unsafe { &*entered.thread };
    let (reason, outcome) = match status {
        LUA_OK => (SwitchReason::Return, Outcome::Ok),
        LUA_YIELD => (SwitchReason::Yield, Outcome::Ok),
        _ => (SwitchReason::Error, Outcome::Error),
    };
    thread.tracer.leave(reason);
    if let Some(span) = entered.span {
        thread.tracer.end_span(span, outcome);
        thread.outermost.set(0);
        if entered.resumed {
            let mut suspended = thread.suspended.borrow_mut();
            match reason {
                SwitchReason::Yield => suspended.insert(entered.state as usize, entered.symbol),
                _ => suspended.remove(&(entered.state as usize)),
            };
        }
    }
}

/// The program closes a machine.
///
/// # Safety
/// `state` is alive.
pub(crate) unsafe fn closed(state: *mut lua_State) {
    let thread = CURRENT.get();
    if !thread.is_null() && !ptr::eq(thread, NEVER) {
        // SAFETY: the record as above; `state` is the caller's.
        unsafe { (*thread).tracer.closed(state) };
    }
}

/// This thread is the only one of a new process: what it had belongs to its parent.
pub(crate) fn forked() {
    let thread = CURRENT.replace(ptr::null());
    if !thread.is_null() && !ptr::eq(thread, NEVER) {
        // SAFETY: made by `make`; nothing leads to it any more.
        unsafe { Box::from_raw(thread.cast_mut()) }.tracer.abandon();
    }
}

#[cold]
fn make(lua: &'static Installed) -> *const Thread {
    // What is called here must not come here again.
    CURRENT.set(NEVER);
    let made = HOME.get().and_then(|home| {
        let session = home.session()?;
        let recorder = session.thread(&thread_name());
        // SAFETY: detours give it states of this library only, each run by this thread; `Owner` drops it before the
        // thread ends, and not inside Lua.
        let tracer = unsafe { lua.foreign.tracer(recorder, lua.options(home)) };
        match tracer {
            Ok(tracer) => Some((tracer, session)),
            Err(error) => {
                home.note(&error.to_string());
                None
            }
        }
    });
    if let Some((tracer, session)) = made
        // No owner any more: the thread is ending.
        && OWNER.try_with(|_| ()).is_ok()
    {
        let thread = Thread { tracer, session, outermost: Cell::new(0), suspended: RefCell::default() };
        CURRENT.set(Box::into_raw(Box::new(thread)));
    }
    CURRENT.get()
}

/// What the system calls this thread.
fn thread_name() -> String {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    let name = name.trim_end();
    if name.is_empty() { "thread".into() } else { name.into() }
}
