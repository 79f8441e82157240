//! Moments that are recorded later, or never, and stand where they happened.

use std::sync::Arc;

use tickscope_core::{ArgInput, CategoryId, KeyId, Recorder, Scope, SymbolId, Ticks, TrackId};

use crate::attachment;
use crate::callsite::Callsite;
use crate::recording::Inner;
use crate::value::Args;

/// A moment that was noted and not recorded yet: it can be handed to another thread, which decides. Made by
/// [`note!`](crate::note). Dropped, it leaves no trace.
#[derive(Clone, Debug)]
#[must_use = "what was noted is recorded by `log`"]
pub struct Noted(Option<Box<Moment>>);

#[derive(Clone, Debug)]
struct Moment {
    inner: Arc<Inner>,
    at: Ticks,
    track: TrackId,
    symbol: SymbolId,
    category: CategoryId,
    args: Args,
}

impl Noted {
    /// Nothing.
    #[inline(always)]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Whether there is something to log.
    pub fn is_noted(&self) -> bool {
        self.0.is_some()
    }

    /// Records it, from any thread: it stands on the track and at the time where it was noted. Nothing happens once that
    /// recording is over; a full ring of the calling thread drops it and counts it.
    pub fn log(mut self) {
        let Some(moment) = self.0.take() else { return };
        let Moment { inner, at, track, symbol, category, args } = *moment;
        attachment::with_recording(&inner, |attachment| {
            attachment.recorder.instant_noted(at, track, symbol, category, Scope::Track, &args.inputs());
        });
    }
}

impl Drop for Noted {
    /// Small, so that one of nothing goes away where it is known to be one.
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(moment) = self.0.take() {
            discard(moment);
        }
    }
}

#[cold]
#[inline(never)]
fn discard(moment: Box<Moment>) {
    drop(moment);
}

impl Callsite {
    /// Keeps an admitted moment, with what the thread is doing now.
    pub fn note(&self, number: u32, category: CategoryId, args: &[(KeyId, ArgInput<'_>)]) -> Noted {
        let moment = attachment::look_at(number, |attachment| {
            let recorder = &attachment.recorder;
            Box::new(Moment {
                inner: attachment.inner.clone(),
                at: recorder.now(),
                track: recorder.track(),
                symbol: self.symbol(attachment),
                category,
                args: Args::keep(args),
            })
        });
        Noted(moment)
    }
}
