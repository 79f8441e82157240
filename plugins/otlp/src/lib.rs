//! A sink plugin of Tickscope: late ticks and slow events as OpenTelemetry traces, ticks and resources as metrics.
//!
//! ```console
//! $ tickscope run ~/server --sink otlp=http://127.0.0.1:4318
//! ```
//!
//! A tick over the budget is a trace: the tick is its root, and what the server started in it are spans inside. Of other ticks,
//! what took as long as `threshold_ms` is sent, with what it was in. Operations that no tick runs (queries, transfers) are traces
//! of their own, with a link to what caused them. Spans that `tickscope::context_span!` made keep the ids they have in
//! `traceparent`, so that they are a part of the trace that other programs sent.
//!
//! # Guarantees
//! The recording does not wait for it. Spans and metrics are written by the recording's clock, fixed to the wall clock at its
//! start. What is sent is bounded: so many traces a minute, so many spans in each, and the longest are those that are kept. A
//! receiver that is away is tried again for five minutes. Traces and metrics wait apart: a receiver that refuses or puts off one
//! of them gets the other.
//!
//! # Refuses
//! An endpoint that is none, headers that HTTP does not allow: before the recording starts, in one line. No message shows a
//! header's value or more of the endpoint than its place.
//!
//! # Deliberately absent
//! Functions and coroutines as spans: a trace of some hundred spans is looked at, one of a million is not; the capture has them.
//! gRPC, and the profiles signal, which is not stable.

mod export;
mod follow;
mod ids;
mod metrics;
pub mod proto;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_counts::{Clock, Counts, Recording};
use tickscope_push::{News, headers};

use export::{Encoding, Exporter};
use follow::{Follower, Thresholds};
use ids::Ids;
use proto::{KeyValue, Resource, Value};

/// Spans of one message.
const SPANS_PER_POST: usize = 512;
/// Of the time there is at the end, what the way back to the host may take.
const MARGIN: Duration = Duration::from_millis(100);

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    endpoint: String,
    encoding: Encoding,
    gzip: bool,
    headers: BTreeMap<String, serde_json::Value>,
    service: String,
    attributes: BTreeMap<String, serde_json::Value>,
    threshold_ms: f64,
    tick_ms: f64,
    traces_per_minute: u32,
    spans_per_trace: usize,
    metrics: bool,
    metrics_interval_s: f64,
    resources: usize,
}

/// The sink.
struct Otlp {
    host: Host,
    follower: Follower,
    clock: Clock,
    counts: Option<Counts>,
    exporter: Exporter,
    interval_ns: u64,
    /// When metrics are next, by the recording's clock.
    next_ns: u64,
    last_ns: u64,
}

