//! One request, made on a thread of its own.

#[cfg(feature = "http")]
use std::sync::OnceLock;
#[cfg(feature = "http")]
use std::time::Duration;

use super::Header;

/// Bytes of an answer's body.
#[cfg(feature = "http")]
const MAX_BODY: u64 = 64 << 20;

/// Bytes of an answer's head.
#[cfg(feature = "http")]
const MAX_HEAD: usize = 64 << 10;

/// From the look-up of the name to the last byte.
#[cfg(feature = "http")]
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How often an answer may send us elsewhere.
#[cfg(feature = "http")]
const MAX_REDIRECTS: u32 = 10;

/// Why nothing can be asked for, if so.
pub(super) const ABSENT: Option<&str> = if cfg!(feature = "http") {
    None
} else {
    Some("this program was built without the feature `http`: no request leaves it")
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
    /// Go where an answer sends us.
    pub(crate) follow: bool,
}

/// An answer below 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<Header>,
    pub(super) body: Vec<u8>,
}

/// No answer, with status 0, or one of 400 and more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) error: Vec<u8>,
}

impl Failure {
    pub(super) fn told(error: impl Into<String>) -> Self {
        Self { status: 0, error: error.into().into_bytes() }
    }
}

/// The host a request goes to, in lower case and without port or password.
pub(super) fn host_of(url: &str) -> Result<String, String> {
    let expected = "expected http://host/… or https://host/…";
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| format!("the URL {url:?} has no scheme; {expected}"))?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(format!("{scheme} is not spoken here; {expected}"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() || host.len() > 253 || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("the URL names no host; {expected}"));
    }
    Ok(host.to_ascii_lowercase())
}

/// Makes requests. A copy is another handle on the same connections.
#[derive(Clone, Default)]
pub(super) struct Client {
    #[cfg(feature = "http")]
    agent: OnceLock<ureq::Agent>,
}

#[cfg(not(feature = "http"))]
impl Client {
    /// A handle for another thread.
    pub(super) fn share(&self) -> Self {
        self.clone()
    }

    pub(super) fn fetch(&self, _: &Ask) -> Result<Got, Failure> {
        Err(Failure::told(ABSENT.unwrap_or_default()))
    }
}

#[cfg(feature = "http")]
impl Client {
    /// Makes the connections' keeper, so that copies share it.
    fn agent(&self) -> &ureq::Agent {
        self.agent.get_or_init(|| {
            let config = ureq::Agent::config_builder()
                .timeout_global(Some(TIME_LIMIT))
                .max_redirects(MAX_REDIRECTS)
                .max_response_header_size(MAX_HEAD)
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .user_agent(concat!(
                    "FXServer/PerformHttpRequest (tickscope ",
                    env!("CARGO_PKG_VERSION"),
                    ")"
                ));
            config.build().new_agent()
        })
    }

    /// A handle for another thread.
    pub(super) fn share(&self) -> Self {
        self.agent();
        self.clone()
    }

    /// Asks and waits for the whole answer.
    pub(super) fn fetch(&self, ask: &Ask) -> Result<Got, Failure> {
        let host = host_of(&ask.url).map_err(Failure::told)?;
        let mut request = ureq::http::Request::builder().method(ask.method.as_str()).uri(&ask.url);
        for (name, value) in &ask.headers {
            request = request.header(name, value.as_slice());
        }
        let typed = ask.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !ask.body.is_empty() && !typed {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let bare = ask.body.is_empty() && !["POST", "PUT", "PATCH"].contains(&&*ask.method);
        let response = if bare {
            self.send(request.body(()), ask, &host)
        } else {
            self.send(request.body(ask.body.as_slice()), ask, &host)
        };
        let (status, headers, body) = response.map_err(|error| Failure::told(error.to_string()))?;
        if status >= 400 {
            let mut error = format!("HTTP {status}: ").into_bytes();
            error.extend(body);
            return Err(Failure { status, error });
        }
        Ok(Got { status, headers, body })
    }

    fn send<B: ureq::AsSendBody>(
        &self,
        request: Result<ureq::http::Request<B>, ureq::http::Error>,
        ask: &Ask,
        host: &str,
    ) -> Result<(u16, Vec<Header>, Vec<u8>), ureq::Error> {
        let agent = self.agent();
        let mut config = agent.configure_request(request?);
        if !ask.follow {
            config = config.max_redirects(0);
        }
        let loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if loopback {
            config = config.proxy(None);
        }
        let mut response = agent.run(config.build())?;
        let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec()?;
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        Ok((response.status().as_u16(), headers, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_without_what_is_secret() {
        let host = |url| host_of(url).ok();
        assert_eq!(host("https://Discord.com/api/webhooks/1/secret").as_deref(), Some("discord.com"));
        assert_eq!(host("http://user:pass@host:8080?key=1").as_deref(), Some("host"));
        assert_eq!(host("HTTP://[::1]:30120/x").as_deref(), Some("::1"));
        for url in
            ["", "host/path", "ftp://host/", "file:///etc/passwd", "http://", "http:///x", "http://a b/"]
        {
            assert_eq!(host(url), None, "{url}");
        }
    }
}
