//! Stacks with guard pages, kept for the next fiber.

use std::io;
use std::sync::{Arc, Mutex};

use corosensei::stack::{DefaultStack, Stack, StackPointer};

use crate::sync::lock;

/// Where fibers get their stacks from: used ones first, up to a number that is kept; the rest goes back to the system.
///
/// A stack is mapped memory: what its fiber never touches costs address space only. Beneath each lies a page that
/// cannot be accessed. Clones are the same store.
#[derive(Clone)]
pub struct Stacks(Arc<Store>);

struct Store {
    bytes: usize,
    keep: usize,
    free: Mutex<Vec<DefaultStack>>,
}

impl Stacks {
    /// Stacks of at least `bytes`, of which at most `keep` are held while no fiber uses them.
    pub fn new(bytes: usize, keep: usize) -> Self {
        Self(Arc::new(Store { bytes, keep, free: Mutex::new(Vec::new()) }))
    }

    /// How many are held for later.
    pub fn kept(&self) -> usize {
        lock(&self.0.free).len()
    }

    pub(super) fn stack(&self) -> io::Result<Pooled> {
        let used = lock(&self.0.free).pop();
        let stack = match used {
            Some(stack) => stack,
            None => DefaultStack::new(self.0.bytes)?,
        };
        Ok(Pooled { stack: Some(stack), store: self.clone() })
    }
}

impl std::fmt::Debug for Stacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stacks")
            .field("bytes", &self.0.bytes)
            .field("keep", &self.0.keep)
            .field("kept", &self.kept())
            .finish()
    }
}

/// A stack on loan.
pub(super) struct Pooled {
    /// Only `None` while it is dropped.
    stack: Option<DefaultStack>,
    store: Stacks,
}

impl Pooled {
    fn stack(&self) -> &DefaultStack {
        // Not `expect`, for these are called when the stack is switched.
        match &self.stack {
            Some(stack) => stack,
            None => unreachable!("a stack is used after it was given back"),
        }
    }
}

// SAFETY: what `DefaultStack` says of itself, which has the guard page.
unsafe impl Stack for Pooled {
    #[inline]
    fn base(&self) -> StackPointer {
        self.stack().base()
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.stack().limit()
    }

    #[cfg(windows)]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.stack().teb_fields()
    }

    #[cfg(windows)]
    fn update_teb_fields(&mut self, limit: usize, bytes: usize) {
        if let Some(stack) = &mut self.stack {
            stack.update_teb_fields(limit, bytes);
        }
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(stack) = self.stack.take() else { return };
        let mut free = lock(&self.store.0.free);
        if free.len() < self.store.0.keep {
            free.push(stack);
        } else {
            drop(free);
            drop(stack);
        }
    }
}
