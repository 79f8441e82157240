//! A sink plugin of Tickscope: spans and ticks as Parquet files, by server and hour.
//!
//! ```console
//! $ tickscope run ~/server --ticks 0 --sink parquet=/srv/spans
//! $ duckdb -c "SELECT resource, sum(self_ns) / 1e6 AS ms FROM '/srv/spans/*/*/spans-*.parquet' GROUP BY ALL ORDER BY ms DESC"
//! ```
//!
//! This page decides which rows there are and when they are written, [`Table`] writes them.
//!
//! # Guarantees
//! A file that has its name is whole, and no other is written over it: it is written under another one and renamed. Each holds one group of rows, of at most a
//! minute, so that a recording that is killed leaves no more than that out. Memory is bounded: the rows of one file, and names.
//!
//! # Refuses
//! A folder that cannot be made.
//!
//! # Deliberately absent
//! Arguments, links' other ends, counters: `tickscope-sqlite` has them. Functions at depth trace, unless `categories` names them.
//! Uploads: whatever copies folders copies these.

mod rows;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_counts::{Clock, Losses, Spans, Wanted};

pub use rows::Rows;
pub use table::{SPANS, TICKS, Table};

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    folder: String,
    server: String,
    categories: Vec<String>,
    min_duration_us: u64,
    rows: usize,
    every_s: f64,
}

/// The sink.
struct Parquet {
    max_rows: usize,
    every_s: f64,
    rows: Rows,
    table: Table,
    spans: Spans,
    wanted: Wanted,
    /// When the oldest row that waits came.
    since: Option<Instant>,
    clock: Clock,
    /// Samples that this sink was too slow for.
    missed: u64,
    /// Events that the recording lost.
    losses: Losses,
    /// Rows that could not be written, and why the first could not.
    unwritten: u64,
    problem: String,
    host: Host,
}

impl Sink for Parquet {
    const NAME: &'static str = "parquet";
    const ABOUT: &'static str = "Spans and ticks as Parquet files, by server and hour.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "folder",
        "properties": {
            "folder": {
                "type": "string", "minLength": 1, "default": "tickscope-parquet",
                "description": "Where the folders server=NAME/hour=HOUR are made."
            },
            "server": {
                "type": "string", "default": "",
                "description": "The server's name; else that of what is recorded."
            },
            "categories": {
                "type": "array", "items": {"type": "string"}, "default": [],
                "description": "Write spans of these categories only; all but `function` when there are none."
            },
            "min_duration_us": {
                "type": "integer", "minimum": 0, "default": 0,
                "description": "Leave out spans that are shorter, in microseconds."
            },
            "rows": {
                "type": "integer", "minimum": 1, "maximum": 500000, "default": 200000,
                "description": "Rows of a file at most."
            },
            "every_s": {
                "type": "number", "minimum": 1, "maximum": 3600, "default": 60,
                "description": "Seconds until rows are in a file, at most."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let server = if options.server.is_empty() { metadata.subject_name() } else { &options.server };
        let clock = Clock::of(metadata);
        let table = Table::new(Path::new(&options.folder), server, clock.start_unix_ns, metadata.pid())?;
        Ok(Self {
            rows: Rows::default(),
            table,
            spans: Spans::new(metadata.raw().budget_ns),
            wanted: Wanted::new(options.categories, options.min_duration_us),
            since: None,
            clock,
            missed: 0,
            losses: Losses::default(),
            unwritten: 0,
            problem: String::new(),
            host,
            max_rows: options.rows,
            every_s: options.every_s,
        })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        if batch.missed() > 0 {
            self.missed = self.missed.saturating_add(batch.missed());
            self.spans.missing();
        }
        self.rows.names(batch.names());
        for sample in batch.samples() {
            self.losses.sample(&sample);
            let Some((span, tick)) = self.spans.sample(&sample, batch) else { continue };
            // The hour of a row is that in which its span ended: then it was written.
            let hour = self.clock.unix_ns(span.end_ns) / HOUR_NS;
            let begin_unix_ns = self.clock.unix_ns(span.begin_ns);
            if let Some(tick) = tick {
                self.rows.tick(&span, &tick, begin_unix_ns, hour);
            }
            if self.wanted.span(&span, batch.names()) {
                self.rows.span(&span, begin_unix_ns, hour, batch.names());
            }
            if self.rows.len() >= self.max_rows {
                self.write();
            }
        }
        if !self.rows.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.write_if_due();
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        self.write_if_due();
        Ok(())
    }

    // What waits is no more than a file, and that takes less than a sink has for its end.
    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        self.write();
        Ok(())
    }

    fn health(&self) -> Health {
        let (written, bytes) = self.table.written();
        let mut messages = Vec::new();
        if self.unwritten > 0 {
            messages.push(format!("{} rows are not there: {}", self.unwritten, self.problem));
        }
        if self.losses.lost() > 0 {
            messages.push(format!("the recording lost {} events", self.losses.lost()));
        }
        if self.missed > 0 {
            messages.push(format!("spans of {} missed samples are not there", self.missed));
        }
        let degraded = self.unwritten > 0;
        Health { degraded, message: messages.join("; "), written, lost: self.unwritten, bytes }
    }
}

impl Parquet {
    fn write_if_due(&mut self) {
        if self.since.is_some_and(|since| since.elapsed().as_secs_f64() >= self.every_s) {
            self.write();
        }
    }

    /// Puts the rows that wait into files of their own. A disk that is full may have room again for the next.
    fn write(&mut self) {
        self.since = None;
        let Err((rows, error)) = self.table.write(&mut self.rows) else { return };
        if self.unwritten == 0 {
            self.problem = error.to_string();
            self.host.warning(&format!("{error}: {rows} rows are not there, later ones may be"));
        }
        self.unwritten = self.unwritten.saturating_add(rows);
    }
}

export_sink!(Parquet);
