//! Prints the calls of a small Lua program, indented, as they happen.

mod printer;

use mlua::ffi;
use tickscope_hooks::lua::{Tracer, TracerOptions, VmOptions};
use tickscope_hooks::tickscope_core::{Depth, SwitchReason};

use crate::printer::Printer;

const PROGRAM: &std::ffi::CStr = c"
local function leaf(n) return ('x'):rep(n) end
local function work() for i = 1, 2 do pcall(leaf, i) end end
work()
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = TracerOptions { depth: Depth::Trace, ..TracerOptions::default() };
    // SAFETY: mlua links its own Lua 5.4; the machine stays on this thread and is detached before it is closed.
    unsafe {
        // Any `Recorder`: this one prints; a `tickscope_session::Session` has one for each thread.
        let tracer = Tracer::new(Printer::default(), tickscope_hooks::lua_api_from!(mlua::ffi), options)?;
        let state = ffi::luaL_newstate();
        ffi::luaL_openlibs(state);
        let vm = tracer.attach(state.cast(), VmOptions::default())?;
        tracer.register_chunk(vm, b"program.lua", PROGRAM.to_bytes());
        tracer.enter(state.cast(), None);
        let (text, length, name) = (PROGRAM.as_ptr(), PROGRAM.count_bytes(), c"@program.lua".as_ptr());
        let failed =
            ffi::luaL_loadbuffer(state, text, length, name) != 0 || ffi::lua_pcall(state, 0, 0, 0) != 0;
        tracer.leave(SwitchReason::Return);
        tracer.detach(vm);
        ffi::lua_close(state);
        if failed { Err("the program failed".into()) } else { Ok(()) }
    }
}
