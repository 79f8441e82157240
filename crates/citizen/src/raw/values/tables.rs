//! What FXServer's Lua adds to `table` and `string`, and `joaat`.

use std::ffi::CStr;
use std::os::raw::c_int;

use mlua::ffi;

use super::{Named, library, type_name_at};
use crate::values::hash;

/// Fields of `table`.
pub(super) const TABLE: &[Named] = &[
    (c"type", type_),
    (c"create", create),
    (c"new", create),
    (c"wipe", wipe),
    (c"clear", wipe),
    (c"clone", clone),
];

/// Fields of `string`.
pub(super) const STRING: &[Named] = &[
    (c"strtrim", trim),
    (c"strsplit", split),
    (c"strjoin", join),
    (c"strconcat", concat),
    (c"tostringall", to_string_all),
];

/// Globals.
pub(super) const GLOBALS: &[Named] = &[(c"joaat", joaat), (c"scrub", scrub)];

/// # Safety
/// In a protected call, on a VM with Lua's libraries.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        super::set_functions(state, GLOBALS);
        for (library, functions) in [(c"table", TABLE), (c"string", STRING)] {
            ffi::lua_getfield(state, -1, library.as_ptr());
            super::set_functions(state, functions);
            ffi::lua_settop(state, -2);
        }
        ffi::lua_settop(state, -2);
    }
}

/// `table.type(t)`: "empty", "array", "hash" or "mixed"; nil for what is no table.
///
/// FXServer looks at how the table is laid out in memory. Here its keys are looked at: those from 1 to its length are
/// the array, all others the hash.
///
/// # Safety
/// Called by Lua only, as all below: the arguments are on the stack and LUA_MINSTACK slots are free. They may leave the
/// frame for good by an error; frames here own nothing that needs drop.
unsafe extern "C-unwind" fn type_(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above. `lua_next` is given keys it returned itself.
    unsafe {
        ffi::luaL_checkany(state, 1);
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            ffi::lua_pushnil(state);
            return 1;
        }
        let len = ffi::lua_rawlen(state, 1) as ffi::lua_Integer;
        let (mut array, mut hash) = (len > 0, false);
        ffi::lua_settop(state, 1);
        ffi::lua_pushnil(state);
        while !(array && hash) && ffi::lua_next(state, 1) != 0 {
            ffi::lua_settop(state, 2);
            let listed =
                ffi::lua_isinteger(state, 2) != 0 && (1..=len).contains(&ffi::lua_tointeger(state, 2));
            array |= listed;
            hash |= !listed;
        }
        let name = match (array, hash) {
            (false, false) => c"empty",
            (true, false) => c"array",
            (false, true) => c"hash",
            (true, true) => c"mixed",
        };
        ffi::lua_pushstring(state, name.as_ptr());
        1
    }
}

/// `table.create(elements, pairs)`: an empty table with room.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn create(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`.
    unsafe {
        let size = |index, text: &CStr| match c_int::try_from(ffi::luaL_checkinteger(state, index)) {
            Ok(size) if (0..c_int::MAX).contains(&size) => size,
            _ => ffi::luaL_argerror(state, index, text.as_ptr()),
        };
        let elements = size(1, c"invalid narray size");
        let pairs = size(2, c"invalid nrec size");
        ffi::lua_createtable(state, elements, pairs);
        1
    }
}

/// `table.wipe(t)`: takes everything out, and answers the table.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn wipe(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. A traversal allows to clear fields.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(state, 1);
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, 1) != 0 {
            ffi::lua_settop(state, 2);
            ffi::lua_pushvalue(state, 2);
            ffi::lua_pushnil(state);
            ffi::lua_rawset(state, 1);
        }
        ffi::lua_settop(state, 1);
        1
    }
}

/// `table.clone(t, into)`: the pairs of `t` in a new table, or in another; no metatable.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn clone(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. A table that is cloned into itself only gets the values it has.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        if ffi::lua_gettop(state) >= 2 {
            ffi::luaL_checktype(state, 2, ffi::LUA_TTABLE);
        } else {
            let elements = c_int::try_from(ffi::lua_rawlen(state, 1)).unwrap_or(0);
            ffi::lua_createtable(state, elements, 0);
        }
        ffi::lua_settop(state, 2);
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, 1) != 0 {
            ffi::lua_pushvalue(state, 3);
            ffi::lua_rotate(state, 4, 1); // key, key, value
            ffi::lua_rawset(state, 2);
        }
        ffi::lua_settop(state, 2);
        1
    }
}

/// The string at `index`; raises when it is none.
///
/// # Safety
/// See [`type_`]; the string stays on the stack while it is used.
unsafe fn bytes_at<'a>(state: *mut ffi::lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: see `type_`.
    unsafe {
        let data = ffi::luaL_checklstring(state, index, &mut len);
        std::slice::from_raw_parts(data.cast(), len)
    }
}

