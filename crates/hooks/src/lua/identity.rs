//! Which function a call runs: read from Lua's own structures where a check proved their layout, else asked of the
//! public interface.
//!
//! ```text
//! CallInfo (5.4)            LClosure / CClosure          Proto
//!  0 func  → TValue           24 Proto* / C function       44 linedefined
//! 16 previous                                              64 code
//!           TValue: 0 value, 8 type tag
//! ```

use std::ffi::{c_int, c_void};

use super::api::{LuaApi, lua_Debug, lua_State};

/// What tells one function from another for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Address of the prototype or of the C function.
    pub(crate) key: usize,
    /// Address of the prototype's code, 0 for a C function.
    pub(crate) code: usize,
    /// Line of the definition, 0 for a C function.
    pub(crate) line: u32,
}

const LUA_CLOSURE: u8 = 0x06;
const LIGHT_C: u8 = 0x16;
const C_CLOSURE: u8 = 0x26;

/// Reads the identity of the function of `call`.
///
/// # Safety
/// `call` is a live `CallInfo` of a Lua whose layout [`check`] has proved.
#[inline(always)]
pub(crate) unsafe fn read(call: *const c_void) -> Identity {
    // SAFETY: offsets as drawn above, proved for this process by `check`; a running function's closure and prototype
    // are alive.
    unsafe {
        let value = call.cast::<*const usize>().read();
        let object = value.read();
        match value.add(1).cast::<u8>().read() & 0x3f {
            LIGHT_C => Identity { key: object, code: 0, line: 0 },
            tag => {
                let function = ((object + 24) as *const usize).read();
                if tag == C_CLOSURE {
                    return Identity { key: function, code: 0, line: 0 };
                }
                Identity {
                    key: function,
                    code: ((function + 64) as *const usize).read(),
                    line: ((function + 44) as *const u32).read(),
                }
            }
        }
    }
}

/// Address of the prototype of a call of a Lua function, and of its code; `None` for a C function.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub(crate) unsafe fn prototype(call: *const c_void) -> Option<(usize, usize)> {
    // SAFETY: as in `read`.
    unsafe {
        let value = call.cast::<*const usize>().read();
        if value.add(1).cast::<u8>().read() & 0x3f != LUA_CLOSURE {
            return None;
        }
        let prototype = ((value.read() + 24) as *const usize).read();
        Some((prototype, ((prototype + 64) as *const usize).read()))
    }
}

/// The call below `call`; null below the outermost.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
pub(crate) unsafe fn previous(call: *const c_void) -> *const c_void {
    // SAFETY: as in `read`.
    unsafe { call.byte_add(16).cast::<*const c_void>().read() }
}

/// The identity by the public interface: the closure's address for a C function, its text and line for a Lua one.
///
/// # Safety
/// `ar` describes a live call of `state`, which has a free stack slot.
pub(crate) unsafe fn ask(api: &LuaApi, state: *mut lua_State, ar: *mut lua_Debug) -> Identity {
    // SAFETY: see the function's contract; the pushed function is popped again.
    unsafe {
        (api.lua_getinfo)(state, c"fS".as_ptr(), ar);
        let address = (api.lua_topointer)(state, -1) as usize;
        api.pop(state, 1);
        if (*ar).what.read() == b'C' as std::ffi::c_char {
            return Identity { key: address, code: 0, line: 0 };
        }
        let line = (*ar).linedefined as u32;
        Identity { key: (*ar).source as usize ^ ((line as usize) << 48), code: (*ar).source as usize, line }
    }
}

/// What the probe found out.
struct Probe {
    api: LuaApi,
    checked: c_int,
    wrong: c_int,
}

/// Whether [`read`] and [`previous`] agree with the public interface on calls made for the purpose: a Lua function, a
/// C closure and a light C function on each other.
///
/// # Safety
/// `state` is live, not running, and has room for four values.
pub(crate) unsafe fn check(api: &LuaApi, state: *mut lua_State) -> bool {
    let mut found = Probe { api: *api, checked: 0, wrong: 0 };
    let chunk =
        b"\n\nlocal probe, light = ...\nlocal function inner() probe() light(probe) return 1 end\ninner()";
    // SAFETY: the caller vouches for `state`; everything runs under `lua_pcallk`, and `found` outlives the call.
    unsafe {
        let top = (api.lua_gettop)(state);
        if (api.lua_checkstack)(state, 8) == 0 {
            return false;
        }
        let loaded = (api.luaL_loadbufferx)(
            state,
            chunk.as_ptr().cast(),
            chunk.len(),
            c"=layout check".as_ptr(),
            c"t".as_ptr(),
        );
        let mut ok = loaded == 0;
        if ok {
            PROBE.set(&raw mut found);
            // An upvalue makes it a closure; without one it would be a light C function.
            (api.lua_pushnil)(state);
            (api.lua_pushcclosure)(state, probe, 1);
            (api.lua_getfield)(state, super::api::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            if (api.lua_type)(state, -1) == super::api::LUA_TTABLE {
                (api.lua_getfield)(state, -1, c"_G".as_ptr());
                if (api.lua_type)(state, -1) == super::api::LUA_TTABLE {
                    (api.lua_getfield)(state, -1, c"pcall".as_ptr());
                    api.insert(state, -3);
                }
                api.pop(state, 1);
            }
            api.pop(state, 1);
            let args = (api.lua_gettop)(state) - top - 1;
            ok = (api.lua_pcallk)(state, args, 0, 0, 0, None) == 0;
        }
        (api.lua_settop)(state, top);
        ok && found.checked >= 6 && found.wrong == 0
    }
}

/// Compares every call on the stack. Own use of the Lua stack: 1. May raise: no.
///
/// # Safety
/// Called by Lua only, as the closure `check` made.
unsafe extern "C-unwind" fn probe(state: *mut lua_State) -> c_int {
    // SAFETY: `check` is running on this thread and has set the address of its `Probe`. The reads by offset are of a live `CallInfo` and what it points to: wrong offsets give wrong values, which is what
    // is looked for; a version test precedes this check where the Lua is not our own.
    unsafe {
        let found = PROBE.get();
        let api = (*found).api;
        let (mut ar, mut below) = (lua_Debug::new(), lua_Debug::new());
        let mut level = 0;
        while (api.lua_getstack)(state, level, &mut ar) != 0 {
            let identity = read(ar.i_ci);
            let expected_previous = if (api.lua_getstack)(state, level + 1, &mut below) != 0 {
                below.i_ci
            } else {
                std::ptr::null()
            };
            let previous = previous(ar.i_ci);
            let chain = expected_previous.is_null() || previous == expected_previous;
            (api.lua_getinfo)(state, c"fS".as_ptr(), &mut ar);
            let same = match (api.lua_tocfunction)(state, -1) {
                Some(function) => identity == Identity { key: function as usize, code: 0, line: 0 },
                None => {
                    let closure = (api.lua_topointer)(state, -1) as usize;
                    let prototype = ((closure + 24) as *const usize).read();
                    identity.key == prototype && identity.line == ar.linedefined as u32 && identity.code != 0
                }
            };
            api.pop(state, 1);
            (*found).checked += 1;
            (*found).wrong += c_int::from(!(same && chain));
            level += 1;
        }
    }
    0
}

thread_local! {
    /// The check that runs on this thread: `probe` cannot ask Lua for it before it has Lua's functions.
    static PROBE: std::cell::Cell<*mut Probe> = const { std::cell::Cell::new(std::ptr::null_mut()) };
}
