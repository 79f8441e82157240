//! Makes a Lua value from its parts without making a handle per element.

use mlua::{Lua, MultiValue, Table, ffi};

use super::values;
use crate::values::Vector;

/// Something that pushes values.
///
/// A method of [`Builder`] may leave the caller's frame for good when memory runs out, so an implementation's frames
/// own nothing that needs drop: what it needs is borrowed by `self`.
pub(crate) trait Build {
    /// Pushes exactly [`Builder::pushed`] values; each at most once.
    ///
    /// # Errors
    /// Where the input is wrong (a byte offset) and what is wrong with it.
    fn build(&mut self, out: &mut Builder) -> Result<(), (usize, &'static str)>;
}

/// The stack that takes the parts.
pub(crate) struct Builder {
    state: *mut ffi::lua_State,
}

impl Builder {
    /// Makes room for `slots` more values; `false` when the stack is at its limit.
    pub(crate) fn room(&mut self, slots: i32) -> bool {
        // SAFETY: a builder only exists within the protected call of `build`, whose state it holds; so below.
        unsafe { ffi::lua_checkstack(self.state, slots) != 0 }
    }

    pub(crate) fn nil(&mut self) {
        // SAFETY: see `room`.
        unsafe { ffi::lua_pushnil(self.state) }
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        // SAFETY: see `room`.
        unsafe { ffi::lua_pushboolean(self.state, value.into()) }
    }

    pub(crate) fn integer(&mut self, value: i64) {
        // SAFETY: see `room`.
        unsafe { ffi::lua_pushinteger(self.state, value) }
    }

    pub(crate) fn number(&mut self, value: f64) {
        // SAFETY: see `room`.
        unsafe { ffi::lua_pushnumber(self.state, value) }
    }

    pub(crate) fn string(&mut self, bytes: &[u8]) {
        // SAFETY: see `room`; Lua copies the bytes.
        unsafe {
            ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len());
        }
    }

    pub(crate) fn vector(&mut self, vector: Vector) {
        // SAFETY: see `room`; every VM of the server has the value types.
        unsafe { values::push(self.state, vector) }
    }

    /// A new table with room for so many elements and pairs. Hints from outside are cut to a sane size.
    pub(crate) fn table(&mut self, elements: usize, pairs: usize) {
        let cut = |hint: usize| hint.min(1 << 16) as i32;
        // SAFETY: see `room`.
        unsafe { ffi::lua_createtable(self.state, cut(elements), cut(pairs)) }
    }

    /// Puts the value on top as element `index` of the table below it.
    pub(crate) fn set_index(&mut self, index: i64) {
        // SAFETY: see `room`; callers pushed a table and a value.
        unsafe { ffi::lua_rawseti(self.state, -2, index) }
    }

    /// Puts key and value on top into the table below them. A nil or NaN key, which no table takes, drops both.
    pub(crate) fn set_pair(&mut self) {
        // SAFETY: see `room`; callers pushed a table, a key and a value.
        unsafe {
            let usable = match ffi::lua_type(self.state, -2) {
                ffi::LUA_TNIL => false,
                ffi::LUA_TNUMBER => !ffi::lua_tonumber(self.state, -2).is_nan(),
                _ => true,
            };
            if usable {
                ffi::lua_rawset(self.state, -3);
            } else {
                ffi::lua_settop(self.state, -3);
            }
        }
    }

    /// What stands for an entity or a player: a table with its number, and the metatable of that name in the metatable
    /// of functions.
    pub(crate) fn object(&mut self, metatable: &std::ffi::CStr, id: i64) {
        // SAFETY: see `room`; index 1 is a table, put there by `build`.
        unsafe {
            ffi::lua_createtable(self.state, 0, 1);
            ffi::lua_pushinteger(self.state, id);
            ffi::lua_setfield(self.state, -2, c"__data".as_ptr());
            ffi::lua_pushstring(self.state, metatable.as_ptr());
            if ffi::lua_rawget(self.state, 1) == ffi::LUA_TTABLE {
                ffi::lua_setmetatable(self.state, -2);
            } else {
                ffi::lua_settop(self.state, -2);
            }
        }
    }

    /// A function of another VM: a table with the reference in it, and the metatable that calls it.
    pub(crate) fn reference(&mut self, text: &[u8]) {
        // SAFETY: see `room`; index 1 is the metatable, put there by `build`.
        unsafe {
            ffi::lua_createtable(self.state, 0, 1);
            ffi::lua_pushlstring(self.state, text.as_ptr().cast(), text.len());
            ffi::lua_setfield(self.state, -2, c"__cfx_functionReference".as_ptr());
            ffi::lua_pushvalue(self.state, 1);
            ffi::lua_setmetatable(self.state, -2);
        }
    }
}

/// Why nothing was built.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// The input is wrong here.
    Input { offset: usize, problem: &'static str },
    /// Lua could not make the value: out of memory.
    Lua(mlua::Error),
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input { offset, problem } => write!(f, "{problem} at byte {}", offset + 1),
            Self::Lua(error) => write!(f, "{error}"),
        }
    }
}

/// The values `build` pushes. `references` is the metatable of functions of other VMs.
pub(crate) fn build(lua: &Lua, references: &Table, input: &mut dyn Build) -> Result<MultiValue, BuildError> {
    let mut problem = None;
    // SAFETY: the closure owns nothing; `problem` and what `input` borrows live outside the protected call.
    let values: mlua::Result<MultiValue> = unsafe {
        lua.exec_raw(references, |state| {
            match input.build(&mut Builder { state }) {
                Ok(()) => ffi::lua_remove(state, 1),
                Err(wrong) => {
                    problem = Some(wrong);
                    ffi::lua_settop(state, 0);
                }
            };
        })
    };
    match problem {
        Some((offset, problem)) => Err(BuildError::Input { offset, problem }),
        None => values.map_err(BuildError::Lua),
    }
}
