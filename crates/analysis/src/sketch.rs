//! A histogram of durations with logarithmic buckets: quantiles in one pass, mergeable, independent of order.
//!
//! Sixteen linear buckets per power of two, as in HdrHistogram: below 16 ns a value is kept exactly, above it a bucket
//! is at most 1/16 of its lower edge wide, and a quantile answers with the middle of a bucket. So the answer is within
//! [`Sketch::RELATIVE_ERROR`] of the value of that rank. Values from 2⁴⁴ ns (4.9 hours) on share the last bucket.

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;
const MAX_EXPONENT: u32 = 44;
/// Buckets a sketch can have.
const BUCKETS: usize = ((MAX_EXPONENT - SUB_BITS) as usize + 1) * SUB as usize;

/// Counts of durations in logarithmic buckets.
///
/// Holds only the buckets between the smallest and the largest value seen: a few hundred bytes for most functions,
/// at most 5.2 KB.
///
/// ```
/// use tickscope_analysis::Sketch;
/// let mut sketch = Sketch::default();
/// (1..=1000).for_each(|micros| sketch.add(micros * 1000));
/// let p95 = sketch.quantile(0.95).unwrap() as f64;
/// assert!((p95 / 950_000.0 - 1.0).abs() <= Sketch::RELATIVE_ERROR);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Bucket number of `counts[0]`.
    first: u32,
    counts: Vec<u64>,
    count: u64,
}

impl Sketch {
    /// Largest error of a quantile, relative to the value of that rank, for values below 2⁴⁴ ns.
    pub const RELATIVE_ERROR: f64 = 1.0 / 32.0;

    /// Adds one duration in nanoseconds.
    #[inline]
    pub fn add(&mut self, nanos: u64) {
        self.count += 1;
        let bucket = bucket(nanos);
        match bucket.checked_sub(self.first as usize).and_then(|index| self.counts.get_mut(index)) {
            Some(count) => *count += 1,
            None => *self.widen(bucket) += 1,
        }
    }

    /// Adds everything `other` has counted. The order of additions and merges does not matter.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            *self.widen(other.first as usize + index) += count;
        }
    }

    /// How many durations were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration of nearest rank `⌈q · count⌉`, in nanoseconds; `None` when nothing was added.
    ///
    /// `q` outside 0..=1 is taken as the nearer end.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(middle(self.first as usize + index));
            }
        }
        None
    }

    /// The counter of `bucket`, with room made for it.
    #[cold]
    fn widen(&mut self, bucket: usize) -> &mut u64 {
        if self.counts.is_empty() {
            self.first = bucket as u32;
        }
        let first = self.first as usize;
        if bucket < first {
            self.counts.splice(0..0, std::iter::repeat_n(0, first - bucket));
            self.first = bucket as u32;
        }
        let index = bucket - self.first as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        &mut self.counts[index]
    }
}

#[inline]
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.min((1 << MAX_EXPONENT) - 1);
    if nanos < SUB {
        return nanos as usize;
    }
    let exponent = nanos.ilog2() - SUB_BITS;
    (exponent as usize) * SUB as usize + (nanos >> exponent) as usize
}

fn middle(bucket: usize) -> u64 {
    let bucket = bucket.min(BUCKETS - 1) as u64;
    if bucket < 2 * SUB {
        return bucket;
    }
    let exponent = bucket / SUB - 1;
    let low = (bucket - exponent * SUB) << exponent;
    low + (1 << exponent) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_sketch_knows_nothing() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn huge_values_share_the_last_bucket() {
        let mut sketch = Sketch::default();
        sketch.add(u64::MAX);
        sketch.add(0);
        assert_eq!(sketch.quantile(0.0), Some(0));
        assert!(sketch.quantile(1.0).unwrap() > 1 << 43);
        assert!(sketch.counts.len() <= BUCKETS);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(
            mut values in proptest::collection::vec(prop_oneof![0u64..100, 0u64..1 << 20, 0u64..1 << 43], 1..200),
            q in 0.0f64..=1.0,
        ) {
            let mut sketch = Sketch::default();
            values.iter().for_each(|value| sketch.add(*value));
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, answer) = (values[rank - 1] as f64, sketch.quantile(q).unwrap() as f64);
            prop_assert!((answer - exact).abs() <= exact * Sketch::RELATIVE_ERROR, "{answer} for {exact}");
        }

        #[test]
        fn order_and_merging_do_not_matter(
            values in proptest::collection::vec(any::<u64>(), 0..100), split in 0usize..100,
        ) {
            let add = |values: &mut dyn Iterator<Item = &u64>| {
                let mut sketch = Sketch::default();
                values.for_each(|value| sketch.add(*value));
                sketch
            };
            let split = split.min(values.len());
            let mut merged = add(&mut values[split..].iter());
            merged.merge(&add(&mut values[..split].iter()));
            prop_assert_eq!(&merged, &add(&mut values.iter()));
            prop_assert_eq!(&merged, &add(&mut values.iter().rev()));
        }
    }
}
