//! Turning clock ticks into nanoseconds: pure arithmetic, the clock itself is read elsewhere.

/// A raw reading of the session's clock: time stamp counter cycles, or nanoseconds where there is no usable counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

/// A line from ticks to nanoseconds through one anchor: `ns = base_ns + (ticks − base_ticks) · ns_per_tick`.
///
/// The rate is a 32.32 fixed-point number and the product is taken in 128 bits, so ten years of ticks convert
/// without overflow and monotonically.
///
/// ```
/// use tickscope_core::{Calibration, Ticks};
/// let clock = Calibration::from_anchors((Ticks(1_000), 0), (Ticks(3_000), 1_000)).unwrap(); // 2 GHz
/// assert_eq!(clock.nanos(Ticks(5_000)), 2_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    base_ticks: u64,
    base_ns: u64,
    /// Nanoseconds per tick, 32.32 fixed point.
    rate: u64,
}

impl Calibration {
    /// A clock that already counts nanoseconds.
    pub const NANOSECONDS: Self = Self { base_ticks: 0, base_ns: 0, rate: 1 << 32 };

    /// The line through two anchors, each (ticks, nanoseconds). `None` unless both grow and the rate lies between
    /// 2⁻³² and 2³² ns per tick.
    pub fn from_anchors(first: (Ticks, u64), second: (Ticks, u64)) -> Option<Self> {
        let ticks = second.0.0.checked_sub(first.0.0).filter(|ticks| *ticks > 0)?;
        let nanos = second.1.checked_sub(first.1)?;
        let rate =
            u64::try_from((u128::from(nanos) << 32) / u128::from(ticks)).ok().filter(|rate| *rate > 0)?;
        Some(Self { base_ticks: first.0.0, base_ns: first.1, rate })
    }

    /// The same rate through another anchor.
    pub fn rebased(self, ticks: Ticks, nanos: u64) -> Self {
        Self { base_ticks: ticks.0, base_ns: nanos, ..self }
    }

    /// Nanoseconds at `ticks`; readings before the anchor count backwards, never below 0.
    #[inline]
    pub fn nanos(&self, ticks: Ticks) -> u64 {
        match ticks.0.checked_sub(self.base_ticks) {
            Some(ahead) => self.base_ns.saturating_add(self.scale(ahead)),
            None => self.base_ns.saturating_sub(self.scale(self.base_ticks - ticks.0)),
        }
    }

    /// Ticks in one microsecond, rounded down, at least 1.
    pub fn ticks_per_micro(&self) -> u64 {
        ((1_000u128 << 32) / u128::from(self.rate)).max(1) as u64
    }

    /// Nanoseconds that `ticks` take.
    #[inline]
    pub fn scale(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.rate)) >> 32) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ten_years_of_ticks_convert() {
        let clock = Calibration::from_anchors((Ticks(0), 0), (Ticks(10_000_000), 1_000_000_000)).unwrap();
        let ten_years = 10 * 365 * 24 * 3600 * 10_000_000;
        assert_eq!(clock.nanos(Ticks(ten_years)), ten_years * 100);
    }

    #[test]
    fn anchors_that_do_not_grow_are_refused() {
        assert_eq!(Calibration::from_anchors((Ticks(5), 0), (Ticks(5), 10)), None);
        assert_eq!(Calibration::from_anchors((Ticks(5), 10), (Ticks(9), 3)), None);
    }

    proptest! {
        #[test]
        fn conversion_is_monotonic_and_exact_at_the_anchors(
            ticks in 1u64..1 << 40, nanos in 1u64..1 << 40, a in 0u64..1 << 50, b in 0u64..1 << 50,
        ) {
            if let Some(clock) = Calibration::from_anchors((Ticks(1_000), 500), (Ticks(1_000 + ticks), 500 + nanos)) {
                let (low, high) = (a.min(b), a.max(b));
                prop_assert!(clock.nanos(Ticks(low)) <= clock.nanos(Ticks(high)));
                // rounding of the fixed-point rate: at most 2^-32 ns per tick
                prop_assert!(clock.nanos(Ticks(1_000 + ticks)).abs_diff(500 + nanos) <= 1 + (ticks >> 32));
            }
        }
    }
}
