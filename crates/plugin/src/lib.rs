//! Sink plugins of Tickscope, from the host's side: finding them, loading them, and keeping each from holding up others.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tickscope_core::Sink;
//! use tickscope_plugin::{SearchPath, Sinks};
//!
//! let path = SearchPath::of_this_program();
//! let chosen = path.choose("./libmy_sink.so=limit=5")?;
//! let mut sinks = Sinks::new(vec![chosen], Arc::new(|name, _level, line| eprintln!("{name}: {line}")));
//! sinks.open(&tickscope_core::Metadata::default())?;
//! // batches, ticks, flushes
//! sinks.finish()?;
//! println!("{:?}", sinks.outcomes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! No call of a sink holds up whoever feeds [`Sinks`]: each has a thread, and a queue of 262,144 samples; what does not fit is
//! left out for that sink only, counted, and told to it. One that fails is closed and the others go on. One that hangs costs
//! 2 s at the end, whatever the number of sinks.
//!
//! # Refuses
//! Files that are no sink for this host, in one line that says why and what to do: see [`Why`].
//!
//! # Deliberately absent
//! Unloading: threads of a plugin may run in it for ever. A cage: an [`Isolation`] keeps a plugin's mistakes to a process of
//! its own; what the plugin does on purpose, to files or to other processes, it may do as the user who runs it.

mod direct;
mod elf;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod instance;
mod isolated;
mod library;
mod opened;
mod options;
mod pack;
mod search;
mod sinks;
mod worker;

pub use direct::Direct;
pub use error::{FindError, OptionsError, Refusal, Why};
pub use isolated::{Isolation, NotStarted, serve_isolated};
pub use library::Plugin;
pub use opened::{Health, Level, Log};
pub use options::{OptionInfo, Problem, Schema, nearest, not_known};
pub use search::{Found, SearchPath, is_file, number, split, warning};
pub use sinks::{Chosen, GRACE, Sinks};
pub use worker::{End, Outcome, in_call};

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;

/// The version of the table that this host has.
pub fn version() -> String {
    format!("{}.{}", tickscope_abi::raw::TICKSCOPE_MAJOR, tickscope_abi::raw::TICKSCOPE_MINOR)
}
