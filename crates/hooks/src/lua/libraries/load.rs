//! `require`, `loadfile` and `dofile`: the source of what they load gives functions their names. Read here, where the
//! program reads it too, because a hook must not.

use std::ffi::{CStr, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use tickscope_core::Recorder;

use super::{Functions, api, original, tracer};
use crate::lua::api::*;
use crate::lua::state::State;
use crate::lua::vm::read_source;

/// Replaces the searcher of Lua files, with the table of loaded modules on top of the stack.
///
/// # Safety
/// As for `libraries::install`.
pub(super) unsafe fn install<R: Recorder + 'static>(api: &Functions, state: *mut lua_State) {
    // SAFETY: passed on to the caller.
    unsafe {
        let top = (api.lua_gettop)(state);
        (api.lua_getfield)(state, -1, c"package".as_ptr());
        if (api.lua_type)(state, -1) == LUA_TTABLE {
            (api.lua_getfield)(state, -1, c"searchers".as_ptr());
            if (api.lua_type)(state, -1) == LUA_TTABLE {
                // Lua's searcher finds the package table in its first upvalue, so ours has it there too.
                (api.own.lua_pushinteger)(state, 2);
                (api.lua_pushvalue)(state, -3);
                (api.own.lua_rawgeti)(state, -3, 2);
                if (api.lua_tocfunction)(state, -1).is_some() {
                    (api.lua_pushcclosure)(state, searcher::<R>, 2);
                    (api.own.lua_rawset)(state, -3);
                }
            }
        }
        (api.lua_settop)(state, top);
    }
}

/// Lua's second searcher. May raise: as Lua's.
unsafe extern "C-unwind" fn searcher<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state, in the closure `install` made.
    unsafe {
        let Some(original) = original(api, state, 2) else { return 0 };
        let results = original(state);
        if results == 2 {
            register::<R>(api, state, -1);
        }
        results
    }
}

/// `loadfile`. May raise: as Lua's.
pub(super) unsafe extern "C-unwind" fn loadfile<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state, in the closure `replace` made.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        let results = original(state);
        if results == 1 {
            register::<R>(api, state, 1);
        }
        results
    }
}

/// `dofile`. May raise: as Lua's.
pub(super) unsafe extern "C-unwind" fn dofile<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state, in the closure `replace` made. What it loads runs before it returns, so its names are read
    // first. It yields by a continuation of its own, which needs nothing of ours.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        register::<R>(api, state, 1);
        original(state)
    }
}

/// Reads the file whose path is the string at `index`, if it is one.
unsafe fn register<R: Recorder + 'static>(api: &Functions, state: *mut lua_State, index: c_int) {
    // SAFETY: a live state with a valid index; strings are not converted. Rust values live only while no Lua runs.
    unsafe {
        let Some(tracer) = tracer::<R>(state) else { return };
        if (api.lua_type)(state, index) != LUA_TSTRING {
            return;
        }
        let path = CStr::from_ptr((api.lua_tolstring)(state, index, ptr::null_mut()));
        let coroutine = tracer.coroutine(state);
        // A panic must not reach Lua's frames; names are then those Lua knows.
        let _ = catch_unwind(AssertUnwindSafe(|| read(tracer, coroutine, path)));
    }
}

fn read<R: Recorder + 'static>(
    _: &State<R>,
    coroutine: *const crate::lua::coroutine::Coroutine,
    path: &CStr,
) {
    // SAFETY: records of coroutines and machines are kept while their Lua runs.
    let Some(vm) = (unsafe { (*coroutine).vm.as_ref() }) else { return };
    if let Some(source) = read_source(OsStr::from_bytes(path.to_bytes()).as_ref()) {
        vm.register_chunk(&[b"@", path.to_bytes()].concat(), &source);
    }
}
