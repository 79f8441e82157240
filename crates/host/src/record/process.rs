//! One process that records.

use std::fmt;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tickscope_core::Source;
use tickscope_session::Collector;

use super::place::Found;
use crate::live::control::Control;
use crate::recording::{Collecting, Recorded, Sinks};

/// Tells when a process ends.
struct Watch {
    /// None when it had by the time it was looked for.
    alive: Option<OwnedFd>,
    over: bool,
}

impl Watch {
    fn new(pid: u32) -> Self {
        let alive = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self { alive, over: false }
    }

    fn look(&mut self) {
        self.over |= match &self.alive {
            None => true,
            // A process's descriptor becomes readable when it ends.
            Some(process) => {
                let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
                poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
            }
        };
    }
}

/// A process that has a session and no thread that records: the child of a fork, which may never run any Lua.
pub(super) struct Waiting {
    watch: Watch,
    pub(super) session: Found,
    pub(super) collector: Collector,
}

impl Waiting {
    pub(super) fn new(session: Found, collector: Collector) -> Self {
        Self { watch: Watch::new(collector.metadata().pid), session, collector }
    }

    /// Notes whether it still runs.
    pub(super) fn look(&mut self) {
        self.watch.look();
    }

    /// Whether it ended, as far as was noted.
    pub(super) fn is_over(&self) -> bool {
        self.watch.over
    }
}

/// A process of the program, from the moment it records.
pub(super) struct Process {
    pid: u32,
    name: String,
    watch: Watch,
    collecting: Collecting,
    /// The session's file goes when all of it was collected.
    session: Found,
}

impl Process {
    pub(super) fn new(session: Found, collector: Collector, sinks: Sinks, control: &Control) -> Self {
        let pid = collector.metadata().pid;
        let name = collector.program();
        let collecting = sinks.collect(collector, |analyzer| Some(control.observe(analyzer)));
        Self { pid, name, watch: Watch::new(pid), collecting, session }
    }

    /// Notes whether it still runs.
    pub(super) fn look(&mut self) {
        self.watch.look();
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_over(&self) -> bool {
        self.watch.over
    }

    /// Drains what is left.
    pub(super) fn finish(self) -> Recorded {
        let recorded = self.collecting.finish();
        drop(self.session);
        recorded
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}
