//! What stands in for Lua's functions.
//!
//! Each does what the function does, by calling it, and tells the agent. Nothing here owns anything: Lua's errors jump
//! over these frames. The signatures are those of Lua 5.4; where an older version takes fewer arguments, what travels in
//! the registers of the others is passed on as it came.

use std::ffi::{c_int, c_void};

use tickscope_hooks::lua::{Version, lua_Alloc, lua_Hook, lua_State};

use crate::install::{Installed, installed};
use crate::thread::{self, Call, LUA_OK, enter, leave};

/// The functions that are detoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    NewState,
    Close,
    NewThread,
    Resume,
    Call,
    PCall,
    SetHook,
    GetHook,
    GetHookMask,
    GetHookCount,
    GetAllocF,
    SetAllocF,
    Gc,
}

impl Function {
    pub(crate) const ALL: [Self; 13] = [
        Self::NewState,
        Self::Close,
        Self::NewThread,
        Self::Resume,
        Self::Call,
        Self::PCall,
        Self::SetHook,
        Self::GetHook,
        Self::GetHookMask,
        Self::GetHookCount,
        Self::GetAllocF,
        Self::SetAllocF,
        Self::Gc,
    ];

    /// Whether it is for what memory is taken only: without, all else is recorded.
    pub(crate) fn is_for_memory(self) -> bool {
        matches!(self, Self::GetAllocF | Self::SetAllocF | Self::Gc)
    }

    /// What it is called in a Lua of `version`.
    pub(crate) fn symbol(self, version: Version) -> &'static str {
        let old = version == Version::Lua51;
        match self {
            Self::NewState => "lua_newstate",
            Self::Close => "lua_close",
            Self::NewThread => "lua_newthread",
            Self::Resume => "lua_resume",
            Self::Call if old => "lua_call",
            Self::Call => "lua_callk",
            Self::PCall if old => "lua_pcall",
            Self::PCall => "lua_pcallk",
            Self::SetHook => "lua_sethook",
            Self::GetHook => "lua_gethook",
            Self::GetHookMask => "lua_gethookmask",
            Self::GetHookCount => "lua_gethookcount",
            Self::GetAllocF => "lua_getallocf",
            Self::SetAllocF => "lua_setallocf",
            Self::Gc => "lua_gc",
        }
    }

    /// What stands in for it.
    pub(crate) fn replacement(self, version: Version) -> *const () {
        match self {
            Self::NewState => new_state as *const (),
            Self::Close => close as *const (),
            Self::NewThread => new_thread as *const (),
            Self::Resume => match version {
                Version::Lua51 => resume_51 as *const (),
                Version::Lua52 | Version::Lua53 => resume_52 as *const (),
                Version::Lua54 => resume as *const (),
            },
            Self::Call => call as *const (),
            Self::PCall => pcall as *const (),
            Self::SetHook => set_hook as *const (),
            Self::GetHook => get_hook as *const (),
            Self::GetHookMask => get_hook_mask as *const (),
            Self::GetHookCount => get_hook_count as *const (),
            Self::GetAllocF => get_alloc_f as *const (),
            Self::SetAllocF => set_alloc_f as *const (),
            Self::Gc => gc as *const (),
        }
    }
}

/// The function itself.
///
/// # Safety
/// `F` is its type.
#[inline(always)]
unsafe fn original<F: Copy>(lua: &Installed, function: Function) -> F {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    // SAFETY: a pointer to a function whose type the caller vouches for.
    unsafe { std::mem::transmute_copy(&lua.originals[function as usize]) }
}

/// An address in the frame of the function that asks.
macro_rules! here {
    () => {{
        let here = 0_u8;
        &raw const here as usize
    }};
}

unsafe extern "C-unwind" fn new_state(allocator: lua_Alloc, data: *mut c_void) -> *mut lua_State {
    type Original = unsafe extern "C-unwind" fn(lua_Alloc, *mut c_void) -> *mut lua_State;
    let lua = installed();
    // SAFETY: called as `lua_newstate`.
    unsafe {
        let state = original::<Original>(lua, Function::NewState)(allocator, data);
        lua.foreign.new_state(state);
        state
    }
}

unsafe extern "C-unwind" fn close(state: *mut lua_State) {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State);
    let lua = installed();
    // SAFETY: called as `lua_close`.
    unsafe {
        thread::closed(state);
        let closing = lua.foreign.closing(state);
        original::<Original>(lua, Function::Close)(state);
        closing.closed();
    }
}

unsafe extern "C-unwind" fn new_thread(parent: *mut lua_State) -> *mut lua_State {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State) -> *mut lua_State;
    let lua = installed();
    // SAFETY: called as `lua_newthread`. Lua may raise an error for want of memory; nothing was begun then.
    unsafe {
        let state = original::<Original>(lua, Function::NewThread)(parent);
        lua.foreign.new_thread(parent, state);
        state
    }
}

