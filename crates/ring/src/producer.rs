//! The end that writes.

use std::cell::Cell;

use crate::layout::{MAX_EVENT_SLOTS, Memory, Policy};
use crate::sync::{Ordering, PUBLISH, RECLAIM, overwrite_fence};

/// The ring had no room: the event was counted as dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The end of a ring that writes. One thread at a time.
///
/// Methods take `&self` because recording re-enters (a hook within a hook); `Cell`s keep it from being shared.
#[derive(Debug)]
pub struct Producer {
    memory: Memory,
    /// Next position to write; the shared `tail` is a copy of it.
    tail: Cell<u64>,
    /// Unreserved events may fill positions below this one. Out of date downwards only: `head` moves up.
    limit: Cell<u64>,
    /// Slots promised to [`Producer::push_reserved`].
    reserved: Cell<u64>,
    attempted: Cell<u64>,
    dropped: Cell<u64>,
}

impl Producer {
    pub(crate) fn new(memory: Memory) -> Self {
        let line = &memory.header().producer;
        let producer = Self {
            tail: Cell::new(line.tail.load(Ordering::Relaxed)),
            attempted: Cell::new(line.attempted.load(Ordering::Relaxed)),
            dropped: Cell::new(line.dropped.load(Ordering::Relaxed)),
            limit: Cell::new(0),
            reserved: Cell::new(0),
            memory,
        };
        producer.refresh();
        producer
    }

    /// Pushes one event. Returns the position of its first slot.
    ///
    /// # Errors
    /// [`Full`] when there is no room beside what is reserved; the event is counted as dropped.
    ///
    /// # Panics
    /// At compile time, when `N` is 0 or above [`MAX_EVENT_SLOTS`].
    #[inline(always)]
    pub fn push<const N: usize>(&self, slots: [[u64; 2]; N]) -> Result<u64, Full> {
        const { assert!(N > 0 && N <= MAX_EVENT_SLOTS) };
        self.attempt();
        let tail = self.make_room(N as u64)?;
        for (offset, words) in slots.into_iter().enumerate() {
            self.write(tail + offset as u64, words);
        }
        self.publish(tail + N as u64);
        Ok(tail)
    }

    /// Pushes one event and reserves a slot for another, later one: an Enter that must be able to record its Exit.
    ///
    /// # Errors
    /// [`Full`] when there is no room for both; the event is counted as dropped and nothing is reserved.
    #[inline(always)]
    pub fn push_reserving<const N: usize>(&self, slots: [[u64; 2]; N]) -> Result<u64, Full> {
        const { assert!(N > 0 && N < MAX_EVENT_SLOTS) };
        self.attempt();
        let tail = self.make_room(N as u64 + 1)?;
        for (offset, words) in slots.into_iter().enumerate() {
            self.write(tail + offset as u64, words);
        }
        self.limit.set(self.limit.get() - 1);
        self.reserved.set(self.reserved.get() + 1);
        self.publish(tail + N as u64);
        Ok(tail)
    }

    /// Like [`Producer::push_reserving`], but only while `spare` more slots are free: for events that many of come, so
    /// that rarer ones find room in a full ring.
    ///
    /// # Errors
    /// [`Full`] when there is less room.
    #[inline(always)]
    pub fn push_reserving_sparing(&self, words: [u64; 2], spare: u64) -> Result<u64, Full> {
        self.attempt();
        let tail = self.make_room(2 + spare)?;
        self.write(tail, words);
        self.limit.set(self.limit.get() - 1);
        self.reserved.set(self.reserved.get() + 1);
        self.publish(tail + 1);
        Ok(tail)
    }

    /// Number of slots in the ring.
    pub fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    /// Pushes one event of one slot into the room an earlier [`Producer::push_reserving`] reserved. Never refused.
    ///
    /// # Panics
    /// In debug builds, when nothing is reserved. In release builds the event is then dropped and counted.
    #[inline(always)]
    pub fn push_reserved(&self, words: [u64; 2]) {
        self.attempt();
        let reserved = self.reserved.get();
        debug_assert!(reserved > 0, "push_reserved without push_reserving");
        if reserved == 0 {
            self.refuse();
            return;
        }
        let tail = self.tail.get();
        self.write(tail, words);
        self.limit.set(self.limit.get() + 1);
        self.reserved.set(reserved - 1);
        self.publish(tail + 1);
    }

