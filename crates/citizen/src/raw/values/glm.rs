//! The table `glm`, made when a script requires it, and the functions of it that are always there.

use std::os::raw::{c_int, c_void};

use mlua::ffi;

use super::{constructors, matrices, polygons};
use crate::raw::call::{Function, push_function};
use crate::values::glm;

/// Key of the registry for the table.
static TABLE: u8 = 0;

fn key() -> *const c_void {
    (&raw const TABLE).cast()
}

/// Globals that are functions of `glm`.
const GLOBALS: [(&str, &str); 5] =
    [("dot", "dot"), ("cross", "cross"), ("inv", "inverse"), ("norm", "normalize"), ("slerp", "slerp")];

fn find(name: &str) -> Option<Function> {
    glm::FUNCTIONS.iter().copied().flatten().find(|(known, _)| *known == name).map(|(_, function)| *function)
}

/// Sets a field of the table on top to a function.
///
/// # Safety
/// There is a table on top and three slots are free; may raise.
unsafe fn set(state: *mut ffi::lua_State, name: &str, function: Function) {
    // SAFETY: as the caller says; Lua copies the name.
    unsafe {
        ffi::lua_pushlstring(state, name.as_ptr().cast(), name.len());
        push_function(state, function);
        ffi::lua_rawset(state, -3);
    }
}

/// # Safety
/// In a protected call, behind the other types.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        for (name, of) in GLOBALS {
            if let Some(function) = find(of) {
                set(state, name, function);
            }
        }
        ffi::lua_getfield(state, -1, c"math".as_ptr());
        for name in glm::MATH {
            if let Some(function) = find(name) {
                set(state, name, function);
            }
        }
        ffi::lua_getfield(state, -1, c"atan".as_ptr());
        ffi::lua_setfield(state, -2, c"atan2".as_ptr());
        ffi::lua_pushnumber(state, f64::EPSILON);
        ffi::lua_setfield(state, -2, c"eps".as_ptr());
        ffi::lua_pushnumber(state, f64::from(f32::EPSILON));
        ffi::lua_setfield(state, -2, c"feps".as_ptr());
        ffi::lua_settop(state, -3);
        polygons::push_metatable(state);
        for (name, function) in glm::POLYGON_EVENTS {
            set(state, name, *function);
        }
        ffi::lua_settop(state, -2);
    }
}

/// Pushes the function of the loaded `glm` that the key at index 2 names, else nil: methods of vectors and matrices.
///
/// # Safety
/// In a metamethod `__index`, with four free slots.
pub(super) unsafe fn push_method(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says; raw access calls no metamethod.
    unsafe {
        if ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key()) != ffi::LUA_TTABLE {
            return; // nil, as long as no script required it
        }
        ffi::lua_pushvalue(state, 2);
        if ffi::lua_rawget(state, -2) != ffi::LUA_TFUNCTION {
            ffi::lua_pushnil(state);
        }
    }
}

/// Answers the table, the same one each time.
///
/// # Safety
/// Called by Lua only.
pub(super) unsafe extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua gives a C function LUA_MINSTACK free slots; nothing here needs drop.
    unsafe {
        ffi::lua_settop(state, 0);
        if ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key()) == ffi::LUA_TTABLE {
            return 1;
        }
        ffi::lua_settop(state, 0);
        ffi::lua_createtable(state, 0, 256);
        copy_math(state);
        for (name, function) in glm::FUNCTIONS.iter().copied().flatten() {
            set(state, name, *function);
        }
        for (name, value) in glm::CONSTANTS {
            ffi::lua_pushlstring(state, name.as_ptr().cast(), name.len());
            ffi::lua_pushnumber(state, *value);
            ffi::lua_rawset(state, -3);
        }
        super::set_functions(state, constructors::FUNCTIONS);
        super::set_functions(state, matrices::FUNCTIONS);
        for (name, entries) in glm::SHAPES {
            ffi::lua_pushlstring(state, name.as_ptr().cast(), name.len());
            ffi::lua_createtable(state, 0, entries.len() as c_int);
            for (name, function) in *entries {
                set(state, name, *function);
            }
            ffi::lua_pushfstring(state, c"glm.%s.".as_ptr(), ffi::lua_tostring(state, -2));
            report_missing(state);
            if *name == "polygon" {
                polygons::push_metatable(state);
                ffi::lua_pushvalue(state, -2);
                ffi::lua_setfield(state, -2, c"library".as_ptr());
                ffi::lua_settop(state, -2);
            }
            ffi::lua_rawset(state, -3);
        }
        ffi::lua_pushstring(state, c"glm.".as_ptr());
        report_missing(state);
        ffi::lua_pushvalue(state, -1);
        ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key());
        1
    }
}

/// Copies all of `math` into the table on top, which then adds to it.
///
/// # Safety
/// See [`open`].
unsafe fn copy_math(state: *mut ffi::lua_State) {
    // SAFETY: see `open`. The table that is walked is not changed.
    unsafe {
        let table = ffi::lua_gettop(state);
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        ffi::lua_pushstring(state, c"math".as_ptr());
        if ffi::lua_rawget(state, -2) == ffi::LUA_TTABLE {
            let math = ffi::lua_gettop(state);
            ffi::lua_pushnil(state);
            while ffi::lua_next(state, math) != 0 {
                ffi::lua_pushvalue(state, -2);
                ffi::lua_rotate(state, -2, 1);
                ffi::lua_rawset(state, table);
            }
        }
        ffi::lua_settop(state, table);
    }
}

/// Gives the table below the text on top a metatable: what is missing is named, with that text in front, when it is
/// called. Pops the text.
///
/// # Safety
/// See [`open`].
unsafe fn report_missing(state: *mut ffi::lua_State) {
    // SAFETY: see `open`.
    unsafe {
        ffi::lua_pushcclosure(state, missing, 1);
        ffi::lua_createtable(state, 0, 1);
        ffi::lua_rotate(state, -2, 1);
        ffi::lua_setfield(state, -2, c"__index".as_ptr());
        ffi::lua_setmetatable(state, -2);
    }
}

/// # Safety
/// Called by Lua only, as `__index` with the text of [`report_missing`] as its upvalue.
unsafe extern "C-unwind" fn missing(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above. Only a string is taken as text: a number would be changed in place.
    unsafe {
        if ffi::lua_type(state, 2) != ffi::LUA_TSTRING {
            ffi::lua_pushnil(state);
            return 1;
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(state, 2);
        ffi::lua_concat(state, 2);
        ffi::lua_pushcclosure(state, absent, 1);
        1
    }
}

/// # Safety
/// Called by Lua only, with the name of a function as its upvalue.
unsafe extern "C-unwind" fn absent(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above; does not return.
    unsafe {
        let name = ffi::lua_tostring(state, ffi::lua_upvalueindex(1));
        ffi::luaL_error(
            state,
            c"%s is not there: this server has the part of glm that servers use".as_ptr(),
            name,
        )
    }
}

/// C functions of this module, for the list of those without a span.
pub(super) fn hidden() -> [usize; 3] {
    [missing as *const () as usize, absent as *const () as usize, open as *const () as usize]
}
