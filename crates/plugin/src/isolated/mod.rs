//! A sink in a process of its own: what it does to its memory, or to itself, it does there.
//!
//! The process is this program again, started with arguments that have it call [`serve_isolated`]. Calls go to it through a
//! socket as [`frame`]s, one at a time, and the call's thread waits for the answer; lines of the sink come in between. What
//! comes back is believed no further than its form: the sink may have written it.

mod child;
pub(crate) mod frame;
mod leash;

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tickscope_abi::Health;
use tickscope_core::{Flow, Metadata};

pub use child::{NotStarted, serve_isolated};
use frame::{Garbled, Head, In, Out, kind};
pub(crate) use leash::Leash;

use crate::error::Why;
use crate::library::{Able, Code, Described, Plugin};
use crate::opened::{Failure, Level, Lines, Log, Opened, line, nanos, printable};
use crate::pack::{self, Body, NewNames};

/// What one frame of a sink's process may have: a schema has 1 MiB at most.
pub(crate) const MAX_ANSWER: u32 = 2 << 20;

/// Frames that are taken in between two calls.
const MAX_LOOKED_AT: usize = 1000;

/// How sinks are given processes of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// A program that calls [`serve_isolated`] …
    pub program: PathBuf,
    /// … when it gets these arguments.
    pub arguments: Vec<OsString>,
    /// Bytes of memory that each may write to (`RLIMIT_DATA`).
    pub memory: u64,
    /// How long a library may take to be looked at, its constructors included.
    pub patience: Duration,
}

impl Isolation {
    /// What a sink has if nothing else is said: 1 GiB.
    pub const MEMORY: u64 = 1 << 30;

    /// This program, with `argument`; the one that runs, even if its file was replaced meanwhile.
    pub fn of_this_program(argument: &str) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            arguments: vec![argument.into()],
            memory: Self::MEMORY,
            patience: Duration::from_secs(10),
        }
    }
}

/// The host's end of the socket, and what it keeps.
struct Line {
    stream: UnixStream,
    leash: Arc<Leash>,
    calls: u32,
    out: Out,
    body: Vec<u8>,
    /// For all of a call; none waits for ever.
    until: Option<Instant>,
}

/// Why there was no answer.
enum Broken {
    /// The process has gone, or speaks no more: how.
    Died(String),
    /// It was not there in time.
    Late,
}

impl Line {
    /// Begins a process. What it is asked first is to load `file`.
    fn start(isolation: &Isolation, leash: Arc<Leash>, until: Option<Instant>) -> std::io::Result<Self> {
        let stream = leash.start(isolation)?;
        stream.set_write_timeout(until.map(|until| until - Instant::now()))?;
        Ok(Self { stream, leash, calls: 0, out: Out::default(), body: Vec::new(), until })
    }

    /// Asks, and waits for the answer. Lines that come before it go to `lines`.
    fn ask(
        &mut self,
        kind: u8,
        write: impl FnOnce(&mut Out),
        mut lines: impl FnMut(Level, &[u8]),
    ) -> Result<In<'_>, Broken> {
        self.calls += 1;
        self.out.begin(Head { kind, call: self.calls });
        write(&mut self.out);
        if let Err(error) = self.out.send(&self.stream) {
            return Err(match error.kind() {
                ErrorKind::FileTooLarge => Broken::Died("was given more than 4 GiB at once".into()),
                ErrorKind::WouldBlock => Broken::Late,
                _ => Broken::Died(self.how()),
            });
        }
        loop {
            match self.read(&mut lines)? {
                Head { kind: kind::LINE, .. } => {}
                Head { kind: kind::ANSWER, call } if call == self.calls => return Ok(In(&self.body)),
                _ => return Err(self.garbled()),
            }
        }
    }

    /// The next frame. A line goes to `lines`.
    fn read(&mut self, lines: &mut impl FnMut(Level, &[u8])) -> Result<Head, Broken> {
        let from = Until { stream: &self.stream, until: self.until };
        let head = match frame::read(from, MAX_ANSWER, &mut self.body) {
            Ok(Some(head)) => head,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(self.garbled()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Broken::Late),
            Ok(None) | Err(_) => return Err(Broken::Died(self.how())),
        };
        if head.kind == kind::LINE {
            match said(&self.body) {
                Ok((level, bytes)) => lines(level, bytes),
                Err(_) => return Err(self.garbled()),
            }
        }
        Ok(head)
    }

    /// Between calls: the lines that are there, a bounded number of them, and whether the process is.
    fn look(&mut self, mut lines: impl FnMut(Level, &[u8])) -> Result<(), Broken> {
        for _ in 0..MAX_LOOKED_AT {
            let mut polled = [PollFd::new(&self.stream, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().is_empty() {
                break;
            }
            if self.read(&mut lines)?.kind != kind::LINE {
                return Err(self.garbled());
            }
        }
        Ok(())
    }

    fn how(&self) -> String {
        leash::how(self.leash.ended())
    }

    /// Whatever writes there is not to be listened to.
    fn garbled(&self) -> Broken {
        self.leash.kill();
        self.leash.ended();
        Broken::Died("wrote into its connection to this program, and was ended".into())
    }
}

/// Reads until a moment at most.
struct Until<'a> {
    stream: &'a UnixStream,
    until: Option<Instant>,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(until) = self.until {
            let left = until.saturating_duration_since(Instant::now());
            // Who never stops writing has no more time than who never writes. To the socket zero would mean for ever.
            if left.is_zero() {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.stream.set_read_timeout(Some(left))?;
        }
        self.stream.read(buffer)
    }
}

