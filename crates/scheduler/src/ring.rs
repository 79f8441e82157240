//! The ring that tasks from outside come in through: many threads push, one at a time takes.
//!
//! ```text
//! head: next to take, by whoever holds `taking`      tail: next to push, added to by everybody
//!   ↓                                                  ↓
//! [null][null][task][task][task][null: announced][task][null]…
//! ```
//! A slot is an address, or nothing. A push takes a position from `tail` and puts its address there; who takes stops at the
//! first slot that holds nothing, and puts nothing back into those that it took. So neither reads what the other
//! counts in, eight tasks share a cache line, and the addresses of what comes next are known before its memory is needed.
//!
//! The gate lets no more in than there are slots. A push that finds its slot occupied all the same waits for
//! a taker that is about to empty it.

use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicPtr, AtomicUsize, CLEAR, CLEARED, Mutex, MutexGuard, Ordering, PUT, SEEN, pause};

#[derive(Debug)]
pub(crate) struct Ring<T> {
    slots: Box<[AtomicPtr<T>]>,
    tail: CachePadded<AtomicUsize>,
    /// All that who takes writes, so in a line that who pushes does not read.
    taker: CachePadded<Taker>,
}

#[derive(Debug)]
struct Taker {
    head: AtomicUsize,
    taking: Mutex<()>,
}

/// The right to take.
pub(crate) struct Taking<'a, T> {
    ring: &'a Ring<T>,
    _guard: MutexGuard<'a, ()>,
}

impl<T> Ring<T> {
    /// With room for so many at least.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: empty(capacity.next_power_of_two()),
            tail: CachePadded::new(AtomicUsize::new(0)),
            taker: CachePadded::new(Taker { head: AtomicUsize::new(0), taking: Mutex::new(()) }),
        }
    }

    fn slot(&self, position: usize) -> &AtomicPtr<T> {
        &self.slots[position & (self.slots.len() - 1)]
    }

    #[inline]
    pub(crate) fn push(&self, element: NonNull<T>) {
        // Relaxed: a position is all that it gives.
        let slot = self.slot(self.tail.fetch_add(1, Ordering::Relaxed));
        while !slot.load(CLEARED).is_null() {
            pause();
        }
        slot.store(element.as_ptr(), PUT);
    }

    /// Whether there was nothing to take a moment ago.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.slot(self.taker.head.load(Ordering::Relaxed)).load(Ordering::Relaxed).is_null()
    }

    /// Nothing while somebody else takes.
    #[inline]
    pub(crate) fn taking(&self) -> Option<Taking<'_, T>> {
        Some(Taking { ring: self, _guard: self.taker.taking.try_lock().ok()? })
    }
}

impl<T> Iterator for Taking<'_, T> {
    type Item = NonNull<T>;

    /// The oldest, if it is there yet.
    #[inline]
    fn next(&mut self) -> Option<NonNull<T>> {
        let ring = self.ring;
        // Relaxed: only changed by who has the lock, which is us.
        let head = ring.taker.head.load(Ordering::Relaxed);
        let slot = ring.slot(head);
        let element = NonNull::new(slot.load(SEEN))?;
        slot.store(ptr::null_mut(), CLEAR);
        ring.taker.head.store(head.wrapping_add(1), Ordering::Relaxed);
        Some(element)
    }
}

#[cfg(not(loom))]
fn empty<T>(slots: usize) -> Box<[AtomicPtr<T>]> {
    // Zeroed by the system, page by page as it is used.
    // SAFETY: an address of zeros is null.
    unsafe { Box::<[AtomicPtr<T>]>::new_zeroed_slice(slots).assume_init() }
}

#[cfg(loom)]
fn empty<T>(slots: usize) -> Box<[AtomicPtr<T>]> {
    (0..slots).map(|_| AtomicPtr::new(ptr::null_mut())).collect()
}
