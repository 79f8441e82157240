//! The open spans of one thread's managed code.

use std::cell::{Cell, UnsafeCell};

use tickscope_core::{Outcome, Recorder, Span, Ticks};

/// Calls closer together on the stack than this may be the same: what is between them is Mono's way to the callback.
const SLACK: usize = 256;

/// A method that was entered, or invoked from native code.
#[derive(Clone, Copy, Debug)]
struct Open {
    method: usize,
    invoked: bool,
    /// Where on the thread's stack it was entered.
    here: usize,
    span: Span,
    /// What the thread had allocated then.
    allocated: u64,
}

/// What a thread has open of managed code. For one thread, which signals may interrupt but handlers leave alone.
#[derive(Debug, Default)]
pub struct Calls {
    open: UnsafeCell<Vec<Open>>,
    pub(super) allocated: Cell<u64>,
    pub(super) collecting: Cell<Option<Span>>,
}

impl Calls {
    #[expect(clippy::mut_from_ref, reason = "of one thread; no two calls overlap")]
    fn open(&self) -> &mut Vec<Open> {
        // SAFETY: one thread, and no caller keeps it while another runs.
        unsafe { &mut *self.open.get() }
    }

    pub(super) fn begin(&self, method: usize, invoked: bool, here: usize, span: Span) {
        self.open().push(Open { method, invoked, here, span, allocated: self.allocated.get() });
    }

    /// Ends what stands deeper on the stack than a call that begins at `here`: an error of another runtime jumped over it.
    #[inline]
    pub(super) fn settle<R: Recorder>(&self, recorder: &R, at: Ticks, here: usize) {
        while self.open().last().is_some_and(|open| open.here + SLACK < here) {
            self.end_top(recorder, at, Outcome::Unwound);
        }
    }

    /// Ends a call, and what is left of those it made. Nothing when it was not recorded.
    #[inline]
    pub(super) fn end<R: Recorder>(
        &self,
        recorder: &R,
        at: Ticks,
        (method, invoked): (usize, bool),
        here: usize,
        outcome: Outcome,
    ) {
        let is_it = |open: &Open| open.method == method && open.invoked == invoked;
        if !self.open().last().is_some_and(is_it) {
            // What stands higher on the stack is alive: the call is one of those without a span.
            let dead = self.open().iter().rev().take_while(|open| open.here <= here + SLACK);
            let Some(above) = dead.into_iter().position(is_it) else { return };
            for _ in 0..above {
                self.end_top(recorder, at, Outcome::Unwound);
            }
        }
        self.end_top(recorder, at, outcome);
    }

    /// Ends a call that an exception leaves, when it is the innermost: code that was compiled ahead of time tells that it
    /// is left, and not that it was entered. An invocation whose caller lets exceptions pass does not tell of its end.
    pub(super) fn thrown_out<R: Recorder>(&self, recorder: &R, at: Ticks, method: usize) {
        let passed = self.open().iter().rev().take_while(|open| open.invoked).count();
        if self.open().iter().rev().nth(passed).is_some_and(|open| open.method == method) {
            for _ in 0..=passed {
                self.end_top(recorder, at, Outcome::Error);
            }
        }
    }

    fn end_top<R: Recorder>(&self, recorder: &R, at: Ticks, outcome: Outcome) {
        if let Some(open) = self.open().pop() {
            let bytes = self.allocated.get().saturating_sub(open.allocated);
            recorder.exit(at, open.span, outcome, u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }
}
