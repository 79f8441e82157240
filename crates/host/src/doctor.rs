//! `tickscope doctor`: what can be recorded here, how, and what is missing. Nothing of the program runs.

mod machine;
mod program;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli;
use crate::present::style::Style;

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// As it should be.
    Good,
    /// Something works less well.
    Note,
    /// Something does not work.
    Bad,
}

/// One line of the answer, and what to do about it.
#[derive(Debug, PartialEq)]
struct Finding {
    mark: Mark,
    what: String,
    advice: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { mark: Mark::Good, what: what.into(), advice: None }
    }

    fn note(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { mark: Mark::Note, what: what.into(), advice: Some(advice.into()) }
    }

    fn bad(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { mark: Mark::Bad, what: what.into(), advice: Some(advice.into()) }
    }
}

pub(crate) fn run(options: &cli::Doctor) -> Result<ExitCode> {
    let mut sections = vec![("this machine".to_owned(), machine::look())];
    if let Some(pid) = options.pid {
        sections.push((format!("process {pid}"), program::look_at_process(pid)?));
    }
    if let Some((program, args)) = options.program.split_first() {
        sections.push((program.display().to_string(), program::look_at_file(program, args)?));
    }
    let mut text = String::new();
    for (title, findings) in &sections {
        text += &page(title, findings, Style::stdout());
    }
    std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes())?;
    // What was asked about decides; the machine's notes are for people.
    let worst = sections.last().and_then(|(_, findings)| findings.iter().map(|finding| finding.mark).max());
    Ok(if worst == Some(Mark::Bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn page(title: &str, findings: &[Finding], style: Style) -> String {
    let mut text = format!("{}\n", style.bold(title));
    for finding in findings {
        let mark = match finding.mark {
            Mark::Good => style.cyan("ok  "),
            Mark::Note => style.bold("note"),
            Mark::Bad => style.red("no  "),
        };
        let _ = writeln!(text, "  {mark}  {}", finding.what); // a string takes everything
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "        {}", style.dim(advice));
        }
    }
    text
}
