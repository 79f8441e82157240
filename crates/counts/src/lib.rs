//! Ticks and resources as numbers, counted from the samples that a sink plugin of Tickscope gets.
//!
//! A plugin that puts out figures holds [`Counts`], gives it every batch, and reads its fields whenever it puts something out.
//! They only grow, but for heaps; what happened in a second or in a tick is the difference of two readings.
//!
//! One that writes rows holds [`Spans`], which makes whole spans of the samples that they began and ended with, and
//! [`Losses`], which adds up what the recording lost. [`OpenSpans`] keep something of each open span, however many never end;
//! [`Records`] append to a file whose disk may be full for a while; [`Wanted`] chooses spans. [`Clock`] and [`Utc`] say when it was.
//!
//! ```
//! use tickscope_abi::{Batch, Error, Flow, Host, Metadata, Sink, export_sink};
//! use tickscope_counts::{Counts, Recording};
//!
//! struct Busiest {
//!     counts: Counts,
//!     host: Host,
//! }
//!
//! impl Sink for Busiest {
//!     const NAME: &'static str = "busiest";
//!
//!     fn open(_options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
//!         Ok(Self { counts: Counts::new(Recording::of(metadata), 100), host })
//!     }
//!
//!     fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
//!         self.counts.take(batch);
//!         Ok(Flow::Continue)
//!     }
//!
//!     fn finish(&mut self, _within: std::time::Duration) -> Result<(), Error> {
//!         if let Some(busiest) = self.counts.resources.list().iter().max_by_key(|resource| resource.running_ns) {
//!             self.host.info(&format!("{} ran {} ms", busiest.name, busiest.running_ns / 1_000_000));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_sink!(Busiest);
//! ```
//!
//! # Guarantees
//! Figures are those of `tickscope report`: calls count when they begin, time as it passes, memory when the outermost span has
//! ended. However many resources there are, so many are told apart as it is told; the others share one name. Memory is bounded. No clock is read.
//!
//! # Deliberately absent
//! Figures by player, event or function: there is no bound to how many there are.

mod clock;
mod counts;
mod losses;
mod open;
mod records;
mod resources;
mod running;
mod spans;
#[cfg(test)]
mod tests;
mod wanted;

pub use clock::{Clock, Utc};
pub use counts::{Counts, Histogram, Recording, TICK_BOUNDS_MS, Tick};
pub use losses::Losses;
pub use open::OpenSpans;
pub use records::Records;
pub use resources::{CALLS, HOST, OTHER, Resource, Resources};
pub use spans::{Span, Spans, TickSpan};
pub use wanted::Wanted;
