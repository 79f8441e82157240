//! Spans that belong to no thread: asynchronous operations, and tracks the program names.

use std::sync::{Arc, Mutex};

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, LinkKind, Outcome, Recorder, Scope, SpanId, SymbolId, TrackId,
    TrackKind,
};

use crate::attachment::{self, Attachment};
use crate::callsite::{Callsite, Key};
use crate::flow::FlowPoint;
use crate::guard::SpanGuard;
use crate::recording::{Inner, Trace, lock};

/// A track that the program names, a row of its own in a viewer: a queue, a device, a connection.
///
/// Spans on it nest, so they must end in the reverse order of their begins.
///
/// ```
/// use tickscope::{Track, counter, span};
/// static GPU: Track = Track::new("gpu queue");
///
/// let _frame = span!(on: &GPU, "frame", number = 7);
/// counter!(on: &GPU, "queue length", 3);
/// ```
#[derive(Debug)]
pub struct Track {
    name: &'static str,
    /// Number of a recording, and the track's id there.
    cache: Mutex<(u32, TrackId)>,
}

impl Track {
    /// A track called `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, cache: Mutex::new((0, TrackId::PROCESS)) }
    }

    fn of(&self, attachment: &Attachment) -> TrackId {
        let mut cache = lock(&self.cache);
        if cache.0 != attachment.number() {
            *cache = (attachment.number(), new_track(attachment, TrackKind::Custom, self.name));
        }
        cache.1
    }
}

/// The track of the whole process: for counters and moments that belong to no thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessTrack;

fn new_track(attachment: &Attachment, kind: TrackKind, name: &str) -> TrackId {
    attachment.inner.session.new_track(&tickscope_core::Track {
        kind,
        parent: TrackId::PROCESS,
        os_id: 0,
        name: name.into(),
        resource: "".into(),
    })
}

mod sealed {
    use super::{Attachment, TrackId};

    pub trait Place {
        fn place(&self, attachment: &Attachment) -> Option<TrackId>;
    }
}

/// What can stand behind `on:` in the macros.
pub trait OnTrack: sealed::Place {}

impl OnTrack for Track {}
impl sealed::Place for Track {
    fn place(&self, attachment: &Attachment) -> Option<TrackId> {
        Some(self.of(attachment))
    }
}

impl OnTrack for ProcessTrack {}
impl sealed::Place for ProcessTrack {
    fn place(&self, _: &Attachment) -> Option<TrackId> {
        Some(TrackId::PROCESS)
    }
}

impl OnTrack for AsyncSpan {}
impl sealed::Place for AsyncSpan {
    fn place(&self, attachment: &Attachment) -> Option<TrackId> {
        let open = self.open.as_ref()?;
        (open.inner.number == attachment.number()).then_some(open.track)
    }
}

/// A span on a track of its own: it may begin on one thread and end on another, and others may be open beside it.
/// Ends when it is dropped. Made by `async_span!`, and by `span!(on: &track, …)`.
///
/// ```
/// use tickscope::{async_span, instant, span};
/// let download = async_span!("download", bytes = 4096);
/// std::thread::spawn(move || {
///     instant!(on: &download, "first byte");
///     let _parse = span!(on: &download, "parse"); // inside the download
/// }).join().unwrap();
/// ```
#[derive(Debug)]
#[must_use = "the operation ends at once when this is not kept"]
pub struct AsyncSpan {
    open: Option<Open>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Open {
    inner: Arc<Inner>,
    track: TrackId,
    span: SpanId,
    symbol: SymbolId,
    category: CategoryId,
    /// The name under which the track is used again; none for one that the program named.
    pooled: Option<&'static str>,
}

impl AsyncSpan {
    /// An operation that is not recorded.
    #[inline(always)]
    pub const fn none() -> Self {
        Self { open: None, outcome: Outcome::Ok }
    }

    /// Whether it is recorded.
    pub fn is_recorded(&self) -> bool {
        self.open.is_some()
    }

    /// Adds an argument.
    pub fn arg<'a>(&self, name: &str, value: impl Into<ArgInput<'a>>) {
        if let Some(open) = &self.open {
            let value = value.into();
            attachment::with_recording(&open.inner, |attachment| {
                let recorder = &attachment.recorder;
                recorder.arg_of(Some(open.track), open.span, recorder.intern_key(name), value);
            });
        }
    }

    /// Adds an argument whose name is looked up once per recording; see [`args!`](crate::args).
    pub fn arg_with_key(&self, key: &'static Key, value: ArgInput<'_>) {
        if let Some(open) = &self.open {
            attachment::with_recording(&open.inner, |attachment| {
                attachment.recorder.arg_of(Some(open.track), open.span, key.of(attachment), value);
            });
        }
    }

