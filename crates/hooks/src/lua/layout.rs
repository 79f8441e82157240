//! Where each version of Lua keeps what is read or written without asking it.
//!
//! Nothing here is believed: [`Lua::known`](super::library::Lua::known) compares every offset with what the public
//! interface says, in a machine made for the purpose, once per process and Lua.
//!
//! ```text
//! lua_Debug    5.1   5.2   5.3   5.4        Proto         5.2   5.3   5.4
//! currentline   40    40    40    48        linedefined   104    40    44
//! linedefined   48    44    44    52        code           24    56    64
//! i_ci         116   120   120   128
//! ```
//!
//! `i_ci` is the address of the call's `CallInfo`, in 5.1 its number counted from the outermost.

use std::ffi::{CStr, c_int, c_void};

use super::api::{Version, lua_Debug};

/// Offsets in bytes.
pub(crate) struct Layout {
    current_line: usize,
    line_defined: usize,
    source_len: Option<usize>,
    call: usize,
    /// Calls are known by number, not by address.
    pub(crate) numbered: bool,
    /// A tail call is told with a call of its own, which then takes its caller's place.
    pub(crate) tail_calls_move: bool,
    /// `lua_yield` changes where the call that yields says its function is, to keep what it left on the stack; only
    /// `lua_getinfo` knows better.
    pub(crate) yield_moves_function: bool,
    pub(crate) prototype_line: usize,
    pub(crate) prototype_code: usize,
    /// Every Lua thread is at least this large.
    pub(crate) thread: usize,
}

/// By [`Version`].
pub(crate) const LAYOUTS: [Layout; 4] = [
    Layout {
        current_line: 40,
        line_defined: 48,
        source_len: None,
        call: 116,
        numbered: true,
        tail_calls_move: true,
        yield_moves_function: false,
        prototype_line: 0,
        prototype_code: 0,
        thread: 176,
    },
    Layout {
        current_line: 40,
        line_defined: 44,
        source_len: None,
        call: 120,
        numbered: false,
        tail_calls_move: true,
        yield_moves_function: true,
        prototype_line: 104,
        prototype_code: 24,
        thread: 196,
    },
    Layout {
        current_line: 40,
        line_defined: 44,
        source_len: None,
        call: 120,
        numbered: false,
        tail_calls_move: true,
        yield_moves_function: true,
        prototype_line: 40,
        prototype_code: 56,
        thread: 196,
    },
    Layout {
        current_line: 48,
        line_defined: 52,
        source_len: Some(40),
        call: 128,
        numbered: false,
        tail_calls_move: false,
        yield_moves_function: false,
        prototype_line: 44,
        prototype_code: 64,
        thread: 196,
    },
];

static KNOWN: [Layout; 4] = LAYOUTS;

impl Layout {
    pub(crate) fn of(version: Version) -> &'static Self {
        &KNOWN[version as usize]
    }

    unsafe fn int(ar: *const lua_Debug, offset: usize) -> c_int {
        // SAFETY: every offset above lies inside the structure and is a multiple of four.
        unsafe { ar.byte_add(offset).cast::<c_int>().read() }
    }

    /// The call that `ar` describes; null for one that a tail call replaced.
    ///
    /// # Safety
    /// `ar` was filled by Lua.
    #[inline(always)]
    pub(crate) unsafe fn call(&self, ar: *const lua_Debug) -> *const c_void {
        // SAFETY: as in `int`; addresses are aligned to eight.
        unsafe {
            if self.numbered {
                Self::int(ar, self.call) as usize as *const c_void
            } else {
                ar.byte_add(self.call).cast::<*const c_void>().read()
            }
        }
    }

    /// Makes `ar` describe another call.
    ///
    /// # Safety
    /// `ar` is valid, and calls are known by address.
    pub(crate) unsafe fn set_call(&self, ar: *mut lua_Debug, call: *const c_void) {
        // SAFETY: as in `call`.
        unsafe { ar.byte_add(self.call).cast::<*const c_void>().write(call) }
    }

    /// # Safety
    /// `ar` was filled by Lua, with `l` or for a line event.
    pub(crate) unsafe fn current_line(&self, ar: *const lua_Debug) -> c_int {
        // SAFETY: see `int`.
        unsafe { Self::int(ar, self.current_line) }
    }

    /// # Safety
    /// `ar` was filled by Lua with `S`.
    pub(crate) unsafe fn line_defined(&self, ar: *const lua_Debug) -> c_int {
        // SAFETY: see `int`.
        unsafe { Self::int(ar, self.line_defined) }
    }

    /// The name of the chunk, as given to `lua_load`.
    ///
    /// # Safety
    /// `ar` was filled by Lua with `S`; the answer is used while the function is alive.
    pub(crate) unsafe fn source<'a>(&self, ar: *const lua_Debug) -> &'a [u8] {
        // SAFETY: Lua's strings are valid while the function is, and end with a zero.
        unsafe {
            let source = (*ar).source;
            match self.source_len {
                _ if source.is_null() => &[],
                Some(offset) => std::slice::from_raw_parts(
                    source.cast::<u8>(),
                    ar.byte_add(offset).cast::<usize>().read(),
                ),
                None => CStr::from_ptr(source).to_bytes(),
            }
        }
    }
}

const _: () = {
    let mut version = 0;
    while version < 4 {
        assert!(LAYOUTS[version].call + 8 <= size_of::<lua_Debug>());
        version += 1;
    }
};
