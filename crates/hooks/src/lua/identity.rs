//! Which function a call runs: read from Lua's own structures where a check proved their layout, else asked of the
//! public interface.
//!
//! ```text
//! CallInfo (5.2 to 5.4)     LClosure / CClosure          Proto
//!  0 func  → TValue           24 Proto* / C function       linedefined, code: see `layout`
//! 16 previous
//!           TValue: 0 value, 8 type tag
//! ```

use std::ffi::{c_char, c_void};

use super::api::{LuaApi, lua_Debug, lua_State};
use super::layout::Layout;

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
/// `call` is a live `CallInfo` of a Lua whose layout [`Lua::known`](super::library::Lua::known) has proved.
#[inline(always)]
pub(crate) unsafe fn read(call: *const c_void, layout: &Layout) -> Identity {
    // SAFETY: offsets as drawn above, proved for this process; a running function's closure and prototype
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
                    code: ((function + layout.prototype_code) as *const usize).read(),
                    line: ((function + layout.prototype_line) as *const u32).read(),
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
pub(crate) unsafe fn prototype(call: *const c_void, layout: &Layout) -> Option<(usize, usize)> {
    // SAFETY: as in `read`.
    unsafe {
        let value = call.cast::<*const usize>().read();
        if value.add(1).cast::<u8>().read() & 0x3f != LUA_CLOSURE {
            return None;
        }
        let prototype = ((value.read() + 24) as *const usize).read();
        Some((prototype, ((prototype + layout.prototype_code) as *const usize).read()))
    }
}

/// The line of a prototype.
///
/// # Safety
/// Its address, as [`prototype`] gives it.
#[inline(always)]
pub(crate) unsafe fn line(prototype: usize, layout: &Layout) -> u32 {
    // SAFETY: offsets as drawn above, proved for this process.
    unsafe { ((prototype + layout.prototype_line) as *const u32).read() }
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

/// The identity by the public interface: the C function's address, or the text and lines of a Lua function.
///
/// # Safety
/// `ar` describes a live call of `state`, which has a free stack slot.
pub(crate) unsafe fn ask(
    api: &LuaApi,
    layout: &Layout,
    state: *mut lua_State,
    ar: *mut lua_Debug,
) -> Identity {
    // SAFETY: see the function's contract; the pushed function is popped again.
    unsafe {
        (api.lua_getinfo)(state, c"fS".as_ptr(), ar);
        let function = (api.lua_tocfunction)(state, -1);
        api.pop(state, 1);
        if let Some(function) = function {
            return Identity { key: function as usize, code: 0, line: 0 };
        }
        of_text(layout, ar)
    }
}

/// The identity of a Lua function by where it is defined: the address and the first bytes of its chunk's name, and its line.
///
/// # Safety
/// `ar` was filled with `S` for a Lua function that lives.
pub(crate) unsafe fn of_text(layout: &Layout, ar: *const lua_Debug) -> Identity {
    // SAFETY: passed on to the caller; Lua's strings end with a zero.
    unsafe {
        let line = layout.line_defined(ar) as u32;
        // The address of a chunk's name may be used again when it was collected: its beginning tells them apart.
        let mut code = 0xcbf2_9ce4_8422_2325_usize;
        let mut at: *const c_char = (*ar).source;
        for _ in 0..64 {
            let byte = at.read();
            if byte == 0 {
                break;
            }
            code = (code ^ byte as usize).wrapping_mul(0x100_0000_01b3);
            at = at.add(1);
        }
        Identity { key: (*ar).source as usize ^ ((line as usize) << 48), code: code | 1, line }
    }
}
