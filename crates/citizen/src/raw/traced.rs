//! The tracer's calls that take raw threads, for threads that a handle keeps alive.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use mlua::{Thread, ffi};
use tickscope_core::{Recorder, SymbolId, TrackId};
use tickscope_hooks::lua::Tracer;

use crate::vm::Vm;

/// See [`Tracer::set_track`].
pub(crate) fn set_track<R: Recorder>(tracer: &Tracer<R>, thread: &Thread, track: TrackId) {
    // SAFETY: the handle keeps the thread alive, and every machine of the server is attached.
    unsafe { tracer.set_track(thread.state().cast(), track) }
}

/// See [`Tracer::enter`].
pub(crate) fn enter<R: Recorder>(tracer: &Tracer<R>, thread: &Thread, boundary: SymbolId) {
    // SAFETY: as in `set_track`.
    unsafe { tracer.enter(thread.state().cast(), Some(boundary)) }
}

/// [`Tracer::enter`] for a machine's main thread.
pub(crate) fn enter_main<R: Recorder>(tracer: &Tracer<R>, vm: &Vm) {
    // SAFETY: the machine lives, and is attached before anything enters it.
    unsafe { tracer.enter(vm.main_thread(), None) }
}

/// See [`Tracer::await_stack`].
pub(crate) fn await_stack<R: Recorder>(tracer: &Tracer<R>) {
    // SAFETY: called between a coroutine's yield and its `leave`: nothing runs on this thread.
    unsafe { tracer.await_stack() };
}

/// The symbol of the script function that is innermost on a suspended thread.
pub(crate) fn waiting_symbol<R: Recorder>(tracer: &Tracer<R>, thread: &Thread) -> SymbolId {
    let state = thread.state();
    // SAFETY: the thread is alive and suspended. Four slots are asked for; "S" and "f" allocate nothing, so nothing
    // here raises, and the stack is left as it was. All-zero bytes are a valid `lua_Debug`.
    unsafe {
        if ffi::lua_checkstack(state, 4) == 0 {
            return SymbolId::OTHER;
        }
        for level in 0.. {
            let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
            if ffi::lua_getstack(state, level, record.as_mut_ptr()) == 0 {
                break;
            }
            ffi::lua_getinfo(state, c"S".as_ptr(), record.as_mut_ptr());
            let what = record.assume_init_ref().what;
            if !what.is_null() && CStr::from_ptr(what) != c"C" {
                ffi::lua_getinfo(state, c"f".as_ptr(), record.as_mut_ptr());
                let symbol = tracer.function_symbol(state.cast(), -1);
                ffi::lua_settop(state, -2);
                return symbol;
            }
        }
    }
    SymbolId::OTHER
}
