//! Values become buckets.

use std::sync::LazyLock;

use crate::event::HistogramProto;

/// Upper ends of the first bucket and the last but one, in milliseconds, and how much each is wider than the one before.
const FIRST: f64 = 0.01;
const LAST: f64 = 1e6;
const GROWTH: f64 = 1.1;

/// Upper ends of all buckets.
static LIMITS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let next = |limit: &f64| Some(limit * GROWTH).filter(|limit| *limit < LAST);
    std::iter::successors(Some(FIRST), next).chain([f64::MAX]).collect()
});

/// How values are spread. Buckets grow by a tenth each: a value is known that exactly, its sums are exact.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<f64>,
    min: f64,
    max: f64,
    num: f64,
    sum: f64,
    sum_squares: f64,
}

impl Histogram {
    /// One more value, which is finite.
    pub fn add(&mut self, value: f64) {
        self.counts.resize(LIMITS.len(), 0.0);
        self.counts[LIMITS.partition_point(|limit| *limit < value).min(LIMITS.len() - 1)] += 1.0;
        let first = self.num == 0.0;
        self.min = if first { value } else { self.min.min(value) };
        self.max = if first { value } else { self.max.max(value) };
        self.num += 1.0;
        self.sum += value;
        self.sum_squares += value * value;
    }

    /// As it is written; `None` where there is nothing.
    pub fn written(&self) -> Option<HistogramProto> {
        // Of a run of empty buckets the last is kept: it is where the next begins.
        let filled = |at: usize| self.counts.get(at).is_some_and(|count| *count > 0.0);
        let kept = (0..self.counts.len()).filter(|at| filled(*at) || filled(at + 1));
        let (bucket_limit, bucket) = kept.map(|at| (LIMITS[at], self.counts[at])).unzip();
        let Self { min, max, num, sum, sum_squares, .. } = *self;
        (num > 0.0).then_some(HistogramProto { min, max, num, sum, sum_squares, bucket_limit, bucket })
    }
}
