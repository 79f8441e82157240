//! Times of the recording's clock on the wall.

use tickscope_abi::Metadata;

/// When a recording began, by both clocks: that of the machine's wall is not looked at again, however it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Monotonic nanoseconds.
    pub start_ns: u64,
    /// The same moment, in nanoseconds since 1970 UTC.
    pub start_unix_ns: u64,
}

impl Clock {
    /// Of what crosses at a recording's start.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        Self { start_ns: metadata.start_ns(), start_unix_ns: metadata.unix_ns(metadata.start_ns()) }
    }

    /// Nanoseconds since 1970 of a monotonic time, which may be before the start.
    pub fn unix_ns(&self, time_ns: u64) -> u64 {
        self.start_unix_ns.saturating_add_signed(time_ns.wrapping_sub(self.start_ns).cast_signed())
    }
}

/// A moment by the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Its year, month from 1 and day from 1.
    pub date: (u64, u64, u64),
    /// Hour, minute and second.
    pub time: (u64, u64, u64),
    /// Nanoseconds of the second.
    pub ns: u64,
}

impl Utc {
    /// So many nanoseconds after 1970 began.
    pub fn of(unix_ns: u64) -> Self {
        let seconds = unix_ns / 1_000_000_000;
        let time = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        Self { date: date(seconds / 86_400), time, ns: unix_ns % 1_000_000_000 }
    }
}

/// Year, month and day, so many days after 1970 began: Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March, in eras of 400 of them, from the year 0 on.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_the_calendars_names() {
        for (unix_s, date, time) in [
            (0, (1970, 1, 1), (0, 0, 0)),
            (951_782_400, (2000, 2, 29), (0, 0, 0)),
            (1_790_000_000, (2026, 9, 21), (14, 13, 20)),
            (1_798_761_599, (2026, 12, 31), (23, 59, 59)),
            (4_107_542_400, (2100, 3, 1), (0, 0, 0)),
        ] {
            assert_eq!(Utc::of(unix_s * 1_000_000_000 + 7), Utc { date, time, ns: 7 });
        }
        assert_eq!(Utc::of(u64::MAX).date, (2554, 7, 21));
    }

    #[test]
    fn a_time_before_the_start_is_one_and_none_is_before_1970() {
        let clock = Clock { start_ns: 100, start_unix_ns: 1_000 };
        assert_eq!([90, 100, 150].map(|time_ns| clock.unix_ns(time_ns)), [990, 1_000, 1_050]);
        assert_eq!(Clock { start_ns: 100, start_unix_ns: 5 }.unix_ns(0), 0);
    }
}
