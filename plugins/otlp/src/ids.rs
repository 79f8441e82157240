//! Ids of traces and spans. They are made of the recording's own, so that what is sent later can name what was sent before, or
//! was not sent.

/// Trace and span: where something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
}

/// Makes ids of one recording.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    seed: u64,
}

impl Ids {
    /// Of the recording that began at `start_unix_ns` in the process `pid`: no two do so in the same nanosecond.
    pub fn new(start_unix_ns: u64, pid: u32) -> Self {
        Self { seed: mixed(start_unix_ns ^ mixed(u64::from(pid))) }
    }

    /// The id of a span. Different spans of a recording have different ones.
    pub fn span(&self, span: u64) -> u64 {
        // One number in 2^64 is mixed to 0, which is none.
        mixed(span ^ self.seed).max(1)
    }

    /// The id of the trace that begins with a span.
    pub fn trace(&self, span: u64) -> u128 {
        (u128::from(self.seed.max(1)) << 64) | u128::from(self.span(span))
    }

    /// Of a span that begins a trace.
    pub fn root(&self, span: u64) -> Place {
        Place { trace: self.trace(span), span: self.span(span) }
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): each number has another one.
pub fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
