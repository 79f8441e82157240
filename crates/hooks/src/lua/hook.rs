//! The hook functions themselves.

use std::ffi::{c_int, c_void};

use tickscope_core::{CategoryId, Depth, Outcome, Recorder, Span, SymbolId, Ticks};

use super::api::*;
use super::coroutine::{Coroutine, Frame, UNRECORDED};
use super::identity::{self, Identity};
use super::state::{State, current};
use super::{libraries, signal};

/// Stands for a call that gets no span: the host records it itself.
pub(crate) const HIDDEN: SymbolId = SymbolId(u32::MAX);

/// The standing hook while every call is traced and the program has no hook of its own. Own use of the Lua stack: up
/// to 6. May raise: no.
///
/// # Safety
/// Called by Lua only, for a call or return in a live `thread`.
pub(crate) unsafe extern "C-unwind" fn trace<R: Recorder + 'static>(
    thread: *mut lua_State,
    ar: *mut lua_Debug,
) {
    let state = current::<R>();
    if state.is_null() {
        return;
    }
    // SAFETY: the thread's tracer is alive while it is registered; Lua gives a valid `ar`.
    unsafe {
        let state = &*state;
        let at = state.recorder.now();
        if state.top_state.get() == thread {
            // The usual cases, kept small: everything else is one call away.
            let coroutine = &*state.top.get();
            let call = (*ar).i_ci;
            if (*ar).event == LUA_HOOKRET {
                if coroutine.top_call() == call {
                    state.last_event.set(at.0);
                    coroutine.exit(&state.recorder, at, state.allocated.get(), Outcome::Ok);
                    return;
                }
            } else if (*ar).event == LUA_HOOKCALL
                && state.direct.get()
                && (coroutine.depth() == 0 || coroutine.top_call() == identity::previous(call))
                && let Some(prototype) = identity::prototype(call)
                && let Some(symbol) = state.cache.get_prototype(prototype)
                && state.recorder.enabled(CategoryId::FUNCTION)
            {
                state.last_event.set(at.0);
                let bytes = state.allocated.get() - coroutine.skipped.get();
                let span = state.recorder.enter(at, symbol, CategoryId::FUNCTION);
                coroutine.push(Frame { call, span, bytes });
                return;
            }
        }
        unusual(state, thread, ar, at);
    }
}

/// What [`trace`] does with an event that is not one of the usual.
#[inline(never)]
unsafe fn unusual<R: Recorder + 'static>(
    state: &State<R>,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: as in `trace`.
    unsafe {
        if state.top_state.get() != thread {
            state.infer(thread, at);
        }
        state.last_event.set(at.0);
        if (*ar).event == LUA_HOOKRET {
            returned(state, &*state.top.get(), ar, at);
        } else {
            called(state, &*state.top.get(), thread, ar, at);
        }
    }
}

/// A call begins, or replaces its caller in a tail call.
#[inline(always)]
unsafe fn called<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: `ar` is the hook's own.
    unsafe {
        let call = (*ar).i_ci;
        if (*ar).event == LUA_HOOKTAILCALL {
            if coroutine.top_call() != call {
                repair(state, coroutine, thread, call, at);
            }
            if coroutine.top_call() == call {
                coroutine.exit(&state.recorder, at, state.allocated.get(), Outcome::Ok);
            }
        } else if coroutine.depth() > 0 {
            let caller = caller(state, thread, call);
            if coroutine.top_call() != caller {
                repair(state, coroutine, thread, caller, at);
            }
        }
        let symbol = symbol(state, coroutine, thread, ar);
        if symbol == HIDDEN {
            return;
        }
        let (span, bytes) = if state.recorder.enabled(CategoryId::FUNCTION) {
            let span = state.recorder.enter(at, symbol, CategoryId::FUNCTION);
            (span, state.allocated.get() - coroutine.skipped.get())
        } else {
            (Span::DROPPED, UNRECORDED)
        };
        coroutine.push(Frame { call, span, bytes });
    }
}

