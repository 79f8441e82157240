//! Writes Tickscope's recordings, one module per format, to any [`std::io::Write`]; reads its captures back.
//!
//! Every writer is a [`Sink`](tickscope_core::Sink) and takes samples as they come: what is written is bounded by
//! nothing, what is held in memory is a buffer, the names, and the open spans. Formats that need whole stacks
//! ([`folded`], [`pprof`], [`speedscope`], [`svg`]) share the tree of call paths in [`paths`].
//!
//! ```
//! use tickscope_core::{conformance, drain};
//! use tickscope_export::{Format, Options, perfetto};
//!
//! // A capture …
//! let mut capture = Vec::new();
//! let example = conformance::example();
//! let mut writer = tickscope_export::open(Format::Perfetto, &mut capture, &Options::default());
//! writer.open(&example.metadata)?;
//! writer.batch(&example.as_batch())?;
//! writer.finish()?;
//! drop(writer);
//!
//! // … becomes a flame graph.
//! let mut graph = Vec::new();
//! let mut reader = perfetto::Reader::new("example", &capture[..])?;
//! drain(&mut reader, &mut *tickscope_export::open(Format::Svg, &mut graph, &Options::default()))?;
//! assert!(graph.starts_with(b"<?xml"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! No unsafe code. JSON is strict and closed, XML is well-formed, CSV is RFC 4180, whatever names hold. Bad captures
//! give one error that says where and what, and never panic.
//!
//! # Deliberately absent
//! Importers of other tools' files; formats of monitoring systems; compression, but for [`pprof`], whose format has it.
#![forbid(unsafe_code)]

pub mod chrome;
pub mod csv;
pub mod folded;
mod format;
mod json;
pub mod jsonl;
mod output;
pub mod paths;
pub mod perfetto;
pub mod pprof;
pub mod speedscope;
pub mod svg;
mod wire;

pub use format::{Format, Options, UnknownFormat, open};

/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;