    /// Pushes one event of `n` slots that `fill` gives one by one, 0 to `n`, and reserves `reserve` more slots.
    /// For events whose length is known at run time only.
    ///
    /// # Errors
    /// [`Full`] when there is no room, or `n` is 0 or above [`MAX_EVENT_SLOTS`]; counted as dropped.
    #[inline]
    pub fn push_with(
        &self,
        n: usize,
        reserve: u64,
        mut fill: impl FnMut(usize) -> [u64; 2],
    ) -> Result<u64, Full> {
        self.attempt();
        if n == 0 || n > MAX_EVENT_SLOTS {
            return Err(self.refuse());
        }
        let tail = self.make_room(n as u64 + reserve)?;
        for offset in 0..n {
            self.write(tail + offset as u64, fill(offset));
        }
        self.limit.set(self.limit.get() - reserve);
        self.reserved.set(self.reserved.get() + reserve);
        self.publish(tail + n as u64);
        Ok(tail)
    }

    /// Pushes `events` events of `N` slots each, given by `fill`, all published by one store. Returns how many fit;
    /// the others are counted as dropped.
    #[inline]
    pub fn push_batch<const N: usize>(
        &self,
        events: usize,
        mut fill: impl FnMut(usize) -> [[u64; 2]; N],
    ) -> usize {
        let tail = self.tail.get();
        if self.room(tail) < (events * N) as u64 {
            self.refresh();
        }
        let fit = events.min((self.room(tail) / N as u64) as usize);
        self.attempted.set(self.attempted.get() + events as u64);
        self.memory.header().producer.attempted.store(self.attempted.get(), Ordering::Relaxed);
        let mut at = tail;
        for event in 0..fit {
            for words in fill(event) {
                self.write(at, words);
                at += 1;
            }
        }
        self.publish(at);
        for _ in fit..events {
            self.refuse();
        }
        fit
    }

    /// Counts one event as attempted and dropped without trying: below a span that was refused.
    #[inline]
    pub fn refuse_one(&self) {
        self.attempt();
        self.refuse();
    }

    /// Reserves one slot for a later [`Producer::push_reserved`]; whether there was room.
    pub fn reserve(&self) -> bool {
        if self.room(self.tail.get()) == 0 {
            self.refresh();
            if self.room(self.tail.get()) == 0 {
                return false;
            }
        }
        self.limit.set(self.limit.get() - 1);
        self.reserved.set(self.reserved.get() + 1);
        true
    }

    /// Gives back up to `slots` reserved slots that no event will need: their spans were ended in another way.
    pub fn unreserve(&self, slots: u64) {
        let slots = slots.min(self.reserved.get());
        self.reserved.set(self.reserved.get() - slots);
        self.limit.set(self.limit.get() + slots);
    }

    /// Next position to be written.
    #[inline(always)]
    pub fn position(&self) -> u64 {
        self.tail.get()
    }

    /// Events attempted so far.
    pub fn attempted(&self) -> u64 {
        self.attempted.get()
    }

    /// Events refused so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    #[inline(always)]
    fn attempt(&self) {
        let attempted = self.attempted.get() + 1;
        self.attempted.set(attempted);
        self.memory.header().producer.attempted.store(attempted, Ordering::Relaxed);
    }

    #[cold]
    fn refuse(&self) -> Full {
        let dropped = self.dropped.get() + 1;
        self.dropped.set(dropped);
        self.memory.header().producer.dropped.store(dropped, Ordering::Relaxed);
        Full
    }

    #[inline(always)]
    fn room(&self, tail: u64) -> u64 {
        self.limit.get().saturating_sub(tail)
    }

    #[inline(always)]
    fn make_room(&self, slots: u64) -> Result<u64, Full> {
        let tail = self.tail.get();
        if self.room(tail) < slots {
            self.refresh();
            if self.room(tail) < slots {
                return Err(self.refuse());
            }
        }
        Ok(tail)
    }

    /// Looks at how far the consumer is.
    #[cold]
    fn refresh(&self) {
        let end = match self.memory.policy() {
            // A consumer gone mad may claim to be anywhere: what it cannot have read stays taken.
            Policy::Drop => {
                let head = self.memory.header().head.load(RECLAIM).min(self.tail.get());
                head + self.memory.capacity()
            }
            Policy::Overwrite => u64::MAX,
        };
        self.limit.set(end.saturating_sub(self.reserved.get()));
    }

    #[inline(always)]
    fn write(&self, position: u64, words: [u64; 2]) {
        let slot = self.memory.slot(position);
        if self.memory.policy() == Policy::Drop {
            slot.claim(true);
        }
        slot.write(words);
    }

    #[inline(always)]
    fn publish(&self, tail: u64) {
        self.tail.set(tail);
        self.memory.header().producer.tail.store(tail, PUBLISH); // pairs with OBSERVE in the consumer
        overwrite_fence(); // pairs with `check_fence` in `Consumer::snapshot`
    }
}
