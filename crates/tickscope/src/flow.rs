//! Flows: this caused that, elsewhere and later.

use tickscope_core::{Link, LinkKind, Recorder, SpanId};

use crate::attachment;
use crate::recording::Trace;

/// The source of a flow: what happens later, on any thread, can follow it.
///
/// ```
/// use tickscope::{FlowPoint, span};
/// let queued = { let _span = span!("queue job"); FlowPoint::here() };
/// std::thread::spawn(move || { let _span = span!(follows: queued, "run job"); }).join().unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowPoint {
    source: Option<(u32, SpanId)>,
    kind: Option<LinkKind>,
}

impl FlowPoint {
    /// A point on the calling thread, now. One of nothing when nothing is recorded.
    pub fn here() -> Self {
        let source = attachment::with_current(|attachment| {
            if !attachment.keeps(false, Trace::New) {
                return None;
            }
            let recorder = &attachment.recorder;
            Some((attachment.number(), recorder.link_point(recorder.now())?))
        });
        Self { source: source.flatten(), kind: None }
    }

    /// The same point; what follows it does so for another reason than "the program says so".
    pub fn with_kind(self, kind: LinkKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    pub(crate) fn at(number: u32, span: SpanId, kind: LinkKind) -> Self {
        Self { source: Some((number, span)), kind: Some(kind) }
    }

    /// The link to it in recording `number`; none from another recording.
    pub(crate) fn link(self, number: u32, kind: LinkKind) -> Option<Link> {
        let (of, source) = self.source?;
        (of == number).then_some(Link { kind: self.kind.unwrap_or(kind), source })
    }
}
