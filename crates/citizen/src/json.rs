//! `json.encode` and `json.decode`.
//!
//! Tables whose keys are whole numbers from 1 become arrays (an empty table too), with `null` for a hole, as long as the
//! array is short or at least half of the elements are there; all others become objects, number keys as text. Bytes that
//! are not UTF-8 pass through as they are. Infinity and NaN, which JSON lacks, are written by those names, as FXServer
//! does; `null` decodes to nil.

mod decode;
mod encode;

pub(crate) use decode::{decode, not_json};
pub(crate) use encode::{Options, encode};

/// Tables inside each other.
pub(crate) const MAX_DEPTH: usize = 128;
/// Bytes of encoded text.
pub(crate) const MAX_SIZE: usize = 256 << 20;
