//! Dates and times of MySQL: seconds since 1970 in UTC, and their texts. The calendar is Gregorian for all years.

/// A date and time that was read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Whether the text had a time of day.
    pub(crate) has_time: bool,
}

/// Year, month and day of the month.
pub(crate) type Date = (i64, i64, i64);

const DAY: i64 = 86_400;

/// Days since 1970 of a date. Months beyond the year carry over.
///
/// Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_of((year, month, day): Date) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a moment.
pub(crate) fn date(seconds: i64) -> Date {
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Hour, minute and second of a moment.
pub(crate) fn time(seconds: i64) -> (i64, i64, i64) {
    let of_day = seconds.rem_euclid(DAY);
    (of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// 0 for Monday.
pub(crate) fn weekday(seconds: i64) -> i64 {
    (seconds.div_euclid(DAY) + 3).rem_euclid(7)
}

/// From 1.
pub(crate) fn day_of_year(seconds: i64) -> i64 {
    seconds.div_euclid(DAY) - days_of((date(seconds).0, 1, 1)) + 1
}

fn days_in(year: i64, month: i64) -> i64 {
    days_of((year, month + 1, 1)) - days_of((year, month, 1))
}

/// `2026-01-31 12:30:00`, also without the time, with `T` between, with a fraction (which is dropped), or in digits
/// only.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    let mut numbers = [0i64; 6];
    let mut found = 0;
    if (text.len() == 8 || text.len() == 14) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let widths = [4, 2, 2, 2, 2, 2];
        let mut at = 0;
        for width in widths {
            if at < text.len() {
                numbers[found] = text[at..at + width].parse().ok()?;
                (at, found) = (at + width, found + 1);
            }
        }
    } else {
        for part in text.split(|c: char| !c.is_ascii_digit()) {
            if found == 6 {
                break;
            }
            numbers[found] = part.parse().ok()?;
            found += 1;
        }
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
    }
    let [year, month, day, hour, minute, second] = numbers;
    let valid = found >= 3
        && (0..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    let seconds = days_of((year, month, day)) * DAY + hour * 3_600 + minute * 60 + second;
    valid.then_some(Moment { seconds, has_time: found > 3 })
}

/// `2026-01-31 12:30:00`.
pub(crate) fn date_time_text(seconds: i64) -> String {
    format!("{} {}", date_text(seconds), time_text(seconds))
}

/// `2026-01-31`.
pub(crate) fn date_text(seconds: i64) -> String {
    let (year, month, day) = date(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `12:30:00`.
pub(crate) fn time_text(seconds: i64) -> String {
    let (hour, minute, second) = time(seconds);
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// Seconds of a unit that has a fixed length, or months.
enum Length {
    Seconds(i64),
    Months(i64),
}

fn length(unit: &str) -> Option<Length> {
    Some(match unit.to_ascii_uppercase().trim_end_matches('S') {
        "MICROSECOND" => Length::Seconds(0),
        "SECOND" => Length::Seconds(1),
        "MINUTE" => Length::Seconds(60),
        "HOUR" => Length::Seconds(3_600),
        "DAY" => Length::Seconds(DAY),
        "WEEK" => Length::Seconds(7 * DAY),
        "MONTH" => Length::Months(1),
        "QUARTER" => Length::Months(3),
        "YEAR" => Length::Months(12),
        _ => return None,
    })
}

/// Whether a unit only makes sense with a time of day.
pub(crate) fn is_of_day(unit: &str) -> bool {
    matches!(length(unit), Some(Length::Seconds(1..=3_600)))
}

/// `amount` units later. The day stays within the month: 31 January and a month is 28 February.
pub(crate) fn add(seconds: i64, amount: f64, unit: &str) -> Option<i64> {
    match length(unit)? {
        Length::Seconds(each) => seconds.checked_add((amount * each as f64) as i64),
        Length::Months(each) => {
            let (year, month, day) = date(seconds);
            let month = month.checked_add((amount.round() as i64).checked_mul(each)?)?;
            let (year, month) =
                (year.checked_add((month - 1).div_euclid(12))?, (month - 1).rem_euclid(12) + 1);
            if !(0..=9_999).contains(&year) {
                return None;
            }
            let day = day.min(days_in(year, month));
            Some(days_of((year, month, day)) * DAY + seconds.rem_euclid(DAY))
        }
    }
}

/// Whole units from one moment to another.
pub(crate) fn difference(unit: &str, from: i64, to: i64) -> Option<i64> {
    Some(match length(unit)? {
        Length::Seconds(0) => to.checked_sub(from)?.checked_mul(1_000_000)?,
        Length::Seconds(each) => to.checked_sub(from)? / each,
        Length::Months(each) => {
            let (low, high, sign) = if from <= to { (from, to, 1) } else { (to, from, -1) };
            let (low_date, high_date) = (date(low), date(high));
            let months = (high_date.0 - low_date.0) * 12 + high_date.1 - low_date.1;
            let rest = |seconds: i64, day: i64| day * DAY + seconds.rem_euclid(DAY);
            let whole = months - i64::from(rest(high, high_date.2) < rest(low, low_date.2));
            sign * (whole / each)
        }
    })
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(crate) fn month_name(seconds: i64) -> &'static str {
    MONTHS[(date(seconds).1 - 1).clamp(0, 11) as usize]
}

pub(crate) fn day_name(seconds: i64) -> &'static str {
    DAYS[weekday(seconds) as usize % 7]
}

/// `DATE_FORMAT`.
pub(crate) fn format(seconds: i64, pattern: &str) -> String {
    let (year, month, day) = date(seconds);
    let (hour, minute, second) = time(seconds);
    let twelve = (hour + 11) % 12 + 1;
    let half = if hour < 12 { "AM" } else { "PM" };
    let mut text = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let part = match characters.next() {
            Some('Y') => format!("{year:04}"),
            Some('y') => format!("{:02}", year % 100),
            Some('m') => format!("{month:02}"),
            Some('c') => month.to_string(),
            Some('d') => format!("{day:02}"),
            Some('e') => day.to_string(),
            Some('D') => {
                let ending = match day {
                    1 | 21 | 31 => "st",
                    2 | 22 => "nd",
                    3 | 23 => "rd",
                    _ => "th",
                };
                format!("{day}{ending}")
            }
            Some('H') => format!("{hour:02}"),
            Some('k') => hour.to_string(),
            Some('h' | 'I') => format!("{twelve:02}"),
            Some('l') => twelve.to_string(),
            Some('i') => format!("{minute:02}"),
            Some('s' | 'S') => format!("{second:02}"),
            Some('f') => "000000".into(),
            Some('p') => half.into(),
            Some('T') => time_text(seconds),
            Some('r') => format!("{twelve:02}:{minute:02}:{second:02} {half}"),
            Some('M') => month_name(seconds).into(),
            Some('b') => month_name(seconds)[..3].into(),
            Some('W') => day_name(seconds).into(),
            Some('a') => day_name(seconds)[..3].into(),
            Some('w') => ((weekday(seconds) + 1) % 7).to_string(),
            Some('j') => format!("{:03}", day_of_year(seconds)),
            Some(other) => other.to_string(),
            None => "%".into(),
        };
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        parse(text).unwrap().seconds
    }

    #[test]
    fn texts_are_read_and_written() {
        for text in
            ["1970-01-01 00:00:00", "2026-02-28 23:59:59", "2024-02-29 12:00:00", "1969-12-31 23:59:58"]
        {
            assert_eq!(date_time_text(at(text)), text);
        }
        assert_eq!(at("2026-01-01"), 1_767_225_600);
        assert_eq!((at("2026-01-01T10:20:30.5"), at("20260101102030")), (1_767_262_830, 1_767_262_830));
        for wrong in ["", "soon", "2026-13-01", "2025-02-29", "2026-01-01 25:00:00", "-1-1-1", "0000-00-00"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn units_are_added_and_counted() {
        let add = |text: &str, amount, unit| date_time_text(add(at(text), amount, unit).unwrap());
        assert_eq!(add("2026-01-31 10:00:00", 1.0, "MONTH"), "2026-02-28 10:00:00");
        assert_eq!(add("2026-01-31 10:00:00", -2.0, "month"), "2025-11-30 10:00:00");
        assert_eq!(add("2024-02-29 10:00:00", 1.0, "YEAR"), "2025-02-28 10:00:00");
        assert_eq!(add("2026-01-31 23:59:59", 1.0, "SECOND"), "2026-02-01 00:00:00");
        let between = |unit, from, to| difference(unit, at(from), at(to)).unwrap();
        assert_eq!(between("MONTH", "2026-01-31", "2026-02-28"), 0);
        assert_eq!(between("YEAR", "2024-02-29", "2026-03-01"), 2);
        assert_eq!(between("DAY", "2026-03-01", "2026-02-01"), -28);
        assert_eq!(between("HOUR", "2026-01-01 00:30:00", "2026-01-01 02:00:00"), 1);
    }

    #[test]
    fn patterns_are_mysqls() {
        let text = format(at("2026-03-05 15:04:09"), "%Y-%m-%d %H:%i:%s %W %b %e%% %h:%i %p %D %j %x");
        assert_eq!(text, "2026-03-05 15:04:09 Thursday Mar 5% 03:04 PM 5th 064 x");
    }

    proptest::proptest! {
        #[test]
        fn every_second_has_its_text(seconds in -62_135_596_800i64..253_402_300_799) {
            proptest::prop_assert_eq!(parse(&date_time_text(seconds)).unwrap().seconds, seconds);
        }

        #[test]
        fn garbage_never_panics(text in ".{0,30}", amount: f64, unit in "[A-Z]{0,8}", seconds: i64) {
            let _ = parse(&text);
            let seconds = seconds % 253_402_300_800;
            let _ = (add(seconds, amount, &unit), add(seconds, amount, "YEAR"), format(seconds, &text));
            let _ = difference("MONTH", seconds, 0);
        }
    }
}
