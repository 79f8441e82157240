//! Natives: host functions as scripts see them.
//!
//! mlua raises a Rust error as a userdata, so `pcall` in a script would not get the string it expects, and it cannot
//! yield. So each native is a small C closure around mlua's function; what that one returns decides how it ends: plain
//! results, or a light userdata tag that asks for an error or a yield. Scripts never see the tags.

use std::mem::MaybeUninit;
use std::os::raw::{c_int, c_void};

use super::slice::is_own;
use mlua::{Function, LightUserData, Lua, MultiValue, Value, ffi};

/// Distinct addresses that scripts cannot make.
static TAGS: [u8; 2] = [0; 2];

fn raise_tag() -> *mut c_void {
    (&raw const TAGS[0]).cast_mut().cast()
}

fn wait_tag() -> *mut c_void {
    (&raw const TAGS[1]).cast_mut().cast()
}

/// The answer of a native, or the arguments of a resumption, that raise `error`. A string gets the position of the
/// script that called the native in front.
pub(crate) fn tagged_raise(error: Value) -> MultiValue {
    MultiValue::from_vec(vec![Value::LightUserData(LightUserData(raise_tag())), error])
}

/// The answer of a native that suspends the calling coroutine until the scheduler answers `token`.
pub(crate) fn tagged_wait(token: u64) -> MultiValue {
    MultiValue::from_vec(vec![
        Value::LightUserData(LightUserData(wait_tag())),
        Value::Integer(token.cast_signed()),
    ])
}

/// The token in what a coroutine yielded, when a native suspended it.
pub(super) fn token_of(yielded: &MultiValue) -> Option<u64> {
    match (yielded.front(), yielded.get(1)) {
        (Some(Value::LightUserData(tag)), Some(Value::Integer(token))) if tag.0 == wait_tag() => {
            Some(token.cast_unsigned())
        }
        _ => None,
    }
}

/// The C functions of this module: the host records what lies behind them under its own name.
pub(super) fn hidden() -> [usize; 2] {
    [call as *const () as usize, wait as *const () as usize]
}

/// `inner` as a native; see the module.
pub(crate) fn native(lua: &Lua, inner: Function) -> mlua::Result<Function> {
    // SAFETY: the closure leaves one value, the C closure, on the protected stack; it owns nothing.
    unsafe { lua.exec_raw(inner, |state| ffi::lua_pushcclosure(state, call, 1)) }
}

/// `Wait(ms)`: yields its argument to the scheduler.
pub(crate) fn wait_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: as in `native`.
    unsafe { lua.exec_raw((), |state| ffi::lua_pushcclosure(state, wait, 0)) }
}

/// # Safety
/// Called by Lua only, with the wrapped function as its upvalue.
unsafe extern "C-unwind" fn call(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua gives a C function its arguments and LUA_MINSTACK free slots; nothing here needs drop.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, arguments, ffi::LUA_MULTRET);
        finish(state)
    }
}

/// # Safety
/// Called by Lua only, when a native suspended by [`finish`] goes on: the stack holds what it is resumed with.
unsafe extern "C-unwind" fn go_on(state: *mut ffi::lua_State, _: c_int, _: ffi::lua_KContext) -> c_int {
    // SAFETY: as in `call`.
    unsafe { finish(state) }
}

/// Ends a native whose results are on the stack.
///
/// # Safety
/// `state` is that of the running C function.
unsafe fn finish(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: index 1 is read only after the count was looked at; `lua_error` does not return, and no frame between
    // here and Lua owns anything.
    unsafe {
        let results = ffi::lua_gettop(state);
        if results == 0 || ffi::lua_type(state, 1) != ffi::LUA_TLIGHTUSERDATA {
            return results;
        }
        let tag = ffi::lua_touserdata(state, 1);
        if tag == raise_tag() {
            ffi::lua_settop(state, 2);
            if ffi::lua_type(state, 2) == ffi::LUA_TSTRING {
                ffi::luaL_where(state, script_level(state));
                ffi::lua_insert(state, 2);
                ffi::lua_concat(state, 2);
            }
            ffi::lua_error(state)
        }
        if tag == wait_tag() {
            return ffi::lua_yieldk(state, results, 0, Some(go_on));
        }
        results
    }
}

/// The level of the function that called the native, seen from the native; the host's own parts in Lua are passed over.
///
/// # Safety
/// As [`finish`]. Does not raise.
unsafe fn script_level(state: *mut ffi::lua_State) -> c_int {
    for level in 1..8 {
        let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: all-zero bytes are a valid `lua_Debug`, `lua_getstack` fills what `lua_getinfo` needs, and "S"
        // allocates nothing.
        unsafe {
            if ffi::lua_getstack(state, level, record.as_mut_ptr()) == 0 {
                break;
            }
            ffi::lua_getinfo(state, c"S".as_ptr(), record.as_mut_ptr());
            if !is_own(record.assume_init_ref().source) {
                return level;
            }
        }
    }
    1
}

/// # Safety
/// Called by Lua only.
unsafe extern "C-unwind" fn wait(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `call`. `luaL_optnumber` raises on something else than a number.
    unsafe {
        ffi::lua_settop(state, 1);
        ffi::luaL_optnumber(state, 1, 0.0);
        ffi::lua_yieldk(state, 1, 0, Some(waited))
    }
}

/// # Safety
/// Called by Lua only, when [`wait`] goes on.
unsafe extern "C-unwind" fn waited(_: *mut ffi::lua_State, _: c_int, _: ffi::lua_KContext) -> c_int {
    0
}