/// A call returns.
#[inline(always)]
unsafe fn returned<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: `ar` is the hook's own.
    let call = unsafe { (*ar).i_ci };
    if coroutine.top_call() != call {
        // SAFETY: as above.
        unsafe { repair(state, coroutine, coroutine.state, call, at) };
        if coroutine.top_call() != call {
            return; // began before tracing did, or gets no span
        }
    }
    coroutine.exit(&state.recorder, at, state.allocated.get(), Outcome::Ok);
}

/// The call that made `call`; null below the outermost.
#[inline(always)]
unsafe fn caller<R: Recorder>(
    state: &State<R>,
    thread: *mut lua_State,
    call: *const c_void,
) -> *const c_void {
    if state.direct.get() {
        // SAFETY: the layout was proved at the first attach.
        unsafe { identity::previous(call) }
    } else {
        let mut ar = lua_Debug::new();
        // SAFETY: `thread` is running.
        if unsafe { (state.api.lua_getstack)(thread, 1, &mut ar) } != 0 { ar.i_ci } else { std::ptr::null() }
    }
}

/// The innermost recorded call is not `alive`: calls above it died in an error, or `alive` is not recorded. Ends the
/// dead ones.
#[cold]
#[inline(never)]
unsafe fn repair<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    alive: *const c_void,
    at: Ticks,
) {
    // SAFETY: the layout was proved where it is read directly.
    if state.direct.get() && unsafe { identity::previous(alive) } == coroutine.top_call() {
        return; // a call without a span, made by the innermost recorded one: nothing died
    }
    let keep = match coroutine.find(alive) {
        Some(index) => index + 1,
        // An unrecorded call: the innermost recorded one among its callers is alive, and nothing above that.
        // SAFETY: `thread` is running.
        None => unsafe { alive_below(state, coroutine, thread, alive) },
    };
    if coroutine.depth() > keep {
        coroutine.unwind(&state.recorder, at, state.allocated.get(), keep);
    }
}

/// Ends the recorded calls that are no callers of `call`, which has just begun.
///
/// # Safety
/// `call` is the innermost call of the running `thread`.
pub(crate) unsafe fn settle<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    call: *const c_void,
    at: Ticks,
) {
    if coroutine.depth() == 0 || coroutine.top_call() == call {
        return;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        let caller = caller(state, thread, call);
        if coroutine.top_call() != caller {
            repair(state, coroutine, thread, caller, at);
        }
    }
}

/// How many of the recorded calls are alive, when the innermost live one lies below `call`.
unsafe fn alive_below<R: Recorder>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    call: *const c_void,
) -> usize {
    // SAFETY: `thread` is running; the layout was proved where it is read directly.
    unsafe {
        if state.direct.get() {
            let mut below = call;
            while !below.is_null() {
                if let Some(index) = coroutine.find(below) {
                    return index + 1;
                }
                below = identity::previous(below);
            }
            return 0;
        }
        // What lies above `call` has only begun: its `CallInfo` may be one that a dead call had.
        let (mut ar, mut level, mut reached) = (lua_Debug::new(), 0, false);
        while (state.api.lua_getstack)(thread, level, &mut ar) != 0 {
            reached |= ar.i_ci == call;
            if reached && let Some(index) = coroutine.find(ar.i_ci) {
                return index + 1;
            }
            level += 1;
        }
    }
    0
}

/// The symbol of the function of the call `ar` describes.
///
/// # Safety
/// `ar` describes a live call of `thread`, which has free stack slots.
#[inline(always)]
pub(crate) unsafe fn symbol<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
) -> SymbolId {
    // SAFETY: passed on to the caller; the layout was proved where it is read directly.
    unsafe {
        let mut identity: Identity = if state.direct.get() {
            identity::read((*ar).i_ci)
        } else {
            identity::ask(&state.api, thread, ar)
        };
        let address = identity.key;
        if identity.code == 0 && !coroutine.vm.is_null() {
            identity.key ^= (*coroutine.vm).salt;
        }
        match state.cache.get(identity) {
            Some(symbol) => symbol,
            None => {
                let symbol = state.name(coroutine, thread, ar, address);
                state.cache.insert(identity, symbol);
                symbol
            }
        }
    }
}

