//! How many things are sent, by whatever clock the caller has.

const MINUTE_NS: u64 = 60_000_000_000;

/// So many a minute: a bucket of a minute's, which fills again as time passes. The time is the caller's: what is bounded by a
/// recording's own clock is the same each time it is played.
///
/// ```
/// let mut limit = tickscope_push::Limit::new(2);
/// assert_eq!([limit.take(0), limit.take(0), limit.take(0)], [true, true, false]);
/// assert!(limit.take(30_000_000_000));
/// ```
#[derive(Clone, Debug)]
pub struct Limit {
    per_minute: u64,
    /// What is left, times a minute's nanoseconds.
    left: u128,
    last_ns: Option<u64>,
}

impl Limit {
    /// Full. Of 0, there is none ever.
    pub fn new(per_minute: u32) -> Self {
        let per_minute = u64::from(per_minute);
        Self { per_minute, left: u128::from(per_minute) * u128::from(MINUTE_NS), last_ns: None }
    }

    /// Whether there is one more at `now_ns`, which is taken then.
    pub fn take(&mut self, now_ns: u64) -> bool {
        let passed = now_ns.saturating_sub(self.last_ns.unwrap_or(now_ns));
        self.last_ns = Some(now_ns.max(self.last_ns.unwrap_or(0)));
        let full = u128::from(self.per_minute) * u128::from(MINUTE_NS);
        self.left = full.min(self.left + u128::from(passed) * u128::from(self.per_minute));
        match self.left.checked_sub(u128::from(MINUTE_NS)) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_traces_may_come_at_once_and_then_as_time_passes() {
        let mut limit = Limit::new(60);
        let taken =
            |limit: &mut Limit, at_ms: u64| (0..100).filter(|_| limit.take(at_ms * 1_000_000)).count();
        assert_eq!(taken(&mut limit, 5_000), 60);
        assert_eq!(taken(&mut limit, 5_999), 0);
        assert_eq!(taken(&mut limit, 6_000), 1);
        assert_eq!(taken(&mut limit, 16_000), 10);
        assert_eq!(taken(&mut limit, 1_000_000), 60);
        // Rings are not in order among each other.
        assert_eq!(taken(&mut limit, 0), 0);
    }
}
