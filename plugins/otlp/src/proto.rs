//! The messages of OTLP that are sent, as protobuf (by number) and as OTLP/JSON (by name): ids in hex, 64-bit whole numbers as
//! text, enumerations as numbers.
//!
//! Declared here, and not taken from `opentelemetry-proto`: that brings OpenTelemetry's API and SDK, and another major version
//! each few months. Source: opentelemetry-proto 1.x, `trace.proto`, `metrics.proto`, `common.proto`, `resource.proto`.

use prost::{Message, Oneof};
use serde::{Serialize, Serializer};

/// Body of a post to `/v1/traces`.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traces {
    /// One, for one resource is recorded.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// Spans of a resource.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpans {
    /// What is recorded.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// One.
    #[prost(message, repeated, tag = "2")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// What tells of itself: a server.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// `service.name` and so on.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Who tells.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// `tickscope`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of this plugin.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// Spans told by one.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeSpans {
    /// Who.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The spans.
    #[prost(message, repeated, tag = "2")]
    pub spans: Vec<Span>,
}

/// A span.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(serialize_with = "hex")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(serialize_with = "hex")]
    pub span_id: Vec<u8>,
    /// 8 bytes, or none of a trace's root.
    #[prost(bytes = "vec", tag = "4")]
    #[serde(serialize_with = "hex", skip_serializing_if = "Vec::is_empty")]
    pub parent_span_id: Vec<u8>,
    /// What was called.
    #[prost(string, tag = "5")]
    pub name: String,
    /// [`INTERNAL`] or [`SERVER`].
    #[prost(int32, tag = "6")]
    pub kind: i32,
    /// Since 1970.
    #[prost(fixed64, tag = "7")]
    #[serde(serialize_with = "text")]
    pub start_time_unix_nano: u64,
    /// Since 1970.
    #[prost(fixed64, tag = "8")]
    #[serde(serialize_with = "text")]
    pub end_time_unix_nano: u64,
    /// Where it is, and its arguments.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// Those that were too many.
    #[prost(uint32, tag = "10")]
    pub dropped_attributes_count: u32,
    /// Errors that were reported in it.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
    /// Those that were too many.
    #[prost(uint32, tag = "12")]
    pub dropped_events_count: u32,
    /// What caused it.
    #[prost(message, repeated, tag = "13")]
    pub links: Vec<Link>,
    /// What became of it.
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
    /// As in `traceparent`: [`SAMPLED`].
    #[prost(fixed32, tag = "16")]
    pub flags: u32,
}

/// Kind of a span: work of a program.
pub const INTERNAL: i32 = 1;
/// Kind of a span: it handles a request.
pub const SERVER: i32 = 2;
/// Flag of a span and a link.
pub const SAMPLED: u32 = 1;

/// Something within a span.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Since 1970.
    #[prost(fixed64, tag = "1")]
    #[serde(serialize_with = "text")]
    pub time_unix_nano: u64,
    /// `exception`, or what a script calls it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its arguments.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

/// Another span that caused this one.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(serialize_with = "hex")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(serialize_with = "hex")]
    pub span_id: Vec<u8>,
    /// How.
    #[prost(message, repeated, tag = "4")]
    pub attributes: Vec<KeyValue>,
    /// [`SAMPLED`].
    #[prost(fixed32, tag = "6")]
    pub flags: u32,
}

/// What became of a span.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// [`ERROR`].
    #[prost(int32, tag = "3")]
    pub code: i32,
}

/// Code of a status.
pub const ERROR: i32 = 2;

/// An attribute.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value.
#[derive(Clone, PartialEq, Message, Serialize)]
pub struct AnyValue {
    /// Of one of the types.
    #[prost(oneof = "Value", tags = "1, 2, 3, 4")]
    #[serde(flatten)]
    pub value: Option<Value>,
}

