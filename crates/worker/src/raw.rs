//! Upvalues, which mlua does not show. The crate's only unsafe code.
#![allow(unsafe_code)]

use mlua::{Function, Lua, LuaString, Result, Value, ffi};

/// An upvalue of a Lua function: its name (empty when the code is without debug information), its value, and which variable
/// it is: functions that share one have the same number.
pub(crate) struct Upvalue {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) variable: usize,
}

/// Upvalue `index` of a function, counted from 1; `None` when it has fewer.
pub(crate) fn upvalue(lua: &Lua, function: &Function, index: i32) -> Result<Option<Upvalue>> {
    // SAFETY: the stack has the function and a number; what is called takes both as they are, raises nothing, and leaves a
    // value, which is answered behind its name and its identity.
    let (name, variable, value) = unsafe {
        lua.exec_raw::<(Option<LuaString>, mlua::Integer, Value)>(function, move |state| {
            let name = ffi::lua_getupvalue(state, 1, index);
            if name.is_null() {
                ffi::lua_settop(state, 0);
                ffi::lua_pushnil(state);
                ffi::lua_pushinteger(state, 0);
                ffi::lua_pushnil(state);
                return;
            }
            ffi::lua_pushstring(state, name);
            ffi::lua_pushinteger(state, ffi::lua_upvalueid(state, 1, index) as ffi::lua_Integer);
            ffi::lua_remove(state, 1);
            ffi::lua_rotate(state, 1, -1);
        })
    }?;
    Ok(name.map(|name| Upvalue { name: name.as_bytes().to_vec(), value, variable: variable as usize }))
}

/// Gives upvalue `index` of a function a value.
pub(crate) fn set_upvalue(lua: &Lua, function: &Function, index: i32, value: &Value) -> Result<()> {
    // SAFETY: as above; the value is popped, and a function with fewer upvalues is left alone.
    unsafe {
        lua.exec_raw((function, value), move |state| {
            ffi::lua_setupvalue(state, 1, index);
            ffi::lua_settop(state, 0);
        })
    }
}

/// Makes upvalue `index` of a function the variable that `other` has as `other_index`.
pub(crate) fn join_upvalue(
    lua: &Lua,
    (function, index): (&Function, i32),
    (other, other_index): (&Function, i32),
) -> Result<()> {
    // SAFETY: both are Lua functions with those upvalues: the caller has just set them.
    unsafe {
        lua.exec_raw((function, other), move |state| {
            ffi::lua_upvaluejoin(state, 1, index, 2, other_index);
            ffi::lua_settop(state, 0);
        })
    }
}
