//! Streaming analysis of samples: what each function costs, which ticks were late and why, which operations waited.
//!
//! [`Analyzer`] is a [`Sink`](tickscope_core::Sink). Feed it a recording, live or read back, and ask for a
//! [`Report`]: plain data that owns its text.
//!
//! # Guarantees
//! - The report is a function of the samples and the metadata alone. How they were split into batches does not matter,
//!   nor does the order in which rings were drained, but for links between threads and for what falls to the caps.
//! - Memory is bounded by [`Options`], plus 9 bytes for each name in the source's dictionary. What does not fit is
//!   counted, in `<other>` or in [`Overflow`].
//! - Samples from anywhere are taken: what contradicts the protocol is counted as [`Report::irregular`].
//! - Sums are integers, quantiles come from a [`Sketch`] that does not depend on order, ties are broken by name.
//!
//! # What is exact and what is estimated
//! Spans are exact. Where functions are not spans but seen in stack samples, the exact time of the boundary they run in
//! is handed out to them; their `estimated` is set and their calls are unknown.
//!
//! # Deliberately absent
//! Clocks, I/O, serialisation (a format converts [`Report`] itself), history across recordings, and the profiler's own
//! overhead, which only the recording session knows.
#![forbid(unsafe_code)]

mod analyzer;
mod anomalies;
mod blame;
mod build;
mod links;
mod operations;
mod options;
mod report;
mod sketch;
mod stacks;
mod symbols;
mod throughput;
mod ticks;
mod tree;

pub use analyzer::Analyzer;
pub use anomalies::Anomaly;
pub use options::Options;
pub use report::{
    Accounting, Blame, CallNode, Cause, Chain, Culprit, LateTick, Machine, OpenSpan, Overflow, Report,
    ResourceStats, SlowOperation, SymbolStats, TickTable, WorstTick,
};
pub use sketch::Sketch;
pub use throughput::Throughput;

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
