//! Scopes that scripts mark: `Profiler.Begin` and `End`, `ProfilerEnterScope` and `ProfilerExitScope`.
//!
//! A scope belongs to the coroutine that the host runs: it stays open while that waits, and ends at the latest with it.
//! It is a span on a track beneath the coroutine's own, so that it may begin in one function and end in another whatever
//! else is recorded.
//!
//! `ProfilerExitScope` ends the innermost. `Profiler.End` ends the innermost of its name, and those inside it before it,
//! which nobody ended, as `unwound`; where none has that name, it ends nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tickscope_core::{
    ArgInput, CategoryId, KeyId, LinkKind, Outcome, Recorder, Runtime, SpanId, SymbolRef, Track, TrackId,
    TrackKind,
};

use crate::probe::{Probe, link};
use crate::resource::Resource;

/// How deep the scopes of one coroutine nest; deeper ones are only counted.
const MAX_OPEN: usize = 64;

/// A scope that is open.
struct Open {
    name: Rc<str>,
    /// `None` for one that was not recorded.
    span: Option<SpanId>,
}

/// The scopes of one coroutine that are open.
#[derive(Default)]
pub(crate) struct Scopes {
    /// Theirs, once there is one.
    track: Option<TrackId>,
    /// Innermost last.
    open: Vec<Open>,
    /// Open ones deeper than that.
    beyond: u64,
}

impl Scopes {
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
}

/// The scopes of the coroutines at work, outermost first, and the tracks that scopes are on.
#[derive(Default)]
pub(crate) struct Scoping {
    running: RefCell<Vec<(TrackId, Scopes)>>,
    /// By the coroutine's track, which the next coroutine gets when one is over.
    tracks: RefCell<HashMap<TrackId, TrackId>>,
}

impl<R: Recorder + 'static> Probe<R> {
    /// The coroutine with these scopes goes on; its track is the current one.
    pub(crate) fn resume_scopes(&self, scopes: Scopes) {
        self.scoping.running.borrow_mut().push((self.recorder().track(), scopes));
    }

    /// The coroutine resumed last has come back.
    pub(crate) fn suspend_scopes(&self) -> Scopes {
        self.scoping.running.borrow_mut().pop().map_or_else(Scopes::default, |(_, scopes)| scopes)
    }

    /// Whether anybody would see a scope.
    pub(crate) fn is_recording(&self) -> bool {
        self.recorder().enabled(CategoryId::SCOPE)
    }

    /// Begins a scope in the coroutine at work.
    pub(crate) fn enter_scope(&self, resource: &Resource, name: &str, args: &[(KeyId, ArgInput<'_>)]) {
        let mut running = self.scoping.running.borrow_mut();
        let Some((of, scopes)) = running.last_mut() else { return };
        if scopes.open.len() >= MAX_OPEN {
            scopes.beyond += 1;
            return;
        }
        let span = if self.is_recording() {
            let recorder = self.recorder();
            let track = *scopes.track.get_or_insert_with(|| self.scope_track(resource, *of));
            let (runtime, file, line) = (Runtime::Lua, "", 0);
            let symbol =
                recorder.intern_symbol(SymbolRef { runtime, resource: &resource.name, name, file, line });
            // the outermost says where in its coroutine it began
            let link = if scopes.open.is_empty() { link(LinkKind::Flow, self.link_point()) } else { None };
            recorder.enter_on(recorder.now(), track, symbol, CategoryId::SCOPE, link, args)
        } else {
            None
        };
        scopes.open.push(Open { name: name.into(), span });
    }

    /// Ends the innermost scope of the coroutine at work; nothing when none is open.
    pub(crate) fn exit_scope(&self) {
        let mut running = self.scoping.running.borrow_mut();
        let Some((_, scopes)) = running.last_mut() else { return };
        if scopes.beyond > 0 {
            scopes.beyond -= 1;
            return;
        }
        self.end_scopes(scopes, scopes.open.len().saturating_sub(1), Outcome::Ok);
    }

    /// Ends the innermost scope of that name of the coroutine at work, and what is open inside it; `false` when none has
    /// the name. Among those that are only counted any name fits.
    pub(crate) fn exit_named_scope(&self, name: &str) -> bool {
        let mut running = self.scoping.running.borrow_mut();
        let Some((_, scopes)) = running.last_mut() else { return false };
        if scopes.beyond > 0 {
            scopes.beyond -= 1;
            return true;
        }
        let Some(at) = scopes.open.iter().rposition(|open| *open.name == *name) else { return false };
        self.end_scopes(scopes, at + 1, Outcome::Unwound);
        self.end_scopes(scopes, at, Outcome::Ok);
        true
    }

    /// Ends what a coroutine left open, because it is over.
    pub(crate) fn close_scopes(&self, mut scopes: Scopes) {
        self.end_scopes(&mut scopes, 0, Outcome::Unwound);
    }

    /// Ends all scopes but the outermost `keep`, from within.
    fn end_scopes(&self, scopes: &mut Scopes, keep: usize, outcome: Outcome) {
        for open in scopes.open.drain(keep..).rev() {
            if let (Some(track), Some(span)) = (scopes.track, open.span) {
                let recorder = self.recorder();
                recorder.exit_on(recorder.now(), track, span, outcome);
            }
        }
    }

    /// The track of scopes beneath that of a coroutine.
    fn scope_track(&self, resource: &Resource, parent: TrackId) -> TrackId {
        let recorder = self.recorder();
        let mut tracks = self.scoping.tracks.borrow_mut();
        *tracks.entry(parent).or_insert_with(|| {
            recorder.new_track(Track {
                kind: TrackKind::Async,
                parent,
                os_id: 0,
                name: "scopes".into(),
                resource: resource.name.as_ref().into(),
            })
        })
    }
}
