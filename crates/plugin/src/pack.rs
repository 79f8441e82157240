//! A batch of core as it crosses: copied once, for all plugins, with the names that are new.

mod wire;

use std::sync::Arc;

use tickscope_abi::raw::*;
use tickscope_core::{ArgRange, ArgValue, Batch, CounterValue, Event, Metadata, Sample, SpanId};
pub(crate) use wire::{read_metadata, write_metadata};

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
    /// Becomes what `batch` holds. What it held is written over in place: with samples that are built elsewhere and then
    /// copied the whole takes nearly twice as long, for their fields are written in small pieces and read back in large ones.
    fn fill(&mut self, batch: &Batch<'_>) {
        let Self { samples, args, text } = self;
        args.clear();
        text.clear();
        samples.resize(batch.samples.len(), EMPTY);
        for (slot, sample) in samples.iter_mut().zip(batch.samples) {
            fill(slot, args, text, batch, sample);
        }
    }

    /// How many samples.
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// How much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.samples) + size_of_val(&*self.args) + self.text.len()
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
            ..TickscopeBatch::EMPTY
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
            ..TickscopeBatch::EMPTY
        }
    }

    /// The largest number of a name.
    #[cfg(fuzzing)]
    pub(crate) fn largest(&self) -> u32 {
        let symbols = self.symbols.iter().map(|named| named.id);
        let tracks = self.tracks.iter().map(|named| named.id);
        let categories = self.categories.iter().map(|named| named.id);
        let keys = self.keys.iter().map(|named| named.id);
        let stacks = self.stacks.iter().map(|named| named.id);
        symbols.chain(tracks).chain(categories).chain(keys).chain(stacks).max().unwrap_or_default()
    }

    fn hold(&mut self, text: Arc<str>) -> TickscopeText {
        let lent = TickscopeText::new(&text);
        self.held.push(text);
        lent
    }
}

/// Bodies that are filled again once nobody has them any more: fresh memory for each costs more than the copy.
const SPARE: usize = 8;

