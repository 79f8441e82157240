//! Functions that are counted and timed instead of recorded call by call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::recording::lock;

static TIMERS: Mutex<Vec<&'static FunctionTimer>> = Mutex::new(Vec::new());

/// Count and times of one function: made by `trace_function_stats!`, one static each.
#[derive(Debug)]
pub struct FunctionTimer {
    name: fn() -> &'static str,
    listed: AtomicBool,
    calls: AtomicU64,
    total_ns: AtomicU64,
    min_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// What a [`FunctionTimer`] has seen so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionStats {
    /// Path of the function.
    pub name: &'static str,
    /// Calls that ended.
    pub calls: u64,
    /// Time of all of them, functions they called included.
    pub total: Duration,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl FunctionTimer {
    /// A timer for the function whose name `name` tells.
    pub const fn new(name: fn() -> &'static str) -> Self {
        Self {
            name,
            listed: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            total_ns: AtomicU64::new(0),
            min_ns: AtomicU64::new(u64::MAX),
            max_ns: AtomicU64::new(0),
        }
    }

    /// A call begins; it ends when the answer is dropped.
    pub fn start(&'static self) -> FunctionCall {
        if !self.listed.swap(true, Ordering::Relaxed) {
            lock(&TIMERS).push(self);
        }
        FunctionCall { timer: self, start: Instant::now() }
    }
}

/// A call that is being timed.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub struct FunctionCall {
    timer: &'static FunctionTimer,
    start: Instant,
}

impl Drop for FunctionCall {
    fn drop(&mut self) {
        let took = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.timer.calls.fetch_add(1, Ordering::Relaxed);
        self.timer.total_ns.fetch_add(took, Ordering::Relaxed);
        self.timer.min_ns.fetch_min(took, Ordering::Relaxed);
        self.timer.max_ns.fetch_max(took, Ordering::Relaxed);
    }
}

/// What every `trace_function_stats!` that was reached has seen, in the order of first calls.
///
/// ```
/// fn restock() {
///     tickscope::trace_function_stats!();
/// }
/// restock();
/// restock();
/// let stats = tickscope::function_stats();
/// assert!(stats[0].name.ends_with("restock") && stats[0].calls == 2);
/// ```
pub fn function_stats() -> Vec<FunctionStats> {
    let stats = |timer: &&'static FunctionTimer| {
        let get = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        let calls = timer.calls.load(Ordering::Relaxed);
        FunctionStats {
            name: (timer.name)(),
            calls,
            total: get(&timer.total_ns),
            min: if calls == 0 { Duration::ZERO } else { get(&timer.min_ns) },
            max: get(&timer.max_ns),
        }
    };
    lock(&TIMERS).iter().map(stats).collect()
}
