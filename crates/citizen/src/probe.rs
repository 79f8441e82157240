//! What a server records, by the conventions of the project's architecture: boundary spans, the tracks of coroutines,
//! waits, links.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function, Thread};
use tickscope_core::{
    ArgInput, Categories, CategoryId, KeyId, Link, LinkKind, LinkPoint, Outcome, Recorder, Runtime, SpanId,
    SwitchReason, SymbolId, SymbolRef, Track, TrackId, TrackKind,
};
use tickscope_hooks::lua::{HostSpan, Tracer};

use crate::mute::Mute;
use crate::outside::Took;
use crate::raw::{self, Place};
use crate::resource::{Resource, Symbols};
use crate::scopes::Scoping;

/// The names of arguments.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) tick: KeyId,
    pub(crate) run_delay_ns: KeyId,
    pub(crate) involuntary: KeyId,
    pub(crate) message: KeyId,
    pub(crate) waited_ns: KeyId,
    pub(crate) queued_ns: KeyId,
    pub(crate) ran_ns: KeyId,
    pub(crate) player: KeyId,
}

/// A piece of script work the host starts: what its spans are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Boundary {
    pub(crate) symbol: SymbolId,
    pub(crate) category: CategoryId,
}

pub(crate) struct Probe<R: Recorder + 'static> {
    tracer: Rc<Tracer<Mute<R>>>,
    pub(crate) keys: Keys,
    pub(crate) tick: SymbolId,
    main: TrackId,
    /// Tracks of operations that are over, by category.
    operations: RefCell<HashMap<CategoryId, Vec<TrackId>>>,
    pub(crate) scoping: Scoping,
}

/// An asynchronous operation: a span on a track of its own.
pub(crate) struct Operation {
    category: CategoryId,
    track: TrackId,
    span: SpanId,
}

