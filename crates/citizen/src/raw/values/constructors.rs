//! `vec3(…)` and its relatives, and `quat(…)`.

use std::os::raw::c_int;

use mlua::ffi;

use super::{Named, matrix_at, push, type_name_at, vector_at};
use crate::values::{Kind, Matrix, Vector};

/// Globals.
pub(super) const FUNCTIONS: &[Named] = &[
    (c"vec", vec),
    (c"vector", vec),
    (c"vec1", vec1),
    (c"vector1", vec1),
    (c"vec2", vec2),
    (c"vector2", vec2),
    (c"vec3", vec3),
    (c"vector3", vec3),
    (c"vec4", vec4),
    (c"vector4", vec4),
    (c"ivec", ivec),
    (c"ivec1", ivec1),
    (c"ivec2", ivec2),
    (c"ivec3", ivec3),
    (c"ivec4", ivec4),
    (c"bvec", bvec),
    (c"bvec1", bvec1),
    (c"bvec2", bvec2),
    (c"bvec3", bvec3),
    (c"bvec4", bvec4),
    (c"qua", quat),
    (c"quat", quat),
];

/// # Safety
/// In a protected call.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        super::set_functions(state, FUNCTIONS);
        ffi::lua_settop(state, -2);
    }
}

/// What each component is turned into first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cast {
    Float,
    Integer,
    Boolean,
}

impl Cast {
    fn apply(self, lane: f64) -> f32 {
        match self {
            Self::Float => lane as f32,
            Self::Integer => lane.trunc() as f32,
            Self::Boolean => f32::from(u8::from(lane != 0.0)),
        }
    }
}

/// # Safety
/// All of them are called by Lua only, with their arguments on the stack and LUA_MINSTACK free slots. They may leave
/// the frame for good by an error; frames here own nothing that needs drop.
macro_rules! constructors {
    ($($name:ident $len:literal $cast:ident)*) => {$(
        unsafe extern "C-unwind" fn $name(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by Lua.
            unsafe { construct(state, $len, Cast::$cast) }
        }
    )*};
}

constructors! {
    vec 0 Float
    vec1 1 Float
    vec2 2 Float
    vec3 3 Float
    vec4 4 Float
    ivec 0 Integer
    ivec1 1 Integer
    ivec2 2 Integer
    ivec3 3 Integer
    ivec4 4 Integer
    bvec 0 Boolean
    bvec1 1 Boolean
    bvec2 2 Boolean
    bvec3 3 Boolean
    bvec4 4 Boolean
}

/// A number or boolean as a component.
///
/// # Safety
/// `index` is acceptable. Does not raise.
unsafe fn plain_at(state: *mut ffi::lua_State, index: c_int) -> Option<f64> {
    // SAFETY: as the caller says; a number is not converted.
    unsafe {
        match ffi::lua_type(state, index) {
            ffi::LUA_TNUMBER => Some(ffi::lua_tonumber(state, index)),
            ffi::LUA_TBOOLEAN => Some(f64::from(ffi::lua_toboolean(state, index))),
            _ => None,
        }
    }
}

/// Puts the arguments behind each other: numbers, the components of vectors, the elements of lists. `len` is how many
/// there must be, or zero.
///
/// # Safety
/// See [`constructors`].
unsafe fn construct(state: *mut ffi::lua_State, len: usize, cast: Cast) -> c_int {
    // SAFETY: see `constructors`.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        if len > 1
            && arguments == 1
            && let Some(lane) = plain_at(state, 1)
            && let Some(kind) = Kind::of_len(len)
        {
            push(state, Vector::new(kind, [cast.apply(lane); 4]));
            return 1;
        }
        let most = if len == 0 { 4 } else { len };
        let mut lanes = [0.0; 4];
        let mut at = 0;
        for index in 1..=arguments {
            if at >= most {
                return ffi::luaL_argerror(state, index, c"invalid vector dimensions".as_ptr());
            }
            at += fill(state, index, &mut lanes[at..most], cast);
        }
        finish(state, lanes, at, len, cast)
    }
}

