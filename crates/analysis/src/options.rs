//! What an analysis counts as slow, and how much it may remember.

/// Thresholds and caps of an [`Analyzer`](crate::Analyzer).
///
/// Every cap has a bucket behind it: what does not fit is still counted, in `<other>` or in
/// [`Overflow`](crate::Overflow).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long an operation must have waited, between two sleeps, to be a slow one. Default 500 ms.
    pub slow_operation_ns: u64,
    /// How many of the longest ticks to list. Default 10.
    pub worst_ticks: usize,
    /// How many late ticks to keep with their causes: the longest ones. Default 1,000.
    pub late_ticks: usize,
    /// How many chains of causes one late tick can have. Default 8.
    pub chains: usize,
    /// How many nodes of a late tick's call tree to keep, the largest first. Default 64.
    pub tree_nodes: usize,
    /// Symbols with statistics of their own. Default 32,768, each 200 bytes and at most 5.2 KB of histogram.
    pub symbols: usize,
    /// Resources with figures of their own. Default 4,096.
    pub resources: usize,
    /// Threads followed at once; those idle longest make room. Default 256.
    pub threads: usize,
    /// Tracks (coroutines, fibers, tasks) followed at once; those idle longest make room. Default 65,536.
    pub tracks: usize,
    /// Spans open at once. Default 262,144.
    pub open_spans: usize,
    /// Call paths in one tick. Default 32,768; further ones are charged to their callers.
    pub paths: usize,
    /// Different slow operations, and different culprits. Default 4,096.
    pub operations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slow_operation_ns: 500_000_000,
            worst_ticks: 10,
            late_ticks: 1_000,
            chains: 8,
            tree_nodes: 64,
            symbols: 32_768,
            resources: 4_096,
            threads: 256,
            tracks: 65_536,
            open_spans: 262_144,
            paths: 32_768,
            operations: 4_096,
        }
    }
}