impl<R: Recorder + 'static> Probe<R> {
    pub(crate) fn new(tracer: Rc<Tracer<Mute<R>>>) -> Self {
        let recorder = tracer.recorder();
        let keys = Keys {
            tick: recorder.intern_key("tick"),
            run_delay_ns: recorder.intern_key("run_delay_ns"),
            involuntary: recorder.intern_key("involuntary"),
            message: recorder.intern_key("message"),
            waited_ns: recorder.intern_key("waited_ns"),
            queued_ns: recorder.intern_key("queued_ns"),
            ran_ns: recorder.intern_key("ran_ns"),
            player: recorder.intern_key("player"),
        };
        let (tick, main) = (recorder.intern_symbol(SymbolRef::host("tick")), recorder.track());
        Self { tracer, keys, tick, main, operations: RefCell::default(), scoping: Scoping::default() }
    }

    pub(crate) fn tracer(&self) -> &Rc<Tracer<Mute<R>>> {
        &self.tracer
    }

    pub(crate) fn recorder(&self) -> &Mute<R> {
        self.tracer.recorder()
    }

    /// The symbols every resource needs.
    pub(crate) fn symbols(&self, resource: &str) -> Symbols {
        let named = |name, file| {
            let (runtime, line) = (Runtime::Lua, 0);
            self.recorder().intern_symbol(SymbolRef { runtime, resource, name, file, line })
        };
        Symbols {
            heap_bytes: named("lua.heap_bytes", ""),
            start: named("start", "fxmanifest.lua"),
            stop: named("stop", "fxmanifest.lua"),
            error: named("error", ""),
        }
    }

    /// The symbol of a native as `resource` calls it.
    pub(crate) fn native(&self, resource: &str, name: &str) -> SymbolId {
        let (runtime, file, line) = (Runtime::Native, "", 0);
        self.recorder().intern_symbol(SymbolRef { runtime, resource, name, file, line })
    }

    /// The symbol of a script function that the host runs under a name of its own: an event's, an export's.
    pub(crate) fn named(&self, resource: &Resource, name: &str, function: &Function) -> SymbolId {
        let info = function.info();
        let source = if info.what == "C" { "" } else { info.source.as_deref().unwrap_or("") };
        self.recorder().intern_symbol(SymbolRef {
            runtime: Runtime::Lua,
            resource: &resource.name,
            name,
            file: resource.file_of(source),
            line: info.line_defined.unwrap_or(0) as u32,
        })
    }

    /// The symbol of a script function that has no name for the host, but a place: a thread, a timer's callback.
    pub(crate) fn placed(&self, resource: &Resource, function: &Function) -> SymbolId {
        let info = function.info();
        let source = if info.what == "C" { "" } else { info.source.as_deref().unwrap_or("") };
        let line = info.line_defined.unwrap_or(0) as u32;
        if let Some(known) = resource.places.borrow().get(source).and_then(|lines| lines.get(&line)) {
            return *known;
        }
        let file = resource.file_of(source);
        let name = match file {
            "" => "?".to_owned(),
            other if other.starts_with('@') => format!("{other}:{line}"),
            own => format!("@{}/{own}:{line}", resource.name),
        };
        let symbol = self.recorder().intern_symbol(SymbolRef {
            runtime: Runtime::Lua,
            resource: &resource.name,
            name: &name,
            file,
            line,
        });
        resource.places.borrow_mut().entry(source.to_owned()).or_default().insert(line, symbol);
        symbol
    }

    /// The symbol of a file that is loaded.
    pub(crate) fn file(&self, resource: &Resource, file: &str) -> SymbolId {
        let (runtime, name, line) = (Runtime::Lua, "load", 1);
        self.recorder().intern_symbol(SymbolRef { runtime, resource: &resource.name, name, file, line })
    }

    /// Marks the source of a link.
    pub(crate) fn link_point(&self) -> LinkPoint {
        let recorder = self.recorder();
        recorder.link_point(recorder.now())
    }

    /// Begins a span on the current track, if its category is on.
    pub(crate) fn begin(
        &self,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Option<HostSpan> {
        self.recorder().enabled(category).then(|| self.tracer.span(symbol, category, link, args))
    }

    /// Ends what [`Probe::begin`] began.
    pub(crate) fn end(&self, span: HostSpan, outcome: Outcome) {
        self.tracer.end_span(span, outcome);
    }

    /// A track for a new coroutine, named after what it is for, and the coroutine on it. The recorder gives out again
    /// the tracks of coroutines that are over.
    pub(crate) fn new_track(&self, resource: &Resource, thread: &Thread, boundary: Boundary) {
        let category = Categories::global().get(boundary.category);
        let track = self.recorder().new_track(Track {
            kind: TrackKind::Coroutine,
            parent: self.main,
            os_id: 0,
            name: category.map_or_else(|| "coroutine".into(), |category| category.name.as_ref().into()),
            resource: resource.name.as_ref().into(),
        });
        raw::set_track(&self.tracer, thread, track);
    }

    /// Begins an operation that the current span caused, and that goes on when that one has ended.
    pub(crate) fn begin_operation(&self, symbol: SymbolId, category: CategoryId) -> Option<Operation> {
        let recorder = self.recorder();
        if !recorder.enabled(category) {
            return None;
        }
        let free = self.operations.borrow_mut().get_mut(&category).and_then(Vec::pop);
        let track = free.unwrap_or_else(|| {
            let name = Categories::global().get(category);
            recorder.new_track(Track {
                kind: TrackKind::Async,
                parent: TrackId::PROCESS,
                os_id: 0,
                name: name.map_or_else(|| "operation".into(), |category| category.name.as_ref().into()),
                resource: "".into(),
            })
        });
        let link = link(LinkKind::Flow, self.link_point());
        match recorder.enter_on(recorder.now(), track, symbol, category, link, &[]) {
            Some(span) => Some(Operation { category, track, span }),
            None => {
                self.operations.borrow_mut().entry(category).or_default().push(track);
                None
            }
        }
    }

    /// Ends an operation, with how long it was queued and how long another thread was busy with it; answers the source of
    /// links to what it caused.
    pub(crate) fn end_operation(
        &self,
        operation: Operation,
        took: Option<Took>,
        outcome: Outcome,
    ) -> LinkPoint {
        let recorder = self.recorder();
        let Operation { category, track, span } = operation;
        if let Some(took) = took {
            for (key, time) in [(self.keys.queued_ns, took.queued), (self.keys.ran_ns, took.ran)] {
                recorder.arg_on(track, span, key, ArgInput::Uint(time.as_nanos() as u64));
            }
        }
        let cause = recorder.link_point_on(recorder.now(), track);
        recorder.exit_on(recorder.now(), track, span, outcome);
        self.operations.borrow_mut().entry(category).or_default().push(track);
        cause
    }

    /// `thread` runs from here, inside the boundary span that is open.
    pub(crate) fn enter(&self, thread: &Thread, boundary: Boundary) {
        raw::enter(&self.tracer, thread, boundary.symbol);
    }

    /// The thread entered last has come back.
    pub(crate) fn leave(&self, reason: SwitchReason) {
        self.tracer.leave(reason);
    }

    /// Begins the span of a wait on the track of the coroutine that is about to be left.
    pub(crate) fn begin_wait(
        &self,
        resource: &Resource,
        thread: &Thread,
        by: Option<&Place>,
        category: CategoryId,
    ) -> Option<HostSpan> {
        if !self.recorder().enabled(category) {
            return None;
        }
        if category == CategoryId::AWAIT {
            raw::await_stack(&self.tracer);
        }
        let symbol = match by {
            Some(_) => raw::waiting_symbol(&self.tracer, thread),
            None => resource.symbols.start,
        };
        Some(self.tracer.span(symbol, category, None, &[]))
    }
}

/// A link of that kind from a point.
pub(crate) fn link(kind: LinkKind, source: LinkPoint) -> Option<Link> {
    source.map(|source| Link { kind, source })
}
