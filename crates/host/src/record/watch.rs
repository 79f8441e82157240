//! Waiting for what happens to a recorded program: its processes end, others begin to record.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::running::has_ended;

/// How long to wait at most: Ctrl-C wakes nobody.
const AT_MOST: Duration = Duration::from_millis(50);
/// How often to look for what wakes nobody. Records wait in memory meanwhile.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Tells when a process ends.
pub(super) struct Watch {
    life: Life,
    over: bool,
}

enum Life {
    /// It becomes readable when the process ends.
    Descriptor(OwnedFd),
    /// No descriptor could be had, as when too many are open: its number is asked for.
    Number(u32),
    /// It has another number here, which is not known.
    Unknown,
}

impl Watch {
    /// Of a process by its number here; `None`: it is taken to end when the program does.
    pub(super) fn of(pid: Option<u32>) -> Self {
        pid.map_or(Self { life: Life::Unknown, over: false }, Self::new)
    }

    pub(super) fn new(pid: u32) -> Self {
        let opened = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let life = opened.map_or(Life::Number(pid), Life::Descriptor);
        Self { life, over: false }
    }

    /// Notes whether it still runs.
    pub(super) fn look(&mut self) {
        self.over |= match &self.life {
            Life::Number(pid) => has_ended(*pid),
            Life::Unknown => false,
            Life::Descriptor(process) => ready(&mut [PollFd::new(process, PollFlags::IN)], Duration::ZERO),
        };
    }

    /// [`Watch::look`], of a process of `program`.
    pub(super) fn look_within(&mut self, program: &Self) {
        self.look();
        self.over |= matches!(self.life, Life::Unknown) && program.over;
    }

    /// Whether it ended, as far as was noted.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// What becomes readable when it ends, if that was not noted.
    fn end(&self) -> Option<BorrowedFd<'_>> {
        match &self.life {
            Life::Descriptor(process) if !self.over => Some(process.as_fd()),
            _ => None,
        }
    }
}

/// Tells when a folder has new files.
pub(super) struct NewFiles(Option<OwnedFd>);

impl NewFiles {
    /// Where the system gives no such watch (each user has a number of them), [`wait`] is short instead.
    pub(super) fn of(folder: &Path) -> Self {
        let watch = || {
            let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            inotify::add_watch(&watch, fs::canonicalize(folder).ok()?, WatchFlags::MOVED_TO).ok()?;
            Some(watch)
        };
        Self(watch())
    }

    fn forget(&self) {
        let Some(watch) = &self.0 else { return };
        let mut room = [MaybeUninit::uninit(); 4_096];
        let mut events = Reader::new(watch, &mut room);
        while events.next().is_ok() {}
    }
}

/// Until a file is new, one of `processes` ends, or some time has passed: never more than `at_most`.
pub(super) fn wait<'a>(
    files: &'a NewFiles,
    processes: impl IntoIterator<Item = &'a Watch>,
    at_most: Duration,
) {
    let ends = processes.into_iter().filter_map(Watch::end);
    let all = files.0.as_ref().map(AsFd::as_fd).into_iter().chain(ends);
    let mut all: Vec<PollFd<'_>> = all.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN)).collect();
    let at_most = at_most.min(if files.0.is_some() { AT_MOST } else { LOOK_EVERY });
    if ready(&mut all, at_most) {
        files.forget();
    }
}

fn ready(all: &mut [PollFd<'_>], at_most: Duration) -> bool {
    let at_most = Timespec { tv_sec: 0, tv_nsec: at_most.subsec_nanos().into() };
    poll(all, Some(&at_most)).is_ok_and(|ready| ready > 0)
}
