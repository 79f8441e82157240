//! Reads what other profilers recorded, as samples: everything that works on a capture works on it then.
//!
//! | format | from | module |
//! |---|---|---|
//! | msgpack | FXServer, `profiler save` | [`fxserver`] |
//! | JSON | FXServer, `profiler saveJSON` | [`chrome`], which knows it by its head |
//! | Chrome trace JSON | browsers and many tools; FXServer's `lmprof` in its trace mode | [`chrome`] |
//! | a Lua table | FXServer's `lmprof` in its other modes | [`lmprof`] |
//! | folded stacks | `perf script`, async-profiler, samplers that feed flame graphs | [`folded`] |
//!
//! ```
//! use tickscope_core::{RecordingSink, drain};
//!
//! let folded = b"main;tick;pay 30\nmain;tick 10\n".to_vec();
//! let mut import = tickscope_import::Import::new("stacks.txt", folded, &tickscope_import::Options::default())?;
//! let mut all = RecordingSink::default();
//! drain(&mut import, &mut all)?;
//! assert_eq!(all.samples.len(), 2 + 1); // two stacks, and an account
//! # Ok::<(), tickscope_core::SourceError>(())
//! ```
//!
//! # Guarantees
//! No unsafe code. A file whose start is no recording is refused with one error that says where and what. What can be
//! read of one that breaks off later is kept, and [`Import::cut`] says where it broke. Times that run backwards stand
//! still, ends without a begin are counted as discarded, what never ended ends with the recording. Nothing panics.
//!
//! # Deliberately absent
//! Compressed files; flows between spans; what `lmprof` counts of memory and lines.
#![forbid(unsafe_code)]

pub mod build;
pub mod chrome;
pub mod folded;
pub mod fxserver;
mod import;
pub mod lmprof;

pub use import::{Format, Import, Options};

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;
