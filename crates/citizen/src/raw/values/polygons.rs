//! Polygons as Lua values: userdata with their points in a second one, which grows.

use std::os::raw::{c_int, c_void};

use mlua::ffi;

use super::{Named, push, type_name_at, vector_at};
use crate::values::{Kind, Point, Vector};

/// What a polygon's userdata holds. Its points are in its user value.
#[repr(C)]
struct Block {
    tag: *const u8,
    len: usize,
}

/// Its address marks a block, and is the key of the metatable.
static TAG: u8 = 0;

fn key() -> *const c_void {
    (&raw const TAG).cast()
}

/// Metamethods; those that make polygons are in `glm.polygon`.
pub(super) const EVENTS: &[Named] = &[
    (c"__index", index),
    (c"__newindex", set_index),
    (c"__len", len),
    (c"__pairs", pairs),
    (c"__eq", equal),
    (c"__tostring", to_string),
];

/// # Safety
/// In a protected call.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_createtable(state, 0, 16);
        super::set_functions(state, EVENTS);
        ffi::lua_pushboolean(state, 0);
        ffi::lua_setfield(state, -2, c"__metatable".as_ptr());
        ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key());
    }
}

/// Pushes the metatable.
///
/// # Safety
/// Behind [`install`], with a free slot.
pub(super) unsafe fn push_metatable(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key());
    }
}

/// Calls the metamethod of polygons for what stands in front of one.
///
/// # Safety
/// In a binary metamethod, with its two operands on the stack.
pub(super) unsafe fn multiply(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_settop(state, 2);
        push_metatable(state);
        ffi::lua_getfield(state, -1, c"__mul".as_ptr());
        ffi::lua_replace(state, 3);
        ffi::lua_rotate(state, 1, 1);
        ffi::lua_call(state, 2, 1);
        1
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

/// Where the points of the polygon at `index` are, and for how many there is room.
///
/// # Safety
/// There is a polygon at `index`, and a slot is free. Does not raise.
unsafe fn buffer_at(state: *mut ffi::lua_State, index: c_int) -> (*mut Point, usize) {
    // SAFETY: as the caller says. The user value is only set here, to a userdata of points, which the polygon keeps
    // alive when it leaves the stack.
    unsafe {
        ffi::lua_getiuservalue(state, index, 1);
        let buffer = ffi::lua_touserdata(state, -1).cast();
        let room = ffi::lua_rawlen(state, -1) as usize / size_of::<Point>();
        ffi::lua_settop(state, -2);
        (buffer, room)
    }
}

/// The points of the polygon at `index`, if there is one. They stay while it is on the stack and is not changed.
///
/// # Safety
/// `index` is acceptable, and the caller holds to that.
pub(crate) unsafe fn points_at<'a>(state: *mut ffi::lua_State, index: c_int) -> Option<&'a [Point]> {
    // SAFETY: as the caller says; points are initialised before `len` counts them, and aligned as any userdata is.
    unsafe {
        let block = block_at(state, index)?;
        if ffi::lua_checkstack(state, 1) == 0 {
            return None;
        }
        let (buffer, _) = buffer_at(state, index);
        let len = (*block).len;
        Some(if len == 0 { &[] } else { std::slice::from_raw_parts(buffer, len) })
    }
}

/// Pushes a polygon of so many points, all zero.
///
/// # Safety
/// On the state of a running C function or protected call, of a VM that has the types. May raise.
pub(crate) unsafe fn push_polygon(state: *mut ffi::lua_State, len: usize) {
    // SAFETY: as the caller says. The user value is set before the polygon has its metatable and a length.
    unsafe {
        ffi::luaL_checkstack(state, 3, std::ptr::null());
        let block: *mut Block = ffi::lua_newuserdatauv(state, size_of::<Block>(), 1).cast();
        block.write(Block { tag: std::ptr::null(), len: 0 });
        let points: *mut Point = ffi::lua_newuserdatauv(state, len.max(4) * size_of::<Point>(), 0).cast();
        points.write_bytes(0, len.max(4));
        ffi::lua_setiuservalue(state, -2, 1);
        block.write(Block { tag: &raw const TAG, len });
        push_metatable(state);
        ffi::lua_setmetatable(state, -2);
    }
}

/// Sets point `at`, from zero, of the polygon at `index`, if it has one.
///
/// # Safety
/// `index` is acceptable, and nobody holds its points. May raise.
pub(crate) unsafe fn set_point(state: *mut ffi::lua_State, index: c_int, at: usize, point: Point) {
    // SAFETY: as the caller says; the polygon has room for `len` points.
    unsafe {
        if let Some(block) = block_at(state, index)
            && at < (*block).len
        {
            ffi::luaL_checkstack(state, 1, std::ptr::null());
            let index = ffi::lua_absindex(state, index);
            let (buffer, _) = buffer_at(state, index);
            buffer.add(at).write(point);
        }
    }
}

/// `#p`.
///
/// # Safety
/// Called by Lua only, as all below, with its arguments on the stack and LUA_MINSTACK free slots. They may leave the
/// frame for good by an error; frames here own nothing that needs drop.
unsafe extern "C-unwind" fn len(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Some(block) = block_at(state, 1) else { return not_a_polygon(state) };
        ffi::lua_pushinteger(state, (*block).len as i64);
        1
    }
}

