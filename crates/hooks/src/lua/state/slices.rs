//! Time and bytes: whose they are.

use tickscope_core::{Depth, Recorder, Ticks};

use super::State;
use crate::lua::coroutine::Coroutine;

impl<R: Recorder + 'static> State<R> {
    /// Time and bytes of the next sample count from here.
    pub(super) fn begin_slice(&self, at: Ticks) {
        self.last_sample.set(at.0);
        self.last_sample_bytes.set(self.allocated());
    }

    /// A sample is due while `coroutine` is at work: records it, or lets its time pass where its machine is left out.
    pub(crate) fn sampled(&self, coroutine: &Coroutine, at: Ticks) {
        if self.depth_of(coroutine) == Depth::Sample {
            self.record_stack(at);
        } else {
            self.begin_slice(at);
        }
    }

    /// Records the current stack with what passed since the sample before.
    pub(crate) fn record_stack(&self, at: Ticks) {
        // SAFETY: called from a hook or between a coroutine's run and its host's: the stacks stand still.
        let stack = unsafe { self.current_stack() };
        let elapsed = at.0.saturating_sub(self.last_sample.get());
        let allocated = self.allocated();
        self.recorder.stack(at, stack, elapsed, allocated - self.last_sample_bytes.get());
        self.last_sample.set(at.0);
        self.last_sample_bytes.set(allocated);
        self.last_event.set(at.0);
    }

    /// The coroutine at work; null where there is none.
    pub(in crate::lua) fn at_work(&self) -> *const Coroutine {
        self.top.get()
    }

    /// Bytes allocated while a coroutine, or what it hosted, ran; by its address, or 0 for all that were allocated. `None` of
    /// one that does not run.
    pub(in crate::lua) fn bytes_of(&self, coroutine: usize) -> Option<u64> {
        if coroutine == 0 {
            return Some(self.allocated());
        }
        let context = self.contexts().iter().rev().find(|context| context.coroutine.addr() == coroutine)?;
        // SAFETY: coroutines in contexts are alive.
        Some(self.allocated() - unsafe { (*context.coroutine).skipped.get() })
    }
}
