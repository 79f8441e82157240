//! Where to post, and what. What may be secret in it is never shown.

use std::fmt;
use std::sync::Arc;

use ureq::http::{HeaderName, HeaderValue, Uri, header};

use crate::Error;

/// Headers that follow from the address, the body and how it is sent.
const OURS: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// An address that can be posted to. Shows itself as scheme, host and port: the rest is often a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    place: Arc<str>,
    /// It is on this machine: no proxy stands between.
    loopback: bool,
}

impl Target {
    /// Reads `http://…` or `https://…`.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn new(address: &str) -> Result<Self, Error> {
        let address = address.trim();
        let begins = |scheme: &str| {
            address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if !begins("http://") && !begins("https://") {
            return Err(Error::Scheme);
        }
        let problem = |problem: &str| Error::Address { problem: problem.to_owned() };
        let uri: Uri =
            address.parse().map_err(|error: ureq::http::uri::InvalidUri| problem(&error.to_string()))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| problem("no host"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        // A port that is no number is left out by `uri.port()`.
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let port =
            authority.rsplit('@').next().and_then(|place| place.strip_prefix(host)).unwrap_or_default();
        if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(problem("the port is none"));
        }
        let place = format!("{scheme}://{host}{port}").into();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let loopback = host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback());
        Ok(Self { uri, place, loopback })
    }

    /// The same with `path` behind its own path, as `/v1/traces`.
    ///
    /// # Errors
    /// When `path` is none.
    pub fn join(&self, path: &str) -> Result<Self, Error> {
        let query = self.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.with(&format!(
            "{}/{}{query}",
            self.uri.path().trim_end_matches('/'),
            path.trim_start_matches('/')
        ))
    }

    /// The same with names and values more behind `?`. They are encoded here.
    ///
    /// # Errors
    /// When the address gets too long (64 KiB).
    pub fn query(&self, more: &[(&str, &str)]) -> Result<Self, Error> {
        let mut query = self.uri.query().unwrap_or_default().to_owned();
        for (name, value) in more {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(&encoded(name));
            query.push('=');
            query.push_str(&encoded(value));
        }
        self.with(&format!("{}?{query}", self.uri.path()))
    }

    /// Scheme, host and port: what may be shown to anybody.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Path and query: what must not be shown.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    fn with(&self, path: &str) -> Result<Self, Error> {
        let mut parts = self.uri.clone().into_parts();
        let problem = |problem: String| Error::Address { problem };
        parts.path_and_query =
            Some(path.parse().map_err(|error: ureq::http::uri::InvalidUri| problem(error.to_string()))?);
        let uri = Uri::from_parts(parts).map_err(|error| problem(error.to_string()))?;
        Ok(Self { uri, ..self.clone() })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.place)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// RFC 3986: all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A header of a request. Its value is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl Header {
    /// Checks name and value.
    ///
    /// # Errors
    /// When HTTP does not allow one of them, or the name is of a header that follows from address and body.
    pub fn new(name: &str, value: &str) -> Result<Self, Error> {
        let owned = || name.to_owned();
        let checked = HeaderName::try_from(name.trim()).map_err(|_| Error::HeaderName { name: owned() })?;
        if OURS.contains(&checked) {
            return Err(Error::HeaderOurs { name: owned() });
        }
        let value = HeaderValue::try_from(value.trim()).map_err(|_| Error::HeaderValue { name: owned() })?;
        Ok(Self { name: checked, value })
    }
}

/// Headers as a user gives them: names, and texts that [`secret`] reads; `None` where something else than a text was given.
///
/// # Errors
/// The first that cannot be, with its name.
pub fn headers<'a>(
    given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Vec<Header>, Error> {
    let header = |(name, value): (&str, Option<&str>)| {
        let value = value.ok_or(Error::HeaderText).and_then(secret);
        value
            .and_then(|value| Header::new(name, &value))
            .map_err(|error| Error::Header { name: name.to_owned(), error: Box::new(error) })
    };
    given.into_iter().map(header).collect()
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({})", self.name)
    }
}

/// One thing to post.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where to.
    pub to: Target,
    /// Headers, the body's `Content-Type` among them. Of several with one name the last is sent.
    pub headers: Vec<Header>,
    /// What.
    pub body: Vec<u8>,
}