/// Loads and looks at a plugin's library in a process of its own, which ends then.
pub(crate) fn load(file: &Path, isolation: &Isolation) -> Result<Plugin, Why> {
    let until = Instant::now() + isolation.patience;
    let line = Line::start(isolation, Arc::default(), Some(until));
    let mut line = line.map_err(|error| Why::NoProcess(error.to_string()))?;
    let described = match loaded(&mut line, file, isolation, &mut |_, _| {}) {
        Ok(described) => described?,
        Err(Broken::Died(how)) => return Err(Why::Died(how)),
        Err(Broken::Late) => return Err(Why::Hung(isolation.patience)),
    };
    let Described { name, version, about, abi, schema, able } = described;
    let schema =
        crate::options::Schema::parse(&schema).map_err(|problem| Why::BadSchema(printable(&problem)))?;
    let code = Code::Isolated(isolation.clone());
    Ok(Plugin { file: file.to_owned(), name, version, about, abi, schema, able, code })
}

/// Has the library loaded in the process that was just begun.
fn loaded(
    line: &mut Line,
    file: &Path,
    isolation: &Isolation,
    lines: &mut dyn FnMut(Level, &[u8]),
) -> Result<Result<Described, Why>, Broken> {
    let write = |out: &mut Out| {
        out.u32(std::process::id());
        out.u64(isolation.memory);
        out.bytes(file.as_os_str().as_bytes());
    };
    let mut answer = line.ask(kind::LOAD, write, lines)?;
    match described(&mut answer) {
        Ok(described) => Ok(described),
        Err(Garbled(_)) => Err(line.garbled()),
    }
}

/// A line of a sink.
pub(crate) fn said(body: &[u8]) -> Result<(Level, &[u8]), Garbled> {
    let mut from = In(body);
    let level = match from.u8()? {
        0 => Level::Error,
        1 => Level::Warning,
        _ => Level::Info,
    };
    Ok((level, from.bytes()?))
}

/// Whether it wants more, or why it has failed.
pub(crate) fn wants_more(from: &mut In<'_>) -> Result<Result<Flow, Failure>, Garbled> {
    Ok(match from.u8()? {
        0 => Ok(Flow::Continue),
        1 => Ok(Flow::Stop),
        _ => Err(Failure::Said(line(from.bytes()?))),
    })
}

/// Lines that were too many, and how it is.
pub(crate) fn health(from: &mut In<'_>) -> Result<(u64, Result<Option<Health>, Failure>), Garbled> {
    let unsaid = from.u64()?;
    let health = match from.u8()? {
        0 => Ok(None),
        1 => Ok(Some(Health {
            degraded: from.u8()? != 0,
            message: line(from.bytes()?),
            written: from.u64()?,
            lost: from.u64()?,
            bytes: from.u64()?,
        })),
        _ => Err(Failure::Said(line(from.bytes()?))),
    };
    Ok((unsaid, health))
}

pub(crate) fn described(from: &mut In<'_>) -> Result<Result<Described, Why>, Garbled> {
    if from.u8()? != 0 {
        return Ok(Err(Why::Other(line(from.bytes()?))));
    }
    let mut text = || from.text().map(str::to_owned);
    let (name, version, about, schema) = (text()?, text()?, text()?, text()?);
    let abi = (from.u32()?, from.u32()?);
    let able = Able {
        tick: from.u8()? != 0,
        flush: from.u8()? != 0,
        finish: from.u8()? != 0,
        health: from.u8()? != 0,
    };
    Ok(Described { name, version, about, abi, schema, able }.checked())
}

/// A sink in a process of its own.
pub(crate) struct Isolated {
    line: Line,
    able: Able,
    name: String,
    log: Log,
    lines: Lines,
    unsaid: u64,
    /// What each call has, where nobody else ends one that hangs.
    patience: Option<Duration>,
    /// Its process is not spoken to any more.
    dead: bool,
}

