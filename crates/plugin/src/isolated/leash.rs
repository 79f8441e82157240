//! The process of a sink: begun, ended, and how it ended.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::Isolation;

/// How long a process that says nothing more has to be gone by itself.
const LINGER: Duration = Duration::from_millis(500);

/// Holds the process of one sink. It may be ended from any thread, whatever another waits for.
#[derive(Debug, Default)]
pub(crate) struct Leash {
    held: Mutex<Held>,
    /// Calls have a plugin's patience: nobody else ends one that hangs.
    pub(crate) hurried: bool,
}

#[derive(Debug, Default)]
enum Held {
    #[default]
    NotYet,
    /// And the host's end of the socket.
    Process(Child, UnixStream),
    /// None may begin any more.
    Over,
}

impl Leash {
    /// One whose sink is on nobody's thread but the caller's.
    pub(crate) fn hurried() -> Self {
        Self { hurried: true, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the process. It is in a group of its own: what a terminal sends to the program's group (Ctrl-C) is not meant for
    /// sinks, which are finished then.
    pub(crate) fn start(&self, isolation: &Isolation) -> std::io::Result<UnixStream> {
        let (mine, its) = UnixStream::pair()?;
        let mut command = Command::new(&isolation.program);
        command.args(&isolation.arguments).process_group(0);
        if let Some(name) = isolation.program.file_name().filter(|name| *name != "exe") {
            command.arg0(name);
        } else {
            command.arg0("tickscope");
        }
        command.stdin(std::os::fd::OwnedFd::from(its)).stdout(Stdio::null());
        let mut held = self.lock();
        if matches!(*held, Held::Over) {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let end = mine.try_clone()?;
        *held = Held::Process(command.spawn()?, end);
        Ok(mine)
    }

    /// Ends the process, and those that it began. Whether there was one.
    pub(crate) fn kill(&self) -> bool {
        let mut held = self.lock();
        match &mut *held {
            Held::Process(child, socket) => {
                // Whatever else the sink has begun may hold the other end.
                let _ = socket.shutdown(Shutdown::Both);
                kill(child);
                true
            }
            Held::NotYet | Held::Over => {
                *held = Held::Over;
                false
            }
        }
    }

    /// Waits for the process, which has closed its end of the socket and should be gone at once, and ends those that it began.
    /// `None` where it was not gone, and was ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let until = Instant::now() + LINGER;
        loop {
            let mut held = self.lock();
            let Held::Process(child, _) = &mut *held else { return None };
            match has_ended(child) {
                Ok(false) if Instant::now() < until => {}
                Ok(ended) => {
                    kill(child);
                    // Not under the lock: the system may take its time.
                    let Held::Process(mut child, _) = std::mem::replace(&mut *held, Held::Over) else {
                        return None;
                    };
                    drop(held);
                    return child.wait().ok().filter(|_| ended);
                }
                // Somebody else has waited for it: its number may be another's by now.
                Err(_) => {
                    *held = Held::Over;
                    return None;
                }
            }
            drop(held);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill();
        self.ended();
    }
}

/// Whether it has ended. It keeps its number until it is waited for.
fn has_ended(child: &Child) -> rustix::io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH)?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), options).map(|ended| ended.is_some())
}

/// Ends the process and its group, where its number is still its own.
fn kill(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group.filter(|_| has_ended(child).is_ok()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// How a process ended, as in "died of SIGSEGV".
pub(crate) fn how(status: Option<ExitStatus>) -> String {
    const SIGNALS: &[(i32, &str)] = &[
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    let Some(status) = status else {
        return "closed its connection, and was ended".into();
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => match SIGNALS.iter().find(|(number, _)| *number == signal) {
            Some((_, name)) => format!("died of {name}"),
            None => format!("died of signal {signal}"),
        },
        (None, code) => format!("ended its process (exit code {})", code.unwrap_or_default()),
    }
}
