//! Functions of scripts that are written in safe Rust: what they get and give, over the stack of a C function.

use std::ffi::CStr;
use std::os::raw::{c_int, c_void};

use mlua::ffi;

use super::values::{self, type_name_at};
use crate::values::{Matrix, Point, Vector};

/// A call. Pushing may leave the caller's frame for good when memory runs out, so a [`Function`] owns nothing that needs
/// drop.
pub(crate) struct Call {
    state: *mut ffi::lua_State,
    arguments: c_int,
}

/// What a call does. What it pushed is its result.
pub(crate) type Function = fn(&mut Call) -> Result<(), Problem>;

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Nil,
    Integer(i64),
    Number(f64),
    Vector(Vector),
    Matrix(Matrix),
    Other,
}

/// Why a call fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Problem {
    /// An argument, from one, is not what it should be.
    Expected(usize, &'static CStr),
    Text(&'static CStr),
}

impl Call {
    /// Number of arguments.
    pub(crate) fn len(&self) -> usize {
        self.arguments as usize
    }

    fn index(index: usize) -> c_int {
        c_int::try_from(index).unwrap_or(c_int::MAX)
    }

    /// Argument `index`, from one; nil behind the last.
    pub(crate) fn get(&self, index: usize) -> Arg {
        if index > self.len() {
            return Arg::Nil;
        }
        let index = Self::index(index);
        // SAFETY: a call only exists within `invoke`, whose state it holds; so below. The index is one of an argument,
        // and each read matches the type just looked at.
        unsafe {
            match ffi::lua_type(self.state, index) {
                ffi::LUA_TNIL => Arg::Nil,
                ffi::LUA_TNUMBER if ffi::lua_isinteger(self.state, index) != 0 => {
                    Arg::Integer(ffi::lua_tointeger(self.state, index))
                }
                ffi::LUA_TNUMBER => Arg::Number(ffi::lua_tonumber(self.state, index)),
                ffi::LUA_TUSERDATA => match values::vector_at(self.state, index) {
                    Some(vector) => Arg::Vector(vector),
                    None => values::matrix_at(self.state, index).map_or(Arg::Other, Arg::Matrix),
                },
                _ => Arg::Other,
            }
        }
    }

    /// A number, or text that is one.
    pub(crate) fn number(&self, index: usize) -> Result<f64, Problem> {
        match self.get(index) {
            Arg::Integer(number) => Ok(number as f64),
            Arg::Number(number) => Ok(number),
            Arg::Other => {
                let mut is_number = 0;
                // SAFETY: see `get`. The argument is not changed.
                let number = unsafe { ffi::lua_tonumberx(self.state, Self::index(index), &mut is_number) };
                if is_number == 0 { Err(Problem::Expected(index, c"number")) } else { Ok(number) }
            }
            _ => Err(Problem::Expected(index, c"number")),
        }
    }

    pub(crate) fn number_or(&self, index: usize, default: f64) -> Result<f64, Problem> {
        if matches!(self.get(index), Arg::Nil) { Ok(default) } else { self.number(index) }
    }

    pub(crate) fn vector(&self, index: usize) -> Result<Vector, Problem> {
        match self.get(index) {
            Arg::Vector(vector) => Ok(vector),
            _ => Err(Problem::Expected(index, c"vector")),
        }
    }

    pub(crate) fn vector3(&self, index: usize) -> Result<Point, Problem> {
        match self.get(index) {
            Arg::Vector(vector) if vector.components().len() == 3 => Ok(vector.xyz()),
            _ => Err(Problem::Expected(index, c"vector3")),
        }
    }

    pub(crate) fn quat(&self, index: usize) -> Result<Vector, Problem> {
        match self.get(index) {
            Arg::Vector(vector) if vector.is_quat() => Ok(vector),
            _ => Err(Problem::Expected(index, c"quat")),
        }
    }

    /// The points of a polygon. They stay while it is not changed, which only scripts do.
    pub(crate) fn points(&self, index: usize) -> Result<&[Point], Problem> {
        if index > self.len() {
            return Err(Problem::Expected(index, c"polygon"));
        }
        // SAFETY: see `get`; arguments stay on the stack as long as the call.
        let points = unsafe { values::points_at(self.state, Self::index(index)) };
        points.ok_or(Problem::Expected(index, c"polygon"))
    }

    /// Element `element` of the list that argument `index` is, as a point; `None` when there is none or it is no list.
    pub(crate) fn point_of_list(&mut self, index: usize, element: usize) -> Option<Point> {
        // SAFETY: see `get`; a slot is asked for, and the stack is left as it was.
        unsafe {
            if ffi::lua_type(self.state, Self::index(index)) != ffi::LUA_TTABLE {
                return None;
            }
            ffi::luaL_checkstack(self.state, 1, std::ptr::null());
            ffi::lua_rawgeti(self.state, Self::index(index), element as ffi::lua_Integer);
            let vector = values::vector_at(self.state, -1);
            ffi::lua_settop(self.state, -2);
            vector.filter(|vector| vector.components().len() == 3).map(|vector| vector.xyz())
        }
    }

    /// Length of the list that argument `index` is.
    pub(crate) fn list_len(&self, index: usize) -> Result<usize, Problem> {
        // SAFETY: see `get`.
        unsafe {
            match ffi::lua_type(self.state, Self::index(index)) {
                ffi::LUA_TTABLE => Ok(ffi::lua_rawlen(self.state, Self::index(index)) as usize),
                _ => Err(Problem::Expected(index, c"table")),
            }
        }
    }

    fn room(&mut self) {
        // SAFETY: see `get`. `push` of vectors asks for its own.
        unsafe { ffi::luaL_checkstack(self.state, 2, std::ptr::null()) }
    }

    pub(crate) fn push_nil(&mut self) {
        self.room();
        // SAFETY: see `get`; there is room.
        unsafe { ffi::lua_pushnil(self.state) }
    }

    pub(crate) fn push_boolean(&mut self, value: bool) {
        self.room();
        // SAFETY: see `get`; there is room.
        unsafe { ffi::lua_pushboolean(self.state, value.into()) }
    }

    pub(crate) fn push_integer(&mut self, value: i64) {
        self.room();
        // SAFETY: see `get`; there is room.
        unsafe { ffi::lua_pushinteger(self.state, value) }
    }

    pub(crate) fn push_number(&mut self, value: f64) {
        self.room();
        // SAFETY: see `get`; there is room.
        unsafe { ffi::lua_pushnumber(self.state, value) }
    }

    pub(crate) fn push_text(&mut self, bytes: &[u8]) {
        self.room();
        // SAFETY: see `get`; Lua copies the bytes.
        unsafe {
            ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len());
        }
    }

    pub(crate) fn push_vector(&mut self, vector: Vector) {
        // SAFETY: see `get`.
        unsafe { values::push(self.state, vector) }
    }

    pub(crate) fn push_vector3(&mut self, point: Point) {
        self.push_vector(Vector::vector3(point));
    }

    pub(crate) fn push_matrix(&mut self, matrix: Matrix) {
        // SAFETY: see `get`.
        unsafe { values::push_matrix(self.state, matrix) }
    }

    /// Pushes a polygon of so many points; each is then set with [`Call::set_point`].
    pub(crate) fn push_polygon(&mut self, len: usize) {
        // SAFETY: see `get`.
        unsafe { values::push_polygon(self.state, len) }
    }

    /// Sets a point, from zero, of the polygon on top. Nothing happens when there is none.
    pub(crate) fn set_point(&mut self, index: usize, point: Point) {
        // SAFETY: see `get`.
        unsafe { values::set_point(self.state, -1, index, point) }
    }
}

