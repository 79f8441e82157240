//! A batch of core as it crosses: copied once, for all plugins, with the names that are new.

use std::sync::Arc;

use tickscope_abi::raw::*;
use tickscope_core::{ArgRange, ArgValue, Batch, CounterValue, Event, Metadata, Sample, SpanId};

/// Samples, their arguments and text.
#[derive(Default)]
pub(crate) struct Body {
    samples: Vec<TickscopeSample>,
    args: Vec<TickscopeArg>,
    text: String,
}

/// Names that were not there before.
#[derive(Default)]
pub(crate) struct NewNames {
    symbols: Vec<TickscopeSymbol>,
    tracks: Vec<TickscopeTrack>,
    categories: Vec<TickscopeCategory>,
    keys: Vec<TickscopeKey>,
    stacks: Vec<TickscopeStackNode>,
    /// What the texts above point to.
    held: Vec<Arc<str>>,
}

// SAFETY: its pointers go to texts that it holds itself, and that nobody changes.
unsafe impl Send for NewNames {}
// SAFETY: as above.
unsafe impl Sync for NewNames {}

impl Body {
    /// How many samples.
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// As a batch without names. Good as long as `self`.
    pub(crate) fn raw(&self, missed: u64) -> TickscopeBatch {
        TickscopeBatch {
            missed,
            samples: self.samples.as_ptr(),
            n_samples: self.samples.len(),
            args: self.args.as_ptr(),
            n_args: self.args.len(),
            text: TickscopeText::new(&self.text),
            ..empty()
        }
    }
}

impl NewNames {
    fn is_empty(&self) -> bool {
        let named = self.symbols.len() + self.tracks.len() + self.categories.len() + self.keys.len();
        named + self.stacks.len() == 0
    }

    /// As a batch without samples. Good as long as `self`.
    pub(crate) fn raw(&self) -> TickscopeBatch {
        TickscopeBatch {
            symbols: self.symbols.as_ptr(),
            n_symbols: self.symbols.len(),
            tracks: self.tracks.as_ptr(),
            n_tracks: self.tracks.len(),
            categories: self.categories.as_ptr(),
            n_categories: self.categories.len(),
            keys: self.keys.as_ptr(),
            n_keys: self.keys.len(),
            stacks: self.stacks.as_ptr(),
            n_stacks: self.stacks.len(),
            ..empty()
        }
    }

    fn hold(&mut self, text: Arc<str>) -> TickscopeText {
        let lent = TickscopeText::new(&text);
        self.held.push(text);
        lent
    }
}

fn empty() -> TickscopeBatch {
    TickscopeBatch {
        size: size_of::<TickscopeBatch>(),
        missed: 0,
        samples: std::ptr::null(),
        n_samples: 0,
        args: std::ptr::null(),
        n_args: 0,
        text: TickscopeText::new(""),
        symbols: std::ptr::null(),
        n_symbols: 0,
        tracks: std::ptr::null(),
        n_tracks: 0,
        categories: std::ptr::null(),
        n_categories: 0,
        keys: std::ptr::null(),
        n_keys: 0,
        stacks: std::ptr::null(),
        n_stacks: 0,
    }
}

/// Turns batches into what crosses. Remembers which names it has seen.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    symbols: usize,
    tracks: usize,
    categories: usize,
    keys: usize,
    stacks: usize,
}

impl Packer {
    /// The names of `batch` that are new, and its samples.
    pub(crate) fn pack(&mut self, batch: &Batch<'_>) -> (Option<Arc<NewNames>>, Arc<Body>) {
        let names = self.names(batch);
        let mut body = Body { samples: Vec::with_capacity(batch.samples.len()), ..Body::default() };
        for sample in batch.samples {
            let packed = sample_of(&mut body, batch, sample);
            body.samples.push(packed);
        }
        ((!names.is_empty()).then(|| Arc::new(names)), Arc::new(body))
    }

