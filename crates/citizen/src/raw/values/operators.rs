//! What can be done with a vector: its metamethods.

use std::os::raw::c_int;

use mlua::ffi;

use super::{Named, push, type_name_at, vector_at};
use crate::values::{Kind, Operator, Vector, text};

/// The metamethods. Those that are missing raise Lua's own error, as on a server: setting a field, calling, comparing.
pub(super) const EVENTS: &[Named] = &[
    (c"__index", index),
    (c"__len", len),
    (c"__tostring", to_string),
    (c"__pairs", pairs),
    (c"__concat", concat),
    (c"__unm", negate),
    (c"__add", add),
    (c"__sub", sub),
    (c"__mul", mul),
    (c"__div", div),
    (c"__idiv", floor_div),
    (c"__mod", modulo),
    (c"__pow", pow),
    (c"__band", band),
    (c"__bor", bor),
    (c"__bxor", bxor),
    (c"__shl", shift_left),
    (c"__shr", shift_right),
];

/// # Safety
/// See [`super::block::add_events`].
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe { super::block::add_events(state, EVENTS) }
}

/// # Safety
/// All of them are called by Lua only, on its C function contract: arguments on the stack, LUA_MINSTACK free slots.
/// `luaL_error` and `push` may leave the frame for good; frames here own nothing that needs drop.
macro_rules! arithmetic {
    ($($name:ident $operator:ident)*) => {$(
        unsafe extern "C-unwind" fn $name(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: Lua gives a binary metamethod its two operands.
            unsafe { operate(state, Operator::$operator) }
        }
    )*};
}

arithmetic! {
    add Add
    sub Sub
    mul Mul
    div Div
    floor_div FloorDiv
    modulo Mod
    pow Pow
    band And
    bor Or
    bxor Xor
    shift_left ShiftLeft
    shift_right ShiftRight
}

/// # Safety
/// In a binary metamethod.
unsafe fn operate(state: *mut ffi::lua_State, operator: Operator) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        let result = match (vector_at(state, 1), vector_at(state, 2)) {
            (Some(a), Some(b)) => a.operate(operator, &b),
            (Some(a), None) => number_at(state, 2).and_then(|b| a.operate_number(operator, b)),
            (None, Some(b)) => number_at(state, 1).and_then(|a| b.operate_from_number(operator, a)),
            (None, None) => None,
        };
        let Some(result) = result else {
            // Lua asks the first operand; the second may know what to do
            if super::matrix_at(state, 2).is_some() {
                return super::matrices::operate(state, operator);
            }
            if operator == Operator::Mul && super::points_at(state, 2).is_some() {
                return super::polygons::multiply(state);
            }
            return refuse(state, operator);
        };
        push(state, result);
        1
    }
}

/// A number, not text that looks like one.
///
/// # Safety
/// `index` is acceptable. Does not raise.
unsafe fn number_at(state: *mut ffi::lua_State, index: c_int) -> Option<f32> {
    // SAFETY: as the caller says.
    unsafe {
        (ffi::lua_type(state, index) == ffi::LUA_TNUMBER).then(|| ffi::lua_tonumber(state, index) as f32)
    }
}

/// # Safety
/// See [`operate`]; does not return.
unsafe fn refuse(state: *mut ffi::lua_State, operator: Operator) -> c_int {
    // SAFETY: see `arithmetic`; the names are constants.
    unsafe {
        let done = match operator.is_bitwise() {
            true => c"perform bitwise operation",
            false => c"perform arithmetic",
        };
        // an operand that is neither a vector nor a number is the culprit
        for culprit in [1, 2] {
            if vector_at(state, culprit).is_none() && ffi::lua_type(state, culprit) != ffi::LUA_TNUMBER {
                let name = type_name_at(state, culprit).as_ptr();
                return ffi::luaL_error(state, c"attempt to %s on a %s value".as_ptr(), done.as_ptr(), name);
            }
        }
        ffi::luaL_error(
            state,
            c"attempt to %s on a %s value and a %s value".as_ptr(),
            done.as_ptr(),
            type_name_at(state, 1).as_ptr(),
            type_name_at(state, 2).as_ptr(),
        )
    }
}

/// `-v`.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn negate(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        let Some(vector) = vector_at(state, 1) else { return not_a_vector(state) };
        push(state, vector.map(|lane| -lane));
        1
    }
}

/// `#v`: the magnitude, not the number of components.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn len(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        let Some(vector) = vector_at(state, 1) else { return not_a_vector(state) };
        ffi::lua_pushnumber(state, f64::from(vector.magnitude()));
        1
    }
}

