//! One process that records.

use std::fmt;

use tickscope_core::Source;
use tickscope_session::Collector;

use super::place::Found;
use super::running::here;
use super::watch::Watch;
use crate::live::control::Control;
use crate::recording::{Collecting, Recorded, Sinks};

/// A process that has a session and no thread that records: the child of a fork, which may never run any Lua.
pub(super) struct Waiting {
    /// Its number here, if that is known.
    pid: Option<u32>,
    pub(super) watch: Watch,
    pub(super) session: Found,
    pub(super) collector: Collector,
}

impl Waiting {
    pub(super) fn new(session: Found, collector: Collector) -> Self {
        let pid = here(collector.metadata().pid, collector.pid_namespace());
        Self { pid, watch: Watch::of(pid), session, collector }
    }

    /// Notes whether it still runs.
    pub(super) fn look(&mut self, program: &Watch) {
        self.watch.look_within(program);
    }

    /// Whether it ended, as far as was noted.
    pub(super) fn is_over(&self) -> bool {
        self.watch.is_over()
    }

    /// Its session stays.
    pub(super) fn leave(self) {
        self.session.leave();
    }
}

/// A process of the program, from the moment it records.
pub(super) struct Process {
    pid: u32,
    name: String,
    pub(super) watch: Watch,
    collecting: Collecting,
    /// The session's file goes when all of it was collected.
    session: Found,
}

impl Process {
    pub(super) fn new(waiting: Waiting, sinks: Sinks, control: &Control) -> Self {
        let Waiting { pid, watch, session, collector } = waiting;
        let pid = pid.unwrap_or(collector.metadata().pid);
        let name = collector.program();
        let collecting = sinks.collect(collector, None, |analyzer| Some(control.observe(analyzer)));
        Self { pid, name, watch, collecting, session }
    }

    /// Notes whether it still runs.
    pub(super) fn look(&mut self, program: &Watch) {
        self.watch.look_within(program);
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_over(&self) -> bool {
        self.watch.is_over()
    }

    /// Has it drain what is left, without waiting.
    pub(super) fn end(&self) {
        self.collecting.end();
    }

    /// Whether it was told to end, and [`finish`](Self::finish) waits for nothing.
    pub(super) fn is_finished(&self) -> bool {
        self.collecting.is_finished()
    }

    /// Drains what is left.
    pub(super) fn finish(self) -> Recorded {
        let recorded = self.collecting.finish();
        drop(self.session);
        recorded
    }

    /// Drains what is there, and leaves its session to the next one.
    pub(super) fn leave(self) -> Recorded {
        let recorded = self.collecting.finish();
        self.session.leave();
        recorded
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}