/// Types of values.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::enum_variant_names, reason = "as the specification calls them, for JSON")]
pub enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    StringValue(String),
    /// Yes or no.
    #[prost(bool, tag = "2")]
    BoolValue(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    IntValue(#[serde(serialize_with = "text")] i64),
    /// Any other.
    #[prost(double, tag = "4")]
    DoubleValue(#[serde(serialize_with = "double")] f64),
}

/// Body of a post to `/v1/metrics`.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// One, for one resource is recorded.
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// Metrics of a resource.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetrics {
    /// What is recorded.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// One.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// Metrics told by one.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeMetrics {
    /// Who.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// The metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// A metric.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// One line.
    #[prost(string, tag = "2")]
    pub description: String,
    /// As UCUM writes it.
    #[prost(string, tag = "3")]
    pub unit: String,
    /// Its figures.
    #[prost(oneof = "Data", tags = "5, 7, 9")]
    #[serde(flatten)]
    pub data: Option<Data>,
}

/// Kinds of metrics.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    /// It goes up and down.
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    /// It only grows.
    #[prost(message, tag = "7")]
    Sum(Sum),
    /// How many, by size.
    #[prost(message, tag = "9")]
    Histogram(Histogram),
}

impl Data {
    /// Whether there are no figures.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Gauge(gauge) => gauge.data_points.is_empty(),
            Self::Sum(sum) => sum.data_points.is_empty(),
            Self::Histogram(histogram) => histogram.data_points.is_empty(),
        }
    }
}

/// Values of a gauge.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gauge {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
}

/// Values of a sum.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sum {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    /// Yes.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// Values of a histogram.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// One.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// Figures are since the start.
pub const CUMULATIVE: i32 = 2;

/// A value.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberDataPoint {
    /// Of what.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    /// Since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(serialize_with = "text")]
    pub start_time_unix_nano: u64,
    /// Since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(serialize_with = "text")]
    pub time_unix_nano: u64,
    /// How much.
    #[prost(oneof = "Number", tags = "4, 6")]
    #[serde(flatten)]
    pub value: Option<Number>,
}

/// Types of numbers.
#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Number {
    /// Any.
    #[prost(double, tag = "4")]
    AsDouble(#[serde(serialize_with = "double")] f64),
    /// A whole one.
    #[prost(sfixed64, tag = "6")]
    AsInt(#[serde(serialize_with = "text")] i64),
}

/// How many there are between the bounds.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistogramDataPoint {
    /// Since 1970.
    #[prost(fixed64, tag = "2")]
    #[serde(serialize_with = "text")]
    pub start_time_unix_nano: u64,
    /// Since 1970.
    #[prost(fixed64, tag = "3")]
    #[serde(serialize_with = "text")]
    pub time_unix_nano: u64,
    /// All.
    #[prost(fixed64, tag = "4")]
    #[serde(serialize_with = "text")]
    pub count: u64,
    /// Of all.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// One more than there are bounds.
    #[prost(fixed64, repeated, tag = "6")]
    #[serde(serialize_with = "texts")]
    pub bucket_counts: Vec<u64>,
    /// The greatest of each but the last.
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
}

/// What a receiver answers where it took not all: of traces and of metrics alike.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// Not there where it took all.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What it did not take.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// Spans or data points.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    /// For people.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

fn hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a string takes all
    }
    serializer.serialize_str(&text)
}

fn text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn texts<S: Serializer>(values: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(u64::to_string))
}

/// JSON has no numbers for these; protobuf's has words.
fn double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        value if value.is_nan() => serializer.serialize_str("NaN"),
        value if value.is_infinite() => {
            serializer.serialize_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
        }
        value => serializer.serialize_f64(*value),
    }
}

impl KeyValue {
    /// An attribute.
    pub fn new(key: &str, value: Value) -> Self {
        Self { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }

    /// An attribute that is text.
    pub fn text(key: &str, value: &str) -> Self {
        Self::new(key, Value::StringValue(value.to_owned()))
    }

    /// An attribute that is a whole number.
    pub fn int(key: &str, value: impl TryInto<i64>) -> Self {
        Self::new(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)))
    }
}
