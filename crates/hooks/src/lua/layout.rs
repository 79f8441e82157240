//! Setting a hook without losing the count of a program's own.

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::api::*;

/// Offset of `hookcount` in a Lua thread; 0 while unknown. One Lua per process, so one offset.
static HOOK_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Finds where a Lua thread keeps the number of instructions until its next count event: the second of two equal
/// numbers side by side after `lua_sethook` was given a number nobody else uses.
///
/// # Safety
/// `main` is live, not running, and a thread of the Lua of `api`.
pub(crate) unsafe fn find_hook_count(api: &LuaApi, main: *mut lua_State) {
    unsafe extern "C-unwind" fn nothing(_: *mut lua_State, _: *mut lua_Debug) {}
    // A Lua 5.4 thread takes 200 bytes: what is read lies inside it.
    const WORDS: usize = 196 / 4;
    let mut offset = 0;
    // SAFETY: the thread made here stays on the stack while it is looked at, and never runs.
    unsafe {
        if (api.lua_checkstack)(main, 1) == 0 {
            return;
        }
        let thread = (api.lua_newthread)(main);
        let mut found = [0; 2];
        for (round, magic) in [0x5EED_1234_i32, 0x2BAD_4321].into_iter().enumerate() {
            (api.lua_sethook)(thread, Some(nothing), LUA_MASKCOUNT, magic);
            let word = |index: usize| thread.cast::<c_int>().add(index).read_unaligned();
            let mut matches = (1..WORDS).filter(|index| word(*index) == magic && word(*index - 1) == magic);
            if let (Some(index), None) = (matches.next(), matches.next()) {
                found[round] = index * 4;
            }
        }
        (api.lua_sethook)(thread, None, 0, 0);
        api.pop(main, 1);
        if found[0] == found[1] {
            offset = found[0];
        }
    }
    HOOK_COUNT.store(offset, Relaxed);
}

/// `lua_sethook`, but a count that has begun goes on where it was.
///
/// # Safety
/// `thread` is alive. Async-signal-safe: Lua's `lua_sethook` is, and so are the reads and writes around it. When the
/// signal comes between Lua's read and write of the count, Lua's write restores it.
pub(crate) unsafe fn set_hook(
    api: &LuaApi,
    thread: *mut lua_State,
    hook: Option<lua_Hook>,
    mask: c_int,
    count: c_int,
    user_mask: c_int,
) {
    let offset = HOOK_COUNT.load(Relaxed);
    // SAFETY: the caller vouches for `thread`; the offset was proved by `find_hook_count`.
    unsafe {
        let keep = user_mask & LUA_MASKCOUNT != 0
            && offset != 0
            && (api.lua_gethookmask)(thread) & LUA_MASKCOUNT != 0
            && (api.lua_gethookcount)(thread) == count;
        let place = thread.byte_add(offset).cast::<c_int>();
        let left = if keep { place.read() } else { 0 };
        (api.lua_sethook)(thread, hook, mask, count);
        if keep {
            place.write(left);
        }
    }
}

/// Whether [`set_hook`] can keep a count.
pub(crate) fn keeps_count() -> bool {
    HOOK_COUNT.load(Relaxed) != 0
}
