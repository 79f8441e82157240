//! Streams of samples built by hand, and the reports they must give.
#![allow(clippy::unwrap_used)]

mod late_ticks;
mod limits;
mod operations;
mod properties;
mod sampled;
mod statistics;
mod stream;