    /// The source of a flow: what follows was caused by this operation.
    pub fn flow(&self) -> FlowPoint {
        match &self.open {
            Some(open) => FlowPoint::at(open.inner.number, open.span, LinkKind::Flow),
            None => FlowPoint::default(),
        }
    }

    /// It will end as failed.
    pub fn fail(&mut self) {
        self.outcome = Outcome::Error;
    }

    pub(crate) fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// Begins a span of the operation's name on the calling thread: the operation runs here for a while.
    pub(crate) fn slice(&self, since: FlowPoint) -> (SpanGuard, FlowPoint) {
        let begin = |open: &Open| {
            attachment::with_recording(&open.inner, |attachment| {
                // The operation was admitted, so what it does is.
                let mut guard = attachment.admit_span(true, Trace::New);
                let (number, recorder) = (attachment.number(), &attachment.recorder);
                let link = since.link(number, LinkKind::Await);
                let span = recorder.enter_with(recorder.now(), open.symbol, open.category, link, &[]);
                guard.set_begun(span);
                let here = recorder.span_id(span).map(|span| FlowPoint::at(number, span, LinkKind::Await));
                (guard, here.unwrap_or(since))
            })
        };
        self.open.as_ref().and_then(begin).unwrap_or((SpanGuard::none(), since))
    }
}

impl AsyncSpan {
    #[inline(never)]
    fn end(&self, open: Open) {
        let outcome = if std::thread::panicking() { Outcome::Unwound } else { self.outcome };
        attachment::with_recording(&open.inner, |attachment| {
            let recorder = &attachment.recorder;
            recorder.exit_on(recorder.now(), open.track, open.span, outcome);
        });
        if let Some(name) = open.pooled {
            open.inner.give_track(name, open.track);
        }
    }
}

impl Drop for AsyncSpan {
    /// Small, as that of [`SpanGuard`] is.
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.end(open);
        }
    }
}

/// What the macros do on tracks without a thread. `number` is what [`Callsite::admit_moment`] answered.
impl Callsite {
    /// Begins an operation on a track of its own.
    pub fn begin_async(
        &self,
        number: u32,
        category: CategoryId,
        follows: Option<FlowPoint>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> AsyncSpan {
        let name = self.name();
        let track = |attachment: &Attachment| {
            let free = attachment.inner.take_track(name);
            Some(free.unwrap_or_else(|| new_track(attachment, TrackKind::Async, name)))
        };
        self.begin_at(number, track, category, follows, Some(name), args)
    }

    /// Begins a span on a track that the program named or inside an operation.
    pub fn begin_on(
        &self,
        on: &impl OnTrack,
        number: u32,
        category: CategoryId,
        follows: Option<FlowPoint>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> AsyncSpan {
        self.begin_at(number, |attachment| on.place(attachment), category, follows, None, args)
    }

    /// Records a moment on a track without a thread.
    pub fn instant_on(
        &self,
        on: &impl OnTrack,
        number: u32,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        attachment::with_number(number, |attachment| {
            if let Some(track) = on.place(attachment) {
                let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
                recorder.instant_on(recorder.now(), track, symbol, category, scope, args);
            }
        });
    }

    /// Records a counter's new value on a track without a thread.
    pub fn counter_on(&self, on: &impl OnTrack, category: CategoryId, value: CounterValue) {
        attachment::with_current(|attachment| {
            if attachment.recorder.enabled(category)
                && let Some(track) = on.place(attachment)
            {
                let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
                recorder.counter_on(recorder.now(), track, symbol, value);
            }
        });
    }

    fn begin_at(
        &self,
        number: u32,
        track: impl FnOnce(&Attachment) -> Option<TrackId>,
        category: CategoryId,
        follows: Option<FlowPoint>,
        pooled: Option<&'static str>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> AsyncSpan {
        let link = follows.and_then(|flow| flow.link(number, LinkKind::Flow));
        let begin = |attachment: &Attachment| {
            let (inner, track) = (attachment.inner.clone(), track(attachment)?);
            let (symbol, recorder) = (self.symbol(attachment), &attachment.recorder);
            match recorder.enter_on(recorder.now(), track, symbol, category, link, args) {
                Some(span) => Some(Open { inner, track, span, symbol, category, pooled }),
                None => {
                    if let Some(name) = pooled {
                        inner.give_track(name, track);
                    }
                    None
                }
            }
        };
        AsyncSpan { open: attachment::with_number(number, begin).flatten(), outcome: Outcome::Ok }
    }
}
