//! Library functions that know of the tracer: each does what Lua's own does, byte for byte, and tells the tracer.

mod coroutines;
mod debug;
mod decorate;
mod exit;
mod gc;
mod load;

use std::ffi::{CStr, c_int};
use std::sync::OnceLock;

use tickscope_core::Recorder;

use super::api::*;
use super::state::{State, current};

pub(crate) use decorate::decorate;

/// Address of the functions that `coroutine.wrap` returns.
pub(crate) fn wrapped_address<R: Recorder + 'static>() -> usize {
    coroutines::wrapped::<R> as *const () as usize
}

/// Address of the functions that [`decorate`] returns.
pub(crate) fn decorated_address<R: Recorder + 'static>() -> usize {
    decorate::decorated::<R> as *const () as usize
}

/// What library functions call.
struct Functions {
    api: LuaApi,
    own: LibraryApi,
}

impl std::ops::Deref for Functions {
    type Target = LuaApi;
    fn deref(&self) -> &LuaApi {
        &self.api
    }
}

impl Functions {
    /// `lua_insert`.
    unsafe fn insert(&self, state: *mut lua_State, index: c_int) {
        // SAFETY: as in Lua.
        unsafe { (self.own.lua_rotate)(state, index, 1) }
    }

    /// `lua_remove`.
    unsafe fn remove(&self, state: *mut lua_State, index: c_int) {
        // SAFETY: as in Lua.
        unsafe {
            (self.own.lua_rotate)(state, index, -1);
            self.pop(state, 1);
        }
    }
}

/// The Lua this program embeds: library functions outlive the tracer that installed them and still have to work.
static API: OnceLock<Functions> = OnceLock::new();

/// Remembers the Lua this program embeds; one, the first.
pub(crate) fn prepare(api: &LuaApi) {
    if let Some(own) = api.libraries {
        let _ = API.set(Functions { api: *api, own });
    }
}

/// The Lua this program embeds. Only called by functions that [`install`] made known to it.
fn api() -> &'static Functions {
    match API.get() {
        Some(api) => api,
        None => unreachable!("a tracer was made before its functions were installed"),
    }
}

/// The tracer of this thread, if it knows the Lua thread that calls: not when its machine was detached, to be closed.
fn tracer<'a, R: Recorder + 'static>(caller: *mut lua_State) -> Option<&'a State<R>> {
    // SAFETY: a registered tracer is alive, and nothing that runs inside a library function drops it.
    unsafe { current::<R>().as_ref() }.filter(|tracer| tracer.knows(caller))
}

/// The function a replacement stands for, kept as its upvalue.
///
/// # Safety
/// In a closure made by [`replace`], on a live `state`.
unsafe fn original(api: &Functions, state: *mut lua_State, upvalue: c_int) -> Option<lua_CFunction> {
    // SAFETY: see the function's contract.
    unsafe { (api.lua_tocfunction)(state, lua_upvalueindex(upvalue)) }
}

/// Puts the replacements into a machine's libraries, as far as it has opened them.
///
/// # Safety
/// `state` is the live main thread of a machine of the Lua that [`prepare`] was told of, not running.
pub(crate) unsafe fn install<R: Recorder + 'static>(state: *mut lua_State) {
    let Some(api) = API.get() else { return };
    // SAFETY: passed on to the caller.
    unsafe {
        if (api.lua_checkstack)(state, 10) == 0 {
            return;
        }
        let top = (api.lua_gettop)(state);
        (api.lua_getfield)(state, LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        if (api.lua_type)(state, -1) == LUA_TTABLE {
            let modules: [(&CStr, &[(&CStr, lua_CFunction)]); 4] = [
                (c"os", &[(c"exit", exit::exit::<R>)]),
                (
                    c"coroutine",
                    &[
                        (c"create", coroutines::create::<R>),
                        (c"resume", coroutines::resume::<R>),
                        (c"wrap", coroutines::wrap::<R>),
                        (c"close", coroutines::close::<R>),
                    ],
                ),
                (c"debug", &[(c"sethook", debug::sethook::<R>), (c"gethook", debug::gethook::<R>)]),
                (
                    c"_G",
                    &[
                        (c"collectgarbage", gc::collectgarbage::<R>),
                        (c"loadfile", load::loadfile::<R>),
                        (c"dofile", load::dofile::<R>),
                    ],
                ),
            ];
            for (module, functions) in modules {
                (api.lua_getfield)(state, -1, module.as_ptr());
                if (api.lua_type)(state, -1) == LUA_TTABLE {
                    for (name, function) in functions {
                        replace(api, state, name, *function);
                    }
                }
                api.pop(state, 1);
            }
            load::install::<R>(api, state);
        }
        (api.lua_settop)(state, top);
    }
}

/// Replaces a C function in the table on top of the stack by a closure over it.
unsafe fn replace(api: &Functions, state: *mut lua_State, name: &CStr, function: lua_CFunction) {
    // SAFETY: see `install`.
    unsafe {
        (api.lua_getfield)(state, -1, name.as_ptr());
        if (api.lua_tocfunction)(state, -1).is_some() {
            (api.lua_pushcclosure)(state, function, 1);
            (api.own.lua_setfield)(state, -2, name.as_ptr());
        } else {
            api.pop(state, 1);
        }
    }
}
