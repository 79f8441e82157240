//! A sink plugin of Tickscope: ticks and resources as metrics that Prometheus scrapes.
//!
//! ```console
//! $ tickscope run ~/server --sink prometheus=127.0.0.1:9464
//! $ curl -s http://127.0.0.1:9464/metrics
//! ```
//!
//! Small enough to begin a plugin of your own from: this page is the plugin, [`Counts`] make numbers of samples, [`METRICS`]
//! says what they are called, and the modules behind them write and serve text.
//!
//! # Guarantees
//! The recording does not wait for it, and neither for who scrapes. However many resources there are, so many are told apart as
//! the option `resources` says; the others share the label `other`.
//!
//! # Deliberately absent
//! Labels with players, events, functions: there is no bound to how many there are. The recording has them.

mod dashboard;
mod exposition;
mod metrics;
mod serve;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_counts::{Counts, Recording};

pub use dashboard::dashboard;
pub use exposition::{Family, Format, Value, write};
pub use metrics::{Kind, METRICS, Metric, Panel};
use serve::Server;

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    listen: String,
    resources: usize,
}

/// The sink: counts, and who serves them.
struct Prometheus {
    counts: Arc<Mutex<Counts>>,
    /// `None` when the recording is over.
    server: Option<Server>,
    health: Health,
}

impl Sink for Prometheus {
    const NAME: &'static str = "prometheus";
    const ABOUT: &'static str = "Ticks and resources as metrics that Prometheus scrapes.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "listen",
        "properties": {
            "listen": {
                "type": "string", "minLength": 1, "default": "127.0.0.1:9464",
                "description": "Address and port to serve /metrics at; port 0 takes a free one."
            },
            "resources": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
                "description": "How many resources are told apart; the others share the label `other`."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let counts = Counts::new(Recording::of(metadata), options.resources);
        let counts = Arc::new(Mutex::new(counts));
        let server = Server::start(address(&options.listen)?, Arc::clone(&counts)).map_err(|error| {
            let listen = &options.listen;
            Error::new(format!("cannot listen on {listen}: {error}; name another with listen=ADDRESS:PORT"))
        })?;
        host.info(&format!("metrics at http://{}/metrics", server.address()));
        Ok(Self { counts, server: Some(server), health: Health::default() })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).take(batch);
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        self.health = self.health();
        self.server = None;
        Ok(())
    }

    fn health(&self) -> Health {
        let Some(server) = &self.server else { return self.health.clone() };
        let (scrapes, bytes) = server.answered();
        let message = if scrapes == 0 { "nobody scraped it" } else { "" };
        Health { message: message.to_owned(), written: scrapes, bytes, ..Health::default() }
    }
}

/// The address that `listen` means.
fn address(listen: &str) -> Result<SocketAddr, Error> {
    let found = listen.to_socket_addrs().map(|mut found| found.next());
    found.ok().flatten().ok_or_else(|| {
        Error::new(format!("listen: expected an address and a port, as 127.0.0.1:9464, found {listen:?}"))
    })
}

export_sink!(Prometheus);
