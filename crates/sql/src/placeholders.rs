//! Placeholders in a statement's text: `?`, `??`, `:name` and `@name`, and the literals that stand for lists.

use std::collections::BTreeMap;

use crate::SqlValue;

/// A parameter as scripts give it.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A plain value.
    One(SqlValue),
    /// `IN (?)`: its elements with commas between, lists within in parentheses.
    List(Vec<Parameter>),
    /// `SET ?`: columns and values.
    Fields(Vec<(String, Parameter)>),
}

impl Parameter {
    /// What a missing value is.
    pub const NULL: Self = Self::One(SqlValue::Null);
}

/// The end of the quoted text or comment that begins at `at`; `None` when none begins there.
pub(super) fn skip(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let line_end = |from: usize| {
        text[from..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |length| from + length + 1)
    };
    match rest {
        [quote @ (b'\'' | b'"' | b'`'), ..] => {
            let mut end = at + 1;
            while end < text.len() {
                match text[end] {
                    b'\\' if *quote != b'`' => end += 2,
                    byte if byte == *quote => return Some(end + 1),
                    _ => end += 1,
                }
            }
            Some(text.len())
        }
        [b'#', ..] => Some(line_end(at)),
        [b'-', b'-', b' ' | b'\t' | b'\n' | b'\r', ..] | [b'-', b'-'] => Some(line_end(at)),
        // what stands in `/*! */` is for MySQL, so for us
        [b'/', b'*', next, ..] if *next != b'!' => Some(
            text[at + 2..]
                .windows(2)
                .position(|pair| pair == b"*/")
                .map_or(text.len(), |length| at + 2 + length + 2),
        ),
        _ => None,
    }
}

/// The text without space and comments before it, and without space behind.
pub(super) fn without_comments_before(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match skip(bytes, at) {
            Some(end) if !matches!(bytes[at], b'\'' | b'"' | b'`') => at = end,
            None if bytes[at].is_ascii_whitespace() => at += 1,
            _ => break,
        }
    }
    text[at.min(text.len())..].trim_end()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// How many `?` there are outside of quotes and comments.
pub fn count(statement: &str) -> usize {
    let mut counted = 0;
    pieces(statement, |piece| {
        if let Piece::Positional = piece {
            counted += 1;
        }
    });
    counted
}

/// The statement with something in place of each `?`, which `write` adds.
#[cfg(feature = "engines")]
pub(super) fn fill(statement: &str, mut write: impl FnMut(&mut String)) -> String {
    let mut text = String::with_capacity(statement.len());
    pieces(statement, |piece| match piece {
        Piece::Text(plain) | Piece::Named(plain) => text.push_str(plain),
        Piece::Positional => write(&mut text),
        Piece::Identifier => text.push_str("??"),
    });
    text
}

enum Piece<'a> {
    Text(&'a str),
    Positional,
    Identifier,
    /// With its sign.
    Named(&'a str),
}

fn pieces<'a>(statement: &'a str, mut take: impl FnMut(Piece<'a>)) {
    let bytes = statement.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        if let Some(end) = skip(bytes, at) {
            at = end.min(bytes.len());
            continue;
        }
        let (piece, length) = match &bytes[at..] {
            [b'?', b'?', ..] => (Piece::Identifier, 2),
            [b'?', ..] => (Piece::Positional, 1),
            // `@@variable` and `:=` are not ours, and neither is `12:30`
            [b'@', b'@', ..] => {
                at += 2;
                continue;
            }
            [b':' | b'@', next, ..]
                if (next.is_ascii_alphabetic() || *next == b'_') && (at == 0 || !is_name(bytes[at - 1])) =>
            {
                let length = bytes[at + 1..].iter().take_while(|byte| is_name(**byte)).count();
                (Piece::Named(&statement[at..=at + length]), 1 + length)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        take(Piece::Text(&statement[start..at]));
        take(piece);
        at += length;
        start = at;
    }
    take(Piece::Text(&statement[start.min(statement.len())..]));
}

/// What a script gave for the placeholders.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// By position, from 1; what is missing is null.
    Positions(BTreeMap<usize, Parameter>),
    /// By name, without its sign.
    Names(BTreeMap<String, Parameter>),
}

/// The statement with a plain `?` for each single value, in order, and these values. Lists and `??` are written out.
///
/// # Errors
/// When there are more values than `?`.
pub fn bind(statement: &str, given: &Given) -> Result<(String, Vec<SqlValue>), String> {
    let mut text = String::with_capacity(statement.len());
    let mut values = Vec::new();
    let mut position = 0;
    let mut positional = |given: &Given| {
        position += 1;
        match given {
            Given::Positions(all) => all.get(&position).cloned().unwrap_or(Parameter::NULL),
            Given::Names(_) => Parameter::NULL,
        }
    };
    let mut expected = 0;
    pieces(statement, |piece| match piece {
        Piece::Text(plain) => text.push_str(plain),
        Piece::Positional => {
            expected += 1;
            place(&mut text, &mut values, positional(given));
        }
        Piece::Identifier => {
            expected += 1;
            identifier(&mut text, &positional(given));
        }
        Piece::Named(name) => {
            match given {
                Given::Names(all) => {
                    let found = all.get(&name[1..]).cloned();
                    place(&mut text, &mut values, found.unwrap_or(Parameter::NULL));
                }
                // nobody gave names: a variable of MySQL
                Given::Positions(_) => text.push_str(name),
            }
        }
    });
    if let Given::Positions(all) = given
        && let Some((last, _)) = all.last_key_value()
        && *last > expected
        && expected > 0
    {
        return Err(format!("Expected {expected} parameters, but received {last}."));
    }
    Ok((text, values))
}

fn place(text: &mut String, values: &mut Vec<SqlValue>, parameter: Parameter) {
    match parameter {
        Parameter::One(value) => {
            text.push('?');
            values.push(value);
        }
        Parameter::List(list) if list.is_empty() => text.push_str("NULL"),
        Parameter::List(list) => {
            for (index, element) in list.into_iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                let nested = matches!(element, Parameter::List(_));
                if nested {
                    text.push('(');
                }
                place(text, values, element);
                if nested {
                    text.push(')');
                }
            }
        }
        Parameter::Fields(fields) => {
            for (index, (name, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                quoted(text, &name);
                text.push_str(" = ");
                place(text, values, value);
            }
        }
    }
}

fn quoted(text: &mut String, name: &str) {
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            text.push('.');
        }
        text.push('`');
        text.push_str(&part.replace('`', "``"));
        text.push('`');
    }
}

