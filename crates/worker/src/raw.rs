//! What mlua does not show, or would be slow at: upvalues, and whether tables are what they were.
#![allow(unsafe_code)]

use mlua::{Function, Lua, LuaString, Result, Table, Value, ffi};

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

/// Whether tables have the entries that they had. `pairs` lists each table, a copy of it, and how many entries that has.
/// Some 20 ns an entry.
pub(crate) fn unchanged(lua: &Lua, pairs: &Table) -> Result<bool> {
    // SAFETY: the stack has a table of tables and numbers, and there is room for the eight values that are pushed on it.
    // What is called raises an error only for want of memory, within the protected call; this frame owns nothing.
    unsafe {
        lua.exec_raw(pairs, |state| {
            ffi::luaL_checkstack(state, 8, std::ptr::null());
            let mut same = true;
            let list = ffi::lua_rawlen(state, 1) as ffi::lua_Integer;
            let mut at = 1;
            while same && at < list {
                ffi::lua_rawgeti(state, 1, at); // 2: the table
                ffi::lua_rawgeti(state, 1, at + 1); // 3: its copy
                ffi::lua_rawgeti(state, 1, at + 2);
                let expected = ffi::lua_tointeger(state, 4);
                ffi::lua_settop(state, 3);
                same = ffi::lua_getmetatable(state, 2) == 0;
                ffi::lua_settop(state, 3);
                let mut count = 0;
                ffi::lua_pushnil(state);
                while same && ffi::lua_next(state, 2) != 0 {
                    ffi::lua_pushvalue(state, 4);
                    ffi::lua_rawget(state, 3);
                    same = ffi::lua_rawequal(state, 5, 6) != 0;
                    count += 1;
                    ffi::lua_settop(state, 4);
                }
                same &= count == expected;
                ffi::lua_settop(state, 1);
                at += 3;
            }
            ffi::lua_pushboolean(state, i32::from(same));
            ffi::lua_remove(state, 1);
        })
    }
}
