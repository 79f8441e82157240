//! Fibers: functions with a stack of their own that can stop in the middle and go on later, on the same thread.
//!
//! [`Fiber`] is the bare thing, for whoever drives it by hand. In a [`Pool`](crate::Pool), a task spawned with
//! [`spawn_fiber`](crate::Spawner::spawn_fiber) runs on one: it may [`yield_now`], [`sleep`], [`block_on`] a future or
//! join another task, and its worker does something else meanwhile.
//!
//! ```
//! use tickscope_scheduler::fiber::{Fiber, Resumed, Stacks};
//!
//! let stacks = Stacks::new(64 << 10, 4);
//! let mut fiber = Fiber::new(&stacks, |fiber| {
//!     fiber.suspend();
//!     7
//! })?;
//! assert_eq!(fiber.resume(), Resumed::Suspended);
//! assert_eq!(fiber.resume(), Resumed::Returned(7));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Rules
//! - A fiber never moves to another thread once it has begun, so thread-local variables may be used, but not across a
//!   suspension: other fibers use them meanwhile.
//! - Dropping a suspended fiber unwinds its stack, so that destructors run. Programs built with `panic = "abort"` must run
//!   every fiber to its end.
//! - A stack that overflows meets a guard page: the process dies with a segmentation fault, as with a thread's.

mod stack;
mod task;

pub use stack::Stacks;
pub use task::{Sleep, block_on, is_fiber, sleep, yield_now};

use std::io;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use stack::Pooled;

/// What a resumed fiber did.
#[derive(Debug, PartialEq, Eq)]
pub enum Resumed<T> {
    /// It stopped in the middle.
    Suspended,
    /// It is over, and this is what it returned.
    Returned(T),
}

/// Given to a fiber's function, to stop with.
#[repr(transparent)]
pub struct Suspender(Yielder<(), ()>);

impl std::fmt::Debug for Suspender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suspender").finish_non_exhaustive()
    }
}

impl Suspender {
    /// Stops here; returns when the fiber is resumed.
    ///
    /// Unwinds instead when the fiber is dropped.
    #[inline(always)]
    pub fn suspend(&self) {
        self.0.suspend(());
    }
}

/// A function with a stack of its own.
pub struct Fiber<T> {
    coroutine: Coroutine<(), (), T, Pooled>,
}

impl<T> std::fmt::Debug for Fiber<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fiber").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

impl<T> Fiber<T> {
    /// Takes a stack; the function begins when the fiber is first resumed.
    ///
    /// # Errors
    /// The system has no memory, or no mapping, for another stack.
    pub fn new<F>(stacks: &Stacks, body: F) -> io::Result<Self>
    where
        F: FnOnce(&Suspender) -> T + 'static,
        T: 'static,
    {
        // SAFETY: nothing is borrowed.
        unsafe { Self::new_unchecked(stacks, body) }
    }

    /// # Safety
    /// What `body` and its result borrow lives until the fiber is over or dropped.
    pub(crate) unsafe fn new_unchecked<F>(stacks: &Stacks, body: F) -> io::Result<Self>
    where
        F: FnOnce(&Suspender) -> T,
    {
        let stack = stacks.stack()?;
        let body = |yielder: &Yielder<(), ()>, ()| {
            // SAFETY: `Suspender` is transparent.
            body(unsafe { &*std::ptr::from_ref(yielder).cast::<Suspender>() })
        };
        // SAFETY: the caller's promise.
        Ok(Self { coroutine: unsafe { Coroutine::with_stack_unchecked(stack, body) } })
    }

    /// Runs the function until it suspends or returns.
    ///
    /// # Panics
    /// When the function panics, and when it is over already.
    #[inline(always)]
    pub fn resume(&mut self) -> Resumed<T> {
        match self.coroutine.resume(()) {
            CoroutineResult::Yield(()) => Resumed::Suspended,
            CoroutineResult::Return(value) => Resumed::Returned(value),
        }
    }

    /// Whether the function has returned or panicked.
    pub fn is_done(&self) -> bool {
        self.coroutine.done()
    }
}
