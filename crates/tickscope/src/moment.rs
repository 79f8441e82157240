//! What has no length: instants, counters, errors; and spans that are begun and ended by name.

use std::cell::RefCell;
use std::time::Instant;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Outcome, Recorder, Scope, StackId, StackNode, SymbolRef,
};

use crate::attachment::{self, SLOT};
use crate::backtrace;
use crate::callsite::{Callsite, Key};
use crate::guard::SpanGuard;
use crate::recording::lock;

impl Callsite {
    /// Records a moment on the calling thread. `args` is called when it is recorded, with the recording's number.
    pub fn instant<'a, const N: usize>(
        &self,
        category: CategoryId,
        scope: Scope,
        critical: bool,
        args: impl FnOnce(u32) -> [(KeyId, ArgInput<'a>); N],
    ) {
        if !self.wanted(category) {
            return;
        }
        let Some(Some(number)) = attachment::with_current(|attachment| {
            let kept = attachment.recorder.enabled(category) && attachment.keeps(critical, None);
            kept.then(|| attachment.number())
        }) else {
            return;
        };
        let args = args(number);
        attachment::with_number(number, |attachment| {
            let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
            recorder.instant(recorder.now(), symbol, category, scope, &args);
        });
    }

    /// Records a counter's new value on the calling thread's track. Counters are never sampled.
    #[inline]
    pub fn counter(&self, category: CategoryId, value: CounterValue) {
        if SLOT.with(|slot| slot.is_off()) {
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
    /// category [`CategoryId::ERROR`]. Errors bypass sampling.
    pub fn error<'a, const N: usize>(&self, args: impl FnOnce(u32) -> [(KeyId, ArgInput<'a>); N]) {
        if !self.wanted(CategoryId::ERROR) {
            return;
        }
        let Some(number) = attachment::with_current(|attachment| attachment.number()) else { return };
        let args = args(number);
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
            recorder.instant(at, symbol, CategoryId::ERROR, Scope::Track, &args);
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
            None => self.instant(CategoryId::ERROR, Scope::Track, true, |number| {
                [(MESSAGE.id(number), "end without a begin of that name".into())]
            }),
        }
    }
}

/// More spans than this are not begun by name on one thread: somebody forgets to end them.
const MAX_NAMED: usize = 1 << 12;

thread_local! {
    static NAMED: RefCell<Vec<(&'static str, SpanGuard)>> = const { RefCell::new(Vec::new()) };
}