/// Turns batches into what crosses. Remembers which names it has seen.
#[derive(Default)]
pub(crate) struct Packer {
    given: Vec<Arc<Body>>,
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
        let mut shared = self.body();
        if let Some(body) = Arc::get_mut(&mut shared) {
            body.fill(batch);
        }
        self.given.push(shared.clone());
        ((!names.is_empty()).then(|| Arc::new(names)), shared)
    }

    /// One that nobody else has.
    fn body(&mut self) -> Arc<Body> {
        let back = self.given.iter_mut().position(|body| Arc::get_mut(body).is_some());
        if let Some(at) = back {
            return self.given.swap_remove(at);
        }
        if self.given.len() >= SPARE {
            // Its sinks free it.
            self.given.swap_remove(0);
        }
        Arc::default()
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
#[inline(never)]
fn copy_args(
    args: &mut Vec<TickscopeArg>,
    texts: &mut String,
    batch: &Batch<'_>,
    range: ArgRange,
) -> TickscopeRange {
    let start = args.len() as u32;
    for arg in batch.args(range) {
        let uint = |value| TickscopeNumber { uint_value: value };
        let (kind, value) = match arg.value {
            ArgValue::Int(value) => (TICKSCOPE_ARG_INT, TickscopeNumber { int_value: value }),
            ArgValue::Uint(value) => (TICKSCOPE_ARG_UINT, uint(value)),
            ArgValue::Float(value) => (TICKSCOPE_ARG_FLOAT, TickscopeNumber { float_value: value }),
            ArgValue::Bool(value) => (TICKSCOPE_ARG_BOOL, uint(value.into())),
            ArgValue::Pointer(value) => (TICKSCOPE_ARG_POINTER, uint(value)),
            ArgValue::Text { .. } => {
                let (start, text) = (texts.len() as u32, batch.text(arg.value));
                texts.push_str(text);
                let text = TickscopeRange { start, len: text.len() as u32 };
                (TICKSCOPE_ARG_TEXT, TickscopeNumber { text })
            }
        };
        args.push(TickscopeArg { key: arg.key.0, kind, value });
    }
    TickscopeRange { start, len: args.len() as u32 - start }
}

/// What a slot holds before it is filled.
const EMPTY: TickscopeSample = TickscopeSample {
    time_ns: 0,
    ring: 0,
    track: 0,
    kind: 0,
    spare: 0,
    event: TickscopeEvent {
        account: TickscopeAccount {
            attempted: 0,
            committed: 0,
            delivered: 0,
            overwritten: 0,
            discarded: 0,
            dropped: 0,
        },
    },
};

/// Arguments come last: most samples have none, and a call in the midst has the rest kept on the stack meanwhile.
#[inline(always)]
fn fill(
    slot: &mut TickscopeSample,
    all: &mut Vec<TickscopeArg>,
    texts: &mut String,
    batch: &Batch<'_>,
    sample: &Sample,
) {
    (slot.time_ns, slot.ring, slot.track) = (sample.time_ns, sample.ring.0, sample.track.0);
    let id = |span: Option<SpanId>| span.map_or(0, SpanId::raw);
    let event = &mut slot.event;
    let none = TickscopeRange::default();
    let (kind, args) = match sample.event {
        Event::Begin(begin) => {
            let (link, link_kind) = begin.link.map_or((0, 0), |link| (link.source.raw(), link.kind as u32));
            let raw = TickscopeBegin {
                span: begin.span.raw(),
                parent: id(begin.parent),
                link,
                link_kind,
                symbol: begin.symbol.0,
                category: begin.category.0.into(),
                args: none,
            };
            event.begin = raw;
            (TICKSCOPE_BEGIN, begin.args)
        }
        Event::End(end) => {
            let raw = TickscopeEnd {
                span: end.span.raw(),
                begin_ns: end.begin_ns,
                symbol: end.symbol.0,
                outcome: end.outcome as u32,
                bytes: end.bytes,
                args: none,
            };
            event.end = raw;
            (TICKSCOPE_END, end.args)
        }
        Event::Instant { symbol, category, scope, args } => {
            let (symbol, category, scope) = (symbol.0, category.0.into(), scope as u32);
            event.instant = TickscopeInstant { symbol, category, scope, args: none };
            (TICKSCOPE_INSTANT, args)
        }
        Event::Counter { symbol, value } => {
            let (kind, value) = match value {
                CounterValue::Int(value) => (TICKSCOPE_COUNTER_INT, TickscopeNumber { int_value: value }),
                CounterValue::Float(value) => {
                    (TICKSCOPE_COUNTER_FLOAT, TickscopeNumber { float_value: value })
                }
            };
            event.counter = TickscopeCounter { symbol: symbol.0, spare: 0, value };
            (kind, ArgRange::NONE)
        }
        Event::Resume { host } => {
            let resume = TickscopeSwitch { host: host.0, reason: 0 };
            event.resume = resume;
            (TICKSCOPE_RESUME, ArgRange::NONE)
        }
        Event::Suspend { host, reason } => {
            let suspend = TickscopeSwitch { host: host.0, reason: reason as u32 };
            event.suspend = suspend;
            (TICKSCOPE_SUSPEND, ArgRange::NONE)
        }
        Event::LinkPoint { id: point, span } => {
            let link_point = TickscopeLinkPoint { id: point.raw(), span: id(span) };
            event.link_point = link_point;
            (TICKSCOPE_LINK_POINT, ArgRange::NONE)
        }
        Event::Stack { stack, weight } => {
            let (time_ns, bytes) = (weight.time_ns, weight.bytes);
            let stack = TickscopeStack { time_ns, bytes, stack: stack.0, spare: 0 };
            event.stack = stack;
            (TICKSCOPE_STACK, ArgRange::NONE)
        }
        Event::Gap { events } => {
            event.gap = events;
            (TICKSCOPE_GAP, ArgRange::NONE)
        }
        Event::Account(account) => {
            let account = TickscopeAccount {
                attempted: account.attempted,
                committed: account.committed,
                delivered: account.delivered,
                overwritten: account.overwritten,
                discarded: account.discarded,
                dropped: account.dropped,
            };
            event.account = account;
            (TICKSCOPE_ACCOUNT, ArgRange::NONE)
        }
    };
    slot.kind = kind;
    if !args.is_empty() {
        let args = copy_args(all, texts, batch, args);
        match kind {
            TICKSCOPE_BEGIN => event.begin.args = args,
            TICKSCOPE_END => event.end.args = args,
            _ => event.instant.args = args,
        }
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
