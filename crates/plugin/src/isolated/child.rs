//! The process of a sink, from its inside.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};
use tickscope_core::Flow;

use super::frame::{self, Garbled, Head, In, Out, kind};
use crate::library::Plugin;
use crate::opened::{Failure, Level, Log, Opened};
use crate::pack::{self, Body, NewNames};

/// Why a process serves no sink.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
    /// A person has started it.
    #[error("this is started by a host, with a socket as its standard input; it is of no use by hand")]
    ByHand,
    /// The system refuses something.
    #[error("a sink's process cannot be set up: {0}")]
    System(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for NotStarted {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

/// Serves one sink to the host that has started this process with an [`Isolation`](super::Isolation), until the host wants no
/// more or is gone. To be called first in a process: it closes every file that is open, and may limit the process's memory.
///
/// # Errors
/// That no host has started this process, or that the system refuses to set it up.
pub fn serve_isolated() -> Result<(), NotStarted> {
    let stdin = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    if stdin.local_addr().is_err() {
        return Err(NotStarted::ByHand);
    }
    drop(stdin);
    // SAFETY: standard streams stay. What else is open was inherited: nothing in this process knows of it yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    // What a sink prints is no frame.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // When the machine's memory is short, this goes before the program that records.
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").ok();
    let own: i32 = own.and_then(|own| own.trim().parse().ok()).unwrap_or_default();
    let _ = std::fs::write("/proc/self/oom_score_adj", own.max(500).to_string());
    Ok(serve(socket)?)
}

/// The way back: answers, and lines from any thread.
struct Back {
    socket: UnixStream,
    out: Mutex<Out>,
}

impl Back {
    /// Of a host that is gone nobody hears.
    fn send(&self, kind: u8, call: u32, write: impl FnOnce(&mut Out)) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.begin(Head { kind, call });
        write(&mut out);
        let _ = out.send(&self.socket);
    }

    /// Whether it wants more, or why it has failed.
    fn answer(&self, call: u32, answer: &Result<Flow, Failure>) {
        self.send(kind::ANSWER, call, |out| match answer {
            Ok(Flow::Continue) => out.u8(0),
            Ok(Flow::Stop) => out.u8(1),
            Err(failure) => {
                out.u8(2);
                out.text(&failure.to_string());
            }
        });
    }
}

fn serve(socket: UnixStream) -> std::io::Result<()> {
    let back = Arc::new(Back { socket, out: Mutex::default() });
    let mut served = Served { back: back.clone(), plugin: None, sink: None };
    let mut body = Vec::new();
    while let Some(head) = frame::read(&back.socket, u32::MAX, &mut body)? {
        let more = served.call(head, In(&body));
        let more = more.map_err(|Garbled(what)| std::io::Error::new(ErrorKind::InvalidData, what))?;
        if !more {
            break;
        }
    }
    Ok(())
}

/// What there is so far.
struct Served {
    back: Arc<Back>,
    plugin: Option<Plugin>,
    sink: Option<Box<dyn Opened>>,
}

impl Served {
    /// Does what the host asks for, and answers. Whether more may follow.
    fn call(&mut self, head: Head, mut from: In<'_>) -> Result<bool, Garbled> {
        match (head.kind, &mut self.sink) {
            (kind::LOAD, None) => self.load(head.call, &mut from)?,
            (kind::OPEN, None) => self.open(head.call, &mut from)?,
            (kind::NAMES, Some(sink)) => {
                let answer = sink.names(&NewNames::read(&mut from)?);
                self.back.answer(head.call, &answer);
            }
            (kind::BATCH, Some(sink)) => {
                let missed = from.u64()?;
                let answer = sink.batch(&Body::read(&mut from)?, missed);
                self.back.answer(head.call, &answer);
            }
            (kind::TICK, Some(sink)) => {
                let answer = sink.tick(from.u64()?);
                self.back.answer(head.call, &answer);
            }
            (kind::FLUSH, Some(sink)) => {
                let answer = sink.flush(Duration::from_nanos(from.u64()?));
                self.back.answer(head.call, &answer);
            }
            (kind::FINISH, Some(sink)) => {
                let answer = sink.finish(Duration::from_nanos(from.u64()?));
                self.back.answer(head.call, &answer.map(|()| Flow::Continue));
            }
            (kind::HEALTH, Some(sink)) => {
                let health = sink.health();
                let unsaid = sink.unsaid();
                self.back.send(kind::ANSWER, head.call, |out| {
                    out.u64(unsaid);
                    match health {
                        Ok(None) => out.u8(0),
                        Ok(Some(health)) => {
                            out.u8(1);
                            out.u8(health.degraded.into());
                            out.text(&health.message);
                            out.u64s(&[health.written, health.lost, health.bytes]);
                        }
                        Err(failure) => {
                            out.u8(2);
                            out.text(&failure.to_string());
                        }
                    }
                });
            }
            (kind::CLOSE, _) => {
                let closed = self.sink.take().map_or(Ok(()), Opened::close);
                self.back.answer(head.call, &closed.map(|()| Flow::Stop));
                return Ok(false);
            }
            _ => return Err(Garbled("a call out of its turn")),
        }
        from.end().map(|()| true)
    }

    fn load(&mut self, call: u32, from: &mut In<'_>) -> Result<(), Garbled> {
        let (parent, memory) = (from.u32()?, from.u64()?);
        let file = Path::new(OsStr::from_bytes(from.bytes()?));
        let lives = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
        if lives != Some(parent) {
            return Err(Garbled("the host is gone"));
        }
        // It may have less already, and nobody may have more again.
        let most = rustix::process::getrlimit(Resource::Data).maximum.map_or(memory, |most| most.min(memory));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        let limited = rustix::process::setrlimit(Resource::Data, limit);
        let loaded = match limited {
            Ok(()) => Plugin::load(file).map_err(|refusal| refusal.why.to_string()),
            Err(error) => Err(format!("its memory cannot be limited to {memory} bytes: {error}")),
        };
        self.back.send(kind::ANSWER, call, |out| match &loaded {
            Ok(plugin) => {
                out.u8(0);
                for text in [&plugin.name, &plugin.version, &plugin.about, plugin.schema.text()] {
                    out.text(text);
                }
                out.u32(plugin.abi.0);
                out.u32(plugin.abi.1);
                let able = plugin.able;
                for able in [able.tick, able.flush, able.finish, able.health] {
                    out.u8(able.into());
                }
            }
            Err(why) => {
                out.u8(1);
                out.text(why);
            }
        });
        self.plugin = loaded.ok();
        Ok(())
    }

    fn open(&mut self, call: u32, from: &mut In<'_>) -> Result<(), Garbled> {
        let (name, options) = (from.text()?, from.text()?);
        let metadata = pack::read_metadata(from)?;
        let plugin = self.plugin.take().ok_or(Garbled("nothing is loaded"))?;
        // For lists of processes. The system takes 15 bytes.
        let _ = CString::new(format!("sink {name}")).map(|name| rustix::thread::set_name(&name));
        let back = self.back.clone();
        let log: Log = Arc::new(move |_: &str, level: Level, line: &str| {
            back.send(kind::LINE, 0, |out| {
                out.u8(match level {
                    Level::Error => 0,
                    Level::Warning => 1,
                    Level::Info => 2,
                });
                out.text(line);
            });
        });
        let opened = plugin.open(name, options, &metadata, log, &Arc::default());
        let answer = opened.map(|sink| self.sink = Some(sink)).map(|()| Flow::Continue);
        self.back.answer(call, &answer);
        Ok(())
    }
}
