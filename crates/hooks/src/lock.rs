//! A lock that outlives a fork.
//!
//! `fork` copies the memory of all threads and only the one that called. A lock that another thread held is locked for
//! ever in the child then, and the child, which is a program of its own that does not know of us, would stand still.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{
    AtomicI32,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

/// A lock for moments that are rare and short. Its holder is known by process: in the child of a fork it can be taken
/// though a thread of the parent holds it, so that what it guards has to make sense half changed.
///
/// Not for signal handlers, and not recursive.
#[derive(Debug)]
pub struct ForkLock<T> {
    /// The process whose thread holds it; 0 for none.
    holder: AtomicI32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time, which may be any.
unsafe impl<T: Send> Sync for ForkLock<T> {}

impl<T> ForkLock<T> {
    /// Open.
    pub const fn new(value: T) -> Self {
        Self { holder: AtomicI32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits until nobody of this process holds it.
    pub fn lock(&self) -> ForkGuard<'_, T> {
        // SAFETY: no arguments, cannot fail.
        let process = unsafe { libc::getpid() };
        let mut waited = 0_u32;
        loop {
            let holder = self.holder.load(Relaxed);
            if holder != process && self.holder.compare_exchange(holder, process, Acquire, Relaxed).is_ok()
            // pairs with the Release below
            {
                return ForkGuard(self);
            }
            waited += 1;
            if waited < 100 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }
}

/// Holds a [`ForkLock`].
#[derive(Debug)]
pub struct ForkGuard<'l, T>(&'l ForkLock<T>);

impl<T> Deref for ForkGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: nobody else of this process has it until the guard is dropped.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for ForkGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for ForkGuard<'_, T> {
    fn drop(&mut self) {
        self.0.holder.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time() {
        static LOCK: ForkLock<u64> = ForkLock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| *LOCK.lock() += 1));
            }
        });
        assert_eq!(*LOCK.lock(), 40_000);
    }

    #[test]
    fn a_child_takes_what_its_parent_holds() {
        let lock = ForkLock::new(7);
        let held = lock.lock();
        // SAFETY: the child only looks at the lock, and ends without running anything of the parent's.
        let status = unsafe {
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                libc::alarm(10);
                libc::_exit(*lock.lock());
            }
            let mut status = 0;
            libc::waitpid(child, &mut status, 0);
            status
        };
        assert_eq!(libc::WEXITSTATUS(status), 7);
        drop(held);
    }
}