impl Sink for Otlp {
    const NAME: &'static str = "otlp";
    const ABOUT: &'static str =
        "Late ticks and slow events as OpenTelemetry traces, ticks and resources as metrics.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "endpoint",
        "properties": {
            "endpoint": {
                "type": "string", "minLength": 1, "default": "http://127.0.0.1:4318",
                "description": "Where OTLP over HTTP is taken; /v1/traces and /v1/metrics are added."
            },
            "encoding": {
                "type": "string", "enum": ["protobuf", "json"], "default": "protobuf",
                "description": "How messages are written."
            },
            "gzip": {"type": "boolean", "default": true, "description": "Whether messages are compressed."},
            "headers": {
                "type": "object", "additionalProperties": true, "default": {},
                "description": "Headers of each request, as {\"Authorization\": \"env:TOKEN\"}: env:NAME is that variable's text."
            },
            "service": {
                "type": "string", "default": "",
                "description": "service.name; else the name of what is recorded."
            },
            "attributes": {
                "type": "object", "additionalProperties": true, "default": {},
                "description": "More attributes of the resource, as {\"deployment.environment.name\": \"live\"}."
            },
            "threshold_ms": {
                "type": "number", "minimum": 0, "maximum": 3600000, "default": 10,
                "description": "What took as long is sent."
            },
            "tick_ms": {
                "type": "number", "minimum": 0, "maximum": 3600000, "default": 0,
                "description": "A tick that took longer is sent with all that was started in it; 0 takes the recording's budget."
            },
            "traces_per_minute": {
                "type": "integer", "minimum": 1, "maximum": 100000, "default": 120,
                "description": "How many traces are sent; the others are counted."
            },
            "spans_per_trace": {
                "type": "integer", "minimum": 1, "maximum": 10000, "default": 256,
                "description": "How many spans of a tick are sent: the longest."
            },
            "metrics": {"type": "boolean", "default": true, "description": "Whether metrics are sent."},
            "metrics_interval_s": {
                "type": "number", "minimum": 0.1, "maximum": 3600, "default": 10,
                "description": "From one message of metrics to the next."
            },
            "resources": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
                "description": "How many resources are told apart in metrics; the others share the name `other`."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let clock = Clock::of(metadata);
        let ids = Ids::new(clock.start_unix_ns, metadata.pid());
        let tick_ns = match options.tick_ms {
            0.0 => metadata.raw().budget_ns,
            tick_ms => nanoseconds(tick_ms),
        };
        let thresholds = Thresholds {
            tick_ns,
            span_ns: nanoseconds(options.threshold_ms),
            max_spans: options.spans_per_trace,
        };
        let interval_ns = nanoseconds(options.metrics_interval_s * 1e3);
        let exporter = Exporter::start(
            &options.endpoint,
            headers(options.headers.iter().map(|(name, value)| (&**name, value.as_str())))?,
            options.encoding,
            options.gzip,
            resource(&options, metadata)?,
        )?;
        Ok(Self {
            host,
            follower: Follower::new(ids, clock, thresholds, options.traces_per_minute),
            clock,
            counts: options.metrics.then(|| Counts::new(Recording::of(metadata), options.resources)),
            exporter,
            interval_ns,
            next_ns: clock.start_ns.saturating_add(interval_ns),
            last_ns: clock.start_ns,
        })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.follower.take(batch);
        if let Some(counts) = &mut self.counts {
            counts.take(batch);
        }
        let newest = batch.raw_samples().iter().map(|sample| sample.time_ns).max();
        self.last_ns = self.last_ns.max(newest.unwrap_or(0));
        if self.last_ns >= self.next_ns {
            self.next_ns = self.last_ns.saturating_add(self.interval_ns);
            self.send_metrics();
        }
        if self.follower.waiting() >= SPANS_PER_POST {
            self.send_spans();
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        self.send_spans();
        for news in self.exporter.lanes.news() {
            match news {
                News::Fails(what, why) => self.host.warning(&format!("{what} do not arrive: {why}")),
                News::Works(what) => self.host.info(&format!("{what} arrive again")),
            }
        }
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        self.send_spans();
        self.send_metrics();
        self.exporter.lanes.finish(within.saturating_sub(MARGIN));
        Ok(())
    }

    fn health(&self) -> Health {
        let report = self.exporter.lanes.report();
        let degraded = report.error.is_some();
        let mut message: Vec<String> = report.error.into_iter().collect();
        if self.follower.left_out() > 0 {
            let left_out = self.follower.left_out();
            message.push(format!("{left_out} traces more than traces_per_minute allows were left out"));
        }
        let message = message.join("; ");
        Health { degraded, message, written: report.sent, lost: report.lost, bytes: report.bytes }
    }
}

impl Otlp {
    fn send_spans(&mut self) {
        let mut spans = self.follower.ready();
        while !spans.is_empty() {
            let rest = spans.split_off(spans.len().min(SPANS_PER_POST));
            self.exporter.spans(std::mem::replace(&mut spans, rest));
        }
    }

    fn send_metrics(&mut self) {
        if let Some(counts) = &self.counts {
            let mut metrics = metrics::metrics(counts, self.clock, self.last_ns);
            // Of heaps, for one, nothing may be known yet.
            metrics.retain(|metric| metric.data.as_ref().is_some_and(|data| !data.is_empty()));
            self.exporter.metrics(metrics);
        }
    }
}

/// Up to an hour, as the schema allows.
fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

/// What tells of itself: a service, its process, and what the user said of it.
fn resource(options: &Options, metadata: &Metadata<'_>) -> Result<Resource, Error> {
    let name = match &*options.service {
        "" => metadata.subject_name(),
        name => name,
    };
    let mut attributes = vec![
        KeyValue::text("service.name", if name.is_empty() { "tickscope" } else { name }),
        KeyValue::int("process.pid", metadata.pid()),
        KeyValue::text("tickscope.producer", metadata.producer()),
        KeyValue::text("tickscope.subject", metadata.subject()),
        KeyValue::text("tickscope.depth", metadata.depth()),
    ];
    for (name, value) in &options.attributes {
        let value = match value {
            serde_json::Value::String(text) => Value::StringValue(text.clone()),
            serde_json::Value::Bool(value) => Value::BoolValue(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::DoubleValue(number.as_f64().unwrap_or(0.0)), Value::IntValue),
            _ => {
                return Err(Error::new(format!(
                    "attributes: {name}: expected text, a number, true or false"
                )));
            }
        };
        // A user's word is the last.
        attributes.retain(|attribute| attribute.key != *name);
        attributes.push(KeyValue::new(name, value));
    }
    Ok(Resource { attributes })
}

export_sink!(Otlp);
