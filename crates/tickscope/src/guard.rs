//! An open span.

use std::marker::PhantomData;

use tickscope_core::{ArgInput, Outcome, Recorder, Span};

use crate::attachment::{self, Attachment, Mode, slot};
use crate::callsite::Key;

/// Ends its span when it is dropped, a panic included. Made by `span!`.
///
/// It stays on its thread: operations that move are [`AsyncSpan`](crate::AsyncSpan)s.
#[derive(Debug)]
#[must_use = "the span ends at once when its guard is not kept: `let _span = span!(…);`"]
pub struct SpanGuard {
    span: Span,
    /// The recording's number; 0 when nothing is recorded.
    number: u32,
    state: State,
    outcome: Outcome,
    before: Option<Mode>,
    _not_send: PhantomData<*const ()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Neither begun nor to be ended.
    Silent,
    /// To be begun.
    Admitted,
    /// To be ended.
    Begun,
}

impl SpanGuard {
    #[inline(always)]
    const fn new(number: u32, state: State, span: Span) -> Self {
        Self { span, number, state, outcome: Outcome::Ok, before: None, _not_send: PhantomData }
    }

    /// A guard of nothing.
    #[inline(always)]
    pub const fn none() -> Self {
        Self::new(0, State::Silent, Span::DROPPED)
    }

    #[inline(always)]
    pub(crate) fn begun(number: u32, span: Span) -> Self {
        Self::new(number, State::Begun, span)
    }

    pub(crate) fn admitted(number: u32) -> Self {
        Self::new(number, State::Admitted, Span::DROPPED)
    }

    pub(crate) fn sampled(number: u32, before: Mode, keep: bool) -> Self {
        let state = if keep { State::Admitted } else { State::Silent };
        Self { before: Some(before), ..Self::new(number, state, Span::DROPPED) }
    }

    pub(crate) fn set_begun(&mut self, span: Span) {
        (self.span, self.state) = (span, State::Begun);
    }

    /// Whether the span may begin: its arguments are worth evaluating.
    #[inline(always)]
    pub fn is_admitted(&self) -> bool {
        self.state == State::Admitted
    }

    /// Number of the recording; 0 when nothing is recorded.
    #[inline(always)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the span is recorded: not switched off, sampled out or refused by a full ring.
    pub fn is_recorded(&self) -> bool {
        self.state == State::Begun && self.span.position().is_some()
    }

    /// Adds an argument to the span, whichever spans are open inside it.
    ///
    /// ```
    /// # use tickscope::span;
    /// let span = span!("query");
    /// span.arg("rows", 3);
    /// ```
    pub fn arg<'a>(&self, name: &str, value: impl Into<ArgInput<'a>>) {
        if self.is_recorded() {
            let value = value.into();
            attachment::with_number(self.number, |attachment| {
                self.record_arg(attachment, attachment.recorder.intern_key(name), value);
            });
        }
    }

    /// Adds an argument whose name is looked up once per recording; see [`args!`](crate::args).
    pub fn arg_with_key(&self, key: &'static Key, value: ArgInput<'_>) {
        attachment::with_number(self.number, |attachment| {
            self.record_arg(attachment, key.of(attachment), value);
        });
    }

    fn record_arg(&self, attachment: &Attachment, key: tickscope_core::KeyId, value: ArgInput<'_>) {
        if let Some(span) = attachment.recorder.span_id(self.span) {
            attachment.recorder.arg_of(None, span, key, value);
        }
    }

    /// The span will end as failed.
    pub fn fail(&mut self) {
        self.outcome = Outcome::Error;
    }

    /// `result` again; the span will end as failed if it is an error.
    pub fn check<T, E>(&mut self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.fail();
        }
        result
    }

    /// Where the span stands, to link to it from elsewhere.
    #[cfg(feature = "tracing")]
    pub(crate) fn flow(
        &self,
        attachment: &Attachment,
        kind: tickscope_core::LinkKind,
    ) -> Option<crate::FlowPoint> {
        let span = attachment.recorder.span_id(self.span)?;
        Some(crate::FlowPoint::at(self.number, span, kind))
    }

    pub(crate) fn end_as(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    #[inline(always)]
    fn outcome(&self) -> Outcome {
        if std::thread::panicking() { Outcome::Unwound } else { self.outcome }
    }

    #[inline(never)]
    fn end(&mut self) {
        match slot().fast_for(self.number) {
            Some(attachment) if self.state == State::Begun => {
                let recorder = &attachment.recorder;
                recorder.exit(recorder.now(), self.span, self.outcome(), 0);
            }
            _ => self.end_slowly(),
        }
    }

    #[cold]
    #[inline(never)]
    fn end_slowly(&mut self) {
        let leave = |attachment: &Attachment| {
            if let Some(before) = self.before {
                attachment.leave(before);
            }
        };
        if self.state == State::Begun {
            attachment::with_number(self.number, |attachment| {
                let recorder = &attachment.recorder;
                recorder.exit(recorder.now(), self.span, self.outcome(), 0);
                leave(attachment);
            });
        } else {
            attachment::look_at(self.number, leave);
        }
    }
}

impl Drop for SpanGuard {
    /// Small, so that it is compiled into its callers, where a guard of nothing is known to be one and goes away.
    #[inline(always)]
    fn drop(&mut self) {
        if self.number != 0 {
            self.end();
        }
    }
}
