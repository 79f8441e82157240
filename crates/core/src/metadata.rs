//! What is known of a recording as a whole, from its first moment.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Version of the sample model, stored in captures. A reader refuses a newer one.
pub const SCHEMA: u32 = 1;

/// How much of a script's work is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Ticks, events, threads, exports, natives: exact, no functions.
    Boundary,
    /// Boundaries, and stacks at 1 kHz: times of functions are estimates, their calls unknown.
    #[default]
    Sample,
    /// Boundaries and every call.
    Trace,
}

impl Depth {
    /// Every depth, from least to most.
    pub const ALL: [Self; 3] = [Self::Boundary, Self::Sample, Self::Trace];

    /// The name used on the command line and in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boundary => "boundary",
            Self::Sample => "sample",
            Self::Trace => "trace",
        }
    }

    /// The depth of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|depth| depth.name() == name)
    }
}

/// The depth in force for whoever was given it: changes from any thread, or, in shared memory, from another process, and
/// takes effect when scripts are entered or a hook is called. A number that is no depth counts as the deepest.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct DepthSwitch(AtomicU32);

impl DepthSwitch {
    /// Set to `depth`.
    pub const fn new(depth: Depth) -> Self {
        Self(AtomicU32::new(depth as u32))
    }

    /// Chooses another depth.
    pub fn set(&self, depth: Depth) {
        self.0.store(depth as u32, Relaxed);
    }

    /// The depth chosen last.
    #[inline(always)]
    pub fn get(&self) -> Depth {
        match self.0.load(Relaxed) {
            0 => Depth::Boundary,
            1 => Depth::Sample,
            _ => Depth::Trace,
        }
    }
}

/// Facts of a recording that samples do not carry. Stored at the head of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Version of the sample model: [`SCHEMA`] when written by this crate.
    pub schema: u32,
    /// Program and version that recorded.
    pub producer: String,
    /// What was recorded: a server directory, a script, a program.
    pub subject: String,
    /// How long a tick may take, in nanoseconds; 0 where there are no ticks.
    pub budget_ns: u64,
    /// How much was recorded.
    pub depth: Depth,
    /// Process id of the recorded program.
    pub pid: u32,
    /// Monotonic time of the recording's start, in nanoseconds.
    pub start_ns: u64,
    /// Wall-clock time of the same moment, in nanoseconds since 1970 UTC.
    pub start_unix_ns: u64,
    /// How time was measured.
    pub clock: ClockInfo,
    /// Free facts, in the order given: seed, command line, machine.
    pub facts: Vec<(String, String)>,
}

/// How time was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// `tsc` or `monotonic`.
    pub source: String,
    /// Bound of the error against the system's monotonic clock, in nanoseconds.
    pub error_ns: u64,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            producer: String::new(),
            subject: String::new(),
            budget_ns: 0,
            depth: Depth::default(),
            pid: 0,
            start_ns: 0,
            start_unix_ns: 0,
            clock: ClockInfo { source: "monotonic".into(), error_ns: 0 },
            facts: Vec::new(),
        }
    }
}

impl Metadata {
    /// Wall-clock time of `time_ns`, in nanoseconds since 1970 UTC.
    pub fn unix_ns(&self, time_ns: u64) -> u64 {
        self.start_unix_ns.saturating_add_signed(time_ns.wrapping_sub(self.start_ns) as i64)
    }
}
