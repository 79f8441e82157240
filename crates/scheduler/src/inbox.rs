//! An inbox: many threads push, one takes everything at once, in the order it came turned around.
//!
//! The list runs through the things themselves, so a push allocates nothing and cannot fail. Nobody ever takes a single
//! element, so there is no ABA problem: a push compares the head it read with the head that is, and what lies beneath it
//! does not matter.
//!
//! Algorithm: Treiber's stack (IBM RJ 5118, 1986) whose only pop is an exchange for nothing.

use std::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering, PUSH, TAKE};

/// What can stand in an inbox: it has room for the link, and is in at most one at a time.
///
/// # Safety
/// `link` is always the same field, and nobody else writes it while the element is in an inbox.
pub(crate) unsafe trait Linked: Sized {
    fn link(&self) -> &AtomicPtr<Self>;
}

#[derive(Debug)]
pub(crate) struct Inbox<T> {
    head: AtomicPtr<T>,
}

impl<T: Linked> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds one; true if the inbox was empty.
    ///
    /// # Safety
    /// The element lives until it is taken, and is in no inbox.
    #[inline]
    pub(crate) unsafe fn push(&self, element: NonNull<T>) -> bool {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller's element, alive.
            unsafe { element.as_ref() }.link().store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, element.as_ptr(), PUSH, Ordering::Relaxed) {
                Ok(_) => return head.is_null(),
                Err(now) => head = now,
            }
        }
    }

    /// Whether there was nothing a moment ago.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Everything, the newest first.
    #[inline]
    pub(crate) fn take(&self) -> Taken<T> {
        if self.is_empty() {
            return Taken { next: ptr::null_mut() };
        }
        Taken { next: self.head.swap(ptr::null_mut(), TAKE) }
    }
}

/// What was in an inbox. Elements not asked for are lost, not freed.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    next: *mut T,
}

impl<T: Linked> Iterator for Taken<T> {
    type Item = NonNull<T>;

    #[inline]
    fn next(&mut self) -> Option<NonNull<T>> {
        let element = NonNull::new(self.next)?;
        // SAFETY: taken and not yet given out, so ours alone, and alive.
        self.next = unsafe { element.as_ref() }.link().load(Ordering::Relaxed);
        Some(element)
    }
}
