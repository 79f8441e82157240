//! Where causal links come from: the latest sources, by id.

use tickscope_core::SpanId;

use crate::symbols::Slot;

const ENTRIES: usize = 1 << 16;

/// The span that was around each link's source.
///
/// Direct-mapped: a new source replaces an old one that falls into the same place, so memory stays at 1 MiB and a
/// look-up takes one probe. A link whose source is gone has no known cause.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    entries: Vec<(u64, Slot)>,
}

impl Links {
    pub fn insert(&mut self, id: SpanId, around: Slot) {
        if self.entries.is_empty() {
            self.entries = vec![(0, 0); ENTRIES];
        }
        self.entries[place(id)] = (id.raw(), around);
    }

    /// What was around the source; 0 when it is not known.
    pub fn find(&self, id: SpanId) -> Slot {
        self.entries.get(place(id)).filter(|entry| entry.0 == id.raw()).map_or(0, |entry| entry.1)
    }
}

fn place(id: SpanId) -> usize {
    (id.raw().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize % ENTRIES
}
