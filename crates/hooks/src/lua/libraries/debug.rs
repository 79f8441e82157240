//! `debug.sethook` and `debug.gethook`: the program's hook, kept beside ours.

use std::ffi::{CStr, c_int};
use std::ptr;

use tickscope_core::Recorder;

use super::{Functions, api, original, tracer};
use crate::lua::api::*;
use crate::lua::layout::Layout;
use crate::lua::threads::UserHook;

/// Key of the registry's table of hook functions by thread, as Lua's own library has one.
const HOOKS: &CStr = c"tickscope.hooks";

/// The thread a function of the library is about, and how many arguments that takes.
unsafe fn thread(api: &Functions, state: *mut lua_State) -> (*mut lua_State, c_int) {
    // SAFETY: a live state.
    unsafe {
        if (api.lua_type)(state, 1) == LUA_TTHREAD {
            ((api.own.lua_tothread)(state, 1), 1)
        } else {
            (state, 0)
        }
    }
}

/// Pushes `thread` onto `state`. May raise: a stack overflow.
unsafe fn push_thread(api: &Functions, state: *mut lua_State, thread: *mut lua_State) {
    // SAFETY: both are live threads of one machine.
    unsafe {
        if state != thread && (api.lua_checkstack)(thread, 1) == 0 {
            (api.own.luaL_where)(state, 1);
            (api.lua_pushstring)(state, c"stack overflow".as_ptr());
            (api.own.lua_concat)(state, 2);
            (api.lua_error)(state);
        }
        (api.lua_pushthread)(thread);
        (api.own.lua_xmove)(thread, state, 1);
    }
}

/// `debug.sethook`. May raise: as Lua's.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn sethook<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state; nothing here needs dropping when an argument is refused.
    unsafe {
        let Some(tracer) = tracer::<R>(state) else {
            return original(api, state, 1).map_or(0, |original| original(state));
        };
        let (thread, arg) = thread(api, state);
        let hook = if (api.lua_type)(state, arg + 1) <= LUA_TNIL {
            (api.lua_settop)(state, arg + 1);
            UserHook::new(None, 0, 0)
        } else {
            let mask = (api.own.luaL_checklstring)(state, arg + 2, ptr::null_mut());
            (api.own.luaL_checktype)(state, arg + 1, LUA_TFUNCTION);
            let count = (api.own.luaL_optinteger)(state, arg + 3, 0) as c_int;
            UserHook::new(Some(call_hook), parse(CStr::from_ptr(mask).to_bytes(), count), count)
        };
        if (api.own.luaL_getsubtable)(state, LUA_REGISTRYINDEX, HOOKS.as_ptr()) == 0 {
            (api.lua_pushstring)(state, c"k".as_ptr());
            (api.own.lua_setfield)(state, -2, c"__mode".as_ptr());
            (api.lua_pushvalue)(state, -1);
            (api.own.lua_setmetatable)(state, -2);
        }
        push_thread(api, state, thread);
        (api.lua_pushvalue)(state, arg + 1);
        (api.own.lua_rawset)(state, -3);
        (*tracer.coroutine(thread)).thread.set_user(hook);
    }
    0
}

fn parse(letters: &[u8], count: c_int) -> c_int {
    let has = |letter, mask| if letters.contains(&letter) { mask } else { 0 };
    has(b'c', LUA_MASKCALL)
        | has(b'r', LUA_MASKRET)
        | has(b'l', LUA_MASKLINE)
        | if count > 0 { LUA_MASKCOUNT } else { 0 }
}

/// `debug.gethook`: what the program set, nothing of ours. May raise: a stack overflow.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn gethook<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state.
    unsafe {
        let Some(tracer) = tracer::<R>(state) else {
            return original(api, state, 1).map_or(0, |original| original(state));
        };
        let (thread, _) = thread(api, state);
        let user = (*tracer.coroutine(thread)).thread.user();
        if user.mask == 0 {
            (api.lua_pushnil)(state);
            return 1;
        }
        (api.own.luaL_getsubtable)(state, LUA_REGISTRYINDEX, HOOKS.as_ptr());
        push_thread(api, state, thread);
        (api.lua_rawget)(state, -2);
        api.remove(state, -2);
        let mut letters = [0u8; 3];
        let mut len = 0;
        for (letter, mask) in [(b'c', LUA_MASKCALL), (b'r', LUA_MASKRET), (b'l', LUA_MASKLINE)] {
            if user.mask & mask != 0 {
                letters[len] = letter;
                len += 1;
            }
        }
        (api.lua_pushlstring)(state, letters.as_ptr().cast(), len);
        (api.own.lua_pushinteger)(state, lua_Integer::from(user.count));
    }
    3
}

/// The hook behind `debug.sethook`: calls the function the program set for `thread`, as Lua's own library would. May
/// raise: whatever it raises.
///
/// # Safety
/// Called as a hook of the running `thread`, with the event's `ar`.
unsafe extern "C-unwind" fn call_hook(thread: *mut lua_State, ar: *mut lua_Debug) {
    const EVENTS: [&CStr; 5] = [c"call", c"return", c"line", c"count", c"tail call"];
    let api = api();
    // SAFETY: see the function's contract; Lua restores the stack's height after a hook.
    unsafe {
        (api.lua_getfield)(thread, LUA_REGISTRYINDEX, HOOKS.as_ptr());
        (api.lua_pushthread)(thread);
        if (api.lua_type)(thread, -2) != LUA_TTABLE {
            return;
        }
        (api.lua_rawget)(thread, -2);
        if (api.lua_type)(thread, -1) != LUA_TFUNCTION {
            return;
        }
        let event = EVENTS.get((*ar).event as usize).copied().unwrap_or(c"?");
        (api.lua_pushstring)(thread, event.as_ptr());
        let line = Layout::of(api.version).current_line(ar);
        if line >= 0 && (*ar).event == LUA_HOOKLINE {
            (api.own.lua_pushinteger)(thread, lua_Integer::from(line));
        } else {
            (api.lua_pushnil)(thread);
        }
        (api.lua_callk)(thread, 2, 0, 0, None);
    }
}
