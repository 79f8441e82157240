//! `tickscope resources`: what a server directory holds, needs, and would find here.

mod json;
mod text;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tickscope_citizen::{Fidelity, ServerConfig, Survey, Use, survey};

use crate::cli::{self, FormatArg};
use crate::present::style::Style;

pub(crate) fn run(options: &cli::Resources) -> Result<ExitCode> {
    let directory = &options.directory;
    ensure!(
        directory.is_dir(),
        "{} is not a directory; expected a server directory (with resources in it) or a resource's folder",
        directory.display(),
    );
    let root = directory.canonicalize().unwrap_or_else(|_| directory.clone());
    let mut config = ServerConfig::new(&root);
    config.cfg.clone_from(&options.cfg);
    config.convars.clone_from(&options.set);
    config.native_names = crate::natives::imported()?;
    let found = survey(config).with_context(|| format!("cannot look at {}", directory.display()))?;
    let complete = found.is_complete() && !(options.strict && uses(&found).any(is_strict));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match options.format {
        FormatArg::Json => json::write(&mut out, &found, &root, complete),
        FormatArg::Text => out.write_all(text::page(&found, &root, Style::stdout()).as_bytes()),
    }
    .and_then(|()| out.flush())
    .context("cannot write to standard output")?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the resources use that are to start.
fn uses(found: &Survey) -> impl Iterator<Item = &Use> {
    found.resources.iter().filter(|resource| resource.is_wanted()).flat_map(|resource| &resource.uses)
}

/// Whether `--strict` minds a name.
fn is_strict(used: &Use) -> bool {
    matches!(used.fidelity, Fidelity::Neutral | Fidelity::Absent | Fidelity::Unknown)
}

/// How true names can be, truest first.
const FIDELITIES: [Fidelity; 5] =
    [Fidelity::Exact, Fidelity::Approximated, Fidelity::Neutral, Fidelity::Absent, Fidelity::Unknown];
