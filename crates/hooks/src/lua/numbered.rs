//! Calls of Lua 5.1, which are known by their number from the outermost.
//!
//! A tail call is told like any other: `CALL g` with a number above its caller's. Only then does Lua put it in its
//! caller's place, and count there that a caller was lost. When it returns, `RET` comes with the caller's number, and a
//! `TAILRET` for each caller lost. So the caller's span stays open around the callee's:
//!
//! ```text
//! event        CALL f   CALL g        RET       TAILRET
//! number       2        3 (then 2)    2         -
//! open spans   f        f g           f
//! ```

use tickscope_core::{Outcome, Recorder, Ticks};

use super::api::*;
use super::coroutine::Coroutine;
use super::state::State;

/// Callers that are kept open behind a function that replaced them. A loop by tail calls would open spans for ever.
const REPLACED: usize = 32;

/// Whether the call at `level`, counted from the innermost, stands for a caller that was replaced.
unsafe fn is_replaced<R: Recorder>(state: &State<R>, thread: *mut lua_State, level: i32) -> bool {
    let mut ar = lua_Debug::new();
    // SAFETY: `thread` is running.
    unsafe { (state.api.lua_getstack)(thread, level, &mut ar) != 0 && state.layout.call(&ar).is_null() }
}

/// Before a new call is pushed: ends calls that died, and gives a call that took its caller's place that number.
///
/// # Safety
/// In a hook of the running `thread`, with its `ar`.
pub(crate) unsafe fn called<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: see the function's contract.
    let call = unsafe { state.layout.call(ar) } as usize;
    let allocated = state.allocated();
    if call == 0 || (coroutine.top_call() as usize) < call {
        return;
    }
    // SAFETY: passed on to the caller.
    let moved = unsafe { is_replaced(state, thread, 2) };
    coroutine.unwind(&state.recorder, at, allocated, coroutine.up_to(if moved { call } else { call - 1 }));
    if moved && coroutine.top_call() as usize == call && coroutine.lower(REPLACED) {
        coroutine.exit(&state.recorder, at, allocated, Outcome::Ok);
    }
}

/// A call returns.
///
/// # Safety
/// As for [`called`].
pub(crate) unsafe fn returned<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: see the function's contract.
    let call = unsafe { state.layout.call(ar) } as usize;
    let allocated = state.allocated();
    if coroutine.top_call() as usize > call {
        let callee = (call + 1) as *const std::ffi::c_void;
        // SAFETY: passed on to the caller.
        let moved = coroutine.find(callee).is_some() && unsafe { is_replaced(state, thread, 1) };
        let keep = coroutine.up_to(if moved { call + 1 } else { call });
        coroutine.unwind(&state.recorder, at, allocated, keep);
        if moved {
            coroutine.exit(&state.recorder, at, allocated, Outcome::Ok);
            return;
        }
    }
    if coroutine.top_call() as usize == call && call > 0 {
        coroutine.exit(&state.recorder, at, allocated, Outcome::Ok);
    }
}

/// A caller that was replaced has returned, after the function that took its place.
///
/// # Safety
/// As for [`called`].
pub(crate) unsafe fn replaced_returned<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    at: Ticks,
) {
    let mut ar = lua_Debug::new();
    // SAFETY: see the function's contract.
    let call = unsafe {
        let there = (state.api.lua_getstack)(thread, 0, &mut ar) != 0;
        if there { state.layout.call(&ar) } else { std::ptr::null() }
    };
    if !call.is_null() && coroutine.top_call() == call {
        coroutine.exit(&state.recorder, at, state.allocated(), Outcome::Ok);
    }
}