fn identifier(text: &mut String, parameter: &Parameter) {
    match parameter {
        Parameter::List(names) => {
            for (index, name) in names.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                identifier(text, name);
            }
        }
        Parameter::One(SqlValue::Text(name)) => quoted(text, &String::from_utf8_lossy(name)),
        Parameter::One(SqlValue::Int(name)) => quoted(text, &name.to_string()),
        _ => text.push_str("NULL"),
    }
}

/// The shape of a statement: every literal a `?`, white space folded, cut at about 120 characters. What a span of it is
/// called; no value is in it.
pub fn shape(statement: &str) -> String {
    let bytes = statement.as_bytes();
    let mut shape = String::from("sql ");
    let mut at = 0;
    while at < bytes.len() && shape.len() < 124 {
        let quote = bytes[at];
        if let Some(end) = skip(bytes, at) {
            let end = end.min(bytes.len());
            match quote {
                b'\'' | b'"' => shape.push('?'),
                b'`' => shape.push_str(statement.get(at..end).unwrap_or("`")),
                _ => {}
            }
            at = end;
        } else if quote.is_ascii_whitespace() {
            if !shape.ends_with(' ') {
                shape.push(' ');
            }
            at += 1;
        } else if quote.is_ascii_digit() && (at == 0 || !is_name(bytes[at - 1])) {
            at += bytes[at..].iter().take_while(|byte| is_name(**byte) || **byte == b'.').count();
            shape.push('?');
        } else {
            let length = statement[at..].chars().next().map_or(1, char::len_utf8);
            shape.push_str(&statement[at..at + length]);
            at += length;
        }
    }
    if at < bytes.len() {
        shape.push('…');
    }
    shape.truncate(shape.trim_end().len());
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: i64) -> Parameter {
        Parameter::One(SqlValue::Int(value))
    }

    #[track_caller]
    fn check_bound(statement: &str, given: &[Parameter], expected: &str, values: usize) {
        let given =
            Given::Positions(given.iter().cloned().enumerate().map(|(at, one)| (at + 1, one)).collect());
        let (text, bound) = bind(statement, &given).unwrap();
        assert_eq!((text.as_str(), bound.len()), (expected, values));
    }

    #[test]
    fn placeholders_are_found_outside_of_quotes_and_comments() {
        check_bound("SELECT ? -- what?\n, '?', `?`", &[one(1)], "SELECT ? -- what?\n, '?', `?`", 1);
        check_bound("a IN (?)", &[Parameter::List(vec![one(1), one(2)])], "a IN (?, ?)", 2);
        check_bound("a IN (?)", &[Parameter::List(vec![])], "a IN (NULL)", 0);
        let rows = Parameter::List(vec![
            Parameter::List(vec![one(1), one(2)]),
            Parameter::List(vec![one(3), one(4)]),
        ]);
        check_bound("VALUES ?", &[rows], "VALUES (?, ?), (?, ?)", 4);
        check_bound("SET ?", &[Parameter::Fields(vec![("a".into(), one(1))])], "SET `a` = ?", 1);
        check_bound("SELECT ??", &[Parameter::One(SqlValue::text("u.na`me"))], "SELECT `u`.`na``me`", 0);
        check_bound("SELECT ?, ?", &[one(1)], "SELECT ?, ?", 2);
    }

    #[test]
    fn names_are_taken_with_either_sign() {
        let given = Given::Names([("a".to_owned(), one(1)), ("b_2".to_owned(), one(2))].into());
        let (text, values) = bind("x = @a AND y = :b_2 AND z = :missing AND t = '12:30'", &given).unwrap();
        assert_eq!(text, "x = ? AND y = ? AND z = ? AND t = '12:30'");
        assert_eq!(values, [SqlValue::Int(1), SqlValue::Int(2), SqlValue::Null]);
        let none = Given::Positions(BTreeMap::new());
        assert_eq!(bind("SELECT @total", &none).unwrap().0, "SELECT @total");
    }

    #[test]
    fn too_many_values_are_refused() {
        let given = Given::Positions([(1, one(1)), (2, one(2))].into());
        assert_eq!(bind("a = ?", &given).unwrap_err(), "Expected 1 parameters, but received 2.");
    }

    #[test]
    fn shapes_hold_no_values() {
        let text =
            "SELECT  *\n FROM `users` WHERE identifier = 'char1:abc' AND job2 = 12.5 -- secret\n LIMIT 1";
        assert_eq!(shape(text), "sql SELECT * FROM `users` WHERE identifier = ? AND job2 = ? LIMIT ?");
        assert!(shape(&"x, ".repeat(100)).chars().count() < 126);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(text in "[ -~éß'\"`?@:/*#\\\\-]{0,60}") {
            let _ = (shape(&text), count(&text), without_comments_before(&text), crate::statements(&text));
            let _ = bind(&text, &Given::Names(BTreeMap::new()));
            let _ = bind(&text, &Given::Positions([(1, one(1))].into()));
        }
    }
}
