//! Recording a process that runs already: the agent is loaded into it, and leaves it as it was.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tickscope_hooks::process::outside::{AttachError, Process};

use super::captures::Captures;
use super::place::{self, Place, lost};
use super::running::{name, runs};
use super::watch::Watch;
use super::{Processes, agent, setting, tell_what_was_recorded};
use crate::cli;
use crate::plugins;
use crate::present::tell;
use crate::recording::default_capture;
use crate::signals::{self, Forwarding};

/// Records process `pid` for as long as was asked for, and leaves it as it was.
pub(super) fn run(options: &cli::Record, pid: u32) -> Result<ExitCode> {
    let mut process = Process::look(pid)?;
    if let Some(collector) = process.collector()
        && Path::new("/proc").join(collector.to_string()).exists()
    {
        bail!(AttachError::Recorded { pid, collector });
    }
    if let Some(collector) = place::collector_of(pid) {
        bail!(AttachError::Recorded { pid, collector });
    }
    if lost::all().iter().any(|lost| lost.processes.contains(&pid)) {
        tell!("tickscope: a recording of process {pid} was left; record --attach {pid} goes on with it");
    }
    let agent = agent()?;
    // Before the process is touched: an unwritable place is known now.
    let subject = name(pid);
    let captures = Captures::new(capture(options, &subject))?;
    let plugins = plugins::choose(&options.recording.sinks);
    let place = Place::new()?;
    place.give_to(pid)?;
    let interrupted = signals::forward()?;
    let found = process.attach(&agent, setting(options, &place).as_encoded_bytes())?;
    place::forget(pid);
    tell!(
        "tickscope: recording process {pid}, {found}; it stood still for {} at most{}",
        milliseconds(process.longest_stop()),
        if options.time.is_some() { "" } else { "; Ctrl-C ends the recording" },
    );
    let mut processes = Processes::new(options, subject, captures, &place, plugins);
    let mut program = Watch::new(pid);
    collect(options, &mut processes, &place, &interrupted, (pid, &mut program));
    let mut all: BTreeSet<u32> = processes.running.iter().map(super::Process::pid).collect();
    all.remove(&pid);
    let longest = leave(pid, process.detach().map(|()| process.longest_stop()));
    for child in all {
        leave(child, detach(child));
    }
    // What began in the last moment is there by now.
    processes.look(&place, &program);
    if let Some(longest) = longest {
        tell!("tickscope: left process {pid}; it stood still for {} at most", milliseconds(longest));
    }
    finish(options, processes, &place)
}

/// Until the time is up, somebody asks for the end, or the processes have ended.
fn collect(
    options: &cli::Record,
    processes: &mut Processes<'_>,
    place: &Place,
    interrupted: &Forwarding,
    (pid, program): (u32, &mut Watch),
) {
    let until = options.time.map(|time| Instant::now() + time);
    loop {
        program.look();
        // Whether it runs is asked before the files are looked at: one that is gone has made all of its files.
        let runs = runs(pid);
        processes.look(place, program);
        let over = !runs && processes.running.is_empty();
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if over || interrupted.interrupted() || left.is_zero() {
            return;
        }
        processes.wait(place, program, left);
    }
}

fn detach(pid: u32) -> Result<Duration, AttachError> {
    let mut process = Process::with_agent(pid)?;
    process.detach()?;
    Ok(process.longest_stop())
}

/// Says what went wrong with leaving a process; one that has ended needs no leaving.
fn leave(pid: u32, left: Result<Duration, AttachError>) -> Option<Duration> {
    match left {
        Ok(longest) => Some(longest),
        Err(_) if !runs(pid) => None,
        Err(error) => {
            let error = anyhow::Error::new(error);
            tell!("tickscope: {error:#}; its detours stay, and record nothing");
            None
        }
    }
}

fn finish(options: &cli::Record, processes: Processes<'_>, place: &Place) -> Result<ExitCode> {
    let missing = processes.missing();
    let recorded = processes.finish();
    let whole = tell_what_was_recorded(options, &recorded, missing, place);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn capture(options: &cli::Record, subject: &OsStr) -> PathBuf {
    options.recording.output.clone().unwrap_or_else(|| default_capture(Path::new(subject)))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
