//! Vectors and quaternions as Lua values.
//!
//! Stock Lua has no room for another type, so each is a full userdata that exists once per value and VM: Lua's own
//! identity then is equality, and a table finds a vector by its value. A table with weak values keeps them, by a number
//! made of their bits, so that making one again costs a look-up and no memory.
//!
//! A userdata is known by a tag in its memory that scripts cannot make, never by its metatable, which `debug` may change.

mod access;
mod block;
mod constructors;
mod glm;
mod library;
mod matrices;
mod operators;
mod polygons;
mod tables;

use std::os::raw::c_int;

use mlua::{Function, Lua, ffi};

pub(crate) use access::{from_value, into_value, matrix_from_value, matrix_into_value, spread};
pub(super) use block::{push, vector_at};
use glm::push_method;
pub(super) use matrices::{matrix_at, push_matrix};
pub(super) use polygons::{points_at, push_polygon, set_point};

/// What `type` calls the value at `index`.
///
/// # Safety
/// `index` is acceptable. Does not raise.
pub(super) unsafe fn type_name_at(state: *mut ffi::lua_State, index: c_int) -> &'static std::ffi::CStr {
    // SAFETY: as the caller says; the names of Lua's types are constants.
    unsafe {
        match vector_at(state, index) {
            Some(vector) => vector.kind().name(),
            None if matrix_at(state, index).is_some() => c"matrix",
            None if ffi::lua_type(state, index) == ffi::LUA_TNONE => c"no value",
            None => std::ffi::CStr::from_ptr(ffi::lua_typename(state, ffi::lua_type(state, index))),
        }
    }
}

/// Gives a VM the types, their constructors, and the functions of Lua's library that know about them.
pub(crate) fn install(lua: &Lua) -> mlua::Result<()> {
    // SAFETY: the closure runs in a protected call and owns nothing.
    unsafe {
        lua.exec_raw((), |state| {
            block::install(state);
            operators::install(state);
            constructors::install(state);
            matrices::install(state);
            polygons::install(state);
            library::install(state);
            tables::install(state);
            glm::install(state);
        })
    }
}

/// A function that answers the table `glm`.
pub(crate) fn glm_function(lua: &Lua) -> mlua::Result<Function> {
    // SAFETY: as in `install`; the closure leaves the function.
    unsafe { lua.exec_raw((), |state| ffi::lua_pushcclosure(state, glm::open, 0)) }
}

/// The C functions that get no span: making and adding vectors is as little worth one as adding numbers.
pub(super) fn hidden() -> impl Iterator<Item = usize> {
    [
        constructors::FUNCTIONS,
        operators::EVENTS,
        library::GLOBALS,
        library::TABLE,
        matrices::FUNCTIONS,
        matrices::EVENTS,
        polygons::EVENTS,
    ]
    .into_iter()
    .flatten()
    .map(|(_, function)| *function as usize)
    .chain(glm::hidden())
}

/// A C function and the name it goes under.
type Named = (&'static std::ffi::CStr, ffi::lua_CFunction);

/// Sets fields of the table on top.
///
/// # Safety
/// There is a table on top; may raise.
unsafe fn set_functions(state: *mut ffi::lua_State, functions: &[Named]) {
    for (name, function) in functions {
        // SAFETY: as the caller says.
        unsafe {
            ffi::lua_pushcclosure(state, *function, 0);
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
    }
}
