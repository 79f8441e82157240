//! What every part of Tickscope shares: samples, the dictionary they refer to, and the traits between producers
//! and consumers.
//!
//! A program that is traced implements nothing here: it calls a [`Recorder`]. A collector or a capture reader is a
//! [`Source`] of [`Batch`]es; everything that consumes them (a writer, the analyzer, a plugin) is a [`Sink`].
//!
//! ```
//! use tickscope_core::{Batch, Flow, Sink, SinkError};
//!
//! /// Counts the spans that ended in error.
//! #[derive(Default)]
//! struct Errors(u64);
//!
//! impl Sink for Errors {
//!     fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
//!         for sample in batch.samples {
//!             if let tickscope_core::Event::End(end) = sample.event {
//!                 self.0 += u64::from(end.outcome == tickscope_core::Outcome::Error);
//!             }
//!         }
//!         Ok(Flow::Continue)
//!     }
//! }
//! ```
//!
//! # Guarantees
//! No unsafe code, no I/O, no clock: everything here is data and pure functions of it.
//!
//! # Deliberately absent
//! Serialisation: a format owns its own types and converts. Rings and clocks: see `tickscope-session`.
#![forbid(unsafe_code)]

mod account;
mod category;
mod clock;
pub mod conformance;
mod dictionary;
mod hash;
mod id;
mod interner;
mod metadata;
mod overhead;
pub mod quiet;
mod recorder;
mod sample;
mod sampling;
mod sink;
mod source;
mod symbol;
mod text;
mod track;

pub use account::{Account, Accounts};
pub use category::{Categories, Category, CategoryId, CategorySet};
pub use clock::{Calibration, Ticks};
pub use dictionary::{Dictionary, StackNode};
pub use hash::joaat;
pub use id::{KeyId, RingId, SpanId, StackId, SymbolId, TrackId};
pub use interner::Interner;
pub use metadata::{ClockInfo, Depth, DepthSwitch, Metadata, SCHEMA};
pub use overhead::{Overhead, Stopwatch};
pub use recorder::{ArgInput, LinkPoint, Recorder, Span, SwitchReason};
pub use sample::{
    Arg, ArgRange, ArgValue, Batch, Begin, CounterValue, End, Event, Link, LinkKind, Outcome, Sample, Scope,
    Weight,
};
pub use sampling::{Admission, RootSampler, SamplingConfig, SamplingError, TokenBucket};
pub use sink::{Flow, RecordingSink, Sink, SinkError};
pub use source::{Progress, Source, SourceError, drain};
pub use symbol::{Runtime, Symbol, SymbolRef};
pub use text::{escape, unescape};
pub use track::{Track, TrackKind};
