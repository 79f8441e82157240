//! The formats from outside: what is written is read back, by our reader or by a strict parser.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocation;
mod capture;
mod formats;
mod pprof;
mod resolved;
mod streams;
