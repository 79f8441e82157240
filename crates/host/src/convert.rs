//! `tickscope convert`: a capture in another format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tickscope_core::drain;
use tickscope_export::perfetto::Reader;

use crate::cli;

pub(crate) fn run(options: &cli::Convert) -> Result<ExitCode> {
    let mut reader = Reader::open(&options.capture)?;
    let default = options.capture.with_extension(options.to.extension());
    let output = options.output.as_deref().unwrap_or(&default);
    let to_stdout = output == Path::new("-");
    if !to_stdout {
        let same = output.canonicalize().ok().zip(options.capture.canonicalize().ok());
        ensure!(
            same.is_none_or(|(a, b)| a != b),
            "{} is the capture itself; choose another -o",
            output.display()
        );
    }
    let writer: Box<dyn Write + Send> = match to_stdout {
        true => Box::new(std::io::stdout()),
        false => {
            Box::new(File::create(output).with_context(|| format!("cannot create {}", output.display()))?)
        }
    };
    let choice = tickscope_export::Options { resource: options.resource.clone(), ..Default::default() };
    let mut sink = tickscope_export::open(options.to, BufWriter::with_capacity(1 << 18, writer), &choice);
    let context = || format!("cannot convert {} into {}", options.capture.display(), output.display());
    drain(&mut reader, &mut sink).with_context(context)?;
    if !to_stdout {
        eprintln!("{}", output.display());
    }
    if reader.truncated() {
        eprintln!("tickscope: the capture was cut off; what it holds was converted");
    }
    Ok(ExitCode::SUCCESS)
}
