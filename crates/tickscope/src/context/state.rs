//! `tracestate`: what tracing systems add for themselves.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::ContextError;

/// Members of `tracestate`, the newest first. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Arc<Vec<(String, String)>>);

/// The most members.
const MOST: usize = 32;

impl TraceState {
    /// The header's name.
    pub const HEADER: &str = "tracestate";

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Key and value of each member.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a member, which becomes the first; the last one goes when there are more than 32.
    ///
    /// # Errors
    /// When key or value are not of the form that the specification allows.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), ContextError> {
        check_key(key, key, 0)?;
        check_value(value, value, 0)?;
        let members = Arc::make_mut(&mut self.0);
        members.retain(|(known, _)| known != key);
        members.insert(0, (key.to_owned(), value.to_owned()));
        members.truncate(MOST);
        Ok(())
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) {
        if self.get(key).is_some() {
            Arc::make_mut(&mut self.0).retain(|(known, _)| known != key);
        }
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

/// Reads the header: of a key that comes twice the first member stays.
impl FromStr for TraceState {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        // Before they are looked at: each is compared with all before it.
        let found = text.split(',').filter(|piece| !piece.trim_matches([' ', '\t']).is_empty()).count();
        if found > MOST {
            let header = Self::HEADER;
            return Err(ContextError::TooLarge { header, found, limit: MOST, unit: "members" });
        }
        let mut members: Vec<(String, String)> = Vec::with_capacity(found);
        let mut offset = 0;
        for piece in text.split(',') {
            let at = offset + piece.len() - piece.trim_start_matches([' ', '\t']).len();
            offset += piece.len() + 1;
            let member = piece.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').ok_or_else(|| {
                ContextError::malformed(Self::HEADER, text, at + member.len(), "an equals sign")
            })?;
            check_key(key, text, at)?;
            check_value(value, text, at + key.len() + 1)?;
            if !members.iter().any(|(known, _)| known == key) {
                members.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(Self(Arc::new(members)))
    }
}

/// `key` stands at `offset` of `text`.
fn check_key(key: &str, text: &str, offset: usize) -> Result<(), ContextError> {
    let wrong = |at, expected| Err(ContextError::malformed(TraceState::HEADER, text, offset + at, expected));
    // One that has its tenant in front may begin with a digit.
    let (tenant, system) = match key.split_once('@') {
        Some((tenant, system)) => (Some(tenant), system),
        None => (None, key),
    };
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/')
    };
    let mut start = 0;
    let parts = [(tenant, 241, true), (Some(system), if tenant.is_some() { 14 } else { 256 }, false)];
    for (part, longest, digit_first) in parts {
        let Some(part) = part else { continue };
        match part.bytes().next() {
            Some(b'a'..=b'z') => {}
            Some(b'0'..=b'9') if digit_first => {}
            _ => return wrong(start, "a key that begins with a lower-case letter"),
        }
        if let Some(at) = part.bytes().position(|byte| !allowed(byte)) {
            return wrong(start + at, "a key of a-z, 0-9, _, -, *, /");
        }
        if part.len() > longest {
            return wrong(start + longest, "a shorter key");
        }
        start += part.len() + 1;
    }
    Ok(())
}

fn check_value(value: &str, text: &str, offset: usize) -> Result<(), ContextError> {
    let wrong = |at, expected| Err(ContextError::malformed(TraceState::HEADER, text, offset + at, expected));
    let allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
    if let Some(at) = value.bytes().position(|byte| !allowed(byte)) {
        return wrong(at, "a value of printable ASCII without comma and equals sign");
    }
    if value.is_empty() || value.ends_with(' ') {
        return wrong(value.len(), "a value that does not end in a space");
    }
    if value.len() > 256 {
        return wrong(256, "at most 256 characters");
    }
    Ok(())
}
