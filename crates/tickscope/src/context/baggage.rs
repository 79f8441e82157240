//! `baggage`: what programs tell those they call.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::ContextError;

/// Members of [`baggage`](https://www.w3.org/TR/baggage/), in order. Cloning is cheap.
///
/// At most 180 of them, 8,192 bytes as a header.
///
/// ```
/// # use tickscope::Baggage;
/// let mut baggage: Baggage = "tenant=acme,city=Z%C3%BCrich".parse()?;
/// assert_eq!(baggage.get("city"), Some("Zürich"));
/// baggage.insert("player", "7 of 9")?;
/// assert_eq!(baggage.to_string(), "tenant=acme,city=Z%C3%BCrich,player=7%20of%209");
/// # Ok::<(), tickscope::ContextError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Arc<Vec<Member>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: String,
    value: String,
    /// Behind the value, each with its semicolon, as they came.
    properties: String,
}

const MOST: usize = 180;
const MOST_BYTES: usize = 8_192;

impl Baggage {
    /// The header's name.
    pub const HEADER: &str = "baggage";

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Key and value of each member.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|member| (member.key.as_str(), member.value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a member: any text under a key that is a token of HTTP.
    ///
    /// # Errors
    /// When the key is none, or there would be too much. Nothing is changed then.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), ContextError> {
        check_key(key, key, 0)?;
        let mut changed = self.0.as_ref().clone();
        set(&mut changed, Member { key: key.to_owned(), value: value.to_owned(), properties: String::new() });
        let changed = Self(Arc::new(changed));
        check_size(changed.len(), changed.to_string().len())?;
        *self = changed;
        Ok(())
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) {
        if self.get(key).is_some() {
            Arc::make_mut(&mut self.0).retain(|member| member.key != key);
        }
    }
}

fn set(members: &mut Vec<Member>, member: Member) {
    match members.iter_mut().find(|known| known.key == member.key) {
        Some(known) => *known = member,
        None => members.push(member),
    }
}

fn check_size(members: usize, bytes: usize) -> Result<(), ContextError> {
    for (found, limit, unit) in [(members, MOST, "members"), (bytes, MOST_BYTES, "bytes")] {
        if found > limit {
            return Err(ContextError::TooLarge { header: Baggage::HEADER, found, limit, unit });
        }
    }
    Ok(())
}

/// A token of HTTP (RFC 9110, 5.6.2); `key` stands at `offset` of `text`.
fn check_key(key: &str, text: &str, offset: usize) -> Result<(), ContextError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let wrong = key.bytes().position(|byte| !allowed(byte)).or_else(|| key.is_empty().then_some(0));
    match wrong {
        Some(at) => Err(ContextError::malformed(Baggage::HEADER, text, offset + at, "a key that is a token")),
        None => Ok(()),
    }
}

/// What may stand in a value as it is.
fn is_plain(byte: u8) -> bool {
    (b'!'..=b'~').contains(&byte) && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Member { key, value, properties }) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{key}=")?;
            for byte in value.bytes() {
                match byte {
                    b'%' => f.write_str("%25")?,
                    byte if is_plain(byte) => write!(f, "{}", byte as char)?,
                    byte => write!(f, "%{byte:02X}")?,
                }
            }
            f.write_str(properties)?;
        }
        Ok(())
    }
}

/// Reads the header: of a key that comes twice the last value stays. Percent signs that encode nothing stay; what they
/// encode that is not UTF-8 becomes U+FFFD.
impl FromStr for Baggage {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        check_size(0, text.len())?;
        let mut members = Vec::new();
        let (mut offset, mut found) = (0, 0);
        for piece in text.split(',') {
            let at = offset + piece.len() - piece.trim_start_matches([' ', '\t']).len();
            offset += piece.len() + 1;
            let whole = piece.trim_matches([' ', '\t']);
            if whole.is_empty() {
                continue;
            }
            found += 1;
            let (pair, properties) = match whole.find(';') {
                Some(semicolon) => whole.split_at(semicolon),
                None => (whole, ""),
            };
            let (key, raw) = pair.split_once('=').ok_or_else(|| {
                ContextError::malformed(Self::HEADER, text, at + pair.len(), "an equals sign")
            })?;
            let value_at = at + key.len() + 1 + (raw.len() - raw.trim_start_matches([' ', '\t']).len());
            let (key, raw) = (key.trim_end_matches([' ', '\t']), raw.trim_matches([' ', '\t']));
            check_key(key, text, at)?;
            if let Some(wrong) = raw.bytes().position(|byte| !is_plain(byte)) {
                let expected = "a value of printable ASCII, other characters percent-encoded";
                return Err(ContextError::malformed(Self::HEADER, text, value_at + wrong, expected));
            }
            if let Some(wrong) =
                properties.bytes().position(|byte| !(is_plain(byte) || b"; \t".contains(&byte)))
            {
                let wrong = at + pair.len() + wrong;
                return Err(ContextError::malformed(
                    Self::HEADER,
                    text,
                    wrong,
                    "properties of printable ASCII",
                ));
            }
            let member =
                Member { key: key.to_owned(), value: decode(raw), properties: properties.to_owned() };
            set(&mut members, member);
        }
        let read = Self(Arc::new(members));
        // What is passed on may be longer than what came: other programs encode less.
        check_size(found, read.to_string().len())?;
        Ok(read)
    }
}

fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
