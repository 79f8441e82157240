//! `tickscope record`: a program that nobody changed, with the agent preloaded, or loaded into it while it runs.
//!
//! The agent in each process of the program writes into a session file of its own; this process collects from all of
//! them, and writes a capture for each. When it dies the program runs on, and another may go on collecting (`again.rs`).

mod again;
mod attach;
mod captures;
pub(crate) mod place;
mod process;
mod running;
mod watch;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use tickscope_core::{Depth, Metadata, Source};
use tickscope_session::Collector;

use crate::cli;
use crate::live::control::Control;
use crate::live::socket;
use crate::plugins::{self, Chosen};
use crate::present::{style::Style, tell, text};
use crate::recording::{Recorded, Sinks, default_capture, producer};
use crate::signals;
use captures::Captures;
use place::{Found, Place};
use process::{Process, Waiting};
use watch::{LOOK_EVERY, Watch};

/// When processes that outlive the program are mentioned: it may have ended a moment before them.
const MENTION_AFTER: Duration = Duration::from_millis(500);

/// Processes that are told of one by one: a program may have thousands.
const NAMED: usize = 8;

pub(crate) fn run(options: &cli::Record) -> Result<ExitCode> {
    match (options.pid, options.attach) {
        (Some(pid), _) => attach::run(options, pid),
        (None, Some(pid)) => again::run(options, pid),
        (None, None) => start(options),
    }
}

/// Starts the program and records it to its end.
fn start(options: &cli::Record) -> Result<ExitCode> {
    let (program, args) = options.program.split_first().context("no program was given")?;
    let subject = Path::new(program).file_name().unwrap_or(program).to_owned();
    let capture = options.recording.output.clone().unwrap_or_else(|| default_capture(Path::new(&subject)));
    // Before the program begins: an unwritable place is known now, and it does not wait for the plugins.
    let captures = Captures::new(capture)?;
    let agent = agent()?;
    let plugins = plugins::choose(&options.recording.sinks);
    let place = Place::new()?;

    let mut command = Command::new(program);
    command.args(args).env("LD_PRELOAD", preload(&agent)).env("TICKSCOPE_AGENT", setting(options, &place));
    signals::keep_ignored(&mut command);
    let forwarding = signals::forward()?;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            tell!("tickscope: cannot start {}: {error}", program.display());
            // As a shell answers: 127 when there is no such program, 126 when it cannot be run.
            return Ok(ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }));
        }
    };
    forwarding.to(child.id());

    let mut processes = Processes::new(options, subject, captures, &place, plugins);
    let mut program = Watch::new(child.id());
    let mut ended: Option<Instant> = None;
    let mut mentioned = false;
    let status = loop {
        program.look();
        // Whether it runs is asked before the files are looked at: one that is gone has made all of its files.
        let status = child.try_wait().context("cannot wait for the program")?;
        processes.look(&place, &program);
        if status.is_some() {
            // Another process may be given its number.
            forwarding.to(0);
        }
        match status {
            Some(status) if processes.running.is_empty() || forwarding.interrupted() => break status,
            Some(_) if !mentioned => {
                mentioned = ended.get_or_insert_with(Instant::now).elapsed() >= MENTION_AFTER;
                if mentioned {
                    processes.mention_the_rest();
                }
            }
            _ => {}
        }
        processes.wait(&place, &program, Duration::MAX);
    };
    let missing = processes.missing();
    let recorded = processes.finish();
    let whole = tell_what_was_recorded(options, &recorded, missing, &place);
    Ok(exit_code(status, whole))
}

/// The program's own code, even where recording failed: scripts around it rely on it.
fn exit_code(status: ExitStatus, whole: bool) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(0), _) if !whole => ExitCode::FAILURE,
        (Some(code), _) => ExitCode::from(code as u8),
        (None, signal) => ExitCode::from(128 + signal.unwrap_or(0) as u8),
    }
}

/// The processes that record, and the captures of those that did.
struct Processes<'a> {
    options: &'a cli::Record,
    control: Control,
    subject: OsString,
    captures: Captures,
    waiting: Vec<Waiting>,
    running: Vec<Process>,
    /// Gone, and told to end: their sinks may take their time, which nobody else waits for.
    ending: Vec<Process>,
    ended: Vec<Recorded>,
    /// The process whose recording is gone on with: its capture has the name, its depth stays as it is.
    main: Option<u32>,
    /// Whether a capture has the name.
    named: bool,
    /// Plugins: each process opens its own.
    plugins: Chosen,
    /// Processes that began to record, and of which nothing is collected.
    left_out: usize,
    /// That the folder cannot be read was told.
    blind: bool,
}

