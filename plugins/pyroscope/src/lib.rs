//! A sink plugin of Tickscope: call paths pushed to Pyroscope while a recording runs.
//!
//! ```console
//! $ tickscope run ~/server --ticks 0 --sink pyroscope=http://127.0.0.1:4040
//! ```
//!
//! Every few seconds of the recording, what each call path took and allocated since the last time is posted as two profiles of
//! `pprof`: [`Window`] makes them, [`Samples`] turns what crosses into what adds up call paths.
//!
//! # Guarantees
//! The recording does not wait for it, nor for the network. The times of all profiles together are those that `tickscope
//! convert --to pprof` finds in the capture; memory is no less than there, and more where an estimate went down again after it
//! was sent. Series are bounded: as many as resources are told apart. A server that is away is tried again
//! for five minutes. Time and memory wait apart: a server that refuses one of them gets the other, and which one is told.
//!
//! # Refuses
//! An address that is none, and labels that Pyroscope does not take: before the recording starts, in one line that shows no
//! secret.
//!
//! # Deliberately absent
//! Labels by track, event or player: each value would be a series.

mod samples;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_core::Sink as _;
use tickscope_export::paths::Paths;
use tickscope_push::{Header, Lanes, News, Post, Settings, Target, headers};

pub use samples::Samples;
pub use window::{Kind, Window};

/// Of the time there is at the end, what the way back to the host may take.
const MARGIN: Duration = Duration::from_millis(100);

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    url: String,
    service: String,
    labels: BTreeMap<String, serde_json::Value>,
    headers: BTreeMap<String, serde_json::Value>,
    every_s: f64,
    resources: usize,
}

/// The sink.
struct Pyroscope {
    host: Host,
    target: Target,
    headers: Vec<Header>,
    /// Service and labels, as the address has them.
    name: String,
    samples: Samples,
    paths: Paths,
    window: Window,
    every_ns: u64,
    /// When the window that is open began, and the newest sample.
    from_ns: u64,
    last_ns: u64,
    start_ns: u64,
    start_unix_ns: u64,
    /// One for each [`Kind`].
    lanes: Lanes,
}

impl Sink for Pyroscope {
    const NAME: &'static str = "pyroscope";
    const ABOUT: &'static str = "Call paths pushed to Pyroscope: time and memory.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "url",
        "properties": {
            "url": {
                "type": "string", "minLength": 1, "default": "http://127.0.0.1:4040",
                "description": "Where Pyroscope is, or an Alloy that receives for it; /ingest is added."
            },
            "service": {
                "type": "string", "default": "",
                "description": "service_name; else the name of what is recorded."
            },
            "labels": {
                "type": "object", "additionalProperties": true, "default": {},
                "description": "Labels of all profiles, as {\"server\": \"eu-1\"}."
            },
            "headers": {
                "type": "object", "additionalProperties": true, "default": {},
                "description": "Headers of each request, as {\"Authorization\": \"env:TOKEN\"}: env:NAME is that variable's text."
            },
            "every_s": {
                "type": "number", "minimum": 1, "maximum": 3600, "default": 10,
                "description": "Seconds of the recording in one profile."
            },
            "resources": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
                "description": "How many resources are told apart by a label; the others share `other`."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let target = Target::new(&options.url)?.join("/ingest")?;
        let settings = Settings { name: "pyro".into(), ..Settings::default() };
        Ok(Self {
            host,
            target,
            headers: headers(options.headers.iter().map(|(name, value)| (&**name, value.as_str())))?,
            name: name(&options, metadata)?,
            samples: Samples::default(),
            paths: Paths::default(),
            window: Window::new(metadata.subject(), options.resources),
            every_ns: (options.every_s * 1e9) as u64,
            from_ns: metadata.start_ns(),
            last_ns: metadata.start_ns(),
            start_ns: metadata.start_ns(),
            start_unix_ns: metadata.unix_ns(metadata.start_ns()),
            lanes: Lanes::start(&["profiles of time", "profiles of memory"], settings)?,
        })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        if batch.missed() > 0 {
            self.paths.forget();
        }
        let converted = self.samples.convert(batch);
        let newest = converted.samples.iter().map(|sample| sample.time_ns).max();
        self.paths.batch(&converted)?;
        self.last_ns = self.last_ns.max(newest.unwrap_or(0));
        if self.last_ns.saturating_sub(self.from_ns) >= self.every_ns {
            self.push()?;
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        for news in self.lanes.news() {
            match news {
                News::Fails(what, why) => self.host.warning(&format!("{what} do not arrive: {why}")),
                News::Works(what) => self.host.info(&format!("{what} arrive again")),
            }
        }
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        self.paths.finish()?;
        self.push()?;
        self.lanes.finish(within.saturating_sub(MARGIN));
        Ok(())
    }

    fn health(&self) -> Health {
        let report = self.lanes.report();
        let degraded = report.error.is_some();
        let message = report.error.unwrap_or_default();
        Health { degraded, message, written: report.sent, lost: report.lost, bytes: report.bytes }
    }
}

impl Pyroscope {
    /// Posts what came since the last time.
    fn push(&mut self) -> Result<(), Error> {
        let unix_ns = |time_ns: u64| self.start_unix_ns.saturating_add(time_ns.saturating_sub(self.start_ns));
        let (from, until) = (unix_ns(self.from_ns), unix_ns(self.last_ns));
        let profiles = self.window.profiles(&self.paths, from, until.saturating_sub(from))?;
        self.from_ns = self.last_ns;
        let (from, until) = ((from / 1_000_000_000).to_string(), until.div_ceil(1_000_000_000).to_string());
        for (kind, body) in profiles {
            let query = [
                ("name", &*self.name),
                ("from", &*from),
                ("until", &*until),
                ("format", "pprof"),
                ("spyName", "tickscope"),
            ];
            let to = self.target.query(&query)?;
            let content = Header::new("Content-Type", "application/octet-stream")?;
            // A user's word is the last.
            let headers = [content].into_iter().chain(self.headers.iter().cloned()).collect();
            self.lanes.post(kind as usize, Post { to, headers, body });
        }
        Ok(())
    }
}

/// `service{label=value,…}`, as `/ingest` takes it: there is no way to quote.
fn name(options: &Options, metadata: &Metadata<'_>) -> Result<String, Error> {
    let service = if options.service.is_empty() { metadata.subject_name() } else { &options.service };
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let mut name: String = service.chars().map(|c| if known(c) { c } else { '_' }).collect();
    if name.is_empty() {
        name.push_str("tickscope");
    }
    let mut labels = Vec::new();
    for (label, value) in &options.labels {
        let begins = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || label.starts_with("__")
        {
            return Err(Error::new(format!(
                "labels: {label:?} is no name of a label: expected letters, digits and single `_` in front"
            )));
        }
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(value) => value.to_string(),
            _ => return Err(Error::new(format!("labels: {label}: expected a text or a number"))),
        };
        if value.contains([',', '}', '{']) {
            return Err(Error::new(format!(
                "labels: {label}: Pyroscope takes no comma and no brace in a value"
            )));
        }
        labels.push(format!("{label}={value}"));
    }
    Ok(format!("{name}{{{}}}", labels.join(",")))
}

export_sink!(Pyroscope);
