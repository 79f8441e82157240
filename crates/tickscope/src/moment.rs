//! What has no length: instants, counters, errors; and spans that are begun and ended by name.

use std::cell::RefCell;
use std::time::Instant;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Outcome, Recorder, Scope, StackId, StackNode, SymbolRef,
};

use crate::attachment::{self, Attachment, slot};
use crate::backtrace;
use crate::callsite::{Callsite, Key};
use crate::guard::SpanGuard;
use crate::recording::{Trace, lock};

impl Callsite {
    /// Whether something that is no span of this thread is recorded now: the recording's number if so.
    pub fn admit_moment(&self, category: CategoryId, critical: bool) -> Option<u32> {
        if !self.wanted(category) {
            return None;
        }
        let admit = |attachment: &Attachment| {
            let kept = attachment.recorder.enabled(category) && attachment.keeps(critical, Trace::New);
            kept.then(|| attachment.number())
        };
        attachment::look(admit).flatten()
    }

    /// Records an admitted moment on the calling thread.
    pub fn instant(&self, number: u32, category: CategoryId, scope: Scope, args: &[(KeyId, ArgInput<'_>)]) {
        attachment::with_number(number, |attachment| {
            let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
            recorder.instant(recorder.now(), symbol, category, scope, args);
        });
    }

    /// Records a counter's new value on the calling thread's track. Counters are never sampled.
    #[inline]
    pub fn counter(&self, category: CategoryId, value: CounterValue) {
        if slot().is_off() {
            return;
        }
        attachment::with_current(|attachment| {
            if attachment.recorder.enabled(category) {
                let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
                recorder.counter(recorder.now(), symbol, value);
            }
        });
    }

    /// Records an error with the stack that led to it: a stack sample of weight zero in front of an instant of
    /// category [`CategoryId::ERROR`].
    pub fn error(&self, number: u32, args: &[(KeyId, ArgInput<'_>)]) {
        let start = Instant::now();
        // Outside of the attachment's slow path: the program's allocator may record.
        let frames = backtrace::capture();
        attachment::with_number(number, |attachment| {
            let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
            let mut stack = StackId::ROOT;
            for frame in frames.iter().rev() {
                let function = SymbolRef { file: &frame.file, ..SymbolRef::host(&frame.function) };
                let function = recorder.intern_symbol(function);
                stack =
                    recorder.intern_stack(StackNode { parent: stack, symbol: function, line: frame.line });
            }
            lock(&attachment.inner.backtraces).add(start.elapsed());
            let at = recorder.now();
            recorder.stack(at, stack, 0, 0);
            recorder.instant(at, symbol, CategoryId::ERROR, Scope::Track, args);
        });
    }

    /// Begins a span that [`Callsite::end`] ends by its name.
    pub fn begin_named(&'static self, category: CategoryId) {
        let guard = self.enter(category);
        let _ = NAMED.try_with(|named| {
            if let Ok(mut named) = named.try_borrow_mut()
                && named.len() < MAX_NAMED
            {
                named.push((self.name(), guard));
            }
        });
    }

    /// Ends the innermost span of that name begun on this thread, and as unwound those begun inside it. Without one,
    /// records an instant of category [`CategoryId::ERROR`] that says so.
    pub fn end(&'static self) {
        static MESSAGE: Key = Key::new("message");
        let ended = NAMED.try_with(|named| {
            let mut named = named.try_borrow_mut().ok()?;
            let at = named.iter().rposition(|(name, _)| *name == self.name())?;
            Some(named.split_off(at))
        });
        match ended.ok().flatten() {
            Some(ended) => {
                for (depth, (_, guard)) in ended.into_iter().enumerate().rev() {
                    guard.end_as(if depth == 0 { Outcome::Ok } else { Outcome::Unwound });
                }
            }
            None => {
                if let Some(number) = self.admit_moment(CategoryId::ERROR, true) {
                    let message = (MESSAGE.id(number), "end without a begin of that name".into());
                    self.instant(number, CategoryId::ERROR, Scope::Track, &[message]);
                }
            }
        }
    }
}

/// More spans than this are not begun by name on one thread: somebody forgets to end them.
const MAX_NAMED: usize = 1 << 12;

thread_local! {
    static NAMED: RefCell<Vec<(&'static str, SpanGuard)>> = const { RefCell::new(Vec::new()) };
}
