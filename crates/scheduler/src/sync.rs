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
    // The sanitizer sees a lock that is free being taken, which is inlined, and not the library waiting for one.
    #[cfg(tsan)]
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    #[cfg(not(tsan))]
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until it is told to, or so long, or for no reason; the lock is taken again.
#[cfg(not(loom))]
pub(crate) fn wait<'a, T>(
    condition: &Condvar,
    mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    time: Option<std::time::Duration>,
) -> MutexGuard<'a, T> {
    use std::sync::PoisonError;
    if cfg!(tsan) {
        // As in `lock`: the library takes it again unseen.
        drop(guard);
        thread::yield_now();
        return lock(mutex);
    }
    match time {
        None => condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(time) => condition.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}

#[cfg(loom)]
pub(crate) fn wait<'a, T>(
    condition: &Condvar,
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    _time: Option<std::time::Duration>,
) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap()
}

macro_rules! ordering {
    ($(#[$doc:meta])* $name:ident, $weaken:literal, $strong:ident, $weak:ident) => {
        $(#[$doc])*
        pub(crate) const $name: Ordering =
            if cfg!(weaken = $weaken) { Ordering::$weak } else { Ordering::$strong };
    };
}

ordering! {
    /// A task's address comes into the [`Ring`](crate::ring::Ring): the task is visible before it. Pairs with [`SEEN`].
    PUT, "put", Release, Relaxed
}
ordering! {
    /// Looking at what is in the ring. Pairs with [`PUT`].
    SEEN, "seen", Acquire, Relaxed
}
/// A slot of the ring is free again. Pairs with [`CLEARED`]. What is ordered is the slot itself, and that has an order
/// of its own: no model could fail.
pub(crate) const CLEAR: Ordering = Ordering::Release;
/// Looking whether a slot is free. Pairs with [`CLEAR`].
pub(crate) const CLEARED: Ordering = Ordering::Acquire;
ordering! {
    /// A push into an [`Inbox`](crate::inbox::Inbox): what is pushed is visible before it. Pairs with [`TAKE`].
    PUSH, "push", Release, Relaxed
}
ordering! {
    /// Taking everything from an inbox. Pairs with [`PUSH`].
    TAKE, "take", Acquire, Relaxed
}
/// Additions to the gate's words (`sleep.rs`), which order submitters and sleepers. That they have an order at all comes
/// from their being read-modify-writes of one word; the acquire and release make what went before one visible after the
/// other. Not among those that can be weakened: loom lets a read-modify-write see the newest value always, so no model
/// could fail.
pub(crate) const COUNT: Ordering = Ordering::AcqRel;

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

/// Waits a little for another thread that is about to do something.
pub(crate) fn pause() {
    #[cfg(loom)]
    thread::yield_now();
    #[cfg(not(loom))]
    std::hint::spin_loop();
}
