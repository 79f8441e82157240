//! What the user reads: the report as words or as JSON, and the colours of a terminal.

pub(crate) mod json;
pub(crate) mod style;
pub(crate) mod text;
