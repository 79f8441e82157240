//! Tests against a real Lua.
mod calls;
mod hooks;
mod interrupts;
mod lab;
mod memory;
mod memory_use;
mod programs;
mod sampling;
