//! Messages on their way: encoded, posted, and what came back.

use prost::Message;
use serde::Serialize;
use serde_json::Value;
use tickscope_abi::Error;
use tickscope_push::{Answer, Header, Lanes, Post, Settings, Target};

use crate::proto::{
    self, Metric, Metrics, Resource, ResourceMetrics, ResourceSpans, Scope, ScopeMetrics, ScopeSpans, Span,
    Traces,
};

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// What is sent, in the order of the lanes: a receiver that takes one of them need not take the other.
const TRACES: usize = 0;
const METRICS: usize = 1;

/// Sends to one receiver.
pub struct Exporter {
    /// How it goes.
    pub lanes: Lanes,
    traces: Target,
    metrics: Target,
    headers: Vec<Header>,
    encoding: Encoding,
    resource: Resource,
}

impl Exporter {
    /// To the paths `/v1/traces` and `/v1/metrics` behind `endpoint`.
    pub fn start(
        endpoint: &str,
        given: Vec<Header>,
        encoding: Encoding,
        gzip: bool,
        resource: Resource,
    ) -> Result<Self, Error> {
        // Some tools ask for the whole address; here it may be given too.
        let base = endpoint.trim().trim_end_matches('/').trim_end_matches("/v1/traces");
        let base = Target::new(base).map_err(|error| Error::new(format!("endpoint: {error}")))?;
        let content_type = match encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        // A user's word is the last.
        let headers = [Header::new("Content-Type", content_type)?].into_iter().chain(given).collect();
        let settings = Settings {
            name: "otlp".into(),
            user_agent: concat!("tickscope-otlp/", env!("CARGO_PKG_VERSION")).into(),
            gzip,
            read: Some(rejected),
            ..Settings::default()
        };
        let (traces, metrics) = (base.join("/v1/traces")?, base.join("/v1/metrics")?);
        let lanes = Lanes::start(&["traces", "metrics"], settings)?;
        Ok(Self { lanes, traces, metrics, headers, encoding, resource })
    }

    /// Queues spans.
    pub fn spans(&self, spans: Vec<Span>) {
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
        let message = Traces {
            resource_spans: vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }],
        };
        self.post(TRACES, &self.traces, &message);
    }

    /// Queues metrics.
    pub fn metrics(&self, metrics: Vec<Metric>) {
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
        let resource = Some(self.resource.clone());
        self.post(
            METRICS,
            &self.metrics,
            &Metrics { resource_metrics: vec![ResourceMetrics { resource, scope_metrics }] },
        );
    }

    fn post(&self, lane: usize, to: &Target, message: &(impl Message + Serialize)) {
        let body = encoded(message, self.encoding);
        self.lanes.post(lane, Post { to: to.clone(), headers: self.headers.clone(), body });
    }
}

/// A message in bytes.
pub fn encoded(message: &(impl Message + Serialize), encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => message.encode_to_vec(),
        Encoding::Json => serde_json::to_vec(message).unwrap_or_default(), // text, numbers and lists of them
    }
}

fn scope() -> Scope {
    Scope { name: "tickscope".into(), version: env!("CARGO_PKG_VERSION").into() }
}

/// What a receiver that took a message left out of it.
fn rejected(answer: &Answer<'_>) -> Option<String> {
    if !(200..300).contains(&answer.status) {
        return None;
    }
    let (rejected, message) = if answer.content_type.starts_with("application/json") {
        let answer: Value = serde_json::from_slice(answer.body).ok()?;
        let partial = answer.get("partialSuccess")?;
        // A 64-bit number: text.
        let number = |name: &str| match partial.get(name)? {
            Value::String(text) => text.parse().ok(),
            number => number.as_i64(),
        };
        let rejected = number("rejectedSpans").or_else(|| number("rejectedDataPoints")).unwrap_or(0);
        (rejected, partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default().to_owned())
    } else {
        let partial = proto::Response::decode(answer.body).ok()?.partial_success?;
        (partial.rejected, partial.error_message)
    };
    if rejected == 0 && message.is_empty() {
        return None;
    }
    let said: String = message.chars().filter(|letter| !letter.is_control()).take(200).collect();
    Some(format!("it took a message but for {rejected} parts of it: {said:?}"))
}
