//! Where samples come from: hooks that turn a running Lua virtual machine into calls of a
//! [`Recorder`](tickscope_core::Recorder).
//!
//! Nothing here links a Lua: every call goes through [`lua::LuaApi`], a table of `lua_*` function pointers filled by
//! whoever has them (an embedding program from its bindings, a preloaded library from symbol tables).
//!
//! - [`lua::Tracer`]: calls, returns, tail calls, errors, coroutines, samples, interrupts, one per thread.
//! - [`lua::ForeignLua`]: the same in a program that is not ours, for Lua 5.1 to 5.4.
//! - [`lua::JitTracer`]: LuaJIT there, sampled through its own profiler.
//! - [`lua::Allocator`]: the memory of one virtual machine, counted and limited.
//! - [`lock::ForkLock`]: a lock that the child of a fork can take.
//! - [`lua::definitions`]: names of functions from their source text.
//! - `mono` (with `process`): Mono, through its profiler API.
//! - `process` (a feature of that name): which Lua a process has, and detours of its functions.
//!
//! # Guarantees
//! Nothing unwinds or panics into C. A frame that Lua may `longjmp` over owns nothing that needs dropping. The path of
//! a traced call takes no lock, makes no system call and, once warm, allocates and formats nothing. A program's own
//! `debug.sethook` works beside the hooks here, and the profiler's callbacks are never recorded themselves.
//!
//! # Deliberately absent
//! Attaching to a program that already runs. Traces of LuaJIT: its call hooks force it to interpret.
pub mod lock;
pub mod lua;
#[cfg(all(feature = "process", target_os = "linux", target_arch = "x86_64"))]
pub mod mono;
#[cfg(all(feature = "process", target_os = "linux", target_arch = "x86_64"))]
pub mod process;

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;
