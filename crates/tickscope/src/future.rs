//! Futures: the time they run against the time they wait.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use tickscope_core::Outcome;

use crate::flow::FlowPoint;
use crate::operation::AsyncSpan;

/// `future`, recorded as `span`: what [`trace_future!`](crate::trace_future) does.
#[doc(hidden)]
pub fn around<F: Future>(span: AsyncSpan, future: F) -> impl Future<Output = F::Output> {
    // Before the first poll: waiting for it counts, and so does being dropped without it.
    let polls = span.is_recorded().then(|| Polls::new(span));
    async move {
        let Some(mut polls) = polls else { return future.await };
        let mut future = pin!(future);
        let output = std::future::poll_fn(|context| polls.one(|| future.as_mut().poll(context))).await;
        polls.ready = true;
        output
    }
}

struct Polls {
    span: AsyncSpan,
    started: Instant,
    busy: Duration,
    count: u64,
    last: FlowPoint,
    ready: bool,
}

impl Polls {
    fn new(span: AsyncSpan) -> Self {
        let last = span.flow();
        Self { span, started: Instant::now(), busy: Duration::ZERO, count: 0, last, ready: false }
    }

    fn one<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        let (slice, here) = self.span.slice(self.last);
        self.last = here;
        self.count += 1;
        // Stands if a panic passes through.
        self.span.set_outcome(Outcome::Unwound);
        let start = Instant::now();
        let answer = poll();
        self.busy += start.elapsed();
        self.span.set_outcome(Outcome::Ok);
        drop(slice);
        answer
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let idle = self.started.elapsed().saturating_sub(self.busy);
        crate::args!(self.span, busy_ns = nanos(self.busy), idle_ns = nanos(idle), polls = self.count);
        if !self.ready {
            crate::args!(self.span, cancelled = true);
        }
    }
}
