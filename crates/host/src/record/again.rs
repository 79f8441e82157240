//! Going on with a recording whose `tickscope` is gone: the program never stopped recording into its sessions.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::captures::Captures;
use super::place::{Place, lost};
use super::running::{name, runs};
use super::watch::Watch;
use super::{Processes, tell_what_was_recorded};
use crate::cli;
use crate::plugins;
use crate::present::tell;
use crate::recording::default_capture;
use crate::signals;

/// Goes on with the recording of process `pid`, or with the only one that can be gone on with.
pub(super) fn run(options: &cli::Record, pid: Option<u32>) -> Result<ExitCode> {
    let lost = lost::choose(pid)?;
    // There is one: a recording without is not lost.
    let first = lost.processes.first().copied().unwrap_or_default();
    let pid = pid.filter(|pid| lost.processes.contains(pid)).unwrap_or(first);
    let plugins = plugins::choose(&options.recording.sinks);
    let subject = name(pid);
    let capture = options.recording.output.clone().unwrap_or_else(|| fresh(Path::new(&subject)));
    let captures = Captures::new(capture)?;
    let place = Place::take_over(&lost)?;
    let interrupted = signals::forward()?;
    tell!(
        "tickscope: going on with the recording of {pid} ({}), which process {} left{}",
        subject.display(),
        lost.collector,
        if options.time.is_some() { "" } else { "; Ctrl-C leaves it again" },
    );
    let mut processes = Processes::new(options, subject, captures, &place, plugins);
    processes.go_on_with(pid);
    let until = options.time.map(|time| Instant::now() + time);
    let mut program = Watch::new(pid);
    let over = loop {
        program.look();
        // Whether it runs is asked before the files are looked at: one that is gone has made all of its files.
        let runs = runs(pid);
        processes.look(&place, &program);
        if !runs && processes.running.is_empty() {
            break true;
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if interrupted.interrupted() || left.is_zero() {
            break false;
        }
        processes.wait(&place, &program, left);
    };
    let missing = processes.missing();
    let recorded = if over { processes.finish() } else { processes.leave() };
    let whole = tell_what_was_recorded(options, &recorded, missing, &place);
    if !over {
        tell!(
            "tickscope: process {pid} records on into memory; tickscope record --attach {pid} goes on with it"
        );
        place.leave();
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A capture that is not there yet: what was recorded before is probably called as usual.
fn fresh(subject: &Path) -> PathBuf {
    let usual = default_capture(subject);
    if !usual.exists() {
        return usual;
    }
    let stem = usual.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = |part: u32| usual.with_file_name(format!("{stem}-part{part}.perfetto-trace"));
    (2..).map(numbered).find(|capture| !capture.exists()).unwrap_or(usual)
}
