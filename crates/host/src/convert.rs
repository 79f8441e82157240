//! `tickscope convert`: a capture in another format.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tickscope_core::{Source, drain};
use tickscope_export::paths::Paths;
use tickscope_export::perfetto::Reader;
use tickscope_export::{Format, svg};

use crate::cli;
use crate::present::tell;

pub(crate) fn run(options: &cli::Convert) -> Result<ExitCode> {
    let mut reader = Reader::open(&options.capture)?;
    if options.per_resource {
        return per_resource(options, &mut reader);
    }
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
        tell!("{}", output.display());
    }
    if reader.truncated() {
        tell!("tickscope: the capture was cut off; what it holds was converted");
    }
    Ok(ExitCode::SUCCESS)
}

/// One flame graph for each resource that time was spent in.
fn per_resource(options: &cli::Convert, reader: &mut Reader<impl Read>) -> Result<ExitCode> {
    ensure!(options.to == Format::Svg, "--per-resource makes flame graphs; use it with --to svg");
    let stem = options.capture.file_stem().unwrap_or_default().to_string_lossy();
    let default = options.capture.with_file_name(format!("{stem}-flame"));
    let folder = options.output.as_deref().unwrap_or(&default);
    let mut paths = Paths::default();
    drain(reader, &mut paths).with_context(|| format!("cannot read {}", options.capture.display()))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    for resource in paths.resources().into_iter().filter(|resource| !resource.is_empty()) {
        // A name from a file of others stays within the folder.
        let name: String =
            resource.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        let file = folder.join(format!("{}.svg", name.trim_start_matches('.')));
        let context = || format!("cannot write {}", file.display());
        let writer = BufWriter::new(File::create(&file).with_context(context)?);
        let title = format!("{}: {resource}", reader.metadata().subject);
        svg::write(&paths, Some(resource), &title, writer).with_context(context)?;
        tell!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}
