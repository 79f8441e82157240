//! `coroutine.create`, `resume`, `wrap` and `close`.

use std::ffi::c_int;

use tickscope_core::{Recorder, SwitchReason};

use super::{Functions, api, original, tracer};
use crate::lua::api::*;

/// Whether resuming `co` would run it: it is suspended, or has its function and has not begun.
unsafe fn resumable(api: &Functions, co: *mut lua_State) -> bool {
    // SAFETY: `co` is a live thread on the caller's stack.
    unsafe {
        match (api.lua_status)(co) {
            LUA_YIELD => true,
            LUA_OK => {
                let mut ar = lua_Debug::new();
                (api.lua_getstack)(co, 0, &mut ar) == 0 && (api.lua_gettop)(co) > 0
            }
            _ => false,
        }
    }
}

/// Why `co` came back.
unsafe fn reason(api: &Functions, co: *mut lua_State) -> SwitchReason {
    // SAFETY: as in `resumable`.
    match unsafe { (api.lua_status)(co) } {
        LUA_OK => SwitchReason::Return,
        LUA_YIELD => SwitchReason::Yield,
        _ => SwitchReason::Error,
    }
}

/// `coroutine.resume`. May raise: as Lua's, before anything runs.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn resume<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state; Lua's function finds the stack as it would have. It raises nothing once the coroutine is
    // known to be one that runs.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        let co = (api.own.lua_tothread)(state, 1);
        match tracer::<R>(state) {
            Some(tracer) if !co.is_null() && resumable(api, co) => {
                tracer.enter(co, None, false, tracer.recorder.now());
                let results = original(state);
                tracer.leave(reason(api, co), tracer.recorder.now());
                results
            }
            _ => original(state),
        }
    }
}

/// `coroutine.create`. May raise: as Lua's.
///
/// # Safety
/// Called by Lua only.
pub(super) unsafe extern "C-unwind" fn create<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state.
    unsafe {
        (api.own.luaL_checktype)(state, 1, LUA_TFUNCTION);
        let thread = (api.lua_newthread)(state);
        (api.lua_pushvalue)(state, 1);
        (api.own.lua_xmove)(state, thread, 1);
        if let Some(tracer) = tracer::<R>(state) {
            // A new thread inherits its creator's hook, so the program sees its mask and count there.
            if (*tracer.coroutine(state)).thread.user().mask != 0 {
                (*tracer.coroutine(thread)).thread.inherit(state);
            }
        }
    }
    1
}

/// `coroutine.wrap`. May raise: as Lua's.
///
/// # Safety
/// Called by Lua only.
pub(super) unsafe extern "C-unwind" fn wrap<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state.
    unsafe {
        create::<R>(state);
        (api.lua_pushcclosure)(state, wrapped::<R>, 1);
    }
    1
}

/// Moves arguments over, resumes, moves results back: `auxresume` of Lua's library. -1 for an error, whose value is on
/// top of `state`.
unsafe fn transfer(api: &Functions, state: *mut lua_State, co: *mut lua_State, args: c_int) -> c_int {
    // SAFETY: both are live threads of one machine.
    unsafe {
        if (api.lua_checkstack)(co, args) == 0 {
            (api.lua_pushstring)(state, c"too many arguments to resume".as_ptr());
            return -1;
        }
        (api.own.lua_xmove)(state, co, args);
        let mut results = 0;
        let status = (api.own.lua_resume)(co, state, args, &mut results);
        if status != LUA_OK && status != LUA_YIELD {
            (api.own.lua_xmove)(co, state, 1);
            return -1;
        }
        if (api.lua_checkstack)(state, results + 1) == 0 {
            api.pop(co, results);
            (api.lua_pushstring)(state, c"too many results to resume".as_ptr());
            return -1;
        }
        (api.own.lua_xmove)(co, state, results);
        results
    }
}

/// What `coroutine.wrap` returns. May raise: the coroutine's error.
///
/// # Safety
/// Called by Lua only, as the closure `wrap` made.
pub(super) unsafe extern "C-unwind" fn wrapped<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state, with the coroutine as upvalue. The error is raised when nothing of ours is open.
    unsafe {
        let co = (api.own.lua_tothread)(state, lua_upvalueindex(1));
        let tracer = tracer::<R>(state).filter(|_| resumable(api, co));
        if let Some(tracer) = tracer {
            tracer.enter(co, None, false, tracer.recorder.now());
        }
        let results = transfer(api, state, co, (api.lua_gettop)(state));
        let ended = reason(api, co);
        let mut status = LUA_OK;
        if results < 0 {
            status = (api.lua_status)(co);
            if status != LUA_OK && status != LUA_YIELD {
                // Variables to be closed are closed now; the error may become another.
                status = (api.own.lua_closethread)(co, state);
                (api.own.lua_xmove)(co, state, 1);
            }
        }
        if let Some(tracer) = tracer {
            tracer.leave(ended, tracer.recorder.now());
        }
        if results >= 0 {
            return results;
        }
        if status != LUA_ERRMEM && (api.lua_type)(state, -1) == LUA_TSTRING {
            (api.own.luaL_where)(state, 1);
            api.insert(state, -2);
            (api.own.lua_concat)(state, 2);
        }
        (api.lua_error)(state)
    }
}

/// `coroutine.close`. May raise: as Lua's, before anything runs.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn close<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: as in `resume`: a suspended coroutine is closed without raising anything.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        let co = (api.own.lua_tothread)(state, 1);
        match tracer::<R>(state) {
            Some(tracer) if !co.is_null() && (api.lua_status)(co) != LUA_OK => {
                tracer.enter(co, None, false, tracer.recorder.now());
                let results = original(state);
                // Not the status of the coroutine: closing resets it. Two results tell of an error.
                let reason = if results == 2 { SwitchReason::Error } else { SwitchReason::Return };
                tracer.leave(reason, tracer.recorder.now());
                results
            }
            _ => original(state),
        }
    }
}