    fn names(&mut self, batch: &Batch<'_>) -> NewNames {
        let mut names = NewNames::default();
        let dictionary = batch.dictionary;
        for (id, symbol) in dictionary.symbols().iter().enumerate().skip(self.symbols) {
            let resource = names.hold(symbol.resource.clone());
            let (name, file) = (names.hold(symbol.name.clone()), names.hold(symbol.file.clone()));
            let (runtime, line) = (symbol.runtime as u32, symbol.line);
            names.symbols.push(TickscopeSymbol {
                id: id as u32,
                runtime,
                resource,
                name,
                file,
                line,
                spare: 0,
            });
        }
        for (id, track) in dictionary.tracks().iter().enumerate().skip(self.tracks) {
            let (name, resource) = (names.hold(track.name.clone()), names.hold(track.resource.clone()));
            let (kind, parent, os_id) = (track.kind as u32, track.parent.0, track.os_id);
            names.tracks.push(TickscopeTrack { id: id as u32, kind, parent, os_id, name, resource });
        }
        for (id, category) in dictionary.categories().iter().enumerate().skip(self.categories) {
            let name = names.hold((*category.name).into());
            let description = names.hold((*category.description).into());
            names.categories.push(TickscopeCategory { id: id as u32, spare: 0, name, description });
        }
        for (id, key) in dictionary.keys().iter().enumerate().skip(self.keys) {
            let name = names.hold(key.clone());
            names.keys.push(TickscopeKey { id: id as u32, spare: 0, name });
        }
        for (id, node) in dictionary.stacks().iter().enumerate().skip(self.stacks) {
            let (parent, symbol, line) = (node.parent.0, node.symbol.0, node.line);
            names.stacks.push(TickscopeStackNode { id: id as u32, parent, symbol, line });
        }
        self.symbols = dictionary.symbols().len();
        self.tracks = dictionary.tracks().len();
        self.categories = dictionary.categories().len();
        self.keys = dictionary.keys().len();
        self.stacks = dictionary.stacks().len();
        names
    }
}

/// A batch may share its arguments with others: only its own are copied.
fn args_of(body: &mut Body, batch: &Batch<'_>, range: ArgRange) -> TickscopeRange {
    if range.is_empty() {
        return TickscopeRange::default();
    }
    let start = body.args.len() as u32;
    for arg in batch.args(range) {
        let uint = |value| TickscopeNumber { uint_value: value };
        let (kind, value) = match arg.value {
            ArgValue::Int(value) => (TICKSCOPE_ARG_INT, TickscopeNumber { int_value: value }),
            ArgValue::Uint(value) => (TICKSCOPE_ARG_UINT, uint(value)),
            ArgValue::Float(value) => (TICKSCOPE_ARG_FLOAT, TickscopeNumber { float_value: value }),
            ArgValue::Bool(value) => (TICKSCOPE_ARG_BOOL, uint(value.into())),
            ArgValue::Pointer(value) => (TICKSCOPE_ARG_POINTER, uint(value)),
            ArgValue::Text { .. } => {
                let (start, text) = (body.text.len() as u32, batch.text(arg.value));
                body.text.push_str(text);
                let text = TickscopeRange { start, len: text.len() as u32 };
                (TICKSCOPE_ARG_TEXT, TickscopeNumber { text })
            }
        };
        body.args.push(TickscopeArg { key: arg.key.0, kind, value });
    }
    TickscopeRange { start, len: body.args.len() as u32 - start }
}

