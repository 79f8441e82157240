//! The functions of Lua's own library that know the added types.

use std::os::raw::c_int;

use mlua::ffi;

use super::{Named, matrices, type_name_at, vector_at};

/// Globals.
pub(super) const GLOBALS: &[Named] = &[(c"type", type_), (c"rawlen", rawlen), (c"next", next)];

/// Fields of `table`.
pub(super) const TABLE: &[Named] = &[(c"unpack", unpack)];

/// # Safety
/// In a protected call, on a VM with Lua's libraries.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        super::set_functions(state, GLOBALS);
        ffi::lua_getfield(state, -1, c"table".as_ptr());
        super::set_functions(state, TABLE);
        ffi::lua_settop(state, -3);
    }
}

/// `type(value)`.
///
/// # Safety
/// Called by Lua only, as all below: the arguments are on the stack and LUA_MINSTACK slots are free. They may leave the
/// frame for good by an error; frames here own nothing that needs drop.
unsafe extern "C-unwind" fn type_(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        // frameworks ask this all the time, hardly ever of userdata
        match ffi::lua_type(state, 1) {
            ffi::LUA_TNONE => return ffi::luaL_argerror(state, 1, c"value expected".as_ptr()),
            ffi::LUA_TUSERDATA => ffi::lua_pushstring(state, type_name_at(state, 1).as_ptr()),
            plain => ffi::lua_pushstring(state, ffi::lua_typename(state, plain)),
        };
        1
    }
}

/// Raises that something else was expected.
///
/// # Safety
/// See [`type_`]; does not return.
pub(super) unsafe fn wrong(state: *mut ffi::lua_State, index: c_int, expected: &std::ffi::CStr) -> c_int {
    // SAFETY: see `type_`.
    unsafe {
        let got = type_name_at(state, index).as_ptr();
        let text = ffi::lua_pushfstring(state, c"%s expected, got %s".as_ptr(), expected.as_ptr(), got);
        ffi::luaL_argerror(state, index, text)
    }
}

/// `rawlen(value)`; of a vector its number of components.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn rawlen(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`.
    unsafe {
        let len = match vector_at(state, 1) {
            Some(vector) => vector.components().len() as ffi::lua_Integer,
            None => match ffi::lua_type(state, 1) {
                ffi::LUA_TTABLE | ffi::LUA_TSTRING => ffi::lua_rawlen(state, 1) as ffi::lua_Integer,
                _ => return wrong(state, 1, c"table or string or vector"),
            },
        };
        ffi::lua_pushinteger(state, len);
        1
    }
}

/// `next(value, key)`; through a vector as `pairs` goes.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn next(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. A key that the table does not have raises.
    unsafe {
        if vector_at(state, 1).is_some() {
            return super::operators::next(state);
        }
        if super::matrix_at(state, 1).is_some() {
            return matrices::next(state);
        }
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            return wrong(state, 1, c"table");
        }
        ffi::lua_settop(state, 2);
        if ffi::lua_next(state, 1) != 0 {
            return 2;
        }
        ffi::lua_pushnil(state);
        1
    }
}

/// `table.unpack(list, from, to)`; all components of a vector, a quaternion's real part first.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn unpack(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. As many slots as there are results are asked for first. What is no table is read through its
    // metamethods, as Lua's own function does.
    unsafe {
        if let Some(vector) = vector_at(state, 1) {
            let [x, y, z, w] = vector.lanes();
            let quat = [w, x, y, z];
            let lanes = if vector.is_quat() { &quat } else { vector.components() };
            for lane in lanes {
                ffi::lua_pushnumber(state, f64::from(*lane));
            }
            return lanes.len() as c_int;
        }
        if let Some(matrix) = super::matrix_at(state, 1) {
            return matrices::unpack(state, &matrix);
        }
        let from = ffi::luaL_optinteger(state, 2, 1);
        let to = match ffi::lua_type(state, 3) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => ffi::luaL_len(state, 1),
            _ => ffi::luaL_checkinteger(state, 3),
        };
        if from > to {
            return 0;
        }
        let count = to.wrapping_sub(from).cast_unsigned();
        match c_int::try_from(count) {
            Ok(count) if count < c_int::MAX && ffi::lua_checkstack(state, count + 1) != 0 => {}
            _ => return ffi::luaL_error(state, c"too many results to unpack".as_ptr()),
        }
        for index in from..to {
            ffi::lua_geti(state, 1, index);
        }
        ffi::lua_geti(state, 1, to);
        count as c_int + 1
    }
}
