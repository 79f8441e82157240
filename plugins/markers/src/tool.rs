//! What a timeline of others is given.

use std::ffi::CString;

/// A span that begins.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Its id.
    pub id: u64,
    /// The span around it in its lane, or 0.
    pub parent: u64,
    /// When, in nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// Number of its symbol.
    pub symbol: u32,
    /// What was called, with its resource.
    pub label: &'a str,
    /// Where it is defined; empty when unknown.
    pub file: &'a str,
    /// The line there.
    pub line: u32,
}

/// A timeline. All calls come on one thread.
pub trait Tool: Send {
    /// A lane is used for the first time.
    fn lane(&mut self, lane: usize, name: &str);

    /// A span begins in a lane.
    fn begin(&mut self, lane: usize, span: &Span<'_>);

    /// The innermost span of a lane ends.
    fn end(&mut self, lane: usize, span: u64, time_ns: u64);

    /// A span that stands out ended; what to say of it.
    fn mark(&mut self, _text: &str, _duration_ns: u64, _late: bool) {}

    /// What is good to know at the end.
    fn note(&self) -> Option<&'static str> {
        None
    }
}

/// `text` for C: up to 1,000 bytes, without zero bytes.
pub(crate) fn c_text(text: &str) -> CString {
    let bytes: Vec<u8> = text[..text.floor_char_boundary(1_000)].bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// The clock of samples, in nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to `now` only.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec.cast_unsigned()).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}
