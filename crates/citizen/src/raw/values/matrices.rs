//! Matrices as Lua values: userdata that scripts may change, equal when they hold the same.

use std::os::raw::{c_int, c_void};

use mlua::ffi;

use super::{Named, push, type_name_at, vector_at};
use crate::values::{Kind, Matrix, Operator, Vector, text};

/// What a matrix's userdata holds.
#[repr(C)]
struct Block {
    tag: *const u8,
    matrix: Matrix,
}

/// Its address marks a block, and is the key of the metatable.
static TAG: u8 = 0;

fn key() -> *const c_void {
    (&raw const TAG).cast()
}

/// Globals.
pub(super) const FUNCTIONS: &[Named] = &[
    (c"mat", mat),
    (c"mat2", mat2x2),
    (c"mat2x2", mat2x2),
    (c"mat2x3", mat2x3),
    (c"mat2x4", mat2x4),
    (c"mat3x2", mat3x2),
    (c"mat3", mat3x3),
    (c"mat3x3", mat3x3),
    (c"mat3x4", mat3x4),
    (c"mat4x2", mat4x2),
    (c"mat4x3", mat4x3),
    (c"mat4", mat4x4),
    (c"mat4x4", mat4x4),
];

/// Metamethods.
pub(super) const EVENTS: &[Named] = &[
    (c"__index", index),
    (c"__newindex", set_index),
    (c"__len", len),
    (c"__tostring", to_string),
    (c"__eq", equal),
    (c"__pairs", pairs),
    (c"__unm", negate),
    (c"__add", add),
    (c"__sub", sub),
    (c"__mul", mul),
    (c"__div", div),
];

/// # Safety
/// In a protected call.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_createtable(state, 0, 16);
        ffi::lua_pushstring(state, c"matrix".as_ptr());
        ffi::lua_setfield(state, -2, c"__name".as_ptr());
        ffi::lua_pushboolean(state, 0);
        ffi::lua_setfield(state, -2, c"__metatable".as_ptr());
        super::set_functions(state, EVENTS);
        ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key());
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        super::set_functions(state, FUNCTIONS);
        ffi::lua_settop(state, -2);
    }
}

/// The block at `index`.
///
/// # Safety
/// `index` is acceptable. Does not raise.
unsafe fn block_at(state: *mut ffi::lua_State, index: c_int) -> Option<*mut Block> {
    // SAFETY: as for vectors: the length is right before the tag is read.
    unsafe {
        let block: *mut Block = ffi::lua_touserdata(state, index).cast();
        let known = !block.is_null()
            && ffi::lua_rawlen(state, index) as usize == size_of::<Block>()
            && (*block).tag == &raw const TAG;
        known.then_some(block)
    }
}

/// The matrix at `index`, if there is one.
///
/// # Safety
/// `index` is acceptable. Does not raise.
pub(crate) unsafe fn matrix_at(state: *mut ffi::lua_State, index: c_int) -> Option<Matrix> {
    // SAFETY: as the caller says; a block is initialised before anyone sees it.
    unsafe { block_at(state, index).map(|block| (*block).matrix) }
}

/// Pushes a matrix.
///
/// # Safety
/// On the state of a running C function or protected call, of a VM that has the types. May raise.
pub(crate) unsafe fn push_matrix(state: *mut ffi::lua_State, matrix: Matrix) {
    // SAFETY: as the caller says; the new memory is as large as a block.
    unsafe {
        ffi::luaL_checkstack(state, 3, std::ptr::null());
        let block: *mut Block = ffi::lua_newuserdatauv(state, size_of::<Block>(), 0).cast();
        block.write(Block { tag: &raw const TAG, matrix });
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key());
        ffi::lua_setmetatable(state, -2);
    }
}

/// # Safety
/// All below are called by Lua only, with their arguments on the stack and LUA_MINSTACK free slots. They may leave the
/// frame for good by an error; frames here own nothing that needs drop.
macro_rules! functions {
    (sizes { $($name:ident $width:literal $height:literal)* } operators { $($event:ident $operator:ident)* }) => {
        $(unsafe extern "C-unwind" fn $name(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by Lua.
            unsafe { construct(state, $width, $height) }
        })*
        $(unsafe extern "C-unwind" fn $event(state: *mut ffi::lua_State) -> c_int {
            // SAFETY: called by Lua, with two operands.
            unsafe { operate(state, Operator::$operator) }
        })*
    };
}

