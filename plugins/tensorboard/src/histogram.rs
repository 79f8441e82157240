//! Values become buckets.

use crate::event::HistogramProto;

/// Upper ends of the first bucket and the last but one, in milliseconds, and how much each is wider than the one before.
const FIRST: f64 = 0.01;
const LAST: f64 = 1e6;
const GROWTH: f64 = 1.1;

/// How `values` are spread; `None` where there are none. Buckets grow by a tenth each: a value is known that exactly.
pub fn histogram(values: &[f64]) -> Option<HistogramProto> {
    let min = values.iter().copied().reduce(f64::min)?;
    let max = values.iter().copied().reduce(f64::max)?;
    let mut limits = vec![FIRST];
    while let Some(limit) = limits.last().map(|limit| limit * GROWTH).filter(|limit| *limit < LAST) {
        limits.push(limit);
    }
    limits.push(f64::MAX);
    let mut counts = vec![0.0; limits.len()];
    for value in values {
        counts[limits.partition_point(|limit| limit < value).min(limits.len() - 1)] += 1.0;
    }
    // Of a run of empty buckets the last is kept: it is where the next begins.
    let (mut bucket_limit, mut bucket) = (Vec::new(), Vec::new());
    for (at, count) in counts.iter().enumerate() {
        let next = counts.get(at + 1).copied().unwrap_or(0.0);
        if *count > 0.0 || next > 0.0 {
            bucket_limit.push(limits[at]);
            bucket.push(*count);
        }
    }
    let sum = values.iter().sum();
    let sum_squares = values.iter().map(|value| value * value).sum();
    Some(HistogramProto { min, max, num: values.len() as f64, sum, sum_squares, bucket_limit, bucket })
}