/// `tostring(v)`.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn to_string(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`; the text is on this frame and Lua copies it.
    unsafe {
        let Some(vector) = vector_at(state, 1) else { return not_a_vector(state) };
        let text = text::of_vector(&vector);
        let bytes = text.bytes();
        ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
        1
    }
}

/// `v .. x`: more components.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn concat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        let mut lanes = [0.0; 4];
        let mut len = 0;
        for index in [1, 2] {
            let one;
            let more = match (vector_at(state, index), ffi::lua_type(state, index)) {
                (Some(vector), _) => {
                    one = vector.lanes();
                    &one[..vector.components().len()]
                }
                (None, ffi::LUA_TNUMBER) if index == 2 => {
                    one = [ffi::lua_tonumber(state, index) as f32; 4];
                    &one[..1]
                }
                _ => &[],
            };
            if more.is_empty() || len + more.len() > 4 {
                // a string in front is refused too: tostring is called for neither
                let name = match vector_at(state, 2) {
                    Some(_) => type_name_at(state, 2),
                    None => type_name_at(state, 1),
                };
                return ffi::luaL_error(state, c"attempt to concatenate a %s value".as_ptr(), name.as_ptr());
            }
            lanes[len..len + more.len()].copy_from_slice(more);
            len += more.len();
        }
        let Some(kind) = Kind::of_len(len) else { return not_a_vector(state) };
        push(state, Vector::new(kind, lanes));
        1
    }
}

/// `v.x`, `v[1]`, `v.zyx`, `v.n`; nil for anything else.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn index(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`. For a string, `lua_tolstring` gives its own bytes, which stay while it is on the stack.
    unsafe {
        let Some(vector) = vector_at(state, 1) else { return not_a_vector(state) };
        match ffi::lua_type(state, 2) {
            ffi::LUA_TSTRING => {
                let mut len = 0;
                let data = ffi::lua_tolstring(state, 2, &mut len);
                field(state, &vector, std::slice::from_raw_parts(data.cast(), len));
            }
            ffi::LUA_TNUMBER => {
                // a fraction is cut off, as FXServer does
                let index = ffi::lua_tonumber(state, 2).floor() as i64;
                push_lane(state, vector.get(index));
            }
            _ => ffi::lua_pushnil(state),
        }
        1
    }
}

/// # Safety
/// See [`index`].
unsafe fn field(state: *mut ffi::lua_State, vector: &Vector, name: &[u8]) {
    // SAFETY: see `index`.
    unsafe {
        match name {
            [b'n'] | b"dim" => ffi::lua_pushinteger(state, vector.components().len() as i64),
            [letter] => push_lane(state, vector.named(*letter)),
            b"angle" if vector.is_quat() => {
                ffi::lua_pushnumber(state, f64::from(vector.angle()).to_degrees());
            }
            b"axis" if vector.is_quat() => push(state, Vector::vector3(vector.axis())),
            _ => match vector.swizzle(name) {
                Some(swizzled) => push(state, swizzled),
                None => super::push_method(state),
            },
        }
    }
}

/// # Safety
/// A slot is free.
unsafe fn push_lane(state: *mut ffi::lua_State, lane: Option<f32>) {
    // SAFETY: as the caller says.
    unsafe {
        match lane {
            Some(lane) => ffi::lua_pushnumber(state, f64::from(lane)),
            None => ffi::lua_pushnil(state),
        }
    }
}

/// `pairs(v)`: the components under 1 to 4.
///
/// # Safety
/// See [`arithmetic`].
unsafe extern "C-unwind" fn pairs(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        ffi::lua_settop(state, 1);
        ffi::lua_pushcclosure(state, next, 0);
        ffi::lua_rotate(state, 1, 1);
        ffi::lua_pushnil(state);
        3
    }
}

/// One step of [`pairs`].
///
/// # Safety
/// See [`arithmetic`].
pub(super) unsafe extern "C-unwind" fn next(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe {
        let Some(vector) = vector_at(state, 1) else { return not_a_vector(state) };
        let index = ffi::lua_tointeger(state, 2).saturating_add(1);
        let Some(lane) = vector.get(index) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        ffi::lua_pushinteger(state, index);
        ffi::lua_pushnumber(state, f64::from(lane));
        2
    }
}

/// A metamethod called by hand with something else.
///
/// # Safety
/// See [`arithmetic`]; does not return.
unsafe fn not_a_vector(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `arithmetic`.
    unsafe { ffi::luaL_error(state, c"vector expected, got %s".as_ptr(), type_name_at(state, 1).as_ptr()) }
}
