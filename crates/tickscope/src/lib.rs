//! Tracing for Rust programs: what a span costs is two reads of the time stamp counter.
//!
//! Two lines record what a program already tells [`tracing`](https://docs.rs/tracing):
//!
//! ```no_run
//! # #[cfg(feature = "tracing")] {
//! use tracing_subscriber::prelude::*;
//!
//! let _recording = tickscope::Recording::to_file("program.perfetto-trace").unwrap();
//! tracing_subscriber::registry().with(tickscope::layer()).init();
//! # }
//! ```
//!
//! The capture opens at <https://ui.perfetto.dev>, and with `tickscope report`. The macros cost less and say more:
//!
//! ```
//! use tickscope::{FlowPoint, MemorySink, Recording, async_span, counter, instant, span};
//!
//! let memory = MemorySink::default();
//! let recording = Recording::builder().sink("memory", memory.clone()).start()?;
//! {
//!     let request = span!("request", player = 7);
//!     counter!("open requests", 1);
//!     let cause = FlowPoint::here();
//!     let query = async_span!("query", table = "items");
//!     let worker = std::thread::spawn(move || {
//!         let _work = span!(follows: cause, "run query");
//!         query.arg("rows", 3);
//!     });
//!     worker.join().unwrap();
//!     instant!("answered");
//!     request.arg("status", 200);
//! }
//! let summary = recording.stop();
//! assert!(summary.account.dropped == 0 && summary.failed.is_empty());
//! # assert_eq!(memory.take().samples.iter().filter(|s| matches!(s.event, tickscope::Event::Begin(_))).count(), 3);
//! # Ok::<(), tickscope::Error>(())
//! ```
//!
//! # Guarantees
//! - A span takes no lock, makes no system call and allocates nothing, once its place was reached before.
//! - Nothing recorded, or the category off: a few loads, and neither arguments nor conditions are evaluated.
//! - A level that is not compiled in: no instruction (`tests/it/assembly.rs` compares them).
//! - A full ring drops whole spans and says so ([`Summary::account`]); the program never waits.
//! - A guard ends its span when a panic passes through, as [`Outcome::Unwound`].
//! - Dropping the [`Recording`] writes everything out.
//!
//! # Deliberately absent
//! Logging: use `tracing`, and the layer. A recorder that several threads share: each has its own.
//!
//! # Sources
//! Traces across processes: [W3C trace context](https://www.w3.org/TR/trace-context/) and
//! [baggage](https://www.w3.org/TR/baggage/). Comparisons: Wilcoxon's signed-rank test and the estimate of Hodges and
//! Lehmann.
//!
//! # Features
//! - `tracing` (default): [`layer()`].
//! - `profile` (default): the attribute [`profile`](macro@profile).
//! - `scheduler`: `scheduler::Tasks`, which records the tasks of a `tickscope-scheduler` pool.
//! - `general`, `verbose`: compile in spans of that [`Level`].

mod attachment;
mod backtrace;
mod callsite;
mod compare;
mod context;
mod error;
mod flow;
mod future;
mod guard;
#[cfg(feature = "tracing")]
mod layer;
mod looped;
mod macros;
mod memory;
mod moment;
mod noted;
mod operation;
mod overhead;
mod probe;
mod recording;
#[cfg(feature = "scheduler")]
pub mod scheduler;
mod source;
mod stats;
mod value;

pub use callsite::{AsCategory, Callsite, Category, Key, Level};
pub use compare::{Comparison, Rival};
pub use context::{Baggage, ContextError, ContextSpan, Entered, TraceContext, TraceState};
pub use error::Error;
pub use flow::FlowPoint;
pub use guard::SpanGuard;
#[cfg(feature = "tracing")]
pub use layer::{Layer, layer};
pub use looped::{Iteration, LoopIter, LoopSpan};
pub use memory::MemorySink;
pub use noted::Noted;
pub use operation::{AsyncSpan, OnTrack, ProcessTrack, Track};
pub use overhead::{OverheadReport, Sampled};
pub use probe::{Probe, ProbeGuard, probes};
pub use recording::{Builder, Chosen, Recording, Summary};
pub use source::DataSource;
pub use stats::{FunctionCall, FunctionStats, FunctionTimer, function_stats};
pub use tickscope_core::{
    Account, ArgInput, ArgValue, Batch, CategoryId, CounterValue, Event, Flow, LinkKind, Metadata, Outcome,
    Recorder, RecordingSink, SamplingConfig, Scope, Sink, SinkError,
};
#[cfg(feature = "profile")]
pub use tickscope_macros::profile;
pub use tickscope_session::ThreadRecorder;

#[doc(hidden)]
pub use compare::compare as __compare;
#[doc(hidden)]
pub use future::around as __around;

/// A function's path out of the path of an item within it. For the macros.
#[doc(hidden)]
pub fn __function_name(here: &'static str) -> &'static str {
    let mut name = here.strip_suffix("::here").or(here.strip_suffix("::__tickscope_here")).unwrap_or(here);
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}

/// The README's examples are tested too.
#[cfg(all(doctest, feature = "tracing"))]
#[doc = include_str!("../README.md")]
struct Readme;