/// What a user gave as a secret: `env:NAME` means the value of that variable of the environment, all else itself.
///
/// # Errors
/// When there is no such variable, or it is empty or no UTF-8.
pub fn secret(given: &str) -> Result<String, Error> {
    let Some(name) = given.strip_prefix("env:") else { return Ok(given.to_owned()) };
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| Error::Variable { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (address, place) in [
            ("https://hooks.example.com/services/T0/B0/secret", "https://hooks.example.com"),
            ("http://user:secret@host:8080?key=secret", "http://host:8080"),
            (" HTTP://[::1]:4318/secret ", "http://[::1]:4318"),
        ] {
            let target = Target::new(address).expect(address);
            assert_eq!((target.place(), target.to_string().as_str()), (place, place));
            assert_eq!(format!("{target:?}"), format!("Target({place})"));
        }
        let header = Header::new("Authorization", "Bearer secret").expect("a header");
        assert_eq!(format!("{header:?}"), "Header(authorization)");
    }

    #[test]
    fn what_is_no_address_says_so_without_showing_it() {
        for address in [
            "",
            "secret",
            "ftp://secret/",
            "http://",
            "http:///secret",
            "https://a b/secret",
            "http://secret:99999999/",
            "file:///secret",
            "ü",
        ] {
            let error = Target::new(address).expect_err(address).to_string();
            assert!(!error.contains("secret") && error.contains("expected one as"), "{address}: {error}");
        }
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "secret\r\nInjected: yes")] {
            let error = Header::new(name, value).expect_err(name).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        for name in ["Host", "content-length", "Content-Encoding", "Transfer-Encoding", "Connection"] {
            assert_eq!(Header::new(name, "x"), Err(Error::HeaderOurs { name: name.into() }));
        }
        assert_eq!(Target::new("http://a/").map(|target| target.is_loopback()), Ok(false));
        assert_eq!(Target::new("http://127.0.0.9/").map(|target| target.is_loopback()), Ok(true));
        assert_eq!(Target::new("http://[::1]/").map(|target| target.is_loopback()), Ok(true));
    }

    #[test]
    fn paths_and_queries_are_appended() {
        let check = |address: &str, path: &str, expected: &str| {
            let joined = Target::new(address).and_then(|target| target.join(path));
            assert_eq!(joined.map(|target| target.uri().to_string()).as_deref(), Ok(expected));
        };
        check("http://h:1", "/v1/traces", "http://h:1/v1/traces");
        check("http://h:1/", "v1/traces", "http://h:1/v1/traces");
        check("https://h/a/b/?key=1", "/v1/traces", "https://h/a/b/v1/traces?key=1");
        let target =
            Target::new("http://h/ingest?a=b").and_then(|target| target.query(&[("name", "ä {x=\"&\"}")]));
        let shown = target.map(|target| target.path().to_owned());
        assert_eq!(shown.as_deref(), Ok("/ingest?a=b&name=%C3%A4%20%7Bx%3D%22%26%22%7D"));
    }

    #[test]
    fn secrets_come_from_the_environment_when_they_say_so() {
        assert_eq!(secret("plain").as_deref(), Ok("plain"));
        // Cargo sets it for every test.
        assert_eq!(secret("env:CARGO_PKG_NAME").as_deref(), Ok("tickscope-push"));
        assert_eq!(
            secret("env:TICKSCOPE_NOT_THERE"),
            Err(Error::Variable { name: "TICKSCOPE_NOT_THERE".into() })
        );
        let given = headers([("A", Some("env:CARGO_PKG_NAME")), ("B", Some("two"))]);
        assert_eq!(
            given,
            Ok(vec![Header::new("a", "tickscope-push").unwrap(), Header::new("b", "two").unwrap()])
        );
        for (value, expected) in [
            (None, "headers: A: expected text, as \"env:TOKEN\""),
            (
                Some("a\nb"),
                "headers: A: the header \"A\" has a value that HTTP does not allow: a line break, for one",
            ),
        ] {
            assert_eq!(headers([("A", value)]).unwrap_err().to_string(), expected);
        }
    }
}