#[inline]
fn sample_of(body: &mut Body, batch: &Batch<'_>, sample: &Sample) -> TickscopeSample {
    let id = |span: Option<SpanId>| span.map_or(0, SpanId::raw);
    let (kind, event) = match sample.event {
        Event::Begin(begin) => {
            let (link, link_kind) = begin.link.map_or((0, 0), |link| (link.source.raw(), link.kind as u32));
            let begin = TickscopeBegin {
                span: begin.span.raw(),
                parent: id(begin.parent),
                link,
                link_kind,
                symbol: begin.symbol.0,
                category: begin.category.0.into(),
                args: args_of(body, batch, begin.args),
            };
            (TICKSCOPE_BEGIN, TickscopeEvent { begin })
        }
        Event::End(end) => {
            let end = TickscopeEnd {
                span: end.span.raw(),
                begin_ns: end.begin_ns,
                symbol: end.symbol.0,
                outcome: end.outcome as u32,
                bytes: end.bytes,
                args: args_of(body, batch, end.args),
            };
            (TICKSCOPE_END, TickscopeEvent { end })
        }
        Event::Instant { symbol, category, scope, args } => {
            let args = args_of(body, batch, args);
            let (symbol, category, scope) = (symbol.0, category.0.into(), scope as u32);
            let instant = TickscopeInstant { symbol, category, scope, args };
            (TICKSCOPE_INSTANT, TickscopeEvent { instant })
        }
        Event::Counter { symbol, value } => {
            let (kind, value) = match value {
                CounterValue::Int(value) => (TICKSCOPE_COUNTER_INT, TickscopeNumber { int_value: value }),
                CounterValue::Float(value) => {
                    (TICKSCOPE_COUNTER_FLOAT, TickscopeNumber { float_value: value })
                }
            };
            (kind, TickscopeEvent { counter: TickscopeCounter { symbol: symbol.0, spare: 0, value } })
        }
        Event::Resume { host } => {
            let resume = TickscopeSwitch { host: host.0, reason: 0 };
            (TICKSCOPE_RESUME, TickscopeEvent { resume })
        }
        Event::Suspend { host, reason } => {
            let suspend = TickscopeSwitch { host: host.0, reason: reason as u32 };
            (TICKSCOPE_SUSPEND, TickscopeEvent { suspend })
        }
        Event::LinkPoint { id: point, span } => {
            let link_point = TickscopeLinkPoint { id: point.raw(), span: id(span) };
            (TICKSCOPE_LINK_POINT, TickscopeEvent { link_point })
        }
        Event::Stack { stack, weight } => {
            let (time_ns, bytes) = (weight.time_ns, weight.bytes);
            let stack = TickscopeStack { time_ns, bytes, stack: stack.0, spare: 0 };
            (TICKSCOPE_STACK, TickscopeEvent { stack })
        }
        Event::Gap { events } => (TICKSCOPE_GAP, TickscopeEvent { gap: events }),
        Event::Account(account) => {
            let account = TickscopeAccount {
                attempted: account.attempted,
                committed: account.committed,
                delivered: account.delivered,
                overwritten: account.overwritten,
                discarded: account.discarded,
                dropped: account.dropped,
            };
            (TICKSCOPE_ACCOUNT, TickscopeEvent { account })
        }
    };
    TickscopeSample {
        time_ns: sample.time_ns,
        ring: sample.ring.0,
        track: sample.track.0,
        kind,
        spare: 0,
        event,
    }
}

/// Calls `call` with `metadata` as it crosses.
pub(crate) fn with_metadata<T>(metadata: &Metadata, call: impl FnOnce(*const TickscopeMetadata) -> T) -> T {
    let text = TickscopeText::new;
    let facts: Vec<TickscopeFact> = metadata
        .facts
        .iter()
        .map(|(name, value)| TickscopeFact { name: text(name), value: text(value) })
        .collect();
    let raw = TickscopeMetadata {
        size: size_of::<TickscopeMetadata>(),
        producer: text(&metadata.producer),
        subject: text(&metadata.subject),
        depth: text(metadata.depth.name()),
        budget_ns: metadata.budget_ns,
        pid: metadata.pid,
        schema: metadata.schema,
        start_ns: metadata.start_ns,
        start_unix_ns: metadata.start_unix_ns,
        clock_error_ns: metadata.clock.error_ns,
        clock_source: text(&metadata.clock.source),
        facts: facts.as_ptr(),
        n_facts: facts.len(),
    };
    call(&raw)
}
