//! JSON by hand: text, and numbers that every reader takes for what they are.

use tickscope_core::{ArgRange, ArgValue, Batch};

/// The largest whole number that a double, and so JavaScript, holds exactly.
const EXACT: u64 = 1 << 53;

/// Appends `text` as a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                let digit = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `,"key":` (the key as it stands).
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a whole number, all digits.
#[inline]
pub(crate) fn digits(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 20];
    let at = put_digits(&mut buffer, value);
    out.extend_from_slice(&buffer[at..]);
}

/// Writes `value` at the end of `buffer` and says where it begins.
#[inline]
fn put_digits(buffer: &mut [u8; 20], mut value: u64) -> usize {
    let mut at = buffer.len();
    while value >= 100 {
        let pair = PAIRS[(value % 100) as usize];
        value /= 100;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&pair);
    }
    if value >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    at
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Appends nanoseconds as microseconds with three decimals, never an exponent.
pub(crate) fn micros(out: &mut Vec<u8>, nanos: u64) {
    let (buffer, len) = micros_text(nanos);
    out.extend_from_slice(&buffer[..len]);
}

/// Nanoseconds as microseconds with three decimals, and how many bytes that takes.
#[inline]
pub(crate) fn micros_text(nanos: u64) -> ([u8; 24], usize) {
    let (whole, rest) = (nanos / 1_000, nanos % 1_000);
    let mut buffer = [0; 24];
    let len = whole.checked_ilog10().unwrap_or_default() as usize + 1;
    let (mut at, mut value) = (len, whole);
    while value >= 100 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        buffer[..2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        buffer[0] = b'0' + value as u8;
    }
    buffer[len] = b'.';
    buffer[len + 1] = b'0' + (rest / 100) as u8;
    buffer[len + 2..len + 4].copy_from_slice(&PAIRS[(rest % 100) as usize]);
    (buffer, len + 4)
}

/// Appends a whole number; as a string where a double could not hold it.
pub(crate) fn uint(out: &mut Vec<u8>, value: u64) {
    if value <= EXACT {
        digits(out, value);
    } else {
        out.push(b'"');
        digits(out, value);
        out.push(b'"');
    }
}

/// Appends a signed whole number; as a string where a double could not hold it.
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    let quote = value.unsigned_abs() > EXACT;
    if quote {
        out.push(b'"');
    }
    if value < 0 {
        out.push(b'-');
    }
    digits(out, value.unsigned_abs());
    if quote {
        out.push(b'"');
    }
}

/// Appends a number; `null` where it is none.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(format!("{value:?}").as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends an argument's value.
pub(crate) fn value(out: &mut Vec<u8>, batch: &Batch<'_>, value: ArgValue) {
    match value {
        ArgValue::Int(value) => int(out, value),
        ArgValue::Uint(value) => uint(out, value),
        ArgValue::Float(value) => float(out, value),
        ArgValue::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        ArgValue::Pointer(value) => out.extend_from_slice(format!("\"{value:#x}\"").as_bytes()),
        ArgValue::Text { .. } => text(out, batch.text(value)),
    }
}

/// Appends `,"key":value` for each argument.
pub(crate) fn args(out: &mut Vec<u8>, batch: &Batch<'_>, range: ArgRange) {
    for arg in batch.args(range) {
        out.push(b',');
        text(out, batch.dictionary.key(arg.key));
        out.push(b':');
        value(out, batch, arg.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(make: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        make(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_a_double_cannot_hold_are_text() {
        assert_eq!(made(|out| uint(out, 1 << 53)), "9007199254740992");
        assert_eq!(made(|out| uint(out, u64::MAX)), "\"18446744073709551615\"");
        assert_eq!(made(|out| int(out, i64::MIN)), "\"-9223372036854775808\"");
        assert_eq!(made(|out| float(out, f64::NAN)), "null");
        assert_eq!(made(|out| micros(out, 1_002_003)), "1002.003");
    }

    proptest! {
        #[test]
        fn a_strict_parser_reads_it_back(string in ".*", number in any::<u64>(), bits in 0u32..64, real in any::<f64>()) {
            let number = number >> bits;
            prop_assert_eq!(serde_json::from_str::<String>(&made(|out| text(out, &string))).unwrap(), string);
            prop_assert_eq!(made(|out| digits(out, number)), number.to_string());
            prop_assert_eq!(made(|out| micros(out, number)), format!("{}.{:03}", number / 1000, number % 1000));
            let read: Option<f64> = serde_json::from_str(&made(|out| float(out, real))).unwrap();
            prop_assert_eq!(read.map(|read| (read - real).abs() <= real.abs() * 1e-15), real.is_finite().then_some(true));
        }
    }
}
