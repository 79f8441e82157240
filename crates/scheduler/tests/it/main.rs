//! The scheduler as its users see it.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod budget;
mod cancel;
mod completions;
mod fibers;
mod futures;
mod hooks;
mod many;
mod pool;
mod shutdown;
mod support;
