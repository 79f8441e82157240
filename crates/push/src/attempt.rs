//! One request, and what its outcome means.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::http::{Request, StatusCode, header};

use crate::target::Post;

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 64 << 10;
/// Bytes of an answer's head.
const MAX_HEAD: usize = 16 << 10;

/// What a receiver said.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status, as 200.
    pub status: u16,
    /// Its `Content-Type`, or nothing.
    pub content_type: &'a str,
    /// Up to 64 KiB; nothing where there was more.
    pub body: &'a [u8],
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken; whether something is to be said about that.
    Sent(Option<String>),
    /// It may work later.
    Later { why: String, asked: Option<Duration> },
    /// It will not.
    Refused(String),
}

pub(crate) fn agent(user_agent: &str) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Posts and what authorizes them go where the user said, and nowhere else.
        .max_redirects(0)
        .max_response_header_size(MAX_HEAD)
        .user_agent(user_agent);
    config.build().new_agent()
}

/// Posts once.
pub(crate) fn send(
    agent: &Agent,
    post: &Post,
    gzipped: bool,
    limit: Duration,
    read: Option<fn(&Answer<'_>) -> Option<String>>,
) -> Outcome {
    let place = post.to.place();
    let mut request = Request::post(post.to.uri());
    if let Some(headers) = request.headers_mut() {
        for each in &post.headers {
            headers.insert(&each.name, each.value.clone());
        }
    }
    if gzipped {
        request = request.header(header::CONTENT_ENCODING, "gzip");
    }
    let request = match request.body(post.body.as_slice()) {
        Ok(request) => request,
        Err(error) => return Outcome::Refused(format!("{place}: {error}")),
    };
    let mut config = agent.configure_request(request).timeout_global(Some(limit));
    if post.to.is_loopback() {
        config = config.proxy(None);
    }
    let mut response = match agent.run(config.build()) {
        Ok(response) => response,
        Err(error) => return failed(place, &error, limit),
    };
    let status = response.status();
    // The head has told what became of the post: what becomes of the body changes nothing.
    let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().unwrap_or_default();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let said = read.and_then(|read| read(&Answer { status: status.as_u16(), content_type, body: &body }));
    if status.is_success() {
        return Outcome::Sent(said.map(|said| format!("{place}: {said}")));
    }
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    let why = format!("{place} answered {status}{said}");
    match status.as_u16() {
        429 | 502..=504 => {
            let asked = text(header::RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
            Outcome::Later { why, asked }
        }
        _ => Outcome::Refused(why + hint(status)),
    }
}

/// What to do about an answer that will not change by itself.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "; give the address that it leads to",
        401 | 403 => "; is what authorizes it right?",
        404 | 405 => "; is the path of the address right?",
        _ => "",
    }
}

/// RFC 9110, 10.2.3: seconds or a date.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// There was no answer. What comes from the client's own text never has the address in it.
fn failed(place: &str, error: &ureq::Error, limit: Duration) -> Outcome {
    let later = |why: String| Outcome::Later { why, asked: None };
    match error {
        ureq::Error::Timeout(_) => later(format!("{place} did not answer within {limit:.1?}")),
        ureq::Error::HostNotFound => later(format!("{place}: there is no host of that name")),
        ureq::Error::Io(error) => later(match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                format!("{place} closed the connection before it answered")
            }
            io::ErrorKind::InvalidData => format!("{place}: the connection failed: {error}"),
            _ => format!("cannot reach {place}: {error}"),
        }),
        ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => {
            later(format!("cannot reach {place}, or the proxy before it"))
        }
        ureq::Error::Protocol(_) => later(format!("{place} answered with something that is not HTTP/1.1")),
        ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => {
            Outcome::Refused(format!("{place}: the address, or that of the proxy, cannot be used"))
        }
        error => Outcome::Refused(format!("{place}: {error}")),
    }
}

/// The body in fewer bytes.
pub(crate) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 1994-11-06 08:49:37 UTC.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |value: &str, seconds: Option<u64>| {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:50:07 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("99999999999999999999999", Some(u64::from(u32::MAX)));
        check("", None);
        check("-1", None);
        check("soon", None);
    }
}
