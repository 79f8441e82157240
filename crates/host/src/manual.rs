//! `tickscope completions` and `tickscope man`: what a shell and `man` know of the command line, made of its own
//! definition.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::{self, Cli};

pub(crate) fn completions(options: &cli::Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "tickscope", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn pages(options: &cli::Man) -> Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(&options.folder)
        .and_then(|()| write(&command, &options.folder))
        .with_context(|| format!("cannot write manual pages to {}", options.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A page for `command`, and one for each command below it.
fn write(command: &Command, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below, folder)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command)?)
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).source(concat!("tickscope ", env!("CARGO_PKG_VERSION")));
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_help() {
        // As it stands: filled into a paragraph, columns of examples are lost.
        let mut section = Roff::new();
        section.control("SH", ["NOTES"]).control("nf", []);
        for line in notes.to_string().lines() {
            section.text([roman(line)]);
        }
        section.control("fi", []).to_writer(&mut page)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples_line_by_line() {
        let folder = std::env::temp_dir().join(format!("tickscope-man-{}", std::process::id()));
        pages(&cli::Man { folder: folder.clone() }).expect("writes them");
        let mut command = Cli::command();
        command.build();
        let shown = |below: &&Command| below.get_name() != "help" && !below.is_hide_set();
        for below in command.get_subcommands().filter(shown) {
            let path = folder.join(format!("tickscope-{}.1", below.get_name()));
            let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("there is no {}", path.display()));
            let examples = below.get_after_help().map(ToString::to_string).unwrap_or_default();
            let first =
                examples.lines().nth(1).unwrap_or_default().trim().split(' ').next().unwrap_or_default();
            assert!(text.contains(first), "{first} is not in {}", path.display());
            assert_eq!(text.contains("\n.nf\n"), !examples.is_empty(), "{}", path.display());
        }
        assert!(folder.join("tickscope-ctl-depth.1").is_file());
        fs::remove_dir_all(folder).expect("it can be removed");
    }
}