/// Pushes `function` as a Lua value.
///
/// # Safety
/// In a protected call or C function, with a free slot.
pub(super) unsafe fn push_function(state: *mut ffi::lua_State, function: Function) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_pushlightuserdata(state, function as *mut c_void);
        ffi::lua_pushcclosure(state, invoke, 1);
    }
}

/// Address of the C function behind all of them.
pub(super) fn address() -> usize {
    invoke as *const () as usize
}

/// # Safety
/// Called by Lua only, with a [`Function`] as its upvalue.
unsafe extern "C-unwind" fn invoke(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the upvalue was made of a function of this type by `push_function`, and scripts cannot set upvalues. Lua
    // gives a C function its arguments and LUA_MINSTACK slots. A problem holds constants only, so that raising it
    // jumps over nothing that needs drop.
    unsafe {
        let function: Function = std::mem::transmute(ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)));
        let arguments = ffi::lua_gettop(state);
        match function(&mut Call { state, arguments }) {
            Ok(()) => ffi::lua_gettop(state) - arguments,
            Err(Problem::Text(text)) => ffi::luaL_error(state, c"%s".as_ptr(), text.as_ptr()),
            Err(Problem::Expected(index, expected)) => {
                let index = Call::index(index);
                ffi::lua_settop(state, arguments);
                let got = type_name_at(state, index).as_ptr();
                let format = c"%s expected, got %s".as_ptr();
                let text = ffi::lua_pushfstring(state, format, expected.as_ptr(), got);
                ffi::luaL_argerror(state, index, text)
            }
        }
    }
}
