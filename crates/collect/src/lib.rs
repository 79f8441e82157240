//! Reads what the resource `tickscope` posts from a live FXServer, as samples: everything that works on a capture works on
//! it then.
//!
//! ```
//! use tickscope_collect::{Collector, Taken};
//! use tickscope_core::RecordingSink;
//!
//! let post = b"tickscope 1\nfrom 65a1 1\nclock 90000000 1764147600\nlate 100\n\
//!              ticks 1 0 50000000 40000000\nheap 48123904 shops\nover\n";
//! let mut collector = Collector::new();
//! assert_eq!(collector.post(post, 90_000_000)?, Taken::New);
//! let mut all = RecordingSink::default();
//! collector.finish();
//! collector.drain(&mut all)?;
//! assert_eq!(all.ticks, [50_000_000, 90_000_000]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! No unsafe code, no I/O, no clock. Any bytes are a post or are refused with words that say which line and why; what was
//! taken before stays. Memory is bounded, whoever posts: see [`Collector`]. Nothing panics.
//!
//! # The format
//! See the README of this crate; [`post`] reads it.
//!
//! # Deliberately absent
//! The network (`tickscope-http`, and the command `tickscope collect`); several servers in one capture.
#![forbid(unsafe_code)]

mod collector;
mod gate;
mod names;
mod nest;
pub mod post;

pub use collector::{Collector, Counts, Taken};
pub use gate::{Rate, Token};
pub use post::{Post, PostError};

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;

/// Bytes of a post; longer ones need not be read.
pub const MAX_POST: usize = 1 << 20;
