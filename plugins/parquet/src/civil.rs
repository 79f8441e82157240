//! Hours by the calendar, in UTC.

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// The number of the hour since 1970.
pub(crate) fn hour(unix_ns: u64) -> u64 {
    unix_ns / HOUR_NS
}

/// `2026-11-26-17`, for the name of a folder.
///
/// Days to dates: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn name(hour: u64) -> String {
    let days = hour / 24 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) =
        if month < 10 { (month + 3, era * 400 + year) } else { (month - 9, era * 400 + year + 1) };
    format!("{year:04}-{month:02}-{day:02}-{:02}", hour % 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_the_calendars_names() {
        for (unix_s, expected) in [
            (0, "1970-01-01-00"),
            (951_782_400, "2000-02-29-00"),
            (1_790_000_000, "2026-09-21-14"),
            (1_798_761_599, "2026-12-31-23"),
            (4_107_542_400, "2100-03-01-00"),
        ] {
            assert_eq!(name(hour(unix_s * 1_000_000_000)), expected);
        }
    }
}
