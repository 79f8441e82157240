//! `tickscope lua`: a Lua program as plain Lua runs it, recorded.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tickscope_citizen::standalone::{self, Program};
use tickscope_core::Metadata;
use tickscope_hooks::lua::TracerOptions;

use crate::cli;
use crate::present::tell;
use crate::present::{style::Style, text};
use crate::recording::{Recording, default_capture, producer};

pub(crate) fn run(options: &cli::Lua) -> Result<ExitCode> {
    let (script, args) = options.script.split_first().context("no script was given")?;
    let stdin = script == "-";
    let subject = if stdin { Path::new("stdin") } else { Path::new(script) };
    let capture = options.recording.output.clone().unwrap_or_else(|| default_capture(subject));
    let metadata = Metadata {
        producer: producer(),
        subject: subject.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        depth: options.recording.depth.into(),
        ..Metadata::default()
    };
    let recording = Recording::start(&options.recording, capture, metadata, None, None, |_| None)?;
    let recorder = recording.session.thread("main");
    // Ended once, by whichever comes first: the script's end, or `os.exit` in it.
    let recording = Arc::new(Mutex::new(Some(recording)));
    let at_exit = recording.clone();
    let report = options.report;

    let mut program = Program::new(script, args.to_vec());
    program.options = TracerOptions { depth: options.recording.depth.into(), ..TracerOptions::default() };
    // The program's own code, even where the recording failed: scripts around it rely on it.
    let code = |code: i32, whole: bool| if code == 0 && !whole { 1 } else { code };
    program.at_exit = Some(Box::new(move |own| code(own, finish(&at_exit, report))));
    let own = standalone::run(recorder, program)?;
    Ok(ExitCode::from(code(own, finish(&recording, report)) as u8))
}

/// Whether the capture is whole.
fn finish(recording: &Mutex<Option<Recording>>, report: bool) -> bool {
    let Some(recording) = recording.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return true;
    };
    let recorded = recording.finish();
    if report {
        let capture = recorded.capture.display().to_string();
        tell!(
            "{}",
            text::page(&recorded.report, &recorded.metadata, &capture, 10, Style::stderr()).trim_end()
        );
    }
    !recorded.complain()
}
