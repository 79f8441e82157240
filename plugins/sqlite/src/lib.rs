//! A sink plugin of Tickscope: spans and ticks as tables of an SQLite database.
//!
//! ```console
//! $ tickscope run ~/server --sink sqlite=city.sqlite
//! $ sqlite3 city.sqlite 'SELECT number, duration_ns / 1e6 AS ms FROM ticks ORDER BY ms DESC LIMIT 5'
//! ```
//!
//! This page decides what is written, [`Database`] writes it, and `schema.sql` says where.
//!
//! # Guarantees
//! The file can be read while it is written. A recording that is killed leaves all that was written up to its last second: SQLite
//! takes what lies in the `-wal` file beside it. A disk that is full costs the rows of its time. At its end there is one file, where nobody reads it and there is time. The size is bounded: when `max_mb` are full,
//! ticks alone are written on, and nothing when there are as many again.
//!
//! # Refuses
//! To replace a file that this plugin did not write, or that another recording writes.
//!
//! # Deliberately absent
//! Stack samples: call paths of them are what `tickscope convert --to pprof` and flame graphs are for. Functions at depth
//! trace, unless `categories` names them: there are as many as calls.

mod database;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{ArgValue, Batch, Error, Event, Flow, Health, Host, Metadata, Range, Sink, export_sink};
use tickscope_counts::{Losses, OpenSpans, Span, Spans, Wanted};

pub use database::{Arg, Database, Gaps, Lacks, SCHEMA};

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    file: String,
    categories: Vec<String>,
    min_duration_us: u64,
    args: bool,
    max_mb: u64,
}

/// The sink: what is written, and where.
struct Sqlite {
    write_args: bool,
    max_mb: u64,
    database: Database,
    spans: Spans,
    /// Arguments that open spans began with.
    begun: OpenSpans<Vec<(String, Arg)>>,
    wanted: Wanted,
    full: bool,
    /// Twice as much is there: no tick is written either.
    closed: bool,
    /// Samples that this sink was too slow for.
    missed: u64,
    /// Events that the recording lost.
    losses: Losses,
    /// Rows left out because the file is full.
    left_out: u64,
    /// What was told of rows that are left out.
    told: Gaps,
    last_ns: u64,
    host: Host,
    health: Health,
}

