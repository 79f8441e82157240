//! One recording: threads write records into rings, a collector turns them into samples.
//!
//! ```
//! use tickscope_core::{CategoryId, Outcome, Recorder, RecordingSink, SymbolRef};
//! use tickscope_session::{Config, Session};
//!
//! let (session, collector) = Session::new(Config::default()).unwrap();
//! let recorder = session.thread("main");
//! let work = recorder.intern_symbol(SymbolRef::host("work"));
//!
//! let span = recorder.enter(recorder.now(), work, CategoryId::DEFAULT);
//! recorder.exit(recorder.now(), span, Outcome::Ok, 0);
//!
//! let mut sink = RecordingSink::default();
//! let account = session.finish(collector, &mut sink).unwrap();
//! assert_eq!((account.attempted, account.delivered, account.dropped), (2, 2, 0));
//! ```
//!
//! # Guarantees
//! - Recording takes no lock, makes no system call, allocates nothing and formats nothing; naming something for the
//!   first time may.
//! - A full ring drops whole spans, never one end of a pair, and counts every event ([`tickscope_core::Account`]).
//! - Everything a collector in another process needs (rings, names, drop counts, clock) lies in one mapping without
//!   pointers, so a program that is killed leaves all it committed. The collector treats every index in it as hostile.
//! - Sessions are independent of each other: several may run in one process, with their own categories and sinks.
//!
//! # Deliberately absent
//! Formats and statistics: those are sinks, see `tickscope-export` and `tickscope-analysis`.

mod arena;
mod clock;
mod collector;
mod mapping;
mod marks;
mod pump;
mod record;
mod recorder;
mod session;
mod tracks;

pub use clock::Clock;
pub use collector::{Collector, PART};
pub use mapping::OpenError;
pub use pump::{Finished, Observer, Pump, PumpConfig, PumpHandle, SinkOutcome};
pub use recorder::{MAX_TEXT, ThreadRecorder};
pub use session::{Config, ConfigError, Session};
/// What stands in this crate's interface: with it a program needs no other crate of Tickscope.
pub use tickscope_core;
pub use tickscope_ring::Policy;
