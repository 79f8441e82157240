//! The userdata of a vector, and the table that keeps one per value.

use std::os::raw::{c_int, c_void};

use mlua::ffi;

use super::Named;
use crate::values::{Kind, Vector};

/// What a vector's userdata holds.
#[repr(C)]
struct Block {
    tag: *const u8,
    vector: Vector,
}

/// Its address marks a block: scripts cannot make one up.
static TAG: u8 = 0;

/// Keys of the registry: the address of each. Then the metatable of each kind.
static INTERNED: u8 = 0;
static COLLIDED: u8 = 0;
static METATABLES: [u8; Kind::ALL.len()] = [0; Kind::ALL.len()];

fn key(of: &'static u8) -> *const c_void {
    std::ptr::from_ref(of).cast()
}

fn metatable(kind: Kind) -> *const c_void {
    key(&METATABLES[kind as usize])
}

/// Makes the tables. `events` of [`super::operators`] come into the metatables later.
///
/// # Safety
/// In a protected call, on a fresh VM.
pub(super) unsafe fn install(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says; the stack is left as it was.
    unsafe {
        weak_table(state);
        ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key(&INTERNED));
        for kind in Kind::ALL {
            ffi::lua_createtable(state, 0, 24);
            // Lua's own messages say "attempt to compare two vector3 values"
            ffi::lua_pushstring(state, kind.name().as_ptr());
            ffi::lua_setfield(state, -2, c"__name".as_ptr());
            ffi::lua_pushboolean(state, 0);
            ffi::lua_setfield(state, -2, c"__metatable".as_ptr());
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, metatable(kind));
        }
    }
}

/// Adds metamethods to the metatable of every kind.
///
/// # Safety
/// Behind [`install`], in a protected call.
pub(super) unsafe fn add_events(state: *mut ffi::lua_State, events: &[Named]) {
    for kind in Kind::ALL {
        // SAFETY: as the caller says; the metatable is there.
        unsafe {
            ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, metatable(kind));
            super::set_functions(state, events);
            ffi::lua_settop(state, -2);
        }
    }
}

/// Pushes a table with weak values.
///
/// # Safety
/// Four slots are free; may raise.
unsafe fn weak_table(state: *mut ffi::lua_State) {
    // SAFETY: as the caller says.
    unsafe {
        ffi::lua_createtable(state, 0, 0);
        ffi::lua_createtable(state, 0, 1);
        ffi::lua_pushstring(state, c"v".as_ptr());
        ffi::lua_setfield(state, -2, c"__mode".as_ptr());
        ffi::lua_setmetatable(state, -2);
    }
}

/// The vector at `index`, if there is one.
///
/// # Safety
/// `index` is acceptable. Does not raise.
pub(crate) unsafe fn vector_at(state: *mut ffi::lua_State, index: c_int) -> Option<Vector> {
    // SAFETY: for what is no userdata the pointer is null; for a light one the length is zero; a full userdata of this
    // length holds at least a tag, and all of a block when the tag is ours. Lua aligns userdata for any type.
    unsafe {
        let block: *const Block = ffi::lua_touserdata(state, index).cast();
        if block.is_null()
            || ffi::lua_rawlen(state, index) as usize != size_of::<Block>()
            || (*block).tag != &raw const TAG
        {
            return None;
        }
        Some((*block).vector)
    }
}

/// Pushes the one userdata that is this vector.
///
/// # Safety
/// On the state of a running C function or protected call, of a VM that [`install`] was called for. May raise when
/// memory runs out.
pub(crate) unsafe fn push(state: *mut ffi::lua_State, vector: Vector) {
    // SAFETY: as the caller says. Slots are asked for; the table is the registry's own, whose metatable has no
    // metamethods, and raw access never calls one.
    unsafe {
        ffi::luaL_checkstack(state, 6, std::ptr::null());
        if vector.lanes().iter().any(|lane| lane.is_nan()) {
            return create(state, vector); // equal to nothing, so never found again
        }
        let number = number_of(&vector);
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key(&INTERNED));
        ffi::lua_rawgeti(state, -1, number);
        let found = vector_at(state, -1);
        if found == Some(vector) {
            ffi::lua_replace(state, -2);
            return;
        }
        ffi::lua_settop(state, -2);
        if find_collided(state, &vector) {
            ffi::lua_replace(state, -2);
            return;
        }
        create(state, vector);
        ffi::lua_pushvalue(state, -1);
        if found.is_none() {
            ffi::lua_rawseti(state, -3, number);
        } else {
            keep_collided(state, &vector);
        }
        ffi::lua_replace(state, -2);
    }
}