/// What is not as it was asked for.
#[derive(Clone, Copy)]
struct Missing {
    /// A sink is not used.
    refused: bool,
    /// See [`Processes::left_out`].
    left_out: usize,
}

impl<'a> Processes<'a> {
    /// None yet; `top` and `ctl` find those that come.
    fn new(
        options: &'a cli::Record,
        subject: OsString,
        captures: Captures,
        place: &Place,
        plugins: Chosen,
    ) -> Self {
        let control = Control::new(subject.to_string_lossy().into_owned(), options.recording.depth.into());
        if let Err(error) = socket::listen(place.folder(), control.clone()) {
            tell!("tickscope: {error:#}; top and ctl will not find this recording");
        }
        let (waiting, running, ending, ended) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            options,
            control,
            subject,
            captures,
            waiting,
            running,
            ending,
            ended,
            main: None,
            named: false,
            plugins,
            left_out: 0,
            blind: false,
        }
    }

    /// The recording of process `pid` was begun by another.
    fn go_on_with(&mut self, pid: u32) {
        self.main = Some(pid);
    }

    /// Takes up the sessions that are new, and ends those whose process is gone. What goes wrong with one of them is told,
    /// and the others are recorded on: the program runs, and does so with us.
    fn look(&mut self, place: &Place, program: &Watch) {
        // Gone before the files are looked at: its session is complete then.
        for process in &mut self.running {
            process.look(program);
        }
        self.waiting.iter_mut().for_each(|waiting| waiting.look(program));
        match place.new_sessions() {
            Ok(new) => new.into_iter().for_each(|found| self.await_records(found)),
            Err(_) if self.blind => {}
            Err(error) => {
                self.blind = true;
                tell!("tickscope: {error:#}; what begins to record from now on is not seen");
            }
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.collector.has_begun() {
                self.begin(waiting);
            } else if !waiting.is_over() {
                self.waiting.push(waiting);
            }
        }
        let (over, running): (Vec<_>, _) =
            std::mem::take(&mut self.running).into_iter().partition(Process::is_over);
        self.running = running;
        over.iter().for_each(Process::end);
        self.ending.extend(over);
        let (finished, ending): (Vec<_>, _) =
            std::mem::take(&mut self.ending).into_iter().partition(Process::is_finished);
        self.ending = ending;
        self.ended.extend(finished.into_iter().map(Process::finish));
    }

    /// Until something may have happened that [`Processes::look`] wants to know, at most for `at_most`.
    fn wait(&self, place: &Place, program: &Watch, at_most: Duration) {
        // That a thread begins to record shows in memory only.
        let at_most = if self.waiting.is_empty() { at_most } else { at_most.min(LOOK_EVERY) };
        let running = self.running.iter().map(|process| &process.watch);
        let waiting = self.waiting.iter().map(|waiting| &waiting.watch);
        place.wait(running.chain(waiting).chain([program]), at_most);
    }

    fn await_records(&mut self, found: Found) {
        let metadata = Metadata {
            producer: producer(),
            subject: self.subject.to_string_lossy().into_owned(),
            ..Metadata::default()
        };
        match found.open(metadata) {
            Ok(collector) => self.waiting.push(Waiting::new(found, collector)),
            Err(error) => self.leave_out(&Error::new(error)),
        }
    }

    fn begin(&mut self, waiting: Waiting) {
        let pid = waiting.collector.metadata().pid;
        match self.sinks(&waiting.collector) {
            Ok(sinks) => self.running.push(Process::new(waiting, sinks, &self.control)),
            Err(error) => self.leave_out(&error.context(format!("process {pid} is not recorded"))),
        }
    }

    fn leave_out(&mut self, error: &Error) {
        self.left_out += 1;
        if self.left_out <= NAMED {
            tell!("tickscope: {error:#}");
        }
    }

    fn sinks(&mut self, collector: &Collector) -> Result<Sinks> {
        let pid = collector.metadata().pid;
        let first = !self.named && self.main.is_none_or(|main| main == pid);
        self.named |= first;
        if first && self.main.is_some() {
            self.control.choose(collector.metadata().depth, None);
        }
        let capture = if first { self.captures.first() } else { self.captures.of_process(pid) }?;
        let plugins = if first { self.plugins.clone() } else { self.plugins.of_process(pid) };
        Sinks::create(&self.options.recording, capture, None, plugins)
    }

    fn missing(&self) -> Missing {
        Missing { refused: self.plugins.refused, left_out: self.left_out }
    }

    fn mention_the_rest(&self) {
        let names: Vec<String> = self.running.iter().map(ToString::to_string).collect();
        tell!(
            "tickscope: the program has ended and left {} running: still recording; Ctrl-C ends that",
            names.join(", ")
        );
    }

    fn finish(mut self) -> Vec<Recorded> {
        self.running.iter().for_each(Process::end);
        self.ended.extend(self.ending.into_iter().chain(self.running).map(Process::finish));
        self.ended
    }

    /// As [`Processes::finish`], but what goes on stays for the next one to go on with.
    fn leave(mut self) -> Vec<Recorded> {
        self.running.iter().for_each(Process::end);
        self.ended.extend(self.ending.into_iter().map(Process::finish));
        self.ended.extend(self.running.into_iter().map(Process::leave));
        self.waiting.into_iter().for_each(Waiting::leave);
        self.ended
    }
}

