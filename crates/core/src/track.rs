//! Tracks: each is one stack of spans.

use std::sync::Arc;

use crate::TrackId;

/// What a track stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TrackKind {
    /// The process: parent of all others.
    #[default]
    Process = 0,
    /// An operating system thread.
    Thread = 1,
    /// A Lua coroutine; suspended most of the time.
    Coroutine = 2,
    /// A fiber of the scheduler.
    Fiber = 3,
    /// A task of the scheduler.
    Task = 4,
    /// One asynchronous operation that may begin on one thread and end on another.
    Async = 5,
    /// A track the program named itself.
    Custom = 6,
}

impl TrackKind {
    /// Every kind, in the order of its numbers.
    pub const ALL: [Self; 7] =
        [Self::Process, Self::Thread, Self::Coroutine, Self::Fiber, Self::Task, Self::Async, Self::Custom];

    /// The kind of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Lower-case name, as stored in captures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread => "thread",
            Self::Coroutine => "coroutine",
            Self::Fiber => "fiber",
            Self::Task => "task",
            Self::Async => "async",
            Self::Custom => "custom",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One stack of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// What it stands for.
    pub kind: TrackKind,
    /// The track it is shown under: a coroutine's thread, a thread's process.
    pub parent: TrackId,
    /// Process id for the process, thread id for a thread, 0 for the others.
    pub os_id: u32,
    /// Name shown to people; equal names are different tracks.
    pub name: Arc<str>,
    /// The resource (VM) its spans run in; empty when they belong to several or none.
    pub resource: Arc<str>,
}
