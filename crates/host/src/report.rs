//! `tickscope report`: the report of a capture.

pub(crate) mod timeline;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tickscope_analysis::{Analyzer, Options, Report};
use tickscope_core::{Metadata, Source, drain};
use tickscope_export::perfetto::Reader;

use crate::cli::{self, FormatArg, Presentation};
use crate::present::{json, style::Style, text};

pub(crate) fn run(options: &cli::Report) -> Result<ExitCode> {
    let mut reader = Reader::open(&options.capture)?;
    let mut analyzer = Analyzer::new(Options::default());
    drain(&mut reader, &mut analyzer)?;
    let metadata = reader.metadata().clone();
    let report = analyzer.report();
    let moments = options.with.as_deref().map(|path| timeline::read(path, &report, &metadata)).transpose()?;
    let capture = options.capture.display().to_string();
    put(&report, &metadata, &capture, &options.presentation, moments.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a report to standard output.
pub(crate) fn print(
    report: &Report,
    metadata: &Metadata,
    capture: &str,
    options: &Presentation,
) -> Result<()> {
    put(report, metadata, capture, options, None)
}

fn put(
    report: &Report,
    metadata: &Metadata,
    capture: &str,
    options: &Presentation,
    moments: Option<&[timeline::Moment]>,
) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match options.format {
        FormatArg::Json => json::write(&mut out, report, metadata, capture, moments),
        FormatArg::Text => {
            let mut page = text::page(report, metadata, capture, options.top, Style::stdout());
            if let Some(moments) = moments {
                let shown: Vec<u64> = text::worst(report, options.top).iter().map(|late| late.tick).collect();
                page.push_str(&timeline::page(moments, &shown));
            }
            out.write_all(page.as_bytes())
        }
    }
    .and_then(|()| out.flush())
    .context("cannot write to standard output")
}
