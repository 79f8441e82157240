//! Lua in a program that is not ours: found by symbols, its functions detoured by whoever found it.
//!
//! # What a detour calls
//! [`ForeignLua`] once per library; its functions need no tracer. A [`Tracer`] per OS thread that runs Lua, made when it
//! first does.
//!
//! | detour of | before the function itself | after it |
//! |---|---|---|
//! | `lua_resume` | [`Tracer::enter`] | [`Tracer::leave`] with the status as reason |
//! | `lua_pcall(k)`, `lua_call(k)`, outermost of the thread | [`Tracer::enter`] | [`Tracer::leave`] |
//! | `lua_newstate` | | [`ForeignLua::new_state`] |
//! | `lua_newthread` | | [`ForeignLua::new_thread`] |
//! | `lua_close` | [`Tracer::closed`], [`ForeignLua::closing`] | [`Closing::closed`] |
//! | `lua_gc` | [`Tracer::collecting`] | [`Tracer::collected`] |
//! | `lua_sethook`, `lua_gethook`, `lua_gethookmask`, `lua_gethookcount`, `lua_getallocf`, `lua_setallocf` | the method of that name, instead | |
//!
//! # What is left alone
//! No library function is replaced, and no Lua thread is touched but those that run, or that the program itself has just
//! handed over: any other may have been freed. Hooks of coroutines follow the depth when they next run, and a hook left
//! on one goes when it is called.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use tickscope_core::{Depth, DepthSwitch, Recorder};

use super::api::*;
use super::hook;
use super::library::Lua;
use super::meter::{self, Meter};
use super::threads::{LuaThread, UserHook};
use super::tracer::{Tracer, TracerError, TracerOptions};

/// How a thread of a foreign program is traced.
#[derive(Clone, Debug)]
pub struct ForeignOptions {
    /// Where the depth is read from.
    pub depth: &'static DepthSwitch,
    /// Samples a second at depth sample. One rate per process: the first tracer's.
    pub sample_hz: u32,
    /// Whether Lua's structures are read directly where the check allows it.
    pub direct: bool,
    /// Whether allocations are counted. `lua_getallocf`, `lua_setallocf` and `lua_close` are detoured then.
    pub memory: bool,
    /// The resource its machines belong to; may be empty.
    pub resource: String,
    /// What symbol tables call the C function at an address. Called once per function that no module has.
    pub name_native: fn(usize) -> Option<String>,
}

/// A machine that is being closed; see [`ForeignLua::closing`].
#[derive(Clone, Copy, Debug)]
pub struct Closing(Option<&'static Meter>);

impl Closing {
    /// It is closed: it frees nothing any more.
    pub fn closed(self) {
        if let Some(meter) = self.0 {
            meter.end();
        }
    }
}

/// One Lua library of this process, whose tracers record into an `R`.
pub struct ForeignLua<R> {
    lua: &'static Lua,
    _recorder: PhantomData<fn() -> R>,
}

impl<R> Clone for ForeignLua<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for ForeignLua<R> {}

impl<R> std::fmt::Debug for ForeignLua<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lua.fmt(f)
    }
}

