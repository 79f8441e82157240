//! Tickscope's formats.
#![forbid(unsafe_code)]
mod output;
pub mod perfetto;