/// The hook for everything else: samples, interrupts, the program's own hook, and calls that were open when tracing
/// ended. Own use of the Lua stack: up to 8. May raise: an interrupt's error, or the program's hook's.
///
/// # Safety
/// Called by Lua only, for an event in a live `thread`.
pub(crate) unsafe extern "C-unwind" fn general<R: Recorder + 'static>(
    thread: *mut lua_State,
    ar: *mut lua_Debug,
) {
    let state = current::<R>();
    if state.is_null() {
        return;
    }
    // SAFETY: as in `trace`. Nothing below needs dropping when an error is raised: the frame holds plain values.
    unsafe {
        let state = &*state;
        let at = state.recorder.now();
        if state.top_state.get() != thread {
            state.infer(thread, at);
        }
        let coroutine = &*state.top.get();
        let event = (*ar).event;
        let tracing = state.depth.get() == Depth::Trace;
        match event {
            LUA_HOOKCALL | LUA_HOOKTAILCALL if tracing => called(state, coroutine, thread, ar, at),
            LUA_HOOKRET if tracing || coroutine.depth() > 0 => returned(state, coroutine, ar, at),
            LUA_HOOKTAILCALL if coroutine.depth() > 0 => {
                // The caller's span ends here; what replaces it is no longer recorded.
                repair(state, coroutine, thread, (*ar).i_ci, at);
                if coroutine.top_call() == (*ar).i_ci {
                    coroutine.exit(&state.recorder, at, state.allocated.get(), Outcome::Ok);
                }
            }
            _ => {}
        }
        if signal::take_armed() && state.depth.get() == Depth::Sample {
            state.record_stack(at);
        }
        if state.interrupt.requested() {
            interrupt(state, thread);
        }
        let user = coroutine.user.get();
        state.install(coroutine);
        let wanted = match event {
            LUA_HOOKCALL | LUA_HOOKTAILCALL => LUA_MASKCALL,
            LUA_HOOKRET => LUA_MASKRET,
            LUA_HOOKLINE => LUA_MASKLINE,
            _ => LUA_MASKCOUNT,
        };
        if user.mask & wanted != 0 {
            let api = state.api;
            libraries::call_user_hook(&api, thread, ar);
        }
    }
}

/// Raises the error of an interrupt.
///
/// # Safety
/// In a hook of the running `thread`.
unsafe fn interrupt<R: Recorder + 'static>(state: &State<R>, thread: *mut lua_State) {
    state.raised.set(state.raised.get().saturating_add(1));
    // Every coroutine that waits for this one is next when the error passes through it.
    for context in state.context_stack() {
        // SAFETY: coroutines in contexts are alive.
        let coroutine = unsafe { &*context.coroutine };
        if !coroutine.dead.get() {
            // SAFETY: as above.
            unsafe { arm_interrupt(state, coroutine) };
        }
    }
    let (text, len) = state.interrupt.message();
    // SAFETY: `thread` is running; no value in this frame or its callers needs dropping.
    unsafe {
        (state.api.lua_pushlstring)(thread, text.as_ptr().cast(), len);
        (state.api.lua_error)(thread);
    }
}

/// Makes a coroutine notice the interrupt in force.
///
/// # Safety
/// The coroutine is alive.
pub(crate) unsafe fn arm_interrupt<R: Recorder + 'static>(state: &State<R>, coroutine: &Coroutine) {
    // At first what catches the error may clean up. A script that goes on catching is hit at its next instruction:
    // outside of whatever caught it.
    let patience: c_int = if state.raised.get() < 8 { 1000 } else { 1 };
    // SAFETY: see the function's contract.
    unsafe {
        let mask = (state.api.lua_gethookmask)(coroutine.state) | LUA_MASKCOUNT;
        (state.api.lua_sethook)(coroutine.state, Some(general::<R>), mask, patience);
    }
}
