//! One Lua machine: made, counted, traced and closed. The only place that puts mlua and `tickscope-hooks` together.
//!
//! # For those who build on it
//! 1. Once per thread: `let tracer = Rc::new(vm::tracer(recorder, options)?)`.
//! 2. Per resource: `Vm::new(limit, hash_seed)`, then [`Vm::attach`] before any script is loaded. [`Vm::lua`] is the machine for
//!    everything else. Drop every other handle (`Table`, `Function`, clones of `Lua`) before the `Vm`.
//! 3. For each chunk: [`Vm::register_chunk`] with the chunk name and source given to the loader, before it is loaded.
//! 4. Around each piece of work: open the boundary span with [`Tracer::span`], call [`Tracer::enter`] with the
//!    coroutine and the boundary's symbol, resume the coroutine, call [`Tracer::leave`] with how it ended (after
//!    `lua_closethread`, when it failed: its `__close` handlers are part of it), end the span. `enter` switches the
//!    recorder to the coroutine's track and `leave` switches back; they nest. A machine's main thread runs on the
//!    track that is current, and `enter`/`leave` around work on it are needed too.
//! 5. In a native: [`Tracer::span`] and [`Tracer::end_span`] of category native. What it calls in another machine is
//!    announced as in 4. Calling back into the same Lua thread needs nothing.
//! 6. Before a coroutine waits, from inside the native: [`Tracer::await_stack`].
//! 7. What a script resumes itself (`coroutine.resume`, `wrap`) is followed without help.
//!
//! Use spans of the tracer, not of the recorder, on the thread: inferred collector spans keep clear of them.
#![allow(unsafe_code)]

use std::pin::Pin;
use std::rc::Rc;

use mlua::{Lua, ffi};
use tickscope_core::Recorder;
use tickscope_hooks::lua::{
    Allocator, LuaApi, MemoryCounts, Tracer, TracerError, TracerOptions, VmId, VmOptions, lua_State,
};

/// The functions of the Lua that mlua links.
pub fn api() -> LuaApi {
    // SAFETY: mlua is built with its own Lua 5.4, and `ffi` declares that Lua's functions.
    unsafe { tickscope_hooks::lua_api_from!(tickscope_lua::ffi) }
}

/// A tracer of this thread's machines.
///
/// # Errors
/// See [`TracerError`].
pub fn tracer<R: Recorder + 'static>(recorder: R, options: TracerOptions) -> Result<Tracer<R>, TracerError> {
    // SAFETY: every machine attached to it is a `Vm`: of this Lua, not `Send`, and detached when dropped.
    unsafe { Tracer::new(recorder, api(), options) }
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// Lua could not be started.
    #[error("cannot start Lua: not enough memory")]
    Memory,
    /// The tracer refused it.
    #[error(transparent)]
    Tracer(#[from] TracerError),
}

/// What a machine needs of the tracer it is attached to.
trait Attached {
    fn register_chunk(&self, name: &[u8], source: &[u8]);
    fn set_recorded(&self, recorded: bool);
}

struct Attachment<R: Recorder + 'static> {
    tracer: Rc<Tracer<R>>,
    id: VmId,
}

impl<R: Recorder + 'static> Attached for Attachment<R> {
    fn register_chunk(&self, name: &[u8], source: &[u8]) {
        self.tracer.register_chunk(self.id, name, source);
    }

    fn set_recorded(&self, recorded: bool) {
        self.tracer.set_recorded(self.id, recorded);
    }
}

impl<R: Recorder + 'static> Drop for Attachment<R> {
    fn drop(&mut self) {
        self.tracer.detach(self.id);
    }
}

/// A Lua machine with all standard libraries.
///
/// Its memory is the C library's, as in plain Lua, so C modules work; it is counted and can be limited.
pub struct Vm {
    attached: Option<Box<dyn Attached>>,
    lua: Option<Lua>,
    main: *mut ffi::lua_State,
    allocator: Rc<Pin<Box<Allocator>>>,
}

