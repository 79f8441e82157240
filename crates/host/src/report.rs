//! `tickscope report`: the report of a capture.

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
    print(&analyzer.report(), &metadata, &options.capture.display().to_string(), &options.presentation)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a report to standard output.
pub(crate) fn print(
    report: &Report,
    metadata: &Metadata,
    capture: &str,
    options: &Presentation,
) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match options.format {
        FormatArg::Json => json::write(&mut out, report, metadata, capture),
        FormatArg::Text => {
            out.write_all(text::page(report, metadata, capture, options.top, Style::stdout()).as_bytes())
        }
    }
    .and_then(|()| out.flush())
    .context("cannot write to standard output")
}