impl Sink for Sqlite {
    const NAME: &'static str = "sqlite";
    const ABOUT: &'static str = "Spans and ticks as tables of an SQLite database.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "file",
        "properties": {
            "file": {
                "type": "string", "minLength": 1, "default": "tickscope.sqlite",
                "description": "The database; {pid} in it stands for the number of the recorded process."
            },
            "categories": {
                "type": "array", "items": {"type": "string"}, "default": [],
                "description": "Write spans of these categories only; all but `function` when there are none."
            },
            "min_duration_us": {
                "type": "integer", "minimum": 0, "default": 0,
                "description": "Leave out spans that are shorter, in microseconds."
            },
            "args": {"type": "boolean", "default": true, "description": "Write arguments."},
            "max_mb": {
                "type": "integer", "minimum": 1, "maximum": 1000000, "default": 2048,
                "description": "When the file has so many megabytes, only ticks are written on."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let file = PathBuf::from(options.file.replace("{pid}", &metadata.pid().to_string()));
        let mut database = Database::create(&file, metadata.start_ns())?;
        let budget_ns = u64::try_from(metadata.budget().as_nanos()).unwrap_or(u64::MAX);
        for (name, value) in
            [("producer", metadata.producer()), ("subject", metadata.subject()), ("depth", metadata.depth())]
        {
            database.fact(name, &Arg::Text(value.to_owned()))?;
        }
        for (name, value) in [
            ("budget_ns", budget_ns),
            ("pid", metadata.pid().into()),
            ("start_unix_ns", metadata.unix_ns(metadata.start_ns())),
        ] {
            database.fact(name, &Arg::of(ArgValue::Uint(value)))?;
        }
        for (name, value) in metadata.facts() {
            database.fact(name, &Arg::Text(value.to_owned()))?;
        }
        database.commit()?;
        Ok(Self {
            write_args: options.args,
            max_mb: options.max_mb,
            database,
            spans: Spans::new(budget_ns),
            begun: OpenSpans::default(),
            wanted: Wanted::new(options.categories, options.min_duration_us),
            full: false,
            closed: false,
            missed: 0,
            losses: Losses::default(),
            left_out: 0,
            told: Gaps::default(),
            last_ns: metadata.start_ns(),
            host,
            health: Health::default(),
        })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        if batch.missed() > 0 {
            self.missed += batch.missed();
            self.spans.missing();
            self.begun.clear();
        }
        for sample in batch.samples() {
            self.last_ns = self.last_ns.max(sample.time_ns);
            self.losses.sample(&sample);
            match sample.event {
                Event::Begin(begin) if self.wanted.category(begin.category, batch.names()) => {
                    let args = self.args(batch, begin.args);
                    if !args.is_empty() {
                        self.begun.insert(begin.span, args);
                    }
                }
                Event::LinkPoint(point) if self.has_room() => {
                    self.database.link_point(point, sample.track, sample.time_ns)?;
                }
                Event::Instant(instant) if self.has_room() => {
                    let category = &batch.names().category(instant.category).name;
                    let args = self.args(batch, instant.args);
                    self.database.instant(instant.symbol, sample.track, sample.time_ns, category, &args)?;
                }
                Event::Counter { symbol, value } if self.has_room() => {
                    self.database.counter(symbol, sample.track, sample.time_ns, value)?;
                }
                _ => {}
            }
            if let Some((span, tick)) = self.spans.sample(&sample, batch) {
                match tick {
                    Some(_) if self.closed => self.left_out += 1,
                    Some(tick) => self.database.tick(&span, &tick)?,
                    None => {}
                }
                let ended = if let Event::End(end) = sample.event { end.args } else { Range::default() };
                self.span(&span, batch, ended)?;
            }
        }
        if !self.closed {
            self.database.names(batch.names())?;
            self.look_at_size()?;
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        self.database.commit()?;
        let gaps = self.database.gaps();
        if gaps.held && !self.told.held {
            self.host.warning("another program holds the file: rows are left out until it lets go");
        }
        if let (Some(why), None) = (&gaps.unwritable, &self.told.unwritable) {
            self.host
                .warning(&format!("cannot write the file: {why}: rows are left out until it can be written"));
        }
        self.told.clone_from(gaps);
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        if *self.database.gaps() != Gaps::default() {
            // It may be otherwise now; and if it is not, what tells of the recording is not lost with its last rows.
            self.database.commit()?;
        }
        let end_ns = self.last_ns.saturating_sub(self.database.start_ns());
        let left_out = self.left_out.saturating_add(self.database.left_out());
        for (name, value) in [
            ("end_ns", end_ns),
            ("lost", self.losses.lost()),
            ("missed", self.missed),
            ("left_out", left_out),
        ] {
            self.database.fact(name, &Arg::of(ArgValue::Uint(value)))?;
        }
        let lacks = self.database.finish(within)?;
        let mut messages = Vec::new();
        if self.full {
            messages.push(format!("{} MB were full: later rows are not there", self.max_mb));
        }
        let gaps = self.database.gaps();
        if self.database.left_out() > 0 && gaps.held {
            messages.push("another program held the file: rows are not there".to_owned());
        }
        if let Some(why) = &gaps.unwritable {
            messages.push(format!("the file could not be written: {why}: rows are not there"));
        }
        if lacks.indices {
            messages.push("not all indices were made: queries are slower".to_owned());
        }
        if lacks.log {
            messages.push(
                "the -wal file beside it belongs to it, for it was read or there was no time".to_owned(),
            );
        }
        self.health = Health {
            degraded: self.full || self.database.left_out() > 0,
            message: messages.join("; "),
            written: self.database.rows(),
            lost: left_out,
            bytes: self.database.bytes()?,
        };
        Ok(())
    }

    fn health(&self) -> Health {
        self.health.clone()
    }
}

impl Sqlite {
    fn args(&self, batch: &Batch<'_>, range: Range) -> Vec<(String, Arg)> {
        let args = batch.args(range).filter(|_| self.write_args && !self.full);
        args.map(|(key, value)| (key.to_owned(), Arg::of(value))).collect()
    }

    fn span(&mut self, span: &Span, batch: &Batch<'_>, ended: Range) -> Result<(), Error> {
        let begun = self.begun.remove(span.id).unwrap_or_default();
        if !self.wanted.span(span, batch.names()) || !self.has_room() {
            return Ok(());
        }
        let category = span.category.map(|category| &*batch.names().category(category).name);
        self.database.track(span.track, batch.names())?;
        self.database.span(span, category)?;
        self.database.span_args(span.id, &begun)?;
        let ended = self.args(batch, ended);
        self.database.span_args(span.id, &ended)
    }

    /// Whether there is room for a row; one that has none is counted.
    fn has_room(&mut self) -> bool {
        self.left_out += u64::from(self.full);
        !self.full
    }

    fn look_at_size(&mut self) -> Result<(), Error> {
        if self.full {
            let limit = self.max_mb.saturating_mul(2);
            if self.database.bytes()? >> 20 >= limit {
                self.closed = true;
                self.host.warning(&format!("{limit} MB are full: nothing is written on"));
            }
            return Ok(());
        }
        let (limit, log_mb) = (self.max_mb, self.database.log_bytes() >> 20);
        if log_mb >= limit || self.database.bytes()? >> 20 >= limit {
            self.full = true;
            self.begun.clear();
            let what =
                if log_mb >= limit { " of the log beside the file, which somebody reads," } else { "" };
            self.host.warning(&format!(
                "{limit} MB{what} are full: only ticks are written on; max_mb, min_duration_us and categories say what fits"
            ));
        }
        Ok(())
    }
}

export_sink!(Sqlite);
