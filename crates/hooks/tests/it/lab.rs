//! A real Lua machine under a tracer that records into memory.

use std::ffi::{CStr, CString};
use std::pin::Pin;
use std::rc::Rc;

use mlua::ffi;
use tickscope_core::{Depth, SwitchReason};
use tickscope_hooks::lua::{Allocator, LuaApi, Tracer, TracerOptions, VmId, VmOptions};

use crate::memory::Memory;

pub struct Lab {
    pub recorder: Memory,
    pub tracer: Tracer<Memory>,
    pub vm: VmId,
    pub state: *mut ffi::lua_State,
    pub allocator: Rc<Pin<Box<Allocator>>>,
}

pub fn api() -> LuaApi {
    // SAFETY: mlua links its own Lua 5.4.
    unsafe { tickscope_hooks::lua_api_from!(tickscope_lua::ffi) }
}

impl Lab {
    pub fn new(depth: Depth) -> Self {
        Self::with(TracerOptions { depth, ..TracerOptions::default() }, None)
    }

    pub fn with(options: TracerOptions, limit: Option<u64>) -> Self {
        let recorder = Memory::new();
        // SAFETY: the machine made below is of that Lua, and closed when the lab is dropped.
        let tracer = unsafe { Tracer::new(recorder.clone(), api(), options) }.unwrap();
        let allocator = Rc::new(Allocator::new(limit));
        // SAFETY: the allocator outlives the machine: the lab drops it last.
        let state = unsafe { ffi::lua_newstate(Allocator::function(), allocator.data()) };
        assert!(!state.is_null());
        // SAFETY: a new machine.
        unsafe { ffi::luaL_openlibs(state) };
        let options = VmOptions { allocator: Some(Rc::clone(&allocator)), ..VmOptions::default() };
        // SAFETY: as above.
        let vm = unsafe { tracer.attach(state.cast(), options) }.unwrap();
        // SAFETY: as above.
        unsafe {
            tracer.push_wrap(state.cast());
            ffi::lua_setglobal(state, c"wrap".as_ptr());
        }
        Self { recorder, tracer, vm, state, allocator }
    }

    /// Runs `source` as a chunk called `=test`; its first result as text.
    pub fn run(&self, source: &str) -> Result<String, String> {
        self.run_as("=test", source)
    }

    pub fn run_as(&self, chunk: &str, source: &str) -> Result<String, String> {
        self.tracer.register_chunk(self.vm, chunk.as_bytes(), source.as_bytes());
        let chunk = CString::new(chunk).unwrap();
        // SAFETY: a live machine; the results are taken off again.
        unsafe {
            let (text, len) = (source.as_ptr().cast(), source.len());
            let loaded = ffi::luaL_loadbufferx(self.state, text, len, chunk.as_ptr(), c"t".as_ptr());
            let mut status = loaded;
            if loaded == 0 {
                self.tracer.enter(self.state.cast(), None);
                status = ffi::lua_pcall(self.state, 0, 1, 0);
                self.tracer.leave(if status == 0 { SwitchReason::Return } else { SwitchReason::Error });
            }
            let text = CStr::from_ptr(ffi::luaL_tolstring(self.state, -1, std::ptr::null_mut()));
            let text = text.to_string_lossy().into_owned();
            ffi::lua_settop(self.state, 0);
            if status == 0 { Ok(text) } else { Err(text) }
        }
    }
}

thread_local! {
    static TRACER: std::cell::Cell<*const Tracer<Memory>> = const { std::cell::Cell::new(std::ptr::null()) };
}

/// What a native does that is about to wait.
unsafe extern "C-unwind" fn snapshot(_: *mut ffi::lua_State) -> std::ffi::c_int {
    // SAFETY: `with_snapshot` is running on this thread, and the lab with it.
    unsafe {
        (*TRACER.get()).await_stack();
    }
    0
}

impl Lab {
    /// Runs `source` as the work of `boundary`; its global `SNAPSHOT` records the stack.
    pub fn with_snapshot(&self, boundary: tickscope_core::SymbolId, source: &str) {
        TRACER.set(&self.tracer);
        // SAFETY: a live machine; `TRACER` is set while the function can be called.
        unsafe {
            ffi::lua_pushcclosure(self.state, snapshot, 0);
            ffi::lua_setglobal(self.state, c"SNAPSHOT".as_ptr());
            self.tracer.enter(self.state.cast(), Some(boundary));
            self.tracer.register_chunk(self.vm, b"=test", source.as_bytes());
            let text = source.as_ptr().cast();
            assert_eq!(
                ffi::luaL_loadbufferx(self.state, text, source.len(), c"=test".as_ptr(), c"t".as_ptr()),
                0
            );
            assert_eq!(ffi::lua_pcall(self.state, 0, 0, 0), 0);
            self.tracer.leave(SwitchReason::Return);
        }
        TRACER.set(std::ptr::null());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.tracer.detach(self.vm);
        // SAFETY: made by `with`, closed once.
        unsafe { ffi::lua_close(self.state) };
    }
}
