//! Tests against a real Lua.
mod calls;
mod lab;
mod memory;
mod programs;
