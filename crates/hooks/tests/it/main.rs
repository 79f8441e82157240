//! Tests against a real Lua.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
mod calls;
mod foreign;
mod hooks;
mod interrupts;
mod lab;
mod memory;
mod memory_use;
mod programs;
mod sampling;