functions! {
    sizes {
        mat 0 0
        mat2x2 2 2
        mat2x3 2 3
        mat2x4 2 4
        mat3x2 3 2
        mat3x3 3 3
        mat3x4 3 4
        mat4x2 4 2
        mat4x3 4 3
        mat4x4 4 4
    }
    operators {
        add Add
        sub Sub
        mul Mul
        div Div
    }
}

/// The identity; a number on the diagonal; a quaternion's rotation; another size of a matrix; or its columns.
///
/// # Safety
/// See [`functions`].
unsafe fn construct(state: *mut ffi::lua_State, width: usize, height: usize) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let (fixed, arguments) = (width != 0, ffi::lua_gettop(state));
        let (wide, high) = if fixed { (width, height) } else { (4, 4) };
        let matrix = if arguments == 0 {
            Some(Matrix::diagonal(wide, high, 1.0))
        } else if arguments > 1 || ffi::lua_type(state, 1) == ffi::LUA_TTABLE {
            columns(state, arguments, width, height)
        } else if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER {
            Some(Matrix::diagonal(wide, high, ffi::lua_tonumber(state, 1) as f32))
        } else if let Some(quat) = vector_at(state, 1).filter(Vector::is_quat) {
            Some(Matrix::from_quat(&quat).resized(wide, high))
        } else {
            matrix_at(state, 1).map(|matrix| if fixed { matrix.resized(wide, high) } else { matrix })
        };
        let Some(matrix) = matrix else {
            return ffi::luaL_error(state, c"invalid matrix structure".as_ptr());
        };
        push_matrix(state, matrix);
        1
    }
}

/// A matrix of column vectors: arguments, or the elements of one list.
///
/// # Safety
/// See [`functions`].
unsafe fn columns(
    state: *mut ffi::lua_State,
    arguments: c_int,
    width: usize,
    height: usize,
) -> Option<Matrix> {
    // SAFETY: see `functions`.
    unsafe {
        let list = arguments == 1;
        let count = if list { ffi::lua_rawlen(state, 1) as usize } else { arguments as usize };
        let mut matrix: Option<Matrix> = None;
        for at in 1..=count.min(4) {
            let column = if list {
                ffi::lua_rawgeti(state, 1, at as ffi::lua_Integer);
                let column = vector_at(state, -1);
                ffi::lua_settop(state, -2);
                column
            } else {
                vector_at(state, at as c_int)
            }?;
            let len = column.components().len();
            let matrix = matrix.get_or_insert(Matrix::new(2, len));
            if !matrix.set_column(at, &column) {
                return None;
            }
        }
        let fits = (2..=4).contains(&count) && (width == 0 || count == width);
        matrix.filter(|matrix| fits && (height == 0 || matrix.height() == height))
    }
}

/// # Safety
/// In a binary metamethod.
pub(super) unsafe fn operate(state: *mut ffi::lua_State, operator: Operator) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let number = |index| {
            (ffi::lua_type(state, index) == ffi::LUA_TNUMBER).then(|| ffi::lua_tonumber(state, index) as f32)
        };
        let multiplies = operator == Operator::Mul;
        let result = match (matrix_at(state, 1), matrix_at(state, 2)) {
            (Some(a), Some(b)) => a.operate(operator, &b),
            (Some(a), None) => match (number(2), vector_at(state, 2)) {
                (Some(b), _) => a.operate_number(operator, b),
                (None, Some(b)) => {
                    let product = match operator {
                        Operator::Mul => a.times(&b),
                        Operator::Div => a.inverse().and_then(|inverse| inverse.times(&b)),
                        _ => None,
                    };
                    if let Some(product) = product {
                        push(state, product);
                        return 1;
                    }
                    None
                }
                (None, None) => None,
            },
            (None, Some(b)) => match (number(1), vector_at(state, 1)) {
                (Some(a), _) => b.operate_from_number(operator, a),
                (None, Some(a)) if multiplies => {
                    if let Some(product) = b.times_from(&a) {
                        push(state, product);
                        return 1;
                    }
                    None
                }
                _ => None,
            },
            (None, None) => None,
        };
        let Some(result) = result else {
            if multiplies && super::points_at(state, 2).is_some() {
                return super::polygons::multiply(state);
            }
            return ffi::luaL_error(
                state,
                c"attempt to perform arithmetic on a %s value and a %s value".as_ptr(),
                type_name_at(state, 1).as_ptr(),
                type_name_at(state, 2).as_ptr(),
            );
        };
        push_matrix(state, result);
        1
    }
}