/// `string.strtrim(text, characters)`: without those characters at both ends, white space by default.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn trim(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`; Lua copies the bytes.
    unsafe {
        let text = bytes_at(state, 1);
        let taken: &[u8] = match ffi::lua_type(state, 2) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => b"\t\n\x0b\x0c\r ",
            _ => bytes_at(state, 2),
        };
        let from = text.iter().position(|byte| !taken.contains(byte)).unwrap_or(text.len());
        let to = text.iter().rposition(|byte| !taken.contains(byte)).map_or(from, |last| last + 1);
        let trimmed = &text[from..to];
        ffi::lua_pushlstring(state, trimmed.as_ptr().cast(), trimmed.len());
        1
    }
}

/// `string.strsplit(delimiters, text, pieces)`: the parts between any of those characters, at most so many.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn split(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. Both strings stay below the results.
    unsafe {
        let (delimiters, text) = (bytes_at(state, 1), bytes_at(state, 2));
        let pieces = ffi::luaL_optinteger(state, 3, 0);
        let (mut from, mut count) = (0, 0);
        let more = |count: c_int| pieces == 0 || ffi::lua_Integer::from(count) < pieces - 1;
        for (at, byte) in text.iter().enumerate() {
            if delimiters.contains(byte) && more(count) {
                ffi::luaL_checkstack(state, 2, c"too many results".as_ptr());
                ffi::lua_pushlstring(state, text[from..].as_ptr().cast(), at - from);
                count += 1;
                from = at + 1;
            }
        }
        ffi::luaL_checkstack(state, 1, c"too many results".as_ptr());
        ffi::lua_pushlstring(state, text[from..].as_ptr().cast(), text.len() - from);
        count + 1
    }
}

/// `string.strjoin(delimiter, …)`.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn join(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`; `lua_concat` takes strings and numbers only, which is looked at first.
    unsafe {
        ffi::luaL_checkstring(state, 1);
        let arguments = ffi::lua_gettop(state);
        if arguments < 2 {
            ffi::lua_pushlstring(state, c"".as_ptr(), 0);
            return 1;
        }
        ffi::luaL_checkstack(state, 2 * arguments, c"too many arguments".as_ptr());
        for index in 2..=arguments {
            if ffi::lua_isstring(state, index) == 0 {
                let format = c"invalid value (%s) at argument %d for 'join'".as_ptr();
                return ffi::luaL_error(state, format, type_name_at(state, index).as_ptr(), index);
            }
            if index > 2 {
                ffi::lua_pushvalue(state, 1);
            }
            ffi::lua_pushvalue(state, index);
        }
        ffi::lua_concat(state, 2 * arguments - 3);
        1
    }
}

/// `string.strconcat(…)`.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn concat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`.
    unsafe { ffi::lua_concat(state, ffi::lua_gettop(state)) }
    1
}

/// `string.tostringall(…)`: each argument as text.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn to_string_all(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`. A metamethod may run and gets slots of its own.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        ffi::luaL_checkstack(state, 4, std::ptr::null());
        for index in 1..=arguments {
            ffi::luaL_tolstring(state, index, std::ptr::null_mut());
            ffi::lua_replace(state, index);
        }
        arguments
    }
}

/// `joaat(text, exact)`: the hash of names of models and natives, signed.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn joaat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`; each read matches the type just looked at.
    unsafe {
        let hash = match ffi::lua_type(state, 1) {
            ffi::LUA_TSTRING if ffi::lua_toboolean(state, 2) != 0 => {
                ffi::lua_Integer::from(hash::exact(bytes_at(state, 1)))
            }
            ffi::LUA_TSTRING => ffi::lua_Integer::from(hash::joaat(bytes_at(state, 1))),
            ffi::LUA_TNUMBER => ffi::lua_tointeger(state, 1),
            ffi::LUA_TBOOLEAN => ffi::lua_Integer::from(ffi::lua_toboolean(state, 1)),
            _ => return library::wrong(state, 1, c"string"),
        };
        ffi::lua_pushinteger(state, hash);
        1
    }
}

/// `scrub(…)`: all arguments, those that are no plain values as nil.
///
/// # Safety
/// See [`type_`].
unsafe extern "C-unwind" fn scrub(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `type_`.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        for index in 1..=arguments {
            let plain = matches!(
                ffi::lua_type(state, index),
                ffi::LUA_TNIL | ffi::LUA_TBOOLEAN | ffi::LUA_TNUMBER | ffi::LUA_TSTRING
            );
            if !plain {
                ffi::lua_pushnil(state);
                ffi::lua_replace(state, index);
            }
        }
        arguments
    }
}
