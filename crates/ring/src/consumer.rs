//! The end that reads.

use std::ops::Range;

use crate::layout::{MAX_EVENT_SLOTS, Memory, Policy, Slot};
use crate::sync::{OBSERVE, Ordering, RELEASE, check_fence};

/// How many slots are read before the producer may reuse them.
const CHUNK: u64 = 4_096;

/// The end of a ring that reads.
#[derive(Debug)]
pub struct Consumer {
    memory: Memory,
    head: u64,
    /// The producer's tail when last looked at.
    tail: u64,
}

impl Consumer {
    pub(crate) fn new(memory: Memory) -> Self {
        let head = memory.header().head.load(Ordering::Relaxed);
        Self { head, tail: head, memory }
    }

    /// Reads everything there was at the call: `read` gets runs of slots with the position of the first. An event may
    /// be split between two runs of one call, never between two calls. Returns how many slots were read.
    #[inline]
    pub fn drain(&mut self, mut read: impl FnMut(u64, &[Slot])) -> u64 {
        let tail = self.observe();
        let first = self.head;
        while self.head < tail {
            let run = self.memory.run(self.head, (tail - self.head).min(CHUNK));
            for slot in run {
                slot.claim(false);
            }
            read(self.head, run);
            self.head += run.len() as u64;
            self.memory.header().head.store(self.head, RELEASE); // pairs with RECLAIM in the producer
        }
        self.head - first
    }

    /// Takes one event of `N` slots, if there is one. For producers that push events of one length only.
    #[inline(always)]
    pub fn pop<const N: usize>(&mut self) -> Option<[[u64; 2]; N]> {
        if self.tail.wrapping_sub(self.head) < N as u64 {
            self.observe();
            if self.tail - self.head < N as u64 {
                return None;
            }
        }
        let event = std::array::from_fn(|offset| {
            let slot = self.memory.slot(self.head + offset as u64);
            slot.claim(false);
            slot.words()
        });
        self.head += N as u64;
        self.memory.header().head.store(self.head, RELEASE); // pairs with RECLAIM in the producer
        Some(event)
    }

    /// Copies what a flight recorder holds from `from` on (an earlier [`Snapshot`]'s end, or 0) into `into`, and says
    /// which positions those are. Never waits for the producer; what it overwrites meanwhile is left out.
    pub fn snapshot(&self, from: u64, into: &mut Vec<[u64; 2]>) -> Snapshot {
        let line = &self.memory.header().producer;
        let tail = line.tail.load(OBSERVE); // pairs with PUBLISH
        let oldest = tail.saturating_sub(self.memory.capacity());
        let start = from.max(oldest).min(tail);
        let len_before = into.len();
        let mut at = start;
        while at < tail {
            let run = self.memory.run(at, tail - at);
            into.extend(run.iter().map(Slot::words));
            at += run.len() as u64;
        }
        check_fence(); // pairs with `overwrite_fence`: a copied slot of a later event means a later tail here
        let now = line.tail.load(Ordering::Relaxed);
        // The event behind `now` may be half written over the oldest slots.
        let in_flight = if self.memory.policy() == Policy::Overwrite { event_slots() } else { 0 };
        let safe = now.saturating_add(in_flight).saturating_sub(self.memory.capacity());
        let torn = safe.saturating_sub(start).min(tail - start);
        into.drain(len_before..len_before + torn as usize);
        Snapshot { positions: start + torn..tail, missed: (start + torn).saturating_sub(from.min(tail)) }
    }

    /// Events the producer attempted, as it last said.
    pub fn attempted(&self) -> u64 {
        self.memory.header().producer.attempted.load(Ordering::Relaxed)
    }

    /// Events the producer refused, as it last said.
    pub fn dropped(&self) -> u64 {
        self.memory.header().producer.dropped.load(Ordering::Relaxed)
    }

    /// Next position to be read.
    pub fn position(&self) -> u64 {
        self.head
    }

    /// Number of slots in the ring.
    pub fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    /// Slots that wait to be read.
    pub fn backlog(&mut self) -> u64 {
        self.observe() - self.head
    }

    /// What happens in this ring when it is full.
    pub fn policy(&self) -> Policy {
        self.memory.policy()
    }

    fn observe(&mut self) -> u64 {
        let tail = self.memory.header().producer.tail.load(OBSERVE); // pairs with PUBLISH in the producer
        // A producer gone mad may claim anything: never read back, never more than the ring holds.
        self.tail = tail.clamp(self.head, self.head.saturating_add(self.memory.capacity()));
        self.tail
    }
}

/// In a model the ring is tiny and events have one slot.
fn event_slots() -> u64 {
    if cfg!(loom) { 1 } else { MAX_EVENT_SLOTS as u64 }
}

/// What [`Consumer::snapshot`] copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The positions of the slots, in order.
    pub positions: Range<u64>,
    /// Slots from the position asked for that are gone.
    pub missed: u64,
}
