//! Stopping Lua from another thread.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::signal;

const ROOM: usize = 256;

/// What both sides of an interrupt share.
pub(crate) struct Shared {
    requested: AtomicBool,
    /// The message, written before `requested` and only while it is false.
    text: [AtomicU8; ROOM],
    len: AtomicUsize,
    /// The traced thread while its tracer lives; the lock keeps it alive while it is signalled.
    thread: Mutex<Option<libc::pid_t>>,
}

impl Shared {
    pub(crate) fn of_this_thread() -> Arc<Self> {
        Arc::new(Self {
            requested: AtomicBool::new(false),
            text: [const { AtomicU8::new(0) }; ROOM],
            len: AtomicUsize::new(0),
            thread: Mutex::new(Some(signal::this_thread())),
        })
    }

    #[inline]
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire) // pairs with the Release in `interrupt`
    }

    /// Copies the message: no lock, for a hook.
    pub(crate) fn message(&self) -> ([u8; ROOM], usize) {
        let mut text = [0; ROOM];
        for (to, from) in text.iter_mut().zip(&self.text) {
            *to = from.load(Ordering::Relaxed);
        }
        (text, self.len.load(Ordering::Relaxed).min(ROOM))
    }

    pub(crate) fn clear(&self) {
        self.requested.store(false, Ordering::Release);
    }

    /// The tracer goes.
    pub(crate) fn close(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Asks the Lua of one traced thread to stop. From [`Tracer::interrupt_handle`](super::Tracer::interrupt_handle).
#[derive(Clone)]
pub struct InterruptHandle {
    shared: Arc<Shared>,
}

impl InterruptHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Raises `message` as an error in whatever Lua runs, soon, and again each time a script catches it, until the
    /// host calls [`Tracer::clear_interrupt`](super::Tracer::clear_interrupt). Text beyond 256 bytes is cut. While an
    /// interrupt is in force, another only repeats it.
    ///
    /// A C function that does not come back cannot be interrupted. Not for signal handlers: it takes a lock.
    pub fn interrupt(&self, message: &str) {
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shared.requested.load(Ordering::Relaxed) {
            let mut len = message.len().min(ROOM);
            while !message.is_char_boundary(len) {
                len -= 1;
            }
            for (to, from) in self.shared.text.iter().zip(&message.as_bytes()[..len]) {
                to.store(*from, Ordering::Relaxed);
            }
            self.shared.len.store(len, Ordering::Relaxed);
            self.shared.requested.store(true, Ordering::Release); // pairs with the Acquire in `requested`
        }
        if let Some(thread) = *thread {
            signal::interrupt(thread);
        }
    }

    /// Whether an interrupt is in force.
    pub fn is_pending(&self) -> bool {
        self.shared.requested()
    }
}
