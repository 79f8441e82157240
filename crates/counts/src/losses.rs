//! Events that found no room in the recording.

use std::collections::HashMap;

use tickscope_abi::{Event, Sample};

/// Rings whose losses are told apart.
const MAX_RINGS: usize = 1 << 16;

/// Adds up what gaps and the accounts of rings tell of losses. Memory is bounded.
#[derive(Debug, Default)]
pub struct Losses {
    gaps: u64,
    accounted: u64,
    /// By ring, in all.
    dropped: HashMap<u32, u64>,
}

impl Losses {
    /// Looks at a sample.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        match sample.event {
            Event::Gap(events) => self.gaps = self.gaps.saturating_add(events),
            // Also those of threads that got no ring, and those after which a ring recorded nothing more.
            Event::Account(account)
                if self.dropped.len() < MAX_RINGS || self.dropped.contains_key(&sample.ring) =>
            {
                let before = self.dropped.insert(sample.ring, account.dropped).unwrap_or(0);
                let more = account.dropped.saturating_sub(before);
                self.accounted = self.accounted.saturating_add(more);
            }
            _ => {}
        }
    }

    /// Events that were lost before anybody saw them. Gaps and accounts tell of the same.
    pub fn lost(&self) -> u64 {
        self.gaps.max(self.accounted)
    }
}