/// Pushes a new userdata.
///
/// # Safety
/// As [`push`], with two free slots.
unsafe fn create(state: *mut ffi::lua_State, vector: Vector) {
    // SAFETY: as the caller says; the new memory is as large as a block and ours alone.
    unsafe {
        let block: *mut Block = ffi::lua_newuserdatauv(state, size_of::<Block>(), 0).cast();
        block.write(Block { tag: &raw const TAG, vector });
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, metatable(vector.kind()));
        ffi::lua_setmetatable(state, -2);
    }
}

/// The number a vector is kept under. Vectors of two components never share one.
fn number_of(vector: &Vector) -> i64 {
    let [x, y, z, w] = vector.lanes().map(|lane| u64::from(lane.to_bits()));
    let low = x | y << 32;
    let high = (z | w << 32).wrapping_add(vector.kind() as u64);
    // the finisher of MurmurHash3, which mixes all bits and loses none of `low`
    let mut mixed = low ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    mixed = (mixed ^ mixed >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^= mixed >> 33;
    #[cfg(test)]
    if tests::COLLIDE.get() {
        mixed &= 3;
    }
    mixed.cast_signed()
}

/// Two vectors in 2⁶⁴ share a number. The later one is kept under its bits as text, in a table that is there from the
/// first such case on, and is looked into before any vector is made: an earlier one may be gone meanwhile.
fn text_of(vector: &Vector) -> [u8; 17] {
    let mut text = [0; 17];
    for (bytes, lane) in text.chunks_exact_mut(4).zip(vector.lanes()) {
        bytes.copy_from_slice(&lane.to_bits().to_ne_bytes());
    }
    text[16] = vector.kind() as u8;
    text
}

/// Pushes the vector if the second table has it.
///
/// # Safety
/// As [`push`], with three free slots.
unsafe fn find_collided(state: *mut ffi::lua_State, vector: &Vector) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        if ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key(&COLLIDED)) != ffi::LUA_TTABLE {
            ffi::lua_settop(state, -2);
            return false;
        }
        let text = text_of(vector);
        ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
        if ffi::lua_rawget(state, -2) == ffi::LUA_TNIL {
            ffi::lua_settop(state, -3);
            return false;
        }
        ffi::lua_replace(state, -2);
        true
    }
}

/// Puts the vector on top into the second table and pops it.
///
/// # Safety
/// As [`push`], with four free slots.
unsafe fn keep_collided(state: *mut ffi::lua_State, vector: &Vector) {
    // SAFETY: as the caller says.
    unsafe {
        if ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key(&COLLIDED)) != ffi::LUA_TTABLE {
            ffi::lua_settop(state, -2);
            weak_table(state);
            ffi::lua_pushvalue(state, -1);
            ffi::lua_rawsetp(state, ffi::LUA_REGISTRYINDEX, key(&COLLIDED));
        }
        ffi::lua_rotate(state, -2, 1); // the table, the vector
        let text = text_of(vector);
        ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
        ffi::lua_rotate(state, -2, 1); // the table, the text, the vector
        ffi::lua_rawset(state, -3);
        ffi::lua_settop(state, -2);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use mlua::Lua;

    thread_local! {
        /// Makes nearly all vectors share a number.
        pub(super) static COLLIDE: Cell<bool> = const { Cell::new(false) };
    }

    const KEYS: &str = "
        local count, seen = 0, {}
        for x = 1, 40 do for y = 1, 5 do
            seen[vec3(x, y, 0)] = x * y
            seen[vec2(x, y)] = x + y
        end end
        for round = 1, 3 do
            collectgarbage()
            for x = 1, 40 do for y = 1, 5 do
                assert(seen[vec3(x, y, 0)] == x * y and seen[vec2(x, y)] == x + y)
                assert(vec3(x, y, 0.5) == vec3(x, y, 0.5) and rawequal(vec2(x, -y), vec2(x, -y)))
            end end
            for x = 1, 40, round do seen[vec3(x, 1, 0)] = nil end
            collectgarbage()
            for x = 1, 40, round do seen[vec3(x, 1, 0)] = x end
        end
        for _ in pairs(seen) do count = count + 1 end
        return count";

    #[test]
    fn a_value_exists_once_even_when_numbers_are_shared() {
        for collide in [false, true] {
            COLLIDE.set(collide);
            let lua = Lua::new();
            super::super::install(&lua).unwrap();
            assert_eq!(lua.load(KEYS).eval::<i64>().unwrap(), 400);
            COLLIDE.set(false);
        }
    }
}
