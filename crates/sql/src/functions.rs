//! MySQL's functions, for SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use super::dates::{self, Moment};

/// What functions know of the connection they run on.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Seconds since 1970 of the statement.
    pub(super) now: AtomicI64,
    pub(super) last_insert_id: AtomicI64,
    pub(super) row_count: AtomicI64,
    pub(super) random: AtomicU64,
}

impl State {
    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    /// SplitMix64: the same numbers for the same seed.
    fn random(&self) -> u64 {
        let state = self
            .random
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// The arguments of a call.
struct Args<'a>(&'a Context<'a>);

impl Args<'_> {
    fn raw(&self, index: usize) -> ValueRef<'_> {
        if index < self.0.len() { self.0.get_raw(index) } else { ValueRef::Null }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn text(&self, index: usize) -> Option<String> {
        match self.raw(index) {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    fn real(&self, index: usize) -> Option<f64> {
        match self.raw(index) {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Real(number) => Some(number),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(leading_number(&String::from_utf8_lossy(bytes)))
            }
        }
    }

    fn int(&self, index: usize) -> Option<i64> {
        match self.raw(index) {
            ValueRef::Integer(number) => Some(number),
            _ => self.real(index).map(|number| number.round() as i64),
        }
    }

    fn moment(&self, index: usize) -> Option<Moment> {
        dates::parse(&self.text(index)?)
    }
}

/// The number a text begins with, as MySQL reads text where it wants a number; 0 without one.
pub(super) fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let mut end = 0;
    for (at, character) in text.char_indices() {
        let fits = character.is_ascii_digit()
            || character == '.'
            || (matches!(character, '+' | '-') && (at == 0 || text[..at].ends_with(['e', 'E'])))
            || (matches!(character, 'e' | 'E') && at > 0);
        if !fits {
            break;
        }
        end = at + 1;
    }
    (1..=end).rev().find_map(|end| text[..end].parse().ok()).unwrap_or(0.0)
}

fn from_text(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

fn from_int(number: Option<i64>) -> Value {
    number.map_or(Value::Null, Value::Integer)
}

type Body = fn(&Args<'_>, &State) -> Value;

/// A part of a date or time.
fn part(args: &Args<'_>, part: fn(i64) -> i64) -> Value {
    let seconds = args.moment(0).map(|moment| moment.seconds);
    // a time of day alone has hours, minutes and seconds too
    let seconds = seconds
        .or_else(|| dates::parse(&format!("1970-01-01 {}", args.text(0)?)).map(|moment| moment.seconds));
    from_int(seconds.map(part))
}

fn date_add(args: &Args<'_>, sign: f64) -> Value {
    let added = (|| {
        let (moment, amount, unit) = (args.moment(0)?, args.real(1)?, args.text(2)?);
        let seconds = dates::add(moment.seconds, sign * amount, &unit)?;
        let with_time = moment.has_time || dates::is_of_day(&unit);
        Some(if with_time { dates::date_time_text(seconds) } else { dates::date_text(seconds) })
    })();
    from_text(added)
}

fn pad(args: &Args<'_>, left: bool) -> Value {
    let padded = (|| {
        let (text, length, with) =
            (args.text(0)?, usize::try_from(args.int(1)?).ok()?.min(1 << 20), args.text(2)?);
        let have = text.chars().count();
        if have >= length {
            return Some(text.chars().take(length).collect());
        }
        if with.is_empty() {
            return None;
        }
        let filling: String = with.chars().cycle().take(length - have).collect();
        Some(if left { filling + &text } else { text + &filling })
    })();
    from_text(padded)
}

fn substring_index(text: &str, delimiter: &str, count: i64) -> String {
    if delimiter.is_empty() || count == 0 {
        return String::new();
    }
    let parts: Vec<&str> = text.split(delimiter).collect();
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(parts.len());
    let parts = if count > 0 { &parts[..wanted] } else { &parts[parts.len() - wanted..] };
    parts.join(delimiter)
}

fn equals(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn json_unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                plain.push(code.unwrap_or('\u{fffd}'));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// Name, number of arguments (-1: any), what it does.
const FUNCTIONS: &[(&str, i32, Body)] = &[
    ("now", -1, |_, state| Value::Text(dates::date_time_text(state.now()))),
    ("sysdate", -1, |_, state| Value::Text(dates::date_time_text(state.now()))),
    ("localtime", -1, |_, state| Value::Text(dates::date_time_text(state.now()))),
    ("localtimestamp", -1, |_, state| Value::Text(dates::date_time_text(state.now()))),
    ("utc_timestamp", -1, |_, state| Value::Text(dates::date_time_text(state.now()))),
    ("curdate", 0, |_, state| Value::Text(dates::date_text(state.now()))),
    ("utc_date", 0, |_, state| Value::Text(dates::date_text(state.now()))),
    ("curtime", -1, |_, state| Value::Text(dates::time_text(state.now()))),
    ("unix_timestamp", -1, |args, state| match args.len() {
        0 => Value::Integer(state.now()),
        _ => from_int(args.moment(0).map(|moment| moment.seconds)),
    }),
    ("from_unixtime", -1, |args, _| {
        let text = args.real(0).map(|seconds| seconds as i64).map(|seconds| match args.text(1) {
            Some(pattern) => dates::format(seconds, &pattern),
            None => dates::date_time_text(seconds),
        });
        from_text(text)
    }),
    ("date_format", 2, |args, _| {
        from_text(
            args.moment(0).zip(args.text(1)).map(|(moment, pattern)| dates::format(moment.seconds, &pattern)),
        )
    }),
    ("mysql_date_add", 3, |args, _| date_add(args, 1.0)),
    ("mysql_date_sub", 3, |args, _| date_add(args, -1.0)),
    ("datediff", 2, |args, _| {
        let days = |index| args.moment(index).map(|moment| moment.seconds.div_euclid(86_400));
        from_int(days(0).zip(days(1)).map(|(later, earlier)| later - earlier))
    }),
    ("timestampdiff", 3, |args, _| {
        let between = args.text(0).zip(args.moment(1)).zip(args.moment(2));
        from_int(between.and_then(|((unit, from), to)| dates::difference(&unit, from.seconds, to.seconds)))
    }),
    ("mysql_date", 1, |args, _| from_text(args.moment(0).map(|moment| dates::date_text(moment.seconds)))),
    ("mysql_datetime", 1, |args, _| {
        from_text(args.moment(0).map(|moment| dates::date_time_text(moment.seconds)))
    }),
    ("mysql_time", 1, |args, _| from_text(args.moment(0).map(|moment| dates::time_text(moment.seconds)))),
    ("year", 1, |args, _| part(args, |seconds| dates::date(seconds).0)),
    ("month", 1, |args, _| part(args, |seconds| dates::date(seconds).1)),
    ("day", 1, |args, _| part(args, |seconds| dates::date(seconds).2)),
    ("dayofmonth", 1, |args, _| part(args, |seconds| dates::date(seconds).2)),
    ("hour", 1, |args, _| part(args, |seconds| dates::time(seconds).0)),
    ("minute", 1, |args, _| part(args, |seconds| dates::time(seconds).1)),
    ("second", 1, |args, _| part(args, |seconds| dates::time(seconds).2)),
    ("weekday", 1, |args, _| part(args, dates::weekday)),
    ("dayofweek", 1, |args, _| part(args, |seconds| (dates::weekday(seconds) + 1) % 7 + 1)),
    ("dayofyear", 1, |args, _| part(args, dates::day_of_year)),
    ("dayname", 1, |args, _| from_text(args.moment(0).map(|moment| dates::day_name(moment.seconds).into()))),
    ("monthname", 1, |args, _| {
        from_text(args.moment(0).map(|moment| dates::month_name(moment.seconds).into()))
    }),
    ("last_insert_id", -1, |args, state| {
        if let Some(id) = args.int(0) {
            state.last_insert_id.store(id, Ordering::Relaxed);
        }
        Value::Integer(state.last_insert_id.load(Ordering::Relaxed))
    }),
    ("row_count", 0, |_, state| Value::Integer(state.row_count.load(Ordering::Relaxed))),
    ("rand", -1, |_, state| Value::Real((state.random() >> 11) as f64 / (1u64 << 53) as f64)),
    ("uuid", 0, |_, state| {
        let (high, low) = (state.random(), state.random());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        let (d, e) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        Value::Text(format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}"))
    }),
    ("database", 0, |_, _| Value::Text(DATABASE.into())),
    ("schema", 0, |_, _| Value::Text(DATABASE.into())),
    ("version", 0, |_, _| Value::Text("10.11.0-MariaDB (SQLite in Tickscope)".into())),
    ("concat", -1, |args, _| {
        from_text((0..args.len()).map(|index| args.text(index)).collect::<Option<String>>())
    }),
    ("concat_ws", -1, |args, _| {
        let parts: Vec<_> = (1..args.len()).filter_map(|index| args.text(index)).collect();
        from_text(args.text(0).map(|separator| parts.join(&separator)))
    }),
    ("lpad", 3, |args, _| pad(args, true)),
    ("rpad", 3, |args, _| pad(args, false)),
    ("repeat", 2, |args, _| {
        let times = args.int(1).map(|times| usize::try_from(times).unwrap_or(0));
        let repeated =
            args.text(0).zip(times).filter(|(text, times)| text.len().saturating_mul(*times) <= 64 << 20);
        from_text(repeated.map(|(text, times)| text.repeat(times)))
    }),
    ("reverse", 1, |args, _| from_text(args.text(0).map(|text| text.chars().rev().collect()))),
    ("left", 2, |args, _| {
        let count = args.int(1).map(|count| usize::try_from(count).unwrap_or(0));
        from_text(args.text(0).zip(count).map(|(text, count)| text.chars().take(count).collect()))
    }),
    ("right", 2, |args, _| {
        let count = args.int(1).map(|count| usize::try_from(count).unwrap_or(0));
        let cut = |(text, count): (String, usize)| {
            let skipped = text.chars().count().saturating_sub(count);
            text.chars().skip(skipped).collect()
        };
        from_text(args.text(0).zip(count).map(cut))
    }),
    ("space", 1, |args, _| from_text(args.int(0).map(|count| " ".repeat(count.clamp(0, 1 << 20) as usize)))),
    ("ucase", 1, |args, _| from_text(args.text(0).map(|text| text.to_uppercase()))),
    ("upper", 1, |args, _| from_text(args.text(0).map(|text| text.to_uppercase()))),
    ("lcase", 1, |args, _| from_text(args.text(0).map(|text| text.to_lowercase()))),
    ("lower", 1, |args, _| from_text(args.text(0).map(|text| text.to_lowercase()))),
    ("mysql_length", 1, |args, _| from_int(args.text(0).map(|text| text.len() as i64))),
    ("char_length", 1, |args, _| from_int(args.text(0).map(|text| text.chars().count() as i64))),
    ("character_length", 1, |args, _| from_int(args.text(0).map(|text| text.chars().count() as i64))),
    ("locate", -1, |args, _| {
        let found = args.text(0).zip(args.text(1)).map(|(needle, text)| {
            let skip = args.int(2).map_or(0, |from| usize::try_from(from - 1).unwrap_or(0));
            let text: Vec<char> = text.to_lowercase().chars().collect();
            let needle: Vec<char> = needle.to_lowercase().chars().collect();
            if needle.is_empty() {
                return 1;
            }
            let at = text.windows(needle.len()).skip(skip).position(|window| window == needle);
            at.map_or(0, |at| (at + skip + 1) as i64)
        });
        from_int(found)
    }),
    ("find_in_set", 2, |args, _| {
        let found = args.text(0).zip(args.text(1)).map(|(wanted, list)| {
            let at = if list.is_empty() {
                None
            } else {
                list.split(',').position(|element| equals(element, &wanted))
            };
            at.map_or(0, |at| at as i64 + 1)
        });
        from_int(found)
    }),
    ("field", -1, |args, _| {
        let wanted = args.text(0);
        let found = (1..args.len()).find(|index| match (&wanted, args.text(*index)) {
            (Some(wanted), Some(other)) => equals(wanted, &other),
            _ => false,
        });
        Value::Integer(found.unwrap_or(0) as i64)
    }),
    ("elt", -1, |args, _| {
        let index = args.int(0).and_then(|index| usize::try_from(index).ok()).filter(|index| *index > 0);
        from_text(index.and_then(|index| args.text(index)))
    }),
    ("substring_index", 3, |args, _| {
        let cut = args.text(0).zip(args.text(1)).zip(args.int(2));
        from_text(cut.map(|((text, delimiter), count)| substring_index(&text, &delimiter, count)))
    }),
    ("json_unquote", 1, |args, _| from_text(args.text(0).map(|text| json_unquote(&text)))),
    ("mysql_signed", 1, |args, _| match args.raw(0) {
        ValueRef::Integer(number) => Value::Integer(number),
        // text is cut, numbers are rounded
        ValueRef::Text(_) => from_int(args.real(0).map(|number| number as i64)),
        _ => from_int(args.int(0)),
    }),
    ("mysql_truncate", 2, |args, _| match args.real(0).zip(args.int(1)) {
        Some((number, places)) => {
            let scale = 10f64.powi(places.clamp(-300, 300) as i32);
            Value::Real((number * scale).trunc() / scale)
        }
        None => Value::Null,
    }),
    ("mysql_floor", 1, |args, _| from_int(args.real(0).map(|number| number.floor() as i64))),
    ("mysql_ceil", 1, |args, _| from_int(args.real(0).map(|number| number.ceil() as i64))),
    ("pow", 2, |args, _| {
        args.real(0).zip(args.real(1)).map_or(Value::Null, |(base, by)| Value::Real(base.powf(by)))
    }),
    ("power", 2, |args, _| {
        args.real(0).zip(args.real(1)).map_or(Value::Null, |(base, by)| Value::Real(base.powf(by)))
    }),
    ("sqrt", 1, |args, _| {
        args.real(0).filter(|x| *x >= 0.0).map_or(Value::Null, |number| Value::Real(number.sqrt()))
    }),
];

/// The name of the one database there is.
pub(super) const DATABASE: &str = "tickscope";

/// Functions whose result depends on more than their arguments.
const VOLATILE: &[&str] = &[
    "now",
    "sysdate",
    "localtime",
    "localtimestamp",
    "utc_timestamp",
    "curdate",
    "utc_date",
    "curtime",
    "unix_timestamp",
    "last_insert_id",
    "row_count",
    "rand",
    "uuid",
];

/// Gives a connection MySQL's functions.
pub(super) fn register(connection: &Connection, state: &Arc<State>) -> Result<()> {
    for (name, arguments, body) in FUNCTIONS {
        let state = Arc::clone(state);
        let mut flags = FunctionFlags::SQLITE_UTF8;
        if !VOLATILE.contains(name) {
            flags |= FunctionFlags::SQLITE_DETERMINISTIC;
        }
        connection.create_scalar_function(*name, *arguments, flags, move |context| {
            Ok(body(&Args(context), &state))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_mysql_does() {
        for (text, number) in
            [("12abc", 12.0), (" -3.5e2x", -350.0), ("abc", 0.0), ("", 0.0), ("1e", 1.0), ("+7", 7.0)]
        {
            assert_eq!(leading_number(text), number, "{text}");
        }
    }

    #[test]
    fn lists_are_cut_and_quotes_taken_off() {
        assert_eq!(substring_index("a.b.c", ".", 2), "a.b");
        assert_eq!(substring_index("a.b.c", ".", -1), "c");
        assert_eq!(substring_index("a.b.c", "", 2), "");
        assert_eq!(json_unquote(r#""a\"b\u00e9\n""#), "a\"bé\n");
        assert_eq!(json_unquote("12"), "12");
    }
}
