//! Lua 5.4 for mlua, built so that a program chooses the seed of its string hashes.
//!
//! Lua hashes strings with a seed that differs from process to process, so `pairs` visits string keys in another order
//! each time. A run that is to repeat needs that order to repeat: [`set_hash_seed`] fixes it for the machines that the
//! thread makes from then on.
//!
//! ```
//! tickscope_lua::set_hash_seed(Some(7));
//! let lua = mlua::Lua::new();
//! let order: String = lua
//!     .load("local all = '' for key in pairs { one = 1, two = 2, three = 3, four = 4 } do all = all .. key end return all")
//!     .eval()?;
//! assert_eq!(order.len(), "onetwothreefour".len());
//! # Ok::<(), mlua::Error>(())
//! ```
//!
//! # Guarantees
//! With one seed and the same insertions, `pairs` visits strings, numbers and booleans in the same order in every
//! process.
//!
//! # Deliberately absent
//! An order for keys that are tables, functions or userdata: Lua orders them by their addresses.
//!
//! A crate that links Lua through mlua depends on this one beside it, and names it (`use tickscope_lua as _`), so that
//! the library is linked. Not verified on Windows and macOS.

use std::cell::Cell;
use std::ffi::c_uint;
use std::hash::{BuildHasher, RandomState};

pub use mlua;

/// The functions of this Lua: mlua's declarations, and what mlua declares only for a Lua that it builds itself.
pub mod ffi {
    pub use mlua::ffi::*;

    unsafe extern "C-unwind" {
        /// [Closes a thread](https://www.lua.org/manual/5.4/manual.html#lua_closethread) from another one.
        pub fn lua_closethread(state: *mut lua_State, from: *mut lua_State) -> std::ffi::c_int;
    }
}

thread_local! {
    static SEED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The seed of the string hashes of machines that this thread makes from now on; `None`, as at the start, is another
/// random one for each.
pub fn set_hash_seed(seed: Option<u32>) {
    SEED.set(seed);
}

/// What `luai_makeseed` is in the Lua that this crate builds.
#[allow(unsafe_code)]
// SAFETY: no other item has this name; Lua calls it with the signature that the build script declares.
#[unsafe(no_mangle)]
extern "C" fn tickscope_lua_hash_seed() -> c_uint {
    SEED.get().unwrap_or_else(|| RandomState::new().hash_one(0u8) as u32)
}

#[cfg(test)]
mod tests {
    use super::set_hash_seed;

    const KEYS: u32 = 64;

    fn order(seed: Option<u32>) -> String {
        set_hash_seed(seed);
        let lua = mlua::Lua::new();
        let source = format!(
            "local t, all = {{}}, '' for i = 1, {KEYS} do t['key' .. i] = i end
             for key in pairs(t) do all = all .. key .. ' ' end return all"
        );
        lua.load(source).eval().unwrap()
    }

    #[test]
    fn one_seed_is_one_order() {
        assert_eq!(order(Some(1)), order(Some(1)));
        assert_ne!(order(Some(1)), order(Some(2)));
        assert_ne!(order(None), order(None));
    }

    #[test]
    fn the_order_of_a_seed_is_the_same_in_another_process() {
        set_hash_seed(Some(7));
        let lua = mlua::Lua::new();
        let source =
            "local t, all = {}, '' for _, k in ipairs { 'a', 'b', 'c', 'd', 'e', 'f', 'g' } do t[k] = 1 end
            for key in pairs(t) do all = all .. key end return all";
        let order: String = lua.load(source).eval().unwrap();
        assert_eq!(order, "efcdabg");
    }
}
