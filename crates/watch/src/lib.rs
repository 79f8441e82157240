//! What an FXServer tells of itself without anything installed: `/perf/`, and its console. No I/O, no clock: whoever
//! fetches and tails gives text and times.
//!
//! ```
//! use tickscope_watch::{Watch, log};
//!
//! let mut watch = Watch::default();
//! let line = "[           citizen] server thread hitch warning: timer interval of 412 milliseconds";
//! assert!(matches!(log::read(line), Some(log::Said::Hitch { ms: 412, .. })));
//! watch.line(1_000_000_000, line);
//! assert_eq!(watch.summary().hitches[0].count, 1);
//! ```
//!
//! # Guarantees
//! No unsafe code. Any text is read or is refused with the line that is wrong; nothing panics. Memory is bounded, whatever is
//! said and for however long.
//!
//! # Deliberately absent
//! Which resource made a tick late: nothing that FXServer says by itself tells. What stands near hitches in the log may have
//! to do with them, or not.
#![forbid(unsafe_code)]

pub mod log;
pub mod perf;
mod story;

pub use story::{Hitches, Near, Restart, Summary, Threads, Watch};
