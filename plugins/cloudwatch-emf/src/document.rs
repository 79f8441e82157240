//! One document of the Embedded Metric Format.

use std::fmt;

use serde_json::{Map, Value, json};

/// What a metric's numbers are, in CloudWatch's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Times.
    Milliseconds,
    /// Sizes.
    Bytes,
    /// How many.
    Count,
}

impl Unit {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
            Self::Count => "Count",
        }
    }
}

/// What a metric is called, and what its numbers are.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// A sentence.
    pub help: &'static str,
}

/// A moment's figures under one set of dimensions.
#[derive(Clone, Debug)]
pub struct Document {
    /// Milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The metrics' namespace.
    pub namespace: String,
    /// Whether figures are kept by the second and not by the minute.
    pub high_resolution: bool,
    /// Names and values: a set that all metrics have.
    pub dimensions: Vec<(&'static str, String)>,
    /// One number, or up to 100 of them.
    pub metrics: Vec<(Metric, Vec<f64>)>,
}

/// Numbers that one metric of a document may have.
pub const MAX_VALUES: usize = 100;
/// Bytes of a dimension's value.
const MAX_VALUE: usize = 1024;

/// `text` as the value of a dimension, which is of printable ASCII and not blank: other bytes, and `%`, are written as `%C3`.
pub fn dimension_value(text: &str) -> String {
    let mut value = String::new();
    for byte in text.bytes() {
        let plain = (b' '..=b'~').contains(&byte) && byte != b'%';
        let next = if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        if value.len() + next.len() > MAX_VALUE {
            break;
        }
        value.push_str(&next);
    }
    if value.trim().is_empty() { "unknown".into() } else { value }
}

/// The line, without its end. Numbers are finite.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let definition = |(metric, _): &(Metric, Vec<f64>)| {
            let mut definition = json!({ "Name": metric.name, "Unit": metric.unit.name() });
            if self.high_resolution {
                definition["StorageResolution"] = json!(1);
            }
            definition
        };
        let metrics: Vec<Value> = self.metrics.iter().map(definition).collect();
        let mut root = Map::new();
        root.insert(
            "_aws".into(),
            json!({
                "Timestamp": self.time_ms,
                "CloudWatchMetrics": [
                    { "Namespace": self.namespace, "Dimensions": [names], "Metrics": metrics },
                ],
            }),
        );
        for (name, value) in &self.dimensions {
            root.insert((*name).into(), value.as_str().into());
        }
        for (metric, values) in &self.metrics {
            let value = match &values[..] {
                [value] => json!(value),
                values => json!(values),
            };
            root.insert(metric.name.into(), value);
        }
        f.write_str(&Value::Object(root).to_string())
    }
}
