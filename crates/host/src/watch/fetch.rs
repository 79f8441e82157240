//! Asking a server for `/perf/`.

use anyhow::{Context, Result, ensure};

use crate::cli;

/// Where it is, and who asks.
pub(super) struct Server {
    url: String,
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "nothing is asked then"))]
    authorization: Option<String>,
    #[cfg(feature = "http")]
    agent: ureq::Agent,
}

impl Server {
    pub(super) fn new(url: &str, options: &cli::Watch) -> Result<Self> {
        let scheme = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        ensure!(scheme, "the server's address {url:?} has no scheme; expected http://127.0.0.1:30120");
        let url = url.trim_end_matches('/').trim_end_matches("/perf");
        let authorization = match (&options.user, &options.password_file) {
            (Some(user), Some(file)) => {
                let password = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the password from {}", file.display()))?;
                Some(basic(user, password.trim_end_matches(['\r', '\n'])))
            }
            _ => None,
        };
        Ok(Self {
            url: format!("{url}/perf/"),
            authorization,
            #[cfg(feature = "http")]
            agent: ureq::Agent::config_builder()
                .timeout_global(Some(std::time::Duration::from_secs(5)))
                .http_status_as_error(false)
                .user_agent(concat!("tickscope/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it answers; else why not, and what to do.
    #[cfg(feature = "http")]
    pub(super) fn perf(&self) -> Result<String, String> {
        let mut request = self.agent.get(&self.url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut response = request
            .call()
            .map_err(|error| format!("{error}; is the server running, and is this its address and port?"))?;
        match response.status().as_u16() {
            200 => response
                .body_mut()
                .with_config()
                .limit(4 << 20)
                .read_to_string()
                .map_err(|error| error.to_string()),
            401 | 403 => Err("it wants a name and a password: give --user and --password-file, as set by \
                              sv_prometheusBasicAuthUser and sv_prometheusBasicAuthPassword"
                .into()),
            404 => Err("it has no /perf/: is this an FXServer, and not txAdmin or a proxy?".into()),
            429 => Err("it is asked too often: ask less with --every".into()),
            status => Err(format!("it answers with HTTP status {status}")),
        }
    }

    #[cfg(not(feature = "http"))]
    pub(super) fn perf(&self) -> Result<String, String> {
        Err("this program was built without the feature `http`: no request leaves it".into())
    }
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")))
}