/// Whether everything was written.
fn tell_what_was_recorded(
    options: &cli::Record,
    recorded: &[Recorded],
    missing: Missing,
    place: &Place,
) -> bool {
    let mut whole = !missing.refused && missing.left_out == 0;
    if missing.left_out > NAMED {
        tell!("tickscope: {} more processes are not recorded either", missing.left_out - NAMED);
    }
    if recorded.is_empty() {
        if missing.left_out == 0 {
            tell!("tickscope: nothing was recorded: {}", place.why_nothing());
        }
        return whole;
    }
    for said in place.says() {
        tell!("tickscope: {said}");
    }
    for (index, recorded) in recorded.iter().enumerate() {
        whole &= !recorded.complain();
        if index >= NAMED {
            continue;
        }
        let capture = recorded.capture.display().to_string();
        if options.report {
            tell!(
                "{}",
                text::page(&recorded.report, &recorded.metadata, &capture, 10, Style::stderr()).trim_end()
            );
        } else {
            tell!(
                "tickscope: {} of process {} in {capture}; tickscope report {capture}",
                events(recorded),
                recorded.metadata.pid
            );
        }
    }
    if let Some(rest) = recorded.get(NAMED..).filter(|rest| !rest.is_empty()) {
        let last = rest[rest.len() - 1].capture.display().to_string();
        tell!("tickscope: {} more processes have captures beside these, up to {last}", rest.len());
    }
    whole
}

fn events(recorded: &Recorded) -> String {
    let account = recorded.account;
    match account.dropped {
        0 => format!("{} events", account.delivered),
        dropped => format!("{} events ({dropped} dropped)", account.delivered),
    }
}

/// What the agent reads: where to record, and how much.
fn setting(options: &cli::Record, place: &Place) -> OsString {
    let depth: Depth = options.recording.depth.into();
    let mut setting =
        OsString::from(format!("depth={},hz={},io={},in=", depth.name(), options.hz, u8::from(options.io)));
    setting.push(place.folder());
    setting
}

/// The agent, before whatever is preloaded already.
fn preload(agent: &Path) -> OsString {
    let mut all = agent.as_os_str().to_owned();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    all
}

/// The agent's file: beside this program, where the build leaves it, or where a package puts it.
pub(crate) fn agent() -> Result<PathBuf> {
    const NAME: &str = "libtickscope_agent.so";
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let folder = program.parent().context("this program lies nowhere")?;
    let places =
        [folder.join(NAME), folder.join("deps").join(NAME), folder.join("../lib/tickscope").join(NAME)];
    // The newest: a build of one package leaves the other place as it was.
    let made = |place: &PathBuf| std::fs::metadata(place).and_then(|file| file.modified()).ok();
    if let Some(place) = places.iter().filter(|place| place.is_file()).max_by_key(|place| made(place)) {
        let place = place.canonicalize().unwrap_or_else(|_| place.clone());
        // The loader splits at both.
        if place.as_os_str().as_encoded_bytes().iter().any(|byte| b": ".contains(byte)) {
            bail!(
                "the agent lies in {}; the loader takes no path with a space or a colon: install it elsewhere",
                place.display()
            );
        }
        return Ok(place);
    }
    let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    bail!(
        "the agent {NAME} is not there; looked for {}; build it with cargo build -p tickscope-agent",
        looked.join(", ")
    )
}
