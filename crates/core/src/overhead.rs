//! What the profiler itself costs: counts and times of its own operations.

use std::time::Duration;

/// Count, total, mean, maximum and a histogram of one kind of operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopwatch {
    count: u64,
    total_ns: u64,
    max_ns: u64,
    /// Bucket `i` counts durations below 2^i ns and at least 2^(i−1).
    buckets: [u64; 48],
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { count: 0, total_ns: 0, max_ns: 0, buckets: [0; 48] }
    }
}

impl Stopwatch {
    /// Counts one operation.
    pub fn add(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
        self.buckets[(64 - ns.leading_zeros() as usize).min(47)] += 1;
    }

    /// How many operations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their total time.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns)
    }

    /// Their mean time; `None` when there were none.
    pub fn mean(&self) -> Option<Duration> {
        self.total_ns.checked_div(self.count).map(Duration::from_nanos)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// An upper bound of the quantile `q` (0 to 1), at most twice the true value; `None` when there were none.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos((1u64 << bucket).min(self.max_ns)))
    }
}

/// The profiler's own operations, each timed where it happens: once per batch or per name, never per record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overhead {
    /// Draining rings and rebuilding stacks, per batch.
    pub collect: Stopwatch,
    /// Handing batches to sinks: writing, analysing, per batch.
    pub export: Stopwatch,
    /// Naming a symbol, key, track or stack for the first time.
    pub intern: Stopwatch,
    /// Cost of recording one begin and end, measured on a scratch ring when the session started.
    pub pair_ns: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_bound_from_above() {
        let mut watch = Stopwatch::default();
        for micros in 1..=100 {
            watch.add(Duration::from_micros(micros));
        }
        let median = watch.quantile(0.5).unwrap();
        assert!(median >= Duration::from_micros(50) && median <= Duration::from_micros(100));
        assert_eq!(watch.quantile(1.0), Some(Duration::from_micros(100)));
        assert_eq!(watch.mean(), Some(Duration::from_nanos(50_500)));
        assert_eq!(Stopwatch::default().quantile(0.5), None);
    }
}
