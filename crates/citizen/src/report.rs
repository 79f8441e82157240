//! What a run tells its host: errors of scripts, and what they print.

use std::fmt;
use std::io::Write;

/// What kind of thing went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A resource cannot start: manifest, dependencies, files.
    Resource,
    /// A command in the server's files, or one that was typed, makes no sense.
    Config,
    /// A script does not load: not found, syntax.
    Load,
    /// A script raised an error that nothing caught.
    Script,
    /// A script called a native that this host does not have. Told once per native and resource.
    MissingNative(String),
    /// A script ran for longer than the limit of a tick and was stopped.
    TickLimit,
    /// An expectation of the scenario did not hold.
    Expectation,
}

/// An error of a resource. The run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// What kind of thing went wrong.
    pub kind: ErrorKind,
    /// The resource whose VM ran it.
    pub resource: String,
    /// The file, relative to its resource, `@other/file.lua` when it belongs to another; empty when unknown.
    pub file: String,
    /// The line, from 1; 0 when unknown.
    pub line: u32,
    /// What was wrong, without a position in front.
    pub message: String,
    /// Lua's traceback; may be empty.
    pub traceback: String,
    /// The tick it happened in; 0 before the first.
    pub tick: u64,
}

impl ScriptError {
    /// A resource that cannot start.
    pub(crate) fn of_resource(name: &str, problem: &dyn fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Resource,
            resource: name.to_owned(),
            file: String::new(),
            line: 0,
            message: problem.to_string(),
            traceback: String::new(),
            tick: 0,
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.resource)?;
        if !self.file.is_empty() {
            write!(f, ": {}", self.file)?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

/// Takes what a run has to say while it runs.
///
/// Called in the middle of scripts: it cannot reach the server, and should be quick.
pub trait Console {
    /// A script printed `text` (without a line end). `resource` is empty for the host's own words.
    fn print(&mut self, resource: &str, text: &str);

    /// Something went wrong.
    fn error(&mut self, error: &ScriptError);
}

/// Prints to standard output and errors to standard error, as a server's console does.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdConsole;

impl Console for StdConsole {
    fn print(&mut self, resource: &str, text: &str) {
        let mut out = std::io::stdout().lock();
        // whoever read it may have gone; the run goes on without
        let _ = match resource {
            "" => writeln!(out, "{text}"),
            _ => writeln!(out, "[script:{resource}] {text}"),
        };
    }

    fn error(&mut self, error: &ScriptError) {
        let mut out = std::io::stderr().lock();
        let _ = writeln!(out, "error: {error}");
        for line in error.traceback.lines().skip(1) {
            let _ = writeln!(out, "  {}", line.trim_start());
        }
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Console for Silent {
    fn print(&mut self, _resource: &str, _text: &str) {}
    fn error(&mut self, _error: &ScriptError) {}
}

/// How many errors are kept; more are only counted.
const KEPT: usize = 1_000;

/// The errors of a run.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) errors: Vec<ScriptError>,
    pub(crate) count: u64,
    missing: std::collections::HashSet<(String, String)>,
}

impl Reports {
    /// Takes an error; `false` for one that was told before.
    pub(crate) fn add(&mut self, error: &ScriptError) -> bool {
        if let ErrorKind::MissingNative(name) = &error.kind
            && !self.missing.insert((error.resource.clone(), name.clone()))
        {
            return false;
        }
        self.count += 1;
        if self.errors.len() < KEPT {
            self.errors.push(error.clone());
        }
        true
    }
}

impl ScriptError {
    /// The message with its place in front, as Lua writes it, for whoever catches the error in another VM.
    pub(crate) fn located_message(&self) -> String {
        match (self.file.as_str(), self.line) {
            ("", _) | (_, 0) => self.message.clone(),
            (file, line) if file.starts_with('@') => format!("{file}:{line}: {}", self.message),
            (file, line) => format!("@{}/{file}:{line}: {}", self.resource, self.message),
        }
    }
}
