//! The text that is served: Prometheus's format 0.0.4, and OpenMetrics 1.0.
//!
//! Sources: <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::{self, Write};

use tickscope_counts::{Counts, Histogram, TICK_BOUNDS_MS};

use crate::metrics::{Kind, METRICS, Metric};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's own.
    Text,
    /// OpenMetrics.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header prefers; text when it does not say.
    pub fn accepted(accept: &str) -> Self {
        let (mut text, mut open) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                let named = parameters.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
                named.map(|(_, value)| value.trim().trim_matches('"'))
            };
            let quality = parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
            match &*kind {
                "application/openmetrics-text"
                    if parameter("version").is_none_or(|version| version == "1.0.0") =>
                {
                    open = open.max(quality);
                }
                "text/plain" => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// For `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A value in its base unit.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// As it is.
    Count(u64),
    /// Of seconds.
    Nanos(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Nanos(nanos) => write!(f, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        }
    }
}

/// A metric that is being written.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'static str,
    out: &'a mut String,
}

impl Family<'_> {
    /// A value under labels.
    pub fn value(&mut self, labels: &[(&str, &str)], value: Value) {
        self.line("", labels, value);
    }

    /// All lines of a histogram.
    pub fn histogram(&mut self, histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in TICK_BOUNDS_MS.iter().zip(histogram.buckets) {
            below += count;
            // OpenMetrics wants `1.0`, and both must be the same series.
            let bound = format!("{:?}", *bound as f64 / 1e3);
            self.line("_bucket", &[("le", &bound)], Value::Count(below));
        }
        let count = Value::Count(histogram.count());
        self.line("_bucket", &[("le", "+Inf")], count);
        self.line("_sum", &[], Value::Nanos(histogram.sum_ns));
        self.line("_count", &[], count);
    }

    fn line(&mut self, ending: &str, labels: &[(&str, &str)], value: Value) {
        self.out.push_str(self.name);
        self.out.push_str(ending);
        for (at, (name, value)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    letter => self.out.push(letter),
                }
            }
            self.out.push('"');
        }
        let end = if labels.is_empty() { " " } else { "} " };
        let _ = writeln!(self.out, "{end}{value}"); // a String takes it
    }
}

/// All metrics.
pub fn write(counts: &Counts, format: Format) -> String {
    let mut out = String::new();
    for metric in METRICS {
        head(metric, format, &mut out);
        (metric.values)(counts, &mut Family { name: metric.name, out: &mut out });
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn head(metric: &Metric, format: Format, out: &mut String) {
    let Metric { name, kind, unit, help, .. } = metric;
    // Writing to a String cannot fail.
    let _ = match format {
        Format::Text => {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge | Kind::Info => "gauge",
                Kind::Histogram => "histogram",
            };
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
        }
        Format::OpenMetrics => {
            let (ending, kind) = match kind {
                Kind::Counter => ("_total", "counter"),
                Kind::Gauge => ("", "gauge"),
                Kind::Histogram => ("", "histogram"),
                Kind::Info => ("_info", "info"),
            };
            let name = name.strip_suffix(ending).unwrap_or(name);
            let unit = if unit.is_empty() { String::new() } else { format!("# UNIT {name} {unit}\n") };
            writeln!(out, "# TYPE {name} {kind}\n{unit}# HELP {name} {help}")
        }
    };
}