unsafe extern "C-unwind" fn resume_51(state: *mut lua_State, arguments: c_int) -> c_int {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State, c_int) -> c_int;
    let lua = installed();
    // SAFETY: called as `lua_resume` of 5.1, which always returns.
    unsafe {
        let entered = enter(lua, state, arguments, Call::Coroutine, here!());
        let status = original::<Original>(lua, Function::Resume)(state, arguments);
        leave(entered, status);
        status
    }
}

unsafe extern "C-unwind" fn resume_52(
    state: *mut lua_State,
    from: *mut lua_State,
    arguments: c_int,
) -> c_int {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State, *mut lua_State, c_int) -> c_int;
    let lua = installed();
    // SAFETY: called as `lua_resume` of 5.2 and 5.3, which always returns.
    unsafe {
        let entered = enter(lua, state, arguments, Call::Coroutine, here!());
        let status = original::<Original>(lua, Function::Resume)(state, from, arguments);
        leave(entered, status);
        status
    }
}

unsafe extern "C-unwind" fn resume(
    state: *mut lua_State,
    from: *mut lua_State,
    arguments: c_int,
    results: *mut c_int,
) -> c_int {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State, *mut lua_State, c_int, *mut c_int) -> c_int;
    let lua = installed();
    // SAFETY: called as `lua_resume`, which always returns.
    unsafe {
        let entered = enter(lua, state, arguments, Call::Coroutine, here!());
        let status = original::<Original>(lua, Function::Resume)(state, from, arguments, results);
        leave(entered, status);
        status
    }
}

unsafe extern "C-unwind" fn call(
    state: *mut lua_State,
    arguments: c_int,
    results: c_int,
    context: isize,
    continuation: *const c_void,
) {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int, isize, *const c_void);
    let lua = installed();
    // SAFETY: called as `lua_callk`. An error inside jumps over this frame, which owns nothing; `enter` of the next call
    // notices.
    unsafe {
        let entered = enter(lua, state, arguments, Call::Function, here!());
        original::<Original>(lua, Function::Call)(state, arguments, results, context, continuation);
        leave(entered, LUA_OK);
    }
}

unsafe extern "C-unwind" fn pcall(
    state: *mut lua_State,
    arguments: c_int,
    results: c_int,
    handler: c_int,
    context: isize,
    continuation: *const c_void,
) -> c_int {
    type Original =
        unsafe extern "C-unwind" fn(*mut lua_State, c_int, c_int, c_int, isize, *const c_void) -> c_int;
    let lua = installed();
    // SAFETY: called as `lua_pcallk`.
    unsafe {
        let entered = enter(lua, state, arguments, Call::Function, here!());
        let status = original::<Original>(lua, Function::PCall)(
            state,
            arguments,
            results,
            handler,
            context,
            continuation,
        );
        if entered.is_none() && status != LUA_OK {
            thread::failed(state);
        }
        leave(entered, status);
        status
    }
}

/// The result is that of the versions before 5.3, whose callers may look at it.
unsafe extern "C-unwind" fn set_hook(
    state: *mut lua_State,
    hook: Option<lua_Hook>,
    mask: c_int,
    count: c_int,
) -> c_int {
    // SAFETY: called as `lua_sethook`.
    unsafe { installed().foreign.sethook(state, hook, mask, count) };
    1
}

unsafe extern "C-unwind" fn get_hook(state: *mut lua_State) -> Option<lua_Hook> {
    // SAFETY: called as `lua_gethook`.
    unsafe { installed().foreign.gethook(state) }
}

unsafe extern "C-unwind" fn get_hook_mask(state: *mut lua_State) -> c_int {
    // SAFETY: called as `lua_gethookmask`.
    unsafe { installed().foreign.gethookmask(state) }
}

unsafe extern "C-unwind" fn get_hook_count(state: *mut lua_State) -> c_int {
    // SAFETY: called as `lua_gethookcount`.
    unsafe { installed().foreign.gethookcount(state) }
}

unsafe extern "C-unwind" fn get_alloc_f(state: *mut lua_State, data: *mut *mut c_void) -> Option<lua_Alloc> {
    // SAFETY: called as `lua_getallocf`.
    unsafe { installed().foreign.getallocf(state, data) }
}

unsafe extern "C-unwind" fn set_alloc_f(state: *mut lua_State, function: lua_Alloc, data: *mut c_void) {
    // SAFETY: called as `lua_setallocf`.
    unsafe { installed().foreign.setallocf(state, function, data) }
}

/// In 5.4 what follows the second argument depends on it: at most three ints, which travel in the same registers.
unsafe extern "C-unwind" fn gc(state: *mut lua_State, what: c_int, a: c_int, b: c_int, c: c_int) -> c_int {
    type Original = unsafe extern "C-unwind" fn(*mut lua_State, c_int, ...) -> c_int;
    let lua = installed();
    // SAFETY: called as `lua_gc`. An error of a finalizer may jump over this frame, which owns nothing.
    unsafe {
        let original = original::<Original>(lua, Function::Gc);
        let collecting = thread::collecting(lua, state, what);
        let result = original(state, what, a, b, c);
        thread::collected(collecting);
        result
    }
}
