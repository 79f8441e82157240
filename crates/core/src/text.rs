//! Names are UTF-8 everywhere; bytes that are not are escaped so that different names stay different.

use std::borrow::Cow;
use std::fmt::Write;

/// `bytes` as UTF-8: each byte that is not part of a valid sequence becomes `\xHH`, and so does the backslash of
/// every `\x` that was there already. Injective: [`unescape`] gives the bytes back. Allocates only when it escapes.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains("\\x")
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut rest = valid;
        while let Some(at) = rest.find("\\x") {
            out.push_str(&rest[..at]);
            out.push_str("\\x5cx");
            rest = &rest[at + 2..];
        }
        out.push_str(rest);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}"); // writing to a String cannot fail
        }
    }
    Cow::Owned(out)
}

/// The bytes [`escape`] was given. Text that `escape` cannot have written is taken as it stands.
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(&byte) = rest.first() {
        let hex = match rest {
            [b'\\', b'x', high, low, ..] => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match hex {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &rest[4..];
            }
            None => {
                out.push(byte);
                rest = &rest[1..];
            }
        }
    }
    Cow::Owned(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_literal_escape_and_an_escaped_byte_differ() {
        assert_eq!(escape(b"\xff"), "\\xff");
        assert_eq!(escape(b"\\xff"), "\\x5cxff");
        assert_eq!(escape(b"C:\\temp"), "C:\\temp");
    }

    proptest! {
        #[test]
        fn escaping_is_undone(bytes in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'x'), Just(b'f'), any::<u8>()], 0..40)) {
            let escaped = escape(&bytes);
            prop_assert_eq!(&*unescape(&escaped), &bytes[..]);
        }
    }
}