impl<R: Recorder + 'static> ForeignLua<R> {
    /// Examines a library, in a machine of its own; the program's are not touched.
    ///
    /// # Errors
    /// [`TracerError::Layout`] when it is not what its version should be.
    ///
    /// # Safety
    /// `api` holds the functions of one Lua library, past any detour, and says its version.
    pub unsafe fn new(api: &LuaApi) -> Result<Self, TracerError> {
        let trace: lua_Hook = match api.version {
            Version::Lua51 => hook::trace::<R, 0, true>,
            Version::Lua52 => hook::trace::<R, 1, true>,
            Version::Lua53 => hook::trace::<R, 2, true>,
            Version::Lua54 => hook::trace::<R, 3, true>,
        };
        // SAFETY: passed on to the caller.
        let lua = unsafe { Lua::known(api, trace, hook::general::<R>, meter::allocate::<R>) };
        lua.map(|lua| Self { lua, _recorder: PhantomData })
            .map_err(|reason| TracerError::Layout { version: api.version, reason })
    }

    /// Whether functions are identified by reading Lua's structures, which the check allowed; else each call asks Lua.
    pub fn is_direct(&self) -> bool {
        self.lua.direct
    }

    /// A tracer for this thread.
    ///
    /// # Errors
    /// When this thread has one already, or the system has no signal to sample with.
    ///
    /// # Safety
    /// Every Lua thread given to it belongs to this library and is run by this OS thread meanwhile. The tracer is dropped
    /// before the OS thread ends, and not from inside Lua.
    pub unsafe fn tracer(&self, recorder: R, options: ForeignOptions) -> Result<Tracer<R>, TracerError> {
        let common =
            TracerOptions { depth: Depth::Boundary, sample_hz: options.sample_hz, direct: options.direct };
        Tracer::with(recorder, self.lua, common, Some(options))
    }

    /// A machine was made. Forgets what was known of its address.
    pub fn new_state(&self, main: *mut lua_State) {
        if !main.is_null() {
            self.lua.thread(main).renew();
        }
    }

    /// A Lua thread was made, by `parent`. Forgets what was known of its address; it inherits its parent's hook.
    ///
    /// # Safety
    /// Both are alive, and `lua_newthread` has just returned.
    pub unsafe fn new_thread(&self, parent: *mut lua_State, thread: *mut lua_State) {
        // SAFETY: passed on to the caller.
        unsafe { self.lua.thread(thread).inherit(parent) }
    }

    /// `lua_sethook`, as the program means it. May be called from a signal handler, as Lua's.
    ///
    /// # Safety
    /// As for `lua_sethook`.
    pub unsafe fn sethook(&self, thread: *mut lua_State, hook: Option<lua_Hook>, mask: c_int, count: c_int) {
        // SAFETY: passed on to the caller. Without a record none of our hooks was ever set there.
        unsafe {
            match LuaThread::find(thread) {
                Some(record) => record.set_user(UserHook::new(hook, mask, count)),
                None => (self.lua.api.lua_sethook)(thread, hook, mask, count),
            }
        }
    }

    /// `lua_getallocf`: the program's.
    ///
    /// # Safety
    /// As for `lua_getallocf`.
    pub unsafe fn getallocf(&self, thread: *mut lua_State, data: *mut *mut c_void) -> Option<lua_Alloc> {
        // SAFETY: passed on to the caller.
        unsafe {
            let Some(meter) = Meter::standing(self.lua, thread) else {
                return (self.lua.api.lua_getallocf)(thread, data);
            };
            let (function, own) = meter.program();
            if !data.is_null() {
                data.write(own);
            }
            Some(function)
        }
    }

    /// `lua_setallocf`, as the program means it.
    ///
    /// # Safety
    /// As for `lua_setallocf`.
    pub unsafe fn setallocf(&self, thread: *mut lua_State, function: lua_Alloc, data: *mut c_void) {
        // SAFETY: passed on to the caller.
        unsafe {
            match Meter::standing(self.lua, thread).filter(|meter| meter.is_private()) {
                Some(meter) => meter.pass_on_to(function, data),
                // Another machine may have the meter too. This one gets another when it next runs.
                None => (self.lua.api.lua_setallocf)(thread, function, data),
            }
        }
    }

    /// A machine is about to be closed.
    ///
    /// # Safety
    /// `thread` is alive.
    pub unsafe fn closing(&self, thread: *mut lua_State) -> Closing {
        // SAFETY: passed on to the caller.
        Closing(unsafe { Meter::standing(self.lua, thread) })
    }

    unsafe fn user(&self, thread: *mut lua_State) -> UserHook {
        // SAFETY: passed on to the caller.
        unsafe { self.lua.thread(thread).user() }
    }

    /// `lua_gethook`: the program's.
    ///
    /// # Safety
    /// As for `lua_gethook`.
    pub unsafe fn gethook(&self, thread: *mut lua_State) -> Option<lua_Hook> {
        // SAFETY: passed on to the caller.
        unsafe { self.user(thread).hook }
    }

    /// `lua_gethookmask`: the program's.
    ///
    /// # Safety
    /// As for `lua_gethookmask`.
    pub unsafe fn gethookmask(&self, thread: *mut lua_State) -> c_int {
        // SAFETY: passed on to the caller.
        unsafe { self.user(thread).mask }
    }

    /// `lua_gethookcount`: the program's.
    ///
    /// # Safety
    /// As for `lua_gethookcount`.
    pub unsafe fn gethookcount(&self, thread: *mut lua_State) -> c_int {
        // SAFETY: passed on to the caller.
        unsafe { self.user(thread).count }
    }
}
