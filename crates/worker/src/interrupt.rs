//! Stopping a script that runs, from another thread.
//!
//! A hook that counts instructions makes Lua half as fast, so a job runs without one. Whoever wants it to stop leaves word
//! and sends the thread a signal; its handler sets the hook that ends the script at its next instruction, as the interpreter
//! `lua` does for Ctrl-C (`lua.c`, `laction`). Coroutines that a job makes count from the start: which of them runs is not
//! known from outside.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mlua::{Function, Lua, Result, ffi};

use crate::error::JobError;

/// Instructions of a coroutine between two looks at the word.
const COUNT: c_int = 10_000;

/// Why a job is to stop. The first reason stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Cancelled,
    Timeout,
}

impl From<Why> for JobError {
    fn from(why: Why) -> Self {
        match why {
            Why::Cancelled => Self::Cancelled,
            Why::Timeout => Self::Timeout,
        }
    }
}

/// The word left for a job, and the thread that it runs on.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    why: AtomicU8,
    thread: Mutex<Option<Thread>>,
}

#[cfg(unix)]
type Thread = libc::pthread_t;
#[cfg(not(unix))]
type Thread = ();

impl Stop {
    pub(crate) fn why(&self) -> Option<Why> {
        match self.why.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Why::Cancelled),
            _ => Some(Why::Timeout),
        }
    }

    /// Asks the job to stop, whether it runs or not.
    pub(crate) fn ask(&self, why: Why) {
        let word = match why {
            Why::Cancelled => 1,
            Why::Timeout => 2,
        };
        let _ = self.why.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(unix)]
        if let (Some(thread), Some(signal)) = (*thread, signal()) {
            // SAFETY: the thread lives: it takes itself out, under the same lock, before its job is over.
            unsafe { libc::pthread_kill(thread, signal) };
        }
    }
}

thread_local! {
    /// The machine that runs a job on this thread, for the handler.
    static RUNNING: Cell<*mut ffi::lua_State> = const { Cell::new(ptr::null_mut()) };
    static WORD: Cell<*const Stop> = const { Cell::new(ptr::null()) };
}

/// The signal that stops scripts: a real-time one that nobody had a handler for.
#[cfg(unix)]
fn signal() -> Option<c_int> {
    static SIGNAL: OnceLock<Option<c_int>> = OnceLock::new();
    *SIGNAL.get_or_init(|| {
        (libc::SIGRTMIN() + 2..=libc::SIGRTMAX()).find(|signal| {
            // SAFETY: all-zero is a valid `sigaction`; valid places for question and answer.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(*signal, ptr::null(), &mut action) != 0
                    || action.sa_sigaction != libc::SIG_DFL
                {
                    return false;
                }
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_RESTART;
                libc::sigaction(*signal, &action, ptr::null_mut()) == 0
            }
        })
    })
}

#[cfg(unix)]
extern "C" fn handler(_: c_int) {
    let state = RUNNING.get();
    if !state.is_null() {
        // SAFETY: the machine of this thread, which runs a job or is about to; `lua_sethook` is made for handlers.
        unsafe { hook_each_instruction(state) };
    }
}

unsafe fn hook_each_instruction(state: *mut ffi::lua_State) {
    let all = ffi::LUA_MASKCALL | ffi::LUA_MASKRET | ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT;
    // SAFETY: the caller's.
    unsafe { ffi::lua_sethook(state, Some(stop), all, 1) };
}

/// Ends the script when there is a word: with an error at each instruction, so that no `pcall` keeps it.
unsafe extern "C-unwind" fn stop(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    let word = WORD.get();
    // SAFETY: the word of the job that runs on this thread, which outlives it.
    if word.is_null() || unsafe { (*word).why() }.is_none() {
        if RUNNING.get() == state {
            // A signal for the job before this one, which came late.
            // SAFETY: a hook's state.
            unsafe { ffi::lua_sethook(state, None, 0, 0) };
        }
        return;
    }
    // SAFETY: a hook's state. This frame owns nothing that the jump of an error would pass over.
    unsafe {
        hook_each_instruction(state);
        ffi::luaL_error(state, c"stopped".as_ptr());
    }
}

/// While it lives, `stop` reaches the machine on this thread.
pub(crate) struct Reachable<'j> {
    stop: &'j Stop,
    state: *mut ffi::lua_State,
}

impl<'j> Reachable<'j> {
    pub(crate) fn new(lua: &Lua, stop: &'j Arc<Stop>) -> Result<Self> {
        let mut state = ptr::null_mut();
        // SAFETY: only looks at which state it is given, which is the machine's main one: no coroutine runs.
        unsafe { lua.exec_raw::<()>((), |current| state = current) }?;
        WORD.set(&raw const **stop);
        RUNNING.set(state);
        #[cfg(unix)]
        {
            signal();
            // SAFETY: no arguments, cannot fail.
            let own = unsafe { libc::pthread_self() };
            *stop.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        }
        if cfg!(not(unix)) {
            // SAFETY: the main state of a machine at rest.
            unsafe { ffi::lua_sethook(state, Some(self::stop), ffi::LUA_MASKCOUNT, COUNT) };
        }
        Ok(Self { stop, state })
    }
}

impl Drop for Reachable<'_> {
    fn drop(&mut self) {
        *self.stop.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
        RUNNING.set(ptr::null_mut());
        WORD.set(ptr::null());
        // SAFETY: the main state of this thread's machine, at rest.
        unsafe { ffi::lua_sethook(self.state, None, 0, 0) };
    }
}

/// `coroutine.create` with a hook that coroutines inherit.
unsafe extern "C-unwind" fn create(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: a C function with one upvalue, the original; errors are raised when the hook is as it was.
    unsafe {
        let (hook, mask, count) =
            (ffi::lua_gethook(state), ffi::lua_gethookmask(state), ffi::lua_gethookcount(state));
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_sethook(state, Some(stop), ffi::LUA_MASKCOUNT, COUNT);
        let status = ffi::lua_pcall(state, ffi::lua_gettop(state) - 1, 1, 0);
        ffi::lua_sethook(state, hook, mask, count);
        if status == ffi::LUA_OK { 1 } else { ffi::lua_error(state) }
    }
}

/// `original`, a function that makes a coroutine, so that what it makes can be stopped.
pub(crate) fn stoppable(lua: &Lua, original: &Function) -> Result<Function> {
    // SAFETY: pushes a C function over its upvalue.
    unsafe { lua.exec_raw(original, |state| ffi::lua_pushcclosure(state, create, 1)) }
}
