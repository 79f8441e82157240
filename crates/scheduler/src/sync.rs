//! The standard library's primitives, or loom's, and the orderings of the protocols by name.
//!
//! Each ordering can be weakened by `--cfg weaken="NAME"`; a loom model must then fail (`cargo xtask loom`).

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread::{self, Thread},
};
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread::{self, Thread},
};

#[cfg(not(loom))]
pub(crate) use cell::UnsafeCell;

/// The interface of loom's cell over the standard library's.
#[cfg(not(loom))]
mod cell {
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, body: impl FnOnce(*mut T) -> R) -> R {
            body(self.0.get())
        }
    }
}

/// A lock whose holder panicked is as good as another: nothing is done under these that leaves them half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

macro_rules! ordering {
    ($(#[$doc:meta])* $name:ident, $weaken:literal, $strong:ident, $weak:ident) => {
        $(#[$doc])*
        pub(crate) const $name: Ordering =
            if cfg!(weaken = $weaken) { Ordering::$weak } else { Ordering::$strong };
    };
}

ordering! {
    /// A push into an [`Inbox`](crate::inbox::Inbox): what is pushed is visible before it. Pairs with [`TAKE`].
    PUSH, "push", Release, Relaxed
}
ordering! {
    /// Taking everything from an inbox. Pairs with [`PUSH`].
    TAKE, "take", Acquire, Relaxed
}
ordering! {
    /// A submitter's entry in the gate's counts. Read-modify-writes of one word are in one order: either the submitter
    /// sees who sleeps, or who goes to sleep sees the submission. Its acquire pairs with [`SLEEP`], so that
    /// whoever is woken has entered itself in the list; its release lets who reads the counts see what went before.
    SUBMIT, "submit", AcqRel, Relaxed
}
ordering! {
    /// A worker's entry in the gate's counts, on its way to sleep. Pairs with [`SUBMIT`].
    SLEEP, "sleep", AcqRel, Relaxed
}
ordering! {
    /// Adding to what was taken from the inboxes. Pairs with [`TAKEN`].
    TOOK, "took", AcqRel, Relaxed
}
ordering! {
    /// Reading what was taken, before the entry of [`SLEEP`]. Pairs with [`TOOK`].
    TAKEN, "taken", Acquire, Relaxed
}
ordering! {
    /// The end of a task: its outcome is visible before it. Pairs with [`OUTCOME`]. Its acquire pairs with [`LISTEN`].
    FINISH, "finish", AcqRel, Acquire
}
ordering! {
    /// Seeing that a task has ended. Pairs with [`FINISH`].
    OUTCOME, "outcome", Acquire, Relaxed
}
ordering! {
    /// Leaving a waker with a task: the waker is visible before it. Pairs with [`FINISH`] and with cancelling.
    LISTEN, "listen", AcqRel, Acquire
}
ordering! {
    /// Giving a reference to a task back: what was done with the task is done before it. Pairs with [`last_fence`].
    UNREF, "unref", Release, Relaxed
}

/// Orders work made visible elsewhere (a worker's own queue, a fiber's inbox) before the look at who sleeps. Pairs with
/// [`sleeper_fence`]: of a worker that goes to sleep and one that makes work, one sees the other.
#[inline(always)]
pub(crate) fn maker_fence() {
    if !cfg!(weaken = "maker_fence") {
        fence(Ordering::SeqCst);
    }
}

/// Orders a worker's entry among the sleepers before its last look for work. Pairs with [`maker_fence`].
#[inline(always)]
pub(crate) fn sleeper_fence() {
    if !cfg!(weaken = "sleeper_fence") {
        fence(Ordering::SeqCst);
    }
}

/// Orders everything done with a task before its memory is given back. Pairs with [`UNREF`].
#[inline(always)]
pub(crate) fn last_fence() {
    if !cfg!(weaken = "last_fence") {
        fence(Ordering::Acquire);
    }
}