/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn negate(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let Some(matrix) = matrix_at(state, 1) else { return not_a_matrix(state) };
        push_matrix(state, matrix.negated());
        1
    }
}

/// `#m`: the number of columns.
///
/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn len(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let Some(matrix) = matrix_at(state, 1) else { return not_a_matrix(state) };
        ffi::lua_pushinteger(state, matrix.width() as i64);
        1
    }
}

/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn equal(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let (a, b) = (matrix_at(state, 1), matrix_at(state, 2));
        ffi::lua_pushboolean(state, (a.is_some() && a == b).into());
        1
    }
}

/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn to_string(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`; the text is on this frame and Lua copies it.
    unsafe {
        let Some(matrix) = matrix_at(state, 1) else { return not_a_matrix(state) };
        let text = text::of_matrix(&matrix);
        let bytes = text.bytes();
        ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
        1
    }
}

/// A column, or a function of the loaded `glm`.
///
/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn index(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let Some(matrix) = matrix_at(state, 1) else { return not_a_matrix(state) };
        match ffi::lua_type(state, 2) {
            ffi::LUA_TNUMBER => {
                let index = usize::try_from(ffi::lua_tonumber(state, 2).floor() as i64).unwrap_or(0);
                match matrix.column(index) {
                    Some(column) => push(state, column),
                    None => ffi::lua_pushnil(state),
                }
            }
            _ => super::push_method(state),
        }
        1
    }
}

/// `m[2] = vec3(…)`, `m[#m + 1] = …`, `m[#m] = nil`.
///
/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn set_index(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`; the block stays while it is an argument.
    unsafe {
        let Some(block) = block_at(state, 1) else { return not_a_matrix(state) };
        let mut matrix = (*block).matrix;
        let index = match ffi::lua_type(state, 2) {
            ffi::LUA_TNUMBER => usize::try_from(ffi::lua_tonumber(state, 2).floor() as i64).unwrap_or(0),
            _ => 0,
        };
        let done = match (vector_at(state, 3), ffi::lua_type(state, 3)) {
            (Some(column), _) => matrix.set_column(index, &column),
            (None, ffi::LUA_TNIL) => matrix.drop_column(index),
            _ => false,
        };
        if !done {
            return ffi::luaL_error(state, c"attempt to index a matrix value".as_ptr());
        }
        (*block).matrix = matrix;
        0
    }
}

/// `pairs(m)`: the columns.
///
/// # Safety
/// See [`functions`].
unsafe extern "C-unwind" fn pairs(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
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
/// See [`functions`].
pub(super) unsafe extern "C-unwind" fn next(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        let Some(matrix) = matrix_at(state, 1) else { return not_a_matrix(state) };
        let index = ffi::lua_tointeger(state, 2).saturating_add(1);
        let Some(column) = usize::try_from(index).ok().and_then(|index| matrix.column(index)) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        ffi::lua_pushinteger(state, index);
        push(state, column);
        2
    }
}

/// Pushes all columns, and answers how many.
///
/// # Safety
/// See [`functions`].
pub(super) unsafe fn unpack(state: *mut ffi::lua_State, matrix: &Matrix) -> c_int {
    // SAFETY: see `functions`.
    unsafe {
        for index in 1..=matrix.width() {
            let none = Vector::new(Kind::Vector2, [0.0; 4]);
            push(state, matrix.column(index).unwrap_or(none));
        }
    }
    matrix.width() as c_int
}

/// # Safety
/// See [`functions`]; does not return.
unsafe fn not_a_matrix(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `functions`.
    unsafe { ffi::luaL_error(state, c"matrix expected, got %s".as_ptr(), type_name_at(state, 1).as_ptr()) }
}
