//! `os.exit`: it may close the machine while it runs, and a timer's signal must not find it then.

use std::ffi::c_int;

use tickscope_core::Recorder;

use super::{api, original, tracer};
use crate::lua::api::*;
use crate::lua::signal;

/// `os.exit`. May raise: as Lua's, for its argument.
///
/// # Safety
/// Called by Lua only, as the closure `install` made.
pub(super) unsafe extern "C-unwind" fn exit<R: Recorder + 'static>(state: *mut lua_State) -> c_int {
    let api = api();
    // SAFETY: a live state; Lua's function finds the stack as it would have.
    unsafe {
        let Some(original) = original(api, state, 1) else { return 0 };
        let mut fits = 0;
        (api.own.lua_tointegerx)(state, 1, &mut fits);
        let refused = fits == 0 && !matches!((api.lua_type)(state, 1), LUA_TNONE | LUA_TNIL | LUA_TBOOLEAN);
        if !refused && tracer::<R>(state).is_some() {
            signal::set_target(None);
        }
        original(state)
    }
}
