//! Threads that the program cancels (`pthread_cancel`).
//!
//! Calls that open, read and write files are where a cancelled thread ends, and glibc ends it by unwinding. Through our frames
//! that aborts the program, and with musl, which does not unwind, our locks would stay taken. So it is put off where the agent
//! makes such calls. It costs some nanoseconds, but is for what is done once per thread, name or library only.

use std::ffi::c_int;

/// `PTHREAD_CANCEL_DISABLE`, of both C libraries.
const DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// While it lives, this thread is not cancelled.
pub(crate) struct Uncancelled {
    before: c_int,
}

impl Uncancelled {
    pub(crate) fn new() -> Self {
        let mut before = DISABLE;
        // SAFETY: a valid place for the answer.
        unsafe { pthread_setcancelstate(DISABLE, &mut before) };
        Self { before }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: what it answered.
        unsafe { pthread_setcancelstate(self.before, &mut 0) };
    }
}
