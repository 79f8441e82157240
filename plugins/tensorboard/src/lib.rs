//! A sink plugin of Tickscope: ticks and resources as scalars and histograms for TensorBoard.
//!
//! ```console
//! $ tickscope run ~/server --sink tensorboard=runs
//! $ tensorboard --logdir runs
//! ```
//!
//! # Guarantees
//! A run killed at any moment leaves a file that TensorBoard reads up to the last flush, which is a second old at most. However
//! many resources there are, so many are told apart as the option `resources` says. A disk that is full costs the events that find no
//! room, whole ones; `max_mb` bounds the file.
//!
//! # Refuses
//! A folder that cannot be written to; it is told which, and why.
//!
//! # Deliberately absent
//! Spans: TensorBoard has no view for them, the capture opens in Perfetto. Players, events and functions as tags, which have no
//! bound.

mod board;
mod event;
mod histogram;
mod record;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Sink, export_sink};
use tickscope_counts::{Counts, Recording, Records, Utc};

pub use board::{Board, TAGS};
pub use event::{Event, HistogramProto, Number, Summary, Value, What};
pub use histogram::Histogram;
pub use record::{read, write};

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    folder: String,
    run: String,
    seconds: u64,
    resources: usize,
    max_mb: u64,
}

/// The sink.
struct TensorBoard {
    board: Board,
    out: Records<File>,
    file: PathBuf,
    host: Host,
    max_mb: u64,
    /// Events that are not there because the file is full.
    left_out: u64,
}

impl TensorBoard {
    fn write(&mut self, event: &Event) -> Result<(), Error> {
        if self.out.bytes() >> 20 >= self.max_mb {
            if self.left_out == 0 {
                self.host.warning(&format!("{} MB are full: nothing is written on; see max_mb", self.max_mb));
            }
            self.left_out += 1;
            return Ok(());
        }
        let mut record = Vec::new();
        write(&mut record, event)?;
        self.out.push(&record);
        Ok(())
    }
}

fn cannot_write(file: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot write {}: {error}; name another place with folder=PATH", file.display()))
}

/// A run's name where none is given: when it started, in UTC, and its process.
fn name_of(unix_ns: u64, pid: u32) -> String {
    let Utc { date: (year, month, day), time: (hour, minute, second), .. } = Utc::of(unix_ns);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}-{pid}")
}

impl Sink for TensorBoard {
    const NAME: &'static str = "tensorboard";
    const ABOUT: &'static str = "Ticks and resources as scalars and histograms for TensorBoard.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "x-short": "folder",
        "properties": {
            "folder": {
                "type": "string", "minLength": 1, "default": "runs",
                "description": "What tensorboard --logdir is given; each recording is a folder in it."
            },
            "run": {
                "type": "string", "maxLength": 200, "default": "",
                "description": "That folder's name; time and process where it is empty."
            },
            "seconds": {
                "type": "integer", "minimum": 1, "maximum": 3600, "default": 5,
                "description": "How much time a point of the graphs stands for."
            },
            "resources": {
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 50,
                "description": "How many resources are told apart; the others share the name other."
            },
            "max_mb": {
                "type": "integer", "minimum": 1, "maximum": 1000000, "default": 2048,
                "description": "When the file has so many megabytes, nothing is written on."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let unix_ns = metadata.unix_ns(metadata.start_ns());
        let run = match &*options.run {
            "" => name_of(unix_ns, metadata.pid()),
            run => run.to_owned(),
        };
        let folder = Path::new(&options.folder).join(run);
        std::fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        // TensorBoard looks for `tfevents`, and reads files of a run in the order of their names.
        let (seconds, pid) = (unix_ns / 1_000_000_000, metadata.pid());
        let name =
            |number| folder.join(format!("events.out.tfevents.{seconds:010}.tickscope.{pid}.{number}"));
        // Another sink of this recording may have the first.
        let mut number = 0;
        let (file, out) = loop {
            let file = name(number);
            match File::create_new(&file) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1_000 => number += 1,
                made => break (file.clone(), made.map_err(|error| cannot_write(&file, &error))?),
            }
        };
        host.info(&format!("events go to {}", file.display()));
        let counts = Counts::new(Recording::of(metadata), options.resources);
        let board = Board::new(counts, (metadata.start_ns(), unix_ns), options.seconds);
        let out = Records::new(out);
        let mut sink = Self { board, out, file, host, max_mb: options.max_mb, left_out: 0 };
        sink.write(&sink.board.first())?;
        Ok(sink)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.board.missing(batch.missed());
        for sample in batch.samples() {
            for event in self.board.take(&sample, batch.names()).into_iter().flatten() {
                self.write(&event)?;
            }
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        match self.out.flush_and_tell(&self.file.display().to_string()) {
            Some(Err(why)) => self.host.warning(&why),
            Some(Ok(line)) => self.host.info(&line),
            None => {}
        }
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        if let Some(event) = self.board.finish() {
            self.write(&event)?;
        }
        self.flush(within)
    }

    fn health(&self) -> Health {
        let (written, bytes, lost) = (self.out.written(), self.out.bytes(), self.out.lost());
        let mut messages = Vec::new();
        if self.left_out > 0 {
            messages.push(format!("{} MB were full: later events are not there", self.max_mb));
        }
        if lost > 0 {
            messages.push(format!("{lost} events found no room on the disk"));
        }
        let lost = lost.saturating_add(self.left_out);
        Health { degraded: lost > 0, message: messages.join("; "), written, lost, bytes }
    }
}

export_sink!(TensorBoard);
