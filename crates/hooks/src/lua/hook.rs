//! The hook functions themselves.

use std::ffi::{c_int, c_void};

use tickscope_core::{CategoryId, Depth, Outcome, Recorder, Span, SymbolId, Ticks};

use super::api::*;
use super::coroutine::{Coroutine, Frame, UNRECORDED};
use super::identity::{self, Identity};
use super::layout::LAYOUTS;
use super::state::{State, current};
use super::threads::LuaThread;
use super::{numbered, signal};

/// Stands for a call that gets no span: the host records it itself.
pub(crate) const HIDDEN: SymbolId = SymbolId(u32::MAX);

/// The standing hook while every call is traced and the program has no hook of its own. Own use of the Lua stack: up
/// to 6. May raise: no. Compiled for each version: where things are, is then in the code. In a foreign program the depth
/// may have changed meanwhile.
///
/// # Safety
/// Called by Lua of that `VERSION` only, for a call or return in a live `thread`.
pub(crate) unsafe extern "C-unwind" fn trace<
    R: Recorder + 'static,
    const VERSION: usize,
    const FOREIGN: bool,
>(
    thread: *mut lua_State,
    ar: *mut lua_Debug,
) {
    let state = current::<R>();
    // SAFETY: the thread's tracer is alive while it is registered; Lua gives a valid `ar`.
    unsafe {
        if state.is_null() || (FOREIGN && (*state).is_behind()) {
            return general::<R>(thread, ar);
        }
        let state = &*state;
        let at = state.recorder.now();
        if state.top_state.get() == thread {
            // The usual cases, kept small: everything else is one call away.
            let coroutine = &*state.top.get();
            let layout = const { &LAYOUTS[VERSION] };
            let call = layout.call(ar);
            if (*ar).event == LUA_HOOKRET {
                if coroutine.top_call() == call {
                    state.last_event.set(at.0);
                    coroutine.exit(&state.recorder, at, state.allocated(), Outcome::Ok);
                    return;
                }
            } else if (*ar).event == LUA_HOOKCALL
                && state.direct.get()
                && (coroutine.depth() == 0 || coroutine.top_call() == identity::previous(call))
                && let Some((prototype, code)) = identity::prototype(call, layout)
                && let Some((symbol, line)) =
                    state.cache.get_prototype((prototype ^ state.script_salt.get(), code))
                && (!FOREIGN || line == identity::line(prototype, layout))
                && state.recorder.enabled(CategoryId::FUNCTION)
            {
                state.last_event.set(at.0);
                let bytes = state.allocated().wrapping_sub(coroutine.skipped.get());
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
        record(state, &*state.top.get(), thread, ar, at);
    }
}

/// Records the event of a call, whatever the version's way of telling.
#[inline(always)]
unsafe fn record<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    at: Ticks,
) {
    // SAFETY: `ar` is the hook's own.
    unsafe {
        // What Lua was about to tell when the hook was another's is not for us.
        if matches!((*ar).event, LUA_HOOKLINE | LUA_HOOKCOUNT) {
            return;
        }
        if state.layout.numbered {
            match (*ar).event {
                LUA_HOOKCALL => {
                    numbered::called(state, coroutine, thread, ar, at);
                    begin(state, coroutine, thread, ar, state.layout.call(ar), at);
                }
                LUA_HOOKRET => numbered::returned(state, coroutine, thread, ar, at),
                _ => numbered::replaced_returned(state, coroutine, thread, at),
            }
        } else if (*ar).event == LUA_HOOKRET {
            returned(state, coroutine, ar, at);
        } else {
            called(state, coroutine, thread, ar, at);
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
        let mut call = state.layout.call(ar);
        if (*ar).event == LUA_HOOKTAILCALL {
            call = replaced(state, thread, call);
            if coroutine.top_call() != call {
                repair(state, coroutine, thread, call, at);
            }
            if coroutine.top_call() == call {
                coroutine.exit(&state.recorder, at, state.allocated(), Outcome::Ok);
            }
        } else if coroutine.depth() > 0 {
            let caller = caller(state, thread, call);
            if coroutine.top_call() != caller {
                repair(state, coroutine, thread, caller, at);
            }
        }
        begin(state, coroutine, thread, ar, call, at);
    }
}

/// The call whose place a tail call takes.
#[inline(always)]
unsafe fn replaced<R: Recorder>(
    state: &State<R>,
    thread: *mut lua_State,
    call: *const c_void,
) -> *const c_void {
    // SAFETY: passed on to the caller.
    if state.layout.tail_calls_move { unsafe { caller(state, thread, call) } } else { call }
}

/// Begins the span of a call, which is known by `call` from now on.
#[inline(always)]
unsafe fn begin<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    call: *const c_void,
    at: Ticks,
) {
    // SAFETY: `ar` is the hook's own.
    unsafe {
        let symbol = symbol(state, coroutine, thread, ar);
        if symbol == HIDDEN {
            return;
        }
        let (span, bytes) = if state.recorder.enabled(CategoryId::FUNCTION) {
            let span = state.recorder.enter(at, symbol, CategoryId::FUNCTION);
            (span, state.allocated().wrapping_sub(coroutine.skipped.get()))
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
    let call = unsafe { state.layout.call(ar) };
    if coroutine.top_call() != call {
        // SAFETY: as above.
        unsafe { repair(state, coroutine, coroutine.state(), call, at) };
        if coroutine.top_call() != call {
            return; // began before tracing did, or gets no span
        }
    }
    coroutine.exit(&state.recorder, at, state.allocated(), Outcome::Ok);
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
        unsafe {
            let there = (state.api.lua_getstack)(thread, 1, &mut ar) != 0;
            if there { state.layout.call(&ar) } else { std::ptr::null() }
        }
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
        coroutine.unwind(&state.recorder, at, state.allocated(), keep);
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

/// Ends the recorded calls that died in a protected call by C.
///
/// # Safety
/// `thread` is alive and stands still.
pub(crate) unsafe fn failed<R: Recorder + 'static>(state: &State<R>, thread: *mut lua_State) {
    if state.top_state.get() != thread {
        return; // its track is not the one that runs
    }
    // SAFETY: the coroutine at work is kept.
    let Some(coroutine) = (unsafe { state.top.get().as_ref() }) else { return };
    let mut ar = lua_Debug::new();
    // SAFETY: passed on to the caller.
    unsafe {
        if coroutine.depth() > 0 && (state.api.lua_getstack)(thread, 0, &mut ar) != 0 {
            let call = state.layout.call(&ar);
            if coroutine.top_call() != call {
                repair(state, coroutine, thread, call, state.recorder.now());
            }
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
            let at = state.layout.call(&ar);
            reached |= at == call;
            if reached && let Some(index) = coroutine.find(at) {
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
        let identity = if state.direct.get() {
            identity::read(state.layout.call(ar), state.layout)
        } else {
            identity::ask(state.api, state.layout, thread, ar)
        };
        symbol_of(state, coroutine, thread, ar, identity)
    }
}

/// The symbol of the call `ar` describes, whose function is known.
///
/// # Safety
/// As for [`symbol`].
#[inline(always)]
pub(crate) unsafe fn symbol_of<R: Recorder + 'static>(
    state: &State<R>,
    coroutine: &Coroutine,
    thread: *mut lua_State,
    ar: *mut lua_Debug,
    mut identity: Identity,
) -> SymbolId {
    // SAFETY: passed on to the caller.
    unsafe {
        let address = identity.key;
        if identity.code == 0 && !coroutine.vm.is_null() {
            identity.key ^= (*coroutine.vm).salt;
        }
        identity.key ^= state.script_salt.get();
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
    // SAFETY: as in `trace`. Nothing below needs dropping when an error is raised: the frame holds plain values.
    unsafe {
        let Some(state) = state.as_ref() else { return alone(thread, ar) };
        let at = state.recorder.now();
        state.catch_up();
        if state.top_state.get() != thread {
            state.infer(thread, at);
        }
        let coroutine = &*state.top.get();
        let event = (*ar).event;
        let version = state.api.version;
        match event {
            _ if state.depth_of(coroutine) == Depth::Trace => record(state, coroutine, thread, ar, at),
            LUA_HOOKCALL | LUA_HOOKLINE | LUA_HOOKCOUNT => {}
            _ if coroutine.depth() == 0 => {}
            _ if version.is_tail_call(event) => {
                // The caller's span ends here; what replaces it is no longer recorded.
                let call = replaced(state, thread, state.layout.call(ar));
                repair(state, coroutine, thread, call, at);
                if coroutine.top_call() == call {
                    coroutine.exit(&state.recorder, at, state.allocated(), Outcome::Ok);
                }
            }
            _ => record(state, coroutine, thread, ar, at),
        }
        if signal::take_armed() && state.depth.get() == Depth::Sample {
            state.sampled(coroutine, at);
            state.weigh(coroutine.vm, thread, at);
        }
        if state.interrupt.requested() {
            interrupt(state, thread);
        }
        let user = coroutine.thread.user();
        state.install(coroutine);
        if let Some(hook) = user.hook
            && user.mask & version.mask_of(event) != 0
        {
            hook(thread, ar);
        }
    }
}

/// A hook of ours where no tracer is: it was left on a Lua thread that another OS thread runs now. It goes.
///
/// # Safety
/// As for [`general`].
#[cold]
unsafe fn alone(thread: *mut lua_State, ar: *mut lua_Debug) {
    let Some(record) = LuaThread::find(thread) else { return };
    // SAFETY: `thread` is running.
    unsafe {
        let user = record.user();
        record.want(0);
        if let Some(hook) = user.hook
            && user.mask & record.lua().api.version.mask_of((*ar).event) != 0
        {
            hook(thread, ar);
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
    unsafe { coroutine.thread.count_down(patience) }
}
