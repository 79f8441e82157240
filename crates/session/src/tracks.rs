//! What a thread remembers of its tracks: how many of their spans are open, and which can be used again.

use std::collections::HashMap;

use tickscope_core::TrackId;

/// What must survive while a track is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrackState {
    /// Recorded spans that are open: each holds a reserved slot.
    pub(crate) open: u32,
    /// Refused spans that are open: everything below them is refused too.
    pub(crate) dropping: u32,
}

/// The track that waits while another runs on top of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) track: TrackId,
    pub(crate) state: TrackState,
    /// Whether the switch away from it was recorded.
    pub(crate) recorded: bool,
}

/// Tracks of one thread. Coroutines come and go by the thousand while the arena is bounded, so a track that is over is
/// given to the next coroutine of the same name.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) hosts: Vec<Host>,
    suspended: HashMap<TrackId, TrackState>,
    definitions: HashMap<TrackId, Box<[u8]>>,
    free: HashMap<Box<[u8]>, Vec<TrackId>>,
}

impl Tracks {
    /// A track defined like this that is over.
    pub(crate) fn reuse(&mut self, definition: &[u8]) -> Option<TrackId> {
        self.free.get_mut(definition)?.pop()
    }

    pub(crate) fn defined(&mut self, track: TrackId, definition: &[u8]) {
        self.definitions.insert(track, definition.into());
    }

    pub(crate) fn load(&mut self, track: TrackId) -> TrackState {
        if self.suspended.is_empty() {
            TrackState::default()
        } else {
            self.suspended.remove(&track).unwrap_or_default()
        }
    }

    pub(crate) fn save(&mut self, track: TrackId, state: TrackState) {
        if state != TrackState::default() {
            self.suspended.insert(track, state);
        }
    }

    /// The track is over and may be used again.
    pub(crate) fn over(&mut self, track: TrackId) {
        if let Some(definition) = self.definitions.get(&track) {
            match self.free.get_mut(definition) {
                Some(free) => free.push(track),
                None => {
                    self.free.insert(definition.clone(), vec![track]);
                }
            }
        }
    }
}
