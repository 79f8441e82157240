//! What the user reads: the report as words or as JSON, and the colours of a terminal.

/// Writes a line to standard error. A reader that is gone ends nothing: `eprintln!` would panic.
macro_rules! tell {
    ($($arg:tt)*) => {{
        #[allow(unused_imports, reason = "where it is in scope already")]
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}

pub(crate) use tell;

pub(crate) mod json;
pub(crate) mod style;
pub(crate) mod text;
