//! What a sink plugin of Tickscope sees: one versioned C table ([`raw`]), and a trait that hides it.
//!
//! A plugin in Rust implements [`Sink`] and names it in [`export_sink!`]; one in C fills the table of
//! `include/tickscope_sink.h`. Both are shared libraries that `tickscope run --sink ./libname.so` loads.
//!
//! ```
//! use std::collections::BTreeMap;
//! use tickscope_abi::{Batch, Error, Event, Flow, Host, Metadata, Sink, export_sink};
//!
//! /// Counts the spans of each resource.
//! struct Count {
//!     host: Host,
//!     spans: BTreeMap<u32, u64>,
//!     lines: Vec<String>,
//! }
//!
//! impl Sink for Count {
//!     const NAME: &'static str = "count";
//!     const ABOUT: &'static str = "Counts the spans of each resource.";
//!
//!     fn open(_options: &str, _metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
//!         Ok(Self { host, spans: BTreeMap::new(), lines: Vec::new() })
//!     }
//!
//!     fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
//!         for sample in batch.samples() {
//!             if let Event::End(end) = sample.event {
//!                 *self.spans.entry(end.symbol).or_default() += 1;
//!             }
//!         }
//!         let mut resources = BTreeMap::<&str, u64>::new();
//!         for (symbol, spans) in &self.spans {
//!             *resources.entry(&batch.names().symbol(*symbol).resource).or_default() += spans;
//!         }
//!         self.lines = resources.iter().map(|(resource, spans)| format!("{resource}: {spans}")).collect();
//!         Ok(Flow::Continue)
//!     }
//!
//!     fn finish(&mut self, _within: std::time::Duration) -> Result<(), Error> {
//!         self.lines.iter().for_each(|line| self.host.info(line));
//!         Ok(())
//!     }
//! }
//!
//! export_sink!(Count);
//! ```
//!
//! # Guarantees
//! Panics of a plugin are caught on its side and end that sink only. A plugin loads in every host of the same major version
//! that is not older. Nothing of a batch is copied; names cross once and are kept for the plugin.
//!
//! # Refuses
//! To be compiled with `panic = "abort"`, and to be compiled where the structures of the table lie otherwise than they
//! are known to.
//!
//! # Deliberately absent
//! Dependencies, serde among them: options are JSON text, which the author reads with what the author likes. `abi_stable`:
//! panics in its functions abort the host, its refusals run to 28,000 characters, two of its dependencies are unmaintained
//! and so is it; what it is for here, that both sides mean the same layout, [`raw::TICKSCOPE_LAYOUT`] does.

mod batch;
mod export;
mod layout;
mod names;
pub mod raw;
mod sink;

pub use batch::{ArgValue, Batch, CounterValue, Event, Metadata, Sample};
pub use export::table;
pub use layout::{LAYOUTS, layout};
pub use names::{Category, Names, StackNode, Symbol, Track, link_kind_name, outcome_name};
pub use raw::{
    TickscopeAccount as Account, TickscopeBegin as Begin, TickscopeEnd as End, TickscopeInstant as Instant,
    TickscopeLinkPoint as LinkPoint, TickscopeRange as Range, TickscopeStack as Stack,
    TickscopeSwitch as Switch,
};
pub use sink::{Error, Flow, Health, Host, Sink};
