//! `collectgarbage`: collections the program asks for are measured.

use std::ffi::{CStr, c_int};
use std::ptr;

use tickscope_core::{CategoryId, Outcome, Recorder};

use super::{Functions, api, original, tracer};
use crate::lua::api::*;

/// `collectgarbage`. May raise: as Lua's, before anything is collected.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn collectgarbage<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state; Lua's function finds the stack as it would have.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        let Some(tracer) = tracer::<R>(state).filter(|_| collects(api, state)) else {
            return original(state);
        };
        let top = tracer.top.get();
        if top.is_null() || (*top).vm.is_null() || !tracer.recorder.enabled(CategoryId::GC) {
            return original(state);
        }
        let at = tracer.recorder.now();
        let span = tracer.recorder.enter(at, (*(*top).vm).gc_measured, CategoryId::GC);
        let nested = tracer.measuring.replace(true);
        let results = original(state);
        tracer.measuring.set(nested);
        let at = tracer.recorder.now();
        tracer.last_event.set(at.0);
        tracer.recorder.exit(at, span, Outcome::Ok, 0);
        results
    }
}

/// Whether the call works on the heap and cannot be refused for its arguments: an error must not pass our span.
unsafe fn collects(api: &Functions, state: *mut lua_State) -> bool {
    // SAFETY: a live state.
    unsafe {
        match (api.lua_type)(state, 1) {
            kind if kind <= LUA_TNIL => return true,
            LUA_TSTRING => {}
            _ => return false,
        }
        let option = CStr::from_ptr((api.lua_tolstring)(state, 1, ptr::null_mut())).to_bytes();
        if option == b"collect" {
            return true;
        }
        let integer = |index| {
            let mut is = 0;
            (api.own.lua_tointegerx)(state, index, &mut is);
            is != 0 || (api.lua_type)(state, index) <= LUA_TNIL
        };
        matches!(option, b"step" | b"generational" | b"incremental") && (2..=4).all(integer)
    }
}
