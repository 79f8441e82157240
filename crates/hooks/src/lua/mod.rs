//! Lua: tracer, sampler, allocator, and the library functions that go with them. Embedded 5.4, or 5.1 to 5.4 in a foreign
//! program ([`ForeignLua`]); LuaJIT there, sampled ([`JitTracer`]).
//!
//! # How it works
//! A [`Tracer`] owns one thread. Hook functions find it through a thread-local pointer. At depth trace a call/return
//! hook turns each call into a span; dead calls after errors are recognised by their `CallInfo`, so that spans balance
//! whatever a program does. At depth sample no hook stands: a timer's signal sets a hook that is called once, at the
//! next instruction, call or return, and records the stack. At depth boundary there is neither.
//!
//! The coroutines at work form a stack of contexts, kept by [`Tracer::enter`] and [`Tracer::leave`], by the
//! replacements of `coroutine.resume`, `wrap` and `close`, and, when a C library resumes a coroutine itself, by the
//! first hook event that arrives from it.
//!
//! # Names
//! A Lua function is called what its definition says, as [`definitions`] finds it in the source its loader registered;
//! without source, what its first caller called it. A C function is called what a loaded module calls it.
mod alloc;
mod api;
mod cache;
mod coroutine;
mod definitions;
mod entries;
mod foreign;
mod heap;
mod hook;
mod identity;
mod interrupt;
mod jit;
mod layout;
mod libraries;
mod library;
mod memory;
mod meter;
mod natives;
mod numbered;
mod resource;
mod signal;
mod state;
mod symbols;
mod threads;
mod ticker;
mod tracer;
mod vm;

pub use alloc::{Allocator, MemoryCounts};
pub use api::{
    LibraryApi, LuaApi, MissingSymbol, Version, lua_Alloc, lua_CFunction, lua_Debug, lua_Hook, lua_KFunction,
    lua_Reader, lua_State,
};
pub use definitions::definitions;
pub use foreign::{Closing, ForeignLua, ForeignOptions};
pub use heap::Collection;
pub use interrupt::InterruptHandle;
pub use jit::{JitCallback, JitLua, JitStart, JitStop, JitTracer};
pub use meter::leave_meters;
#[cfg(all(feature = "process", target_os = "linux", target_arch = "x86_64"))]
pub(crate) use ticker::block_signals;
pub use ticker::{after_fork, end_ticker, step_in, step_out, stop_ticker};
pub use tracer::{HostSpan, Tracer, TracerError, TracerOptions};
pub use vm::{VmId, VmOptions};
