//! Loops: one span for all iterations.

use std::time::{Duration, Instant};

use crate::guard::SpanGuard;

/// A loop that is recorded as one span. Made by [`trace_loop!`](crate::trace_loop).
#[derive(Debug)]
#[must_use = "the loop ends at once when this is not kept"]
pub struct LoopSpan {
    span: SpanGuard,
    count: u64,
    total: Duration,
    min: Duration,
    max: Duration,
}

impl LoopSpan {
    #[doc(hidden)]
    pub const fn new(span: SpanGuard) -> Self {
        Self { span, count: 0, total: Duration::ZERO, min: Duration::MAX, max: Duration::ZERO }
    }

    /// An iteration that ends when the answer is dropped.
    #[inline]
    pub fn iteration(&mut self) -> Iteration<'_> {
        let start = self.span.is_recorded().then(Instant::now);
        Iteration { of: self, start }
    }

    #[doc(hidden)]
    pub fn over<I: IntoIterator>(self, items: I) -> LoopIter<I::IntoIter> {
        LoopIter { items: items.into_iter(), span: self, since: None }
    }

    #[inline]
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        self.min = self.min.min(took);
        self.max = self.max.max(took);
    }
}

impl Drop for LoopSpan {
    fn drop(&mut self) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let min = if self.count == 0 { Duration::ZERO } else { self.min };
        crate::args!(
            self.span,
            iterations = self.count,
            total_ns = nanos(self.total),
            min_ns = nanos(min),
            max_ns = nanos(self.max),
        );
    }
}

/// One iteration of a [`LoopSpan`].
#[derive(Debug)]
#[must_use = "the iteration ends at once when this is not kept"]
pub struct Iteration<'a> {
    of: &'a mut LoopSpan,
    start: Option<Instant>,
}

impl Drop for Iteration<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(start) = self.start {
            self.of.add(start.elapsed());
        }
    }
}

/// An iterator whose loop is recorded. Made by [`trace_loop!`](crate::trace_loop).
#[derive(Debug)]
pub struct LoopIter<I> {
    items: I,
    span: LoopSpan,
    /// When the item was asked for whose iteration goes on.
    since: Option<Instant>,
}

impl<I: Iterator> Iterator for LoopIter<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        if !self.span.span.is_recorded() {
            return self.items.next();
        }
        let now = Instant::now();
        if let Some(since) = self.since.take() {
            self.span.add(now - since);
        }
        let item = self.items.next();
        self.since = item.is_some().then_some(now);
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I> Drop for LoopIter<I> {
    fn drop(&mut self) {
        // The loop was left in the middle of an iteration.
        if let Some(since) = self.since {
            self.span.add(since.elapsed());
        }
    }
}