/// Puts one argument into `lanes`, and answers how many it gave.
///
/// # Safety
/// See [`constructors`].
unsafe fn fill(state: *mut ffi::lua_State, index: c_int, lanes: &mut [f32], cast: Cast) -> usize {
    const WRONG: *const std::ffi::c_char = c"invalid vector type".as_ptr();
    // SAFETY: see `constructors`.
    unsafe {
        if let Some(lane) = plain_at(state, index) {
            lanes[0] = cast.apply(lane);
            return 1;
        }
        if let Some(vector) = vector_at(state, index) {
            if vector.is_quat() && lanes.len() < 4 {
                return ffi::luaL_argerror(state, index, c"invalid vector dimensions".as_ptr()) as usize;
            }
            let taken = lanes.len().min(vector.components().len());
            for (lane, component) in lanes.iter_mut().zip(vector.components()) {
                *lane = cast.apply(f64::from(*component));
            }
            return taken;
        }
        if ffi::lua_type(state, index) == ffi::LUA_TTABLE {
            let taken = lanes.len().min(ffi::lua_rawlen(state, index) as usize);
            for (element, lane) in lanes.iter_mut().take(taken).enumerate() {
                ffi::lua_rawgeti(state, index, element as ffi::lua_Integer + 1);
                let Some(value) = plain_at(state, -1) else {
                    return ffi::luaL_argerror(state, index, WRONG) as usize;
                };
                *lane = cast.apply(value);
                ffi::lua_settop(state, -2);
            }
            return taken;
        }
        ffi::luaL_argerror(state, index, WRONG) as usize
    }
}

/// Pushes what came together: a vector, or for a single component the value it is.
///
/// # Safety
/// See [`constructors`].
unsafe fn finish(state: *mut ffi::lua_State, lanes: [f32; 4], given: usize, len: usize, cast: Cast) -> c_int {
    // SAFETY: see `constructors`.
    unsafe {
        if len == 0 && given == 0 {
            return ffi::luaL_error(state, c"vector requires 1 to 4 values".as_ptr());
        }
        if len != 0 && given != len {
            let len = len as c_int;
            return ffi::luaL_error(state, c"vector%d requires 1 or %d values".as_ptr(), len, len);
        }
        match (Kind::of_len(given), cast) {
            (Some(kind), _) => push(state, Vector::new(kind, lanes)),
            (None, Cast::Float) => ffi::lua_pushnumber(state, f64::from(lanes[0])),
            (None, Cast::Integer) => ffi::lua_pushinteger(state, lanes[0] as i64),
            (None, Cast::Boolean) => ffi::lua_pushboolean(state, (lanes[0] != 0.0).into()),
        }
        1
    }
}

/// `quat()`, `quat(w, x, y, z)`, `quat(degrees, axis)`, `quat(euler)`, `quat(xyz, w)`, `quat(from, to)`.
///
/// # Safety
/// See [`constructors`].
unsafe extern "C-unwind" fn quat(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `constructors`. `luaL_checknumber` raises on what is no number.
    unsafe {
        let number = |index| ffi::luaL_checknumber(state, index) as f32;
        let vector3 = |index| vector_at(state, index).filter(|vector| vector.kind() == Kind::Vector3);
        let is_number = |index| ffi::lua_type(state, index) == ffi::LUA_TNUMBER;
        let first = vector_at(state, 1);
        let quat = if ffi::lua_gettop(state) == 0 {
            Vector::quat(1.0, [0.0; 3])
        } else if is_number(1) {
            if let Some(axis) = vector3(2) {
                Vector::angle_axis(number(1).to_radians(), axis.xyz())
            } else if is_number(2) {
                Vector::quat(number(1), [number(2), number(3), number(4)])
            } else {
                return ffi::luaL_error(state, c"{w, x, y, z} or {angle, axis} expected".as_ptr());
            }
        } else if let Some(from) = vector3(1) {
            if ffi::lua_type(state, 2) <= ffi::LUA_TNIL {
                Vector::from_euler(from.xyz())
            } else if is_number(2) {
                Vector::quat(number(2), from.xyz())
            } else if let Some(to) = vector3(2) {
                Vector::from_to(from.xyz(), to.xyz())
            } else {
                return ffi::luaL_error(state, c"{euler}, {from, to}, or {xyz, w} expected".as_ptr());
            }
        } else if let Some(quat) = first.filter(Vector::is_quat) {
            quat
        } else if let Some(quat) = matrix_at(state, 1).and_then(Matrix::to_quat) {
            quat
        } else {
            let expected = c"number, vector3, or matrix expected, got %s".as_ptr();
            let text = ffi::lua_pushfstring(state, expected, type_name_at(state, 1).as_ptr());
            return ffi::luaL_argerror(state, 1, text);
        };
        push(state, quat);
        1
    }
}