/// `p[1]`, or a function of `glm.polygon`.
///
/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn index(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`. The library is what the metatable's field holds, if `glm` was loaded.
    unsafe {
        let Some(points) = points_at(state, 1) else { return not_a_polygon(state) };
        if ffi::lua_type(state, 2) == ffi::LUA_TNUMBER {
            let at = usize::try_from(ffi::lua_tointeger(state, 2)).unwrap_or(0);
            match at.checked_sub(1).and_then(|at| points.get(at)) {
                Some(point) => push(state, Vector::vector3(*point)),
                None => ffi::lua_pushnil(state),
            }
            return 1;
        }
        push_metatable(state);
        ffi::lua_getfield(state, -1, c"library".as_ptr());
        if ffi::lua_type(state, -1) == ffi::LUA_TTABLE {
            ffi::lua_pushvalue(state, 2);
            ffi::lua_gettable(state, -2);
        }
        1
    }
}

/// `p[n] = vec3(…)`: changes a point, or adds one behind the last.
///
/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn set_index(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`. A new buffer takes all points before it takes the place of the old one.
    unsafe {
        let Some(block) = block_at(state, 1) else { return not_a_polygon(state) };
        let len = (*block).len;
        let at = usize::try_from(ffi::lua_tointeger(state, 2)).unwrap_or(0);
        let point = vector_at(state, 3).filter(|vector| vector.kind() == Kind::Vector3);
        let (Some(point), 1..) = (point, at) else {
            return ffi::luaL_error(state, c"a polygon takes a vector3 at an index from 1".as_ptr());
        };
        if at > len + 1 {
            return ffi::luaL_error(state, c"a polygon has no point in front of this one".as_ptr());
        }
        let (mut buffer, room) = buffer_at(state, 1);
        if at > room {
            let more: *mut Point = ffi::lua_newuserdatauv(state, 2 * room * size_of::<Point>(), 0).cast();
            more.copy_from_nonoverlapping(buffer, len);
            ffi::lua_setiuservalue(state, 1, 1);
            buffer = more;
        }
        buffer.add(at - 1).write(point.xyz());
        (*block).len = len.max(at);
        0
    }
}

/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn pairs(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`.
    unsafe {
        ffi::lua_settop(state, 1);
        ffi::lua_pushcclosure(state, next, 0);
        ffi::lua_rotate(state, 1, 1);
        ffi::lua_pushinteger(state, 0);
        3
    }
}

/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn next(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`.
    unsafe {
        let Some(points) = points_at(state, 1) else { return not_a_polygon(state) };
        let at = usize::try_from(ffi::lua_tointeger(state, 2)).unwrap_or(usize::MAX);
        let Some(point) = points.get(at) else {
            ffi::lua_pushnil(state);
            return 1;
        };
        ffi::lua_pushinteger(state, at as i64 + 1);
        push(state, Vector::vector3(*point));
        2
    }
}

/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn equal(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`.
    unsafe {
        let (a, b) = (points_at(state, 1), points_at(state, 2));
        ffi::lua_pushboolean(state, (a.is_some() && a == b).into());
        1
    }
}

/// # Safety
/// See [`len`].
unsafe extern "C-unwind" fn to_string(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`.
    unsafe {
        let Some(block) = block_at(state, 1) else { return not_a_polygon(state) };
        ffi::lua_pushfstring(state, c"polygon(%d points)".as_ptr(), (*block).len as c_int);
        1
    }
}

/// # Safety
/// See [`len`]; does not return.
unsafe fn not_a_polygon(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: see `len`.
    unsafe { ffi::luaL_error(state, c"polygon expected, got %s".as_ptr(), type_name_at(state, 1).as_ptr()) }
}
