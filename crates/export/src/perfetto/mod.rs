//! The capture: a Perfetto trace that Tickscope reads back without loss.
//!
//! A capture is a row of packets that can be appended for ever; one cut anywhere still opens. Each ring is a packet
//! sequence with its own clock and names. Samples are Perfetto's track events, stack samples and counters; what
//! Perfetto has no field for stands beside them in packet fields that its trace processor skips. Where each field of
//! a sample is stored is told in `docs/capture.md`.
//!
//! # Guarantees
//! - What [`Reader`] gives is what [`Writer`] took, sample for sample; ids of symbols, tracks and keys are renumbered.
//!   Within one ring time never runs backwards: a sample earlier than the one before gets that one's time.
//! - A capture cut at any byte gives the samples whose packets are whole.
//! - No allocation per span, once its names have been seen.
//! - Bytes from outside never panic, and memory grows with what the file holds, never with a number it claims.
//!
//! # Deliberately absent
//! Reading traces of other tools; compression (compress the file).

mod bits;
mod encoder;
mod intern;
mod plain;
mod reader;
mod replay;
mod schema;
mod sequence;
mod writer;

pub use reader::Reader;
pub use writer::{RotatingWriter, Writer, create, part_path};

/// How a capture is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How stack samples are shown in Perfetto; our reader does not mind.
    pub stacks: StackFormat,
}

/// The packet that shows a stack sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StackFormat {
    /// `stack_sample`, of Perfetto 58 and later: weights, and which coroutine ran.
    #[default]
    StackSample,
    /// `perf_sample`, which every version shows; each sample counts the same.
    PerfSample,
}
