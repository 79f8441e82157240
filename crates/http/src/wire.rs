//! HTTP/1.x as bytes: requests are read, answers written. One of each per connection.

use std::io::{self, ErrorKind, Read};

/// A field of a message's head: its name, and its value.
pub type Header = (String, Vec<u8>);

/// Bytes of a request's line and headers.
const MAX_HEAD: usize = 64 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 128;
/// Bytes of the line in front of a chunk.
const MAX_CHUNK_LINE: usize = 4 << 10;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET`, `POST`; as it was written.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In their order.
    pub headers: Vec<Header>,
    /// Without its framing.
    pub body: Vec<u8>,
}

/// What is known of a request before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `GET`, `POST`; as it was written.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// In their order.
    pub headers: &'a [Header],
}

impl Head<'_> {
    /// The first value of a field, without spaces around it.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_ascii())
    }
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The other side went away.
    Gone,
    /// To be told as this status.
    Refused(u16),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Refused(408),
            _ => Self::Gone,
        }
    }
}

const MALFORMED: Problem = Problem::Refused(400);
const TOO_LARGE: Problem = Problem::Refused(413);

/// How a body's end is told.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunks,
}

/// What was read and is not used yet.
struct Input<'a, R> {
    from: &'a mut R,
    /// Bytes of a body.
    max_body: usize,
    bytes: Vec<u8>,
    /// Where in `bytes` the unused ones begin.
    at: usize,
}

impl<R: Read> Input<'_, R> {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Reads some more; an end here is one too early.
    fn more(&mut self) -> Result<(), Problem> {
        let mut some = [0; 16 << 10];
        self.bytes.drain(..self.at);
        self.at = 0;
        loop {
            match self.from.read(&mut some) {
                Ok(0) if self.bytes.is_empty() => return Err(Problem::Gone),
                Ok(0) => return Err(MALFORMED),
                Ok(count) => {
                    self.bytes.extend_from_slice(&some[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes `count` bytes.
    fn take(&mut self, count: usize) -> Result<&[u8], Problem> {
        while self.rest().len() < count {
            self.more()?;
        }
        let from = self.at;
        self.at += count;
        Ok(self.bytes.get(from..self.at).unwrap_or_default())
    }

    /// Takes what there is up to the empty line, with it.
    fn head(&mut self) -> Result<&[u8], Problem> {
        let mut looked = 0;
        loop {
            if let Some(end) = end_of_head(self.rest(), looked) {
                return if end > MAX_HEAD { Err(Problem::Refused(431)) } else { self.take(end) };
            }
            if self.rest().len() > MAX_HEAD {
                return Err(Problem::Refused(431));
            }
            looked = self.rest().len().saturating_sub(3);
            self.more()?;
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        loop {
            let size = self.chunk_size()?;
            if size == 0 {
                break;
            }
            if size > self.max_body - body.len() {
                return Err(TOO_LARGE);
            }
            body.extend_from_slice(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(MALFORMED);
            }
        }
        // what may stand behind the last chunk is of no use here
        let mut trailers = 0;
        loop {
            let length = match self.rest().iter().position(|byte| *byte == b'\n') {
                Some(end) if end < MAX_CHUNK_LINE => end + 1,
                None if self.rest().len() < MAX_CHUNK_LINE => {
                    self.more()?;
                    continue;
                }
                _ => return Err(MALFORMED),
            };
            trailers += length;
            match self.take(length)? {
                b"\n" | b"\r\n" => return Ok(body),
                _ if trailers > MAX_HEAD => return Err(Problem::Refused(431)),
                _ => {}
            }
        }
    }

    fn chunk_size(&mut self) -> Result<usize, Problem> {
        loop {
            match httparse::parse_chunk_size(self.rest()) {
                Ok(httparse::Status::Complete((length, size))) if length <= MAX_CHUNK_LINE => {
                    self.take(length)?;
                    return usize::try_from(size).map_err(|_| TOO_LARGE);
                }
                Ok(httparse::Status::Partial) if self.rest().len() < MAX_CHUNK_LINE => self.more()?,
                _ => return Err(MALFORMED),
            }
        }
    }
}

/// Where the empty line ends that ends a head, at or after `from`; lines may end in a line feed alone.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|at| match &bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Reads a request whose body is no longer than `max_body`. `gate` sees the head and may refuse it with a status; `go_on` is
/// called when the other side waits to be told so before it sends the body.
///
/// # Errors
/// When the other side goes away, or sends what is not a request or is refused.
pub fn read<R: Read>(
    from: &mut R,
    max_body: usize,
    gate: impl FnOnce(Head<'_>) -> Result<(), u16>,
    go_on: impl FnOnce() -> io::Result<()>,
) -> Result<Asked, Problem> {
    let mut input = Input { from, max_body, bytes: Vec::new(), at: 0 };
    let head = input.head()?;
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Problem::Refused(431)),
        _ => return Err(MALFORMED),
    }
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(MALFORMED) };
    let headers: Vec<Header> =
        parsed.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
    let (method, target) = (method.to_owned(), target.to_owned());
    gate(Head { method: &method, target: &target, headers: &headers }).map_err(Problem::Refused)?;
    let framing = framing(&headers, max_body)?;
    let waits = values(&headers, "expect").any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    if waits && input.rest().is_empty() && !matches!(framing, Framing::Length(0)) {
        go_on()?;
    }
    let body = match framing {
        Framing::Length(length) => input.take(length)?.to_vec(),
        Framing::Chunks => input.chunks()?,
    };
    Ok(Asked { method, target, headers, body })
}

fn values<'a>(headers: &'a [Header], wanted: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim_ascii())
}

fn framing(headers: &[Header], max_body: usize) -> Result<Framing, Problem> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
            Ok(Framing::Chunks)
        }
        (None, Some(_)) => Err(Problem::Refused(501)),
        // whoever stands between us may believe the other one
        (Some(_), Some(_)) => Err(MALFORMED),
        (Some(length), None) => {
            if lengths.any(|other| other != length)
                || length.is_empty()
                || !length.iter().all(u8::is_ascii_digit)
            {
                return Err(MALFORMED);
            }
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            length.filter(|length| *length <= max_body).map(Framing::Length).ok_or(TOO_LARGE)
        }
    }
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of three digits.
    pub status: u16,
    /// Without those of the framing.
    pub headers: Vec<Header>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer in plain text.
    pub fn plain(status: u16, text: &str) -> Self {
        let kind = ("Content-Type".to_owned(), b"text/plain; charset=utf-8".to_vec());
        Self { status, headers: vec![kind], body: text.as_bytes().to_vec() }
    }

    /// As it is sent; without the body when a `HEAD` asked for it.
    pub fn bytes(&self, head_only: bool) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        let bodiless = matches!(self.status, 204 | 304);
        if !bodiless {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        if !bodiless && !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