impl Isolated {
    /// Begins the process, which `leash` holds, loads the library there, and opens the sink.
    pub(crate) fn open(
        plugin: &Plugin,
        isolation: &Isolation,
        name: &str,
        options: &str,
        metadata: &Metadata,
        log: Log,
        leash: Arc<Leash>,
    ) -> Result<Self, Failure> {
        let patience = leash.hurried.then_some(isolation.patience);
        let line = Line::start(isolation, leash, patience.map(|patience| Instant::now() + patience));
        let line = line.map_err(|error| format!("it gets no process: {error}"))?;
        let (able, name, lines) = (plugin.able, name.to_owned(), Lines::default());
        let mut sink = Self { line, able, name, log, lines, unsaid: 0, patience, dead: false };
        let opened = &sink.name.clone();
        let described = loaded(&mut sink.line, &plugin.file, isolation, &mut |_, _| {});
        match described {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => return Err(Failure::Said(why.to_string())),
            Err(broken) => return Err(sink.broken(broken)),
        }
        sink.call(kind::OPEN, |out| {
            out.text(opened);
            out.text(options);
            pack::write_metadata(out, metadata);
        })?;
        Ok(sink)
    }

    fn broken(&mut self, broken: Broken) -> Failure {
        self.dead = true;
        Failure::Died(match broken {
            Broken::Died(how) => how,
            Broken::Late => "did not answer".into(),
        })
    }

    /// Asks, and hands the answer on.
    fn ask<T>(
        &mut self,
        kind: u8,
        write: impl FnOnce(&mut Out),
        read: impl FnOnce(&mut In<'_>) -> Result<T, Garbled>,
    ) -> Result<T, Failure> {
        self.line.until = self.patience.map(|patience| Instant::now() + patience);
        let Self { line: connection, name, log, lines, .. } = self;
        let say = say(name, log, lines);
        let answer = match connection.ask(kind, write, say) {
            Ok(mut answer) => read(&mut answer),
            Err(broken) => return Err(self.broken(broken)),
        };
        answer.map_err(|Garbled(_)| {
            let broken = self.line.garbled();
            self.broken(broken)
        })
    }

    /// A call that is answered with whether it wants more.
    fn call(&mut self, kind: u8, write: impl FnOnce(&mut Out)) -> Result<Flow, Failure> {
        self.ask(kind, write, wants_more)?
    }
}

/// Says what of a sink's lines is not too much.
fn say(name: &str, log: &Log, lines: &Lines) -> impl FnMut(Level, &[u8]) {
    |level, bytes| {
        if lines.admit() {
            log(name, level, &line(bytes));
        }
    }
}

impl Opened for Isolated {
    fn names(&mut self, names: &NewNames) -> Result<Flow, Failure> {
        self.call(kind::NAMES, |out| names.write(out))
    }

    fn batch(&mut self, body: &Body, missed: u64) -> Result<Flow, Failure> {
        self.call(kind::BATCH, |out| {
            out.u64(missed);
            body.write(out);
        })
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, Failure> {
        if !self.able.tick {
            return Ok(Flow::Continue);
        }
        self.call(kind::TICK, |out| out.u64(end_ns))
    }

    fn flush(&mut self, within: Duration) -> Result<Flow, Failure> {
        if !self.able.flush {
            return Ok(Flow::Continue);
        }
        self.call(kind::FLUSH, |out| out.u64(nanos(within)))
    }

    fn finish(&mut self, within: Duration) -> Result<(), Failure> {
        self.lines.last_words();
        self.call(kind::FINISH, |out| out.u64(nanos(within))).map(drop)
    }

    fn health(&mut self) -> Result<Option<Health>, Failure> {
        if self.dead {
            return Ok(None);
        }
        let (unsaid, health) = self.ask(kind::HEALTH, |_| {}, health)?;
        self.unsaid = unsaid;
        health
    }

    fn unsaid(&self) -> u64 {
        self.unsaid.saturating_add(self.lines.unsaid())
    }

    fn look(&mut self) -> Result<(), Failure> {
        let Self { line: connection, name, log, lines, .. } = self;
        connection.look(say(name, log, lines)).map_err(|broken| self.broken(broken))
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.closed()
    }
}

impl Isolated {
    /// Closes it, once. Its process is gone when the leash is.
    fn closed(&mut self) -> Result<(), Failure> {
        if self.dead {
            return Ok(());
        }
        let closed = self.call(kind::CLOSE, |_| {});
        self.dead = true;
        closed.map(drop)
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        let _ = self.closed();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The process of a sink may say what it likes.
        #[test]
        fn whatever_a_plugin_is_said_to_be_is_checked(
            bytes: Vec<u8>,
            texts in prop::array::uniform4(any::<String>()),
            numbers: [u32; 2],
        ) {
            let _ = described(&mut In(&bytes));
            let (mut out, mut sent, mut body) = (Out::default(), Vec::new(), Vec::new());
            out.begin(Head { kind: kind::ANSWER, call: 1 });
            out.u8(0);
            texts.iter().for_each(|text| out.text(text));
            out.u32s(&numbers);
            (0..4).for_each(|_| out.u8(1));
            out.send(&mut sent).unwrap();
            frame::read(&sent[..], MAX_ANSWER, &mut body).unwrap();
            match described(&mut In(&body)) {
                Ok(Ok(described)) => {
                    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
                    prop_assert!(!described.name.is_empty() && described.name.chars().all(plain));
                }
                Ok(Err(why)) => prop_assert!(!why.to_string().is_empty()),
                Err(garbled) => prop_assert!(false, "{:?}", garbled),
            }
        }
    }
}
