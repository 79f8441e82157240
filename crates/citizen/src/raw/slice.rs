//! Slices of coroutines: one `lua_resume`, with what mlua's own does not keep: the error object as it is, the
//! traceback of the coroutine it came from, and the place in the script.

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;

use mlua::{Lua, MultiValue, Thread, Value, ffi};

use super::native::token_of;

/// A place in a script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Chunk name, with its leading `@`.
    pub source: String,
    /// Line that was executing; 0 when unknown.
    pub line: u32,
    /// Line where the function is defined; 0 for a main chunk.
    pub defined: u32,
    /// What Lua calls the function; empty when it does not know.
    pub name: String,
}

/// An error that ended a coroutine.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error object.
    pub value: Value,
    /// Traceback of the coroutine.
    pub traceback: String,
    /// The innermost script function.
    pub place: Option<Place>,
}

/// How a slice ended.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// Suspended by a native that waits for the answer to this token.
    Awaits { token: u64, by: Option<Place> },
    /// Suspended by `Wait` or a plain yield, with what it yielded.
    Yielded { values: MultiValue, by: Option<Place> },
    /// Returned.
    Returned(MultiValue),
    /// Raised an error.
    Failed(Failure),
}

/// Resumes `thread`, fresh or suspended, with `arguments`.
pub(crate) fn resume(lua: &Lua, thread: &Thread, arguments: MultiValue) -> Resumed {
    let coroutine = thread.state();
    let mut status = ffi::LUA_ERRRUN;
    let mut place = None;
    // SAFETY: `thread` keeps `coroutine` alive. The closure runs in a protected call with just the arguments on
    // `state`; it owns nothing, `place` lives out here and is assigned between calls that cannot raise.
    let result: mlua::Result<MultiValue> = unsafe {
        lua.exec_raw(arguments, |state| {
            let arguments = ffi::lua_gettop(state);
            ffi::luaL_checkstack(coroutine, arguments + 1, c"too many arguments to resume".as_ptr());
            ffi::lua_xmove(state, coroutine, arguments);
            let mut results: c_int = 0;
            status = ffi::lua_resume(coroutine, state, arguments, &mut results);
            match status {
                ffi::LUA_OK | ffi::LUA_YIELD => {
                    if status == ffi::LUA_YIELD {
                        place = innermost(coroutine);
                    }
                    ffi::luaL_checkstack(state, results + 1, c"too many results to resume".as_ptr());
                    ffi::lua_xmove(coroutine, state, results);
                }
                _ => {
                    place = innermost(coroutine);
                    ffi::lua_xmove(coroutine, state, 1);
                    ffi::luaL_traceback(state, coroutine, std::ptr::null(), 0);
                    // runs pending to-be-closed variables; the new error they may raise is dropped for the first one
                    tickscope_lua::ffi::lua_closethread(coroutine, state);
                }
            }
        })
    };
    match (result, status) {
        (Ok(values), ffi::LUA_OK) => Resumed::Returned(values),
        (Ok(values), ffi::LUA_YIELD) => match token_of(&values) {
            Some(token) => Resumed::Awaits { token, by: place },
            None => Resumed::Yielded { values, by: place },
        },
        (Ok(mut values), _) => {
            let traceback = match values.pop_back() {
                Some(Value::String(text)) => text.to_string_lossy(),
                _ => String::new(),
            };
            Resumed::Failed(Failure { value: values.pop_back().unwrap_or(Value::Nil), traceback, place })
        }
        // the switch itself failed: no memory for the values it moves
        (Err(error), _) => {
            Resumed::Failed(Failure { value: Value::Error(Box::new(error)), traceback: String::new(), place })
        }
    }
}

/// What the chunk names of the host's own parts in Lua begin with.
pub(super) const OWN_CHUNKS: &CStr = c"@citizen:/";

/// Whether a chunk is one of the host's own.
///
/// # Safety
/// `source` is null or a C string.
pub(super) unsafe fn is_own(source: *const std::ffi::c_char) -> bool {
    // SAFETY: see above.
    !source.is_null() && unsafe { CStr::from_ptr(source) }.to_bytes().starts_with(OWN_CHUNKS.to_bytes())
}

/// The innermost Lua function of a script on `state`, or else the host's own that is innermost.
///
/// # Safety
/// `state` is alive and not running in another thread. Does not raise.
unsafe fn innermost(state: *mut ffi::lua_State) -> Option<Place> {
    let (mut level, mut own) = (0, None);
    loop {
        let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: `lua_getstack` fills the part of the record that `lua_getinfo` needs; all-zero bytes are a valid
        // `lua_Debug` (numbers and null pointers). "S", "l", "n" allocate nothing. The strings live as long as the
        // function, which is on the stack.
        unsafe {
            if ffi::lua_getstack(state, level, record.as_mut_ptr()) == 0 {
                return own;
            }
            ffi::lua_getinfo(state, c"Sln".as_ptr(), record.as_mut_ptr());
            let record = record.assume_init_ref();
            if !record.what.is_null() && CStr::from_ptr(record.what) != c"C" {
                let text = |pointer: *const std::ffi::c_char| {
                    if pointer.is_null() {
                        String::new()
                    } else {
                        CStr::from_ptr(pointer).to_string_lossy().into_owned()
                    }
                };
                let place = || Place {
                    source: text(record.source),
                    line: u32::try_from(record.currentline).unwrap_or(0),
                    defined: u32::try_from(record.linedefined).unwrap_or(0),
                    name: text(record.name),
                };
                if !is_own(record.source) {
                    return Some(place());
                }
                own = own.or_else(|| Some(place()));
            }
        }
        level += 1;
    }
}
