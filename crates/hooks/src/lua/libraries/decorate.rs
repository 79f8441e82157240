//! Wrapping one function in a span of its own, without a hook that stands.

use std::ffi::c_int;
use std::ptr;

use tickscope_core::{CategoryId, Outcome, Recorder, Runtime, SymbolRef, escape};

use super::{api, tracer};
use crate::lua::api::*;
use crate::lua::coroutine::Frame;
use crate::lua::hook;

/// `wrap(name, function)`: returns a function that does the same, recorded as a span called `name` at every depth.
/// Arguments, nils, results and errors pass through; it may yield. May raise: for arguments of another type.
///
/// # Safety
/// Called by Lua only.
pub(crate) unsafe extern "C-unwind" fn decorate<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state; the name is copied into the recorder before anything can raise an error.
    unsafe {
        let mut len = 0;
        let name = (api.own.luaL_checklstring)(state, 1, &mut len);
        (api.own.luaL_checktype)(state, 2, LUA_TFUNCTION);
        let symbol = match tracer::<R>(state) {
            Some(tracer) => {
                let vm = (*tracer.coroutine(state)).vm;
                let name = escape(std::slice::from_raw_parts(name.cast::<u8>(), len));
                tracer
                    .recorder
                    .intern_symbol(SymbolRef {
                        runtime: Runtime::Lua,
                        resource: vm.as_ref().map_or("", |vm| &vm.resource),
                        name: &name,
                        ..SymbolRef::default()
                    })
                    .0
            }
            None => 0,
        };
        (api.lua_pushvalue)(state, 2);
        (api.own.lua_pushinteger)(state, lua_Integer::from(symbol));
        (api.lua_pushcclosure)(state, decorated::<R>, 2);
    }
    1
}

/// The function `wrap` made. May raise: what the wrapped function raises.
pub(super) unsafe extern "C-unwind" fn decorated<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state, in a closure `decorate` made. An error passes over this frame, which owns nothing; the
    // span it leaves open is ended like that of any call that died.
    unsafe {
        if let Some(tracer) = tracer::<R>(state)
            && tracer.recorder.enabled(CategoryId::FUNCTION)
        {
            let mut ar = lua_Debug::new();
            (api.lua_getstack)(state, 0, &mut ar);
            let coroutine = &*tracer.coroutine(state);
            let at = tracer.recorder.now();
            hook::settle(tracer, coroutine, state, tracer.layout.call(&ar), at);
            let symbol = (api.own.lua_tointegerx)(state, lua_upvalueindex(2), ptr::null_mut());
            let span =
                tracer.recorder.enter(at, tickscope_core::SymbolId(symbol as u32), CategoryId::FUNCTION);
            let bytes = tracer.allocated().wrapping_sub(coroutine.skipped.get());
            coroutine.push(Frame { call: tracer.layout.call(&ar), span, bytes });
            tracer.install(coroutine);
        }
        let args = (api.lua_gettop)(state);
        (api.lua_pushvalue)(state, lua_upvalueindex(1));
        api.insert(state, 1);
        (api.lua_callk)(state, args, LUA_MULTRET, 0, Some(finished::<R>));
        finished::<R>(state, LUA_OK, 0)
    }
}

/// The wrapped function has returned, at once or after a yield.
unsafe extern "C-unwind" fn finished<R: Recorder + 'static>(
    state: *mut lua_State,
    _status: c_int,
    _context: lua_KContext,
) -> c_int {
    let api = api();
    // SAFETY: as in `decorated`.
    unsafe {
        if let Some(tracer) = tracer::<R>(state) {
            let mut ar = lua_Debug::new();
            (api.lua_getstack)(state, 0, &mut ar);
            let coroutine = &*tracer.coroutine(state);
            if coroutine.top_call() == tracer.layout.call(&ar) {
                let at = tracer.recorder.now();
                tracer.last_event.set(at.0);
                coroutine.exit(&tracer.recorder, at, tracer.allocated(), Outcome::Ok);
                tracer.install(coroutine);
            }
        }
        (api.lua_gettop)(state)
    }
}