impl Vm {
    /// A machine that refuses to use more than `limit` bytes: scripts get "not enough memory". `hash_seed` fixes the
    /// order in which `pairs` visits strings; without it each machine has another, as plain Lua has.
    ///
    /// # Errors
    /// When there is not even memory for an empty machine.
    pub fn new(limit: Option<u64>, hash_seed: Option<u32>) -> Result<Self, VmError> {
        tickscope_lua::set_hash_seed(hash_seed);
        let allocator = Rc::new(Allocator::new(None));
        // SAFETY: the machine is new, so nothing runs in it and nothing else refers to it. `luaL_newstate` takes its
        // memory from `realloc`, as our allocator does, and sets up warnings and panics as plain Lua has them.
        let main = unsafe {
            let main = ffi::luaL_newstate();
            if main.is_null() {
                return Err(VmError::Memory);
            }
            let kib = ffi::lua_gc(main, ffi::LUA_GCCOUNT) as u64;
            let rest = ffi::lua_gc(main, ffi::LUA_GCCOUNTB) as u64;
            allocator.adopt(kib * 1024 + rest);
            (api().lua_setallocf)(main.cast(), Allocator::function(), allocator.data());
            ffi::luaL_openlibs(main);
            main
        };
        // SAFETY: `main` is live until the `Vm` is dropped, which drops this handle first.
        let lua = unsafe { Lua::get_or_init_from_ptr(main) }.clone();
        allocator.set_limit(limit);
        Ok(Self { attached: None, lua: Some(lua), main, allocator })
    }

    /// The machine, for mlua. Clones must not outlive the `Vm`.
    pub fn lua(&self) -> &Lua {
        match &self.lua {
            Some(lua) => lua,
            None => unreachable!("taken by drop only"),
        }
    }

    /// The machine's main thread, for raw calls and for [`Tracer::enter`].
    pub fn main_thread(&self) -> *mut lua_State {
        self.main.cast()
    }

    /// Has `tracer` record what this machine does, as `resource`. `hidden` are C functions of the host that get no
    /// function span, because the host records what they do itself; mlua's callbacks are hidden anyway.
    ///
    /// Before any script runs. The machine is detached when dropped.
    ///
    /// # Errors
    /// When it is attached already.
    pub fn attach<R: Recorder + 'static>(
        &mut self,
        tracer: &Rc<Tracer<R>>,
        resource: &str,
        hidden: &[usize],
    ) -> Result<VmId, VmError> {
        let mut hidden = hidden.to_vec();
        hidden.extend(self.callback_trampoline());
        let options = VmOptions {
            resource: resource.to_owned(),
            allocator: Some(Rc::clone(&self.allocator)),
            hidden,
            hide_unnamed: !resource.is_empty(),
        };
        // SAFETY: the machine is live, not running, of the Lua of `api`, and created with this allocator.
        let id = unsafe { tracer.attach(self.main.cast(), options)? };
        self.attached = Some(Box::new(Attachment { tracer: Rc::clone(tracer), id }));
        Ok(id)
    }

    /// The C function that all of mlua's callbacks share.
    fn callback_trampoline(&self) -> Option<usize> {
        let callback = self.lua().create_function(|_, ()| Ok(())).ok()?;
        let mut address = None;
        // SAFETY: the closure gets the function at index 1 and leaves the stack as it was.
        let done: mlua::Result<()> = unsafe {
            self.lua().exec_raw(callback, |state| {
                address = ffi::lua_tocfunction(state, 1).map(|function| function as usize);
                ffi::lua_settop(state, 0);
            })
        };
        done.ok().and(address)
    }

    /// Says what the source of a chunk is, so that its functions are called what their definitions say.
    pub fn register_chunk(&self, name: &str, source: &[u8]) {
        if let Some(attached) = &self.attached {
            attached.register_chunk(name.as_bytes(), source);
        }
    }

    /// Whether its functions are recorded from now on; see [`Tracer::set_recorded`].
    pub fn set_recorded(&self, recorded: bool) {
        if let Some(attached) = &self.attached {
            attached.set_recorded(recorded);
        }
    }

    /// What the machine allocated, and how much it uses.
    pub fn memory(&self) -> MemoryCounts {
        self.allocator.counts()
    }

    /// Changes the limit; `None` for none.
    pub fn set_memory_limit(&self, limit: Option<u64>) {
        self.allocator.set_limit(limit);
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // Finalizers need memory to run in.
        self.allocator.set_limit(None);
        self.attached = None;
        self.lua = None;
        // SAFETY: made by `new`; mlua's handle is gone and the tracer has forgotten it.
        unsafe { ffi::lua_close(self.main) };
    }
}
