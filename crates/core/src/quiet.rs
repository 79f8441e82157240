//! Whether this process can still be asked for more.
//!
//! A program may give up the right to most system calls (seccomp), or be out of memory. From then on what has a name is
//! recorded, and nothing is done for what has none: nothing is defined, no page is had, no file is read, no thread is started
//! or woken.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on nothing new is begun in this process. There is no way back.
pub fn be_quiet() {
    QUIET.store(true, Relaxed);
}

/// Whether [`be_quiet`] was called. One load.
#[inline]
pub fn is_quiet() -> bool {
    QUIET.load(Relaxed)
}
