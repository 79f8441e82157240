//! `tickscope import`: what another profiler recorded, as a capture.

use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tickscope_core::{Event, Flow, Sink, SinkError, drain};
use tickscope_export::perfetto::Writer;
use tickscope_import::{Import, Options};

use crate::cli;
use crate::present::tell;

pub(crate) fn run(options: &cli::Import) -> Result<ExitCode> {
    let from = &options.file;
    let stdin = from == Path::new("-");
    ensure!(!stdin || options.output.is_some(), "standard input has no name; choose one with -o");
    let output = options.output.clone().unwrap_or_else(|| from.with_extension("perfetto-trace"));
    let (name, bytes) = if stdin {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        ("standard input".to_owned(), bytes)
    } else {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        (from.display().to_string(), bytes)
    };
    let mut import = Import::new(
        &name,
        bytes,
        &Options {
            samples_hz: options.hz,
            budget_ns: options.budget.map(|budget| budget.as_nanos().try_into().unwrap_or(u64::MAX)),
        },
    )?;
    let context = || format!("cannot write {}", output.display());
    let file = File::create(&output).with_context(context)?;
    let writer = Writer::new(BufWriter::with_capacity(1 << 18, file), Default::default());
    let mut capture = Counting { sink: writer, events: 0, discarded: 0 };
    drain(&mut import, &mut capture).with_context(context)?;
    tell!("tickscope: {}: {} events of {}", output.display(), capture.events, import.format().name());
    if capture.discarded > 0 {
        tell!("tickscope: {} ends of what began before the recording were left out", capture.discarded);
    }
    if let Some(cut) = import.cut() {
        tell!("tickscope: {name} breaks off: {cut}; what stands before was imported");
    }
    Ok(ExitCode::SUCCESS)
}

/// A sink that knows what it was given.
struct Counting<S> {
    sink: S,
    events: u64,
    discarded: u64,
}

impl<S: Sink> Sink for Counting<S> {
    fn open(&mut self, metadata: &tickscope_core::Metadata) -> Result<(), SinkError> {
        self.sink.open(metadata)
    }

    fn batch(&mut self, batch: &tickscope_core::Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            match sample.event {
                Event::Account(account) => self.discarded += account.discarded,
                _ => self.events += 1,
            }
        }
        self.sink.batch(batch)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.sink.tick(end_ns)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.sink.finish()
    }
}
