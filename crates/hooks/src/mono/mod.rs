//! Mono: calls, exceptions, collections, allocations and samples of managed code, through Mono's profiler API.
//!
//! Nothing links Mono: its functions are found by name in the module that exports them ([`Api::find`]), and
//! [`install`] registers a profiler before the runtime starts. Mono calls back on the thread that something happens on.
//!
//! # Depths
//! - boundary: each invocation of a method by native code (category `entry`), collections, exceptions.
//! - sample: and the stack, taken in Mono's own sampling signal. The handler keeps raw frames; a thread that Mono does
//!   not know names them later.
//! - trace: and each call. Which methods tell is decided when they are compiled: after a change to this depth, those that
//!   are compiled from then on.
//!
//! # What is named
//! Methods of the program's own assemblies, and the native code that they call, by the names of the methods that stand for
//! it. Mono's and the framework's get no spans and no frames of their own: what they take is their caller's. Code that was
//! compiled ahead of time tells nothing. Files and lines are not known.
//!
//! # Suspension
//! Mono stops threads wherever they are to collect. No lock is taken between the moments at which a collection stops the
//! world and starts it, so that a stopped thread may hold any lock of ours.
mod api;
mod calls;
mod gate;
mod methods;
mod profiler;
mod samples;

pub use api::Api;
pub use calls::Calls;
pub use profiler::{Host, after_fork, install};
