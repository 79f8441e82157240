//! A sink plugin of Tickscope: ticks and resources as CloudWatch metrics, in the Embedded Metric Format.
//!
//! ```console
//! $ tickscope run ~/server --sink cloudwatch-emf=/var/log/tickscope.emf
//! ```
//!
//! The plugin writes lines of JSON to a file or to standard output. The CloudWatch agent, Lambda, or a container's log driver
//! takes them to CloudWatch Logs, which makes metrics of them.
//!
//! # Guarantees
//! Each line is a document of the [specification]: at most 100 values a metric, 30 dimensions and 1 MB, and far fewer here.
//! Times are those of what is counted, not of the writing. Metrics are bounded: 6 for each resource that is told apart, and 5
//! beside. No network is used, and no credential read.
//!
//! # Refuses
//! A file that cannot be opened; it is told which, and why. A disk that is full later costs the lines that find no room, whole ones.
//!
//! # Deliberately absent
//! Posting to CloudWatch: that needs an account, keys and retries, which the agent has. Dimensions with players, events or
//! functions: CloudWatch charges for each combination.
//!
//! [specification]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

mod document;
mod interval;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_counts::{Counts, Recording, Records};

pub use document::{Document, Metric, Unit, dimension_value};
pub use interval::{Interval, METRICS};

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    file: String,
    namespace: String,
    server: String,
    seconds: u64,
    resources: usize,
}

/// The sink.
struct Emf {
    interval: Interval,
    out: Records<Box<dyn Write + Send>>,
    to: String,
    host: Host,
}

impl Emf {
    /// Writes documents, a line each.
    fn write(&mut self, documents: &[Document]) {
        for document in documents {
            self.out.push(format!("{document}\n").as_bytes());
        }
    }
}

fn cannot_write(to: &str, error: &std::io::Error) -> Error {
    Error::new(format!("cannot write {to}: {error}; name another file with file=PATH"))
}

impl Sink for Emf {
    const NAME: &'static str = "cloudwatch-emf";
    const ABOUT: &'static str = "Ticks and resources as CloudWatch metrics, in the Embedded Metric Format.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "file",
        "properties": {
            "file": {
                "type": "string", "minLength": 1, "default": "tickscope.emf",
                "description": "Where lines are appended; - is standard output."
            },
            "namespace": {
                "type": "string", "minLength": 1, "maxLength": 255, "default": "Tickscope",
                "description": "The metrics' namespace."
            },
            "server": {
                "type": "string", "maxLength": 1024, "default": "",
                "description": "The dimension Server; what is recorded where it is empty."
            },
            "seconds": {
                "type": "integer", "minimum": 1, "maximum": 3600, "default": 60,
                "description": "How often figures are written; below 60 they are of high resolution."
            },
            "resources": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 20,
                "description": "How many resources are told apart; the others share the name other."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        if options.namespace.starts_with(':') || options.namespace.trim().is_empty() {
            let reason = format!(
                "namespace: expected a name that does not begin with :, found {:?}",
                options.namespace
            );
            return Err(Error::new(reason));
        }
        let (to, out): (String, Box<dyn Write + Send>) = match &*options.file {
            "-" => ("standard output".into(), Box::new(std::io::stdout())),
            file => {
                let opened = File::options().append(true).create(true).open(file);
                (file.into(), Box::new(opened.map_err(|error| cannot_write(file, &error))?))
            }
        };
        host.info(&format!("metrics go to {to}, every {} s", options.seconds));
        let server = if options.server.is_empty() { metadata.subject() } else { &options.server };
        let counts = Counts::new(Recording::of(metadata), options.resources);
        let clock = (metadata.start_ns(), metadata.unix_ns(metadata.start_ns()));
        let interval =
            Interval::new(counts, clock, &options.namespace, server, Duration::from_secs(options.seconds));
        Ok(Self { interval, out: Records::new(out), to, host })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.interval.missing(batch.missed());
        for sample in batch.samples() {
            let due = self.interval.take(&sample, batch.names());
            self.write(&due);
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        match self.out.flush_and_tell(&self.to) {
            Some(Err(why)) => self.host.warning(&why),
            Some(Ok(line)) => self.host.info(&line),
            None => {}
        }
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        let last = self.interval.finish();
        self.write(&last);
        self.flush(within)
    }

    fn health(&self) -> Health {
        let (written, bytes, lost) = (self.out.written(), self.out.bytes(), self.out.lost());
        let message =
            if lost > 0 { format!("{lost} lines found no room in {}", self.to) } else { String::new() };
        Health { degraded: lost > 0, message, written, lost, bytes }
    }
}

export_sink!(Emf);
