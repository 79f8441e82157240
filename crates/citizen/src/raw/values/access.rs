//! Vectors between Rust and Lua.

use mlua::{Lua, MultiValue, Value, ffi};

use super::{matrix_at, push, push_matrix, vector_at};
use crate::values::{Matrix, Vector};

/// The Lua value of a vector.
pub(crate) fn into_value(lua: &Lua, vector: Vector) -> mlua::Result<Value> {
    // SAFETY: in a protected call, on a VM that `install` was called for; the closure owns nothing.
    unsafe { lua.exec_raw((), |state| push(state, vector)) }
}

/// The Lua value of a matrix.
pub(crate) fn matrix_into_value(lua: &Lua, matrix: Matrix) -> mlua::Result<Value> {
    // SAFETY: as above.
    unsafe { lua.exec_raw((), |state| push_matrix(state, matrix)) }
}

/// The vector that a Lua value is.
pub(crate) fn from_value(lua: &Lua, value: &Value) -> Option<Vector> {
    read(lua, value, vector_at)
}

/// The matrix that a Lua value is.
pub(crate) fn matrix_from_value(lua: &Lua, value: &Value) -> Option<Matrix> {
    read(lua, value, matrix_at)
}

fn read<T>(
    lua: &Lua,
    value: &Value,
    at: unsafe fn(*mut ffi::lua_State, std::os::raw::c_int) -> Option<T>,
) -> Option<T> {
    let Value::UserData(_) = value else { return None };
    let mut found = None;
    // SAFETY: the value is at index 1; `at` is one of the two that take any index and raise nothing, and the stack is left
    // empty.
    let read: mlua::Result<()> = unsafe {
        lua.exec_raw(value, |state| {
            found = at(state, 1);
            ffi::lua_settop(state, 0);
        })
    };
    read.ok().and(found)
}

/// Arguments of a native with each vector as its components, as FXServer passes them on: a `vector3` is three numbers.
pub(crate) fn spread(lua: &Lua, values: MultiValue) -> MultiValue {
    if !values.iter().any(|value| matches!(value, Value::UserData(_))) {
        return values;
    }
    let mut spread = Vec::with_capacity(values.len() + 3);
    for value in values {
        match from_value(lua, &value) {
            Some(vector) => {
                spread.extend(vector.components().iter().map(|lane| Value::Number(f64::from(*lane))));
            }
            None => spread.push(value),
        }
    }
    MultiValue::from_vec(spread)
}
