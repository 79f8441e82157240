//! Packets to samples: the reader's state, without any I/O.

use std::collections::HashMap;

use tickscope_core::{
    Account, Arg, ArgRange, ArgValue, Batch, Begin, CategoryId, ClockInfo, CounterValue, Depth, Dictionary,
    End, Event, KeyId, Link, LinkKind, Metadata, Outcome, RingId, Runtime, SCHEMA, Sample, Scope, SpanId,
    StackId, StackNode, SwitchReason, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind, Weight,
};

use super::intern::MONOTONIC;
use super::plain::Plain;
use super::schema::{
    FIRST_KEY, FIRST_NAME, FIRST_SEQUENCE, FIRST_TRACK, KEY_BYTES, KEY_CONTINUED, KEY_LINK, KEY_OUTCOME,
    KEY_SCOPE, annotation, definition, event, head, packet, record,
};
use crate::wire::{Broken, Fields, Value, unzigzag};

/// Most categories a file may define: their ids are small.
const MAX_CATEGORIES: usize = 4096;

/// What a packet asks the reader to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on.
    On,
    /// Push what there is, then say that a tick ended.
    Tick(u64),
}

/// What is wrong with a packet.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) expected: String,
}

impl Problem {
    fn new(what: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into() }
    }
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self::new(
            format!("a packet broken {} bytes from its start", broken.0),
            "a protocol buffer; the file was damaged, what stands before is whole",
        )
    }
}

#[derive(Default)]
pub(super) struct Replay {
    /// Set by each head; the reader takes the first.
    pub(super) metadata: Option<Metadata>,
    pub(super) samples: Vec<Sample>,
    args: Vec<Arg>,
    text: String,
    dictionary: Dictionary,
    symbols: Ids,
    tracks: Ids,
    categories: Ids,
    keys: Ids,
    stacks: Ids,
    counters: HashMap<u64, (TrackId, SymbolId)>,
    continued_key: Option<KeyId>,
    sequences: HashMap<u64, Sequence>,
    last: (u64, Sequence),
    open: Vec<Vec<Open>>,
    last_ns: u64,
    pub(super) finished: bool,
    pub(super) continues: bool,
    pub(super) part: u32,
}

/// Ids of the file to ids of the dictionary. Dense where they are, so that a hostile id costs one entry.
#[derive(Default)]
struct Ids {
    dense: Vec<u32>,
    sparse: HashMap<u64, u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl Ids {
    #[inline]
    fn get(&self, id: u64) -> Option<u32> {
        match usize::try_from(id).ok().and_then(|at| self.dense.get(at)) {
            Some(known) if *known != UNKNOWN => Some(*known),
            _ => self.sparse.get(&id).copied(),
        }
    }

    fn set(&mut self, id: u64, known: u32) {
        let reach = (2 * self.dense.len() + 1024) as u64;
        if id < reach {
            let at = id as usize;
            if self.dense.len() <= at {
                self.dense.resize(at + 1, UNKNOWN);
            }
            self.dense[at] = known;
        } else {
            self.sparse.insert(id, known);
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sequence {
    alive: bool,
    time_ns: u64,
    span: u64,
}

#[derive(Clone, Copy)]
enum Open {
    Span { span: SpanId, symbol: SymbolId, begin_ns: u64, ring: RingId },
    Run { track: TrackId },
}

/// The fields of a packet that matter here.
#[derive(Default)]
struct Packet<'a> {
    timestamp: Option<u64>,
    /// Its time is one of the system's clock and not of the sequence's.
    absolute: bool,
    sequence: u64,
    flags: u64,
    event: Option<&'a [u8]>,
    span: Option<u64>,
    record: Option<&'a [u8]>,
}

/// The fields of a track event.
#[derive(Default)]
struct TrackEvent<'a> {
    kind: u64,
    track: u64,
    name: u64,
    category: u64,
    flow: u64,
    counter: Option<CounterValue>,
    annotations: Option<Fields<'a>>,
    annotated: bool,
}

/// Annotations of the writer's own.
#[derive(Default)]
struct Notes {
    outcome: Outcome,
    bytes: u32,
    link: LinkKind,
    scope: Scope,
    args: ArgRange,
}

impl Replay {
    pub(super) fn as_batch(&self) -> Batch<'_> {
        Batch { samples: &self.samples, args: &self.args, text: &self.text, dictionary: &self.dictionary }
    }

    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.args.clear();
        self.text.clear();
    }

    /// Takes one packet.
    #[inline]
    pub(super) fn packet(&mut self, bytes: &[u8]) -> Result<Step, Problem> {
        match Plain::parse(bytes) {
            Some(plain) if self.plain(&plain) => Ok(Step::On),
            _ => self.any_packet(bytes),
        }
    }

    /// Takes a begin or end as nearly all are. False, with nothing done, where something is out of the ordinary:
    /// the way for any packet then says what.
    #[inline]
    fn plain(&mut self, plain: &Plain) -> bool {
        if plain.sequence != self.last.0 {
            self.switch(plain.sequence);
        }
        let Some(time_ns) = self.last.1.time_ns.checked_add(plain.delta) else { return false };
        let Some(track) = self.tracks.get(plain.track.wrapping_sub(FIRST_TRACK)) else { return false };
        let Some(stack) = self.open.get_mut(track as usize) else { return false };
        if !self.last.1.alive {
            return false;
        }
        let ring = RingId(plain.sequence.saturating_sub(FIRST_SEQUENCE).min(u64::from(u32::MAX)) as u32);
        let track = TrackId(track);
        let event = if let Some(begins) = plain.begins {
            let Some(symbol) = self.symbols.get(begins.name.wrapping_sub(FIRST_NAME)) else { return false };
            let Some(category) = self.categories.get(begins.category.wrapping_sub(1)) else { return false };
            let raw = self.last.1.span.wrapping_add(unzigzag(begins.span) as u64);
            let Some(span) = SpanId::from_raw(raw) else { return false };
            let parent = match stack.last() {
                Some(Open::Span { span, .. }) => Some(*span),
                Some(Open::Run { .. }) => return false,
                None => None,
            };
            let symbol = SymbolId(symbol);
            self.last.1.span = raw;
            stack.push(Open::Span { span, symbol, begin_ns: time_ns, ring });
            let category = CategoryId(category as u16);
            Event::Begin(Begin { span, parent, symbol, category, link: None, args: ArgRange::NONE })
        } else {
            let Some(Open::Span { span, symbol, begin_ns, .. }) = stack.last().copied() else { return false };
            stack.pop();
            let bytes = u32::try_from(plain.bytes).unwrap_or(u32::MAX);
            Event::End(End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes, args: ArgRange::NONE })
        };
        self.last.1.time_ns = time_ns;
        self.last_ns = self.last_ns.max(time_ns);
        self.samples.push(Sample { time_ns, ring, track, event });
        true
    }

    /// Takes a packet whatever its fields and their order.
    fn any_packet(&mut self, bytes: &[u8]) -> Result<Step, Problem> {
        let mut packet = Packet::default();
        let mut fields = Fields::of(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                packet::TIMESTAMP => packet.timestamp = Some(value.number()),
                packet::CLOCK => packet.absolute = value.number() == MONOTONIC,
                packet::SEQUENCE => packet.sequence = value.number(),
                packet::FLAGS => packet.flags = value.number(),
                packet::TRACK_EVENT => packet.event = Some(value.bytes()),
                packet::SPAN => packet.span = Some(value.number()),
                packet::RECORD => packet.record = Some(value.bytes()),
                packet::DEFINITIONS => self.definitions(value.bytes())?,
                packet::HEAD => self.head(value.bytes())?,
                _ => {}
            }
        }
        if packet.sequence != self.last.0 {
            self.switch(packet.sequence);
        }
        if packet.flags & 1 != 0 {
            self.last.1 = Sequence { alive: true, ..Sequence::default() };
        }
        match (packet.event, packet.record) {
            (None, None) => Ok(Step::On),
            (Some(event), None) => self.track_event(&packet, event),
            (event, Some(record)) => self.record(&packet, event, record),
        }
    }

    fn switch(&mut self, sequence: u64) {
        let (id, state) = self.last;
        self.sequences.insert(id, state);
        self.last = (sequence, self.sequences.get(&sequence).copied().unwrap_or_default());
    }

    /// The time of the packet, or `None` where its sequence has not started: the file is read from a part.
    #[inline]
    fn time(&mut self, packet: &Packet<'_>) -> Result<Option<u64>, Problem> {
        let sequence = &mut self.last.1;
        if !sequence.alive {
            return Ok(None);
        }
        let delta = packet.timestamp.unwrap_or_default();
        if packet.absolute {
            return Ok(Some(delta));
        }
        sequence.time_ns = sequence.time_ns.checked_add(delta).ok_or_else(|| {
            Problem::new(
                "a time beyond 2^64 ns",
                "nanoseconds since the machine's start; the file was damaged",
            )
        })?;
        self.last_ns = self.last_ns.max(sequence.time_ns);
        Ok(Some(sequence.time_ns))
    }

    #[inline]
    fn ring(packet: &Packet<'_>) -> RingId {
        RingId(u32::try_from(packet.sequence.saturating_sub(FIRST_SEQUENCE)).unwrap_or(u32::MAX))
    }

    #[inline]
    fn track_event(&mut self, packet: &Packet<'_>, bytes: &[u8]) -> Result<Step, Problem> {
        let Some(time_ns) = self.time(packet)? else { return Ok(Step::On) };
        let ring = Self::ring(packet);
        let event = TrackEvent::parse(bytes)?;
        match event.kind {
            event::BEGIN => {
                let track = self.track(event.track)?;
                let parent = self.innermost(track);
                self.begin(packet, &event, time_ns, ring, track, parent)?;
            }
            event::END => {
                let track = self.track(event.track)?;
                let notes = self.notes(&event)?;
                match self.open[track.index()].pop() {
                    Some(Open::Span { span, symbol, begin_ns, .. }) => {
                        let Notes { outcome, bytes, args, .. } = notes;
                        let end = End { span, symbol, begin_ns, outcome, bytes, args };
                        self.samples.push(Sample { time_ns, ring, track, event: Event::End(end) });
                    }
                    Some(run @ Open::Run { .. }) => self.open[track.index()].push(run),
                    None => {} // began before the part that is read
                }
            }
            event::INSTANT => {
                let track = self.track(event.track)?;
                let (symbol, category) = (self.symbol(event.name)?, self.category(&event)?);
                let Notes { scope, args, .. } = self.notes(&event)?;
                let event = Event::Instant { symbol, category, scope, args };
                self.samples.push(Sample { time_ns, ring, track, event });
            }
            event::COUNTER_TYPE => {
                let known = self.counters.get(&event.track).copied();
                let (track, symbol) = known.ok_or_else(|| undefined("counter", event.track))?;
                let value = event.counter.unwrap_or(CounterValue::Int(0));
                self.samples.push(Sample { time_ns, ring, track, event: Event::Counter { symbol, value } });
            }
            other => {
                return Err(Problem::new(
                    format!("a track event of type {other}"),
                    "a begin, end, instant or counter; the file was damaged",
                ));
            }
        }
        Ok(Step::On)
    }

    fn begin(
        &mut self,
        packet: &Packet<'_>,
        event: &TrackEvent<'_>,
        time_ns: u64,
        ring: RingId,
        track: TrackId,
        parent: Option<SpanId>,
    ) -> Result<(), Problem> {
        let (symbol, category) = (self.symbol(event.name)?, self.category(event)?);
        let Notes { link, args, .. } = self.notes(event)?;
        let delta = packet.span.ok_or_else(|| Problem::new("a begin without a span id", "field 2000"))?;
        let raw = self.last.1.span.wrapping_add(unzigzag(delta) as u64);
        self.last.1.span = raw;
        let span = SpanId::from_raw(raw)
            .ok_or_else(|| Problem::new("a span with the id 0", "ids from 1; the file was damaged"))?;
        let link = SpanId::from_raw(event.flow).map(|source| Link { kind: link, source });
        let begin = Begin { span, parent, symbol, category, link, args };
        self.samples.push(Sample { time_ns, ring, track, event: Event::Begin(begin) });
        self.open[track.index()].push(Open::Span { span, symbol, begin_ns: time_ns, ring });
        Ok(())
    }

    fn record(&mut self, packet: &Packet<'_>, event: Option<&[u8]>, record: &[u8]) -> Result<Step, Problem> {
        let mut numbers = [0u64; 10];
        let mut fields = Fields::of(record);
        while let Some((field, value)) = fields.next()? {
            if let Some(number) = numbers.get_mut(field as usize) {
                *number = value.number();
            }
        }
        let [_, kind, a, b, c, d, e, f, g, _] = numbers;
        match kind {
            record::TICK => return Ok(Step::Tick(a)),
            record::FINISH => {
                (self.finished, self.continues) = (true, a != 0);
                return Ok(Step::On);
            }
            record::DISPLAY => return Ok(Step::On),
            _ => {}
        }
        let Some(time_ns) = self.time(packet)? else { return Ok(Step::On) };
        let ring = Self::ring(packet);
        let event = TrackEvent::parse(event.unwrap_or_default())?;
        let (track, event) = match kind {
            record::RESUME => {
                let (host, track) = (self.track(event.track)?, self.known_track(a)?);
                self.open[host.index()].push(Open::Run { track });
                (track, Event::Resume { host })
            }
            record::SUSPEND => {
                let reason = SwitchReason::ALL
                    .get(a as usize)
                    .copied()
                    .ok_or_else(|| Problem::new(format!("switch reason {a}"), "0 to 2"))?;
                if b != 0 {
                    let (track, host) = (self.known_track(b - 1)?, self.known_track(c.saturating_sub(1))?);
                    (track, Event::Suspend { host, reason })
                } else {
                    let host = self.track(event.track)?;
                    match self.open[host.index()].pop() {
                        Some(Open::Run { track }) => (track, Event::Suspend { host, reason }),
                        Some(span) => {
                            self.open[host.index()].push(span);
                            return Ok(Step::On);
                        }
                        None => return Ok(Step::On), // resumed before the part that is read
                    }
                }
            }
            record::LINK_POINT => {
                let track = self.track(event.track)?;
                let id = SpanId::from_raw(a).ok_or_else(|| {
                    Problem::new("a link with the id 0", "ids from 1; the file was damaged")
                })?;
                let span = if c != 0 { SpanId::from_raw(b) } else { self.innermost(track) };
                (track, Event::LinkPoint { id, span })
            }
            record::GAP => (self.track(event.track)?, Event::Gap { events: a }),
            record::ACCOUNT => {
                let account = Account {
                    attempted: a,
                    committed: b,
                    delivered: c,
                    overwritten: d,
                    discarded: e,
                    dropped: f,
                };
                (self.known_track(g)?, Event::Account(account))
            }
            record::STACK => {
                let stack = match a {
                    0 => StackId::ROOT,
                    id => StackId(self.stacks.get(id).ok_or_else(|| undefined("stack", id))?),
                };
                (self.known_track(d)?, Event::Stack { stack, weight: Weight { time_ns: b, bytes: c } })
            }
            record::ORPHAN => {
                let track = self.track(event.track)?;
                self.begin(packet, &event, time_ns, ring, track, SpanId::from_raw(a))?;
                return Ok(Step::On);
            }
            _ => return Ok(Step::On), // of a later minor: it says nothing this version could tell
        };
        self.samples.push(Sample { time_ns, ring, track, event });
        Ok(Step::On)
    }

    /// Ends the spans that are open, at the last time; those of the file's end, not of the program's.
    pub(super) fn close(&mut self) {
        for (at, stack) in self.open.iter_mut().enumerate() {
            while let Some(open) = stack.pop() {
                let Open::Span { span, symbol, begin_ns, ring } = open else { continue };
                let outcome = Outcome::Truncated;
                let end = End { span, symbol, begin_ns, outcome, bytes: 0, args: ArgRange::NONE };
                self.samples.push(Sample {
                    time_ns: self.last_ns,
                    ring,
                    track: TrackId(at as u32),
                    event: Event::End(end),
                });
            }
        }
    }

    #[inline]
    fn innermost(&self, track: TrackId) -> Option<SpanId> {
        self.open[track.index()].iter().rev().find_map(|open| match open {
            Open::Span { span, .. } => Some(*span),
            Open::Run { .. } => None,
        })
    }

    /// The track of that uuid. Its stack exists.
    #[inline]
    fn track(&self, uuid: u64) -> Result<TrackId, Problem> {
        self.known_track(uuid.wrapping_sub(FIRST_TRACK))
    }

    #[inline]
    fn known_track(&self, id: u64) -> Result<TrackId, Problem> {
        self.tracks.get(id).map(TrackId).ok_or_else(|| undefined("track", id))
    }

    #[inline]
    fn symbol(&self, iid: u64) -> Result<SymbolId, Problem> {
        let id = iid.wrapping_sub(FIRST_NAME);
        self.symbols.get(id).map(SymbolId).ok_or_else(|| undefined("symbol", id))
    }

    #[inline]
    fn category(&self, event: &TrackEvent<'_>) -> Result<CategoryId, Problem> {
        let id = event.category.wrapping_sub(1);
        self.categories.get(id).map(|id| CategoryId(id as u16)).ok_or_else(|| undefined("category", id))
    }

    fn notes(&mut self, event: &TrackEvent<'_>) -> Result<Notes, Problem> {
        let mut notes = Notes::default();
        let Some(mut fields) = event.annotations.filter(|_| event.annotated) else { return Ok(notes) };
        let start = self.args.len() as u32;
        while let Some((field, value)) = fields.next()? {
            if field == event::ANNOTATION {
                self.annotation(value.bytes(), &mut notes)?;
            }
        }
        let len = self.args.len() as u32 - start;
        notes.args = if len == 0 { ArgRange::NONE } else { ArgRange { start, len } };
        Ok(notes)
    }

    fn annotation(&mut self, bytes: &[u8], notes: &mut Notes) -> Result<(), Problem> {
        let (mut key, mut value) = (0, None);
        let mut text = None;
        let mut fields = Fields::of(bytes);
        while let Some((field, found)) = fields.next()? {
            match field {
                annotation::NAME => key = found.number(),
                annotation::BOOL => value = Some(ArgValue::Bool(found.number() != 0)),
                annotation::UINT => value = Some(ArgValue::Uint(found.number())),
                annotation::INT => value = Some(ArgValue::Int(found.number() as i64)),
                annotation::DOUBLE => value = Some(ArgValue::Float(f64::from_bits(found.number()))),
                annotation::POINTER => value = Some(ArgValue::Pointer(found.number())),
                annotation::STRING => text = Some(found),
                _ => {}
            }
        }
        if key < FIRST_KEY {
            let name = text.map(Value::text).unwrap_or_default();
            match (key, value) {
                (KEY_OUTCOME, _) => notes.outcome = Outcome::from_name(&name).unwrap_or_default(),
                (KEY_LINK, _) => notes.link = LinkKind::from_name(&name).unwrap_or_default(),
                (KEY_SCOPE, _) => notes.scope = if name == "global" { Scope::Global } else { Scope::Process },
                (KEY_BYTES, Some(ArgValue::Uint(bytes))) => {
                    notes.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                }
                (KEY_CONTINUED, Some(value)) => {
                    let dictionary = &mut self.dictionary;
                    let key =
                        *self.continued_key.get_or_insert_with(|| dictionary.push_key("continued_since_ns"));
                    self.args.push(Arg { key, value });
                }
                _ => {}
            }
            return Ok(());
        }
        let id = key - FIRST_KEY;
        let key = self.keys.get(id).map(KeyId).ok_or_else(|| undefined("argument", id))?;
        let value = match (value, text) {
            (_, Some(text)) => {
                let (start, text) = (self.text.len() as u32, text.text());
                self.text.push_str(&text);
                ArgValue::Text { start, len: text.len() as u32 }
            }
            (Some(value), None) => value,
            (None, None) => return Ok(()),
        };
        self.args.push(Arg { key, value });
        Ok(())
    }

    fn definitions(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut fields = Fields::of(bytes);
        while let Some((field, value)) = fields.next()? {
            let mut entry = [Value::Varint(0); 7];
            let mut inner = Fields::of(value.bytes());
            while let Some((field, value)) = inner.next()? {
                if let Some(place) = entry.get_mut(field as usize) {
                    *place = value;
                }
            }
            let id = entry[1].number();
            match field {
                definition::SYMBOL => self.define_symbol(id, &entry)?,
                definition::TRACK => self.define_track(id, &entry)?,
                definition::CATEGORY => self.define_category(id, &entry)?,
                definition::KEY if self.keys.get(id).is_none() => {
                    let name = entry[2].text();
                    let known = self.dictionary.push_key(&name);
                    self.keys.set(id, known.0);
                }
                definition::STACK if self.stacks.get(id).is_none() => {
                    let parent = match entry[2].number() {
                        0 => StackId::ROOT,
                        parent => StackId(self.stacks.get(parent).unwrap_or_default()),
                    };
                    let symbol = entry[3].number();
                    let symbol = self.symbols.get(symbol).ok_or_else(|| undefined("symbol", symbol))?;
                    let line = u32::try_from(entry[4].number()).unwrap_or_default();
                    let node = StackNode { parent, symbol: SymbolId(symbol), line };
                    let known = self.dictionary.push_stack(node);
                    self.stacks.set(id, known.0);
                }
                definition::COUNTER => {
                    let (track, symbol) = (entry[2].number(), entry[3].number());
                    let track = self.known_track(track)?;
                    let symbol = self.symbols.get(symbol).ok_or_else(|| undefined("symbol", symbol))?;
                    self.counters.insert(id, (track, SymbolId(symbol)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn define_symbol(&mut self, id: u64, entry: &[Value<'_>; 7]) -> Result<(), Problem> {
        if self.symbols.get(id).is_some() {
            return Ok(());
        }
        let runtime = entry[2].text();
        let symbol = Symbol::from(SymbolRef {
            runtime: Runtime::from_name(&runtime).ok_or_else(|| {
                Problem::new(format!("the runtime {runtime:?}"), "Lua, Native, C#, JavaScript or Host")
            })?,
            resource: &entry[3].text(),
            name: &entry[4].text(),
            file: &entry[5].text(),
            line: u32::try_from(entry[6].number()).unwrap_or_default(),
        });
        let known = if id == 0 && symbol == *self.dictionary.symbol(SymbolId::OTHER) {
            SymbolId::OTHER
        } else {
            self.dictionary.push_symbol(symbol)
        };
        self.symbols.set(id, known.0);
        Ok(())
    }

    fn define_track(&mut self, id: u64, entry: &[Value<'_>; 7]) -> Result<(), Problem> {
        let kind = entry[2].text();
        let track = Track {
            kind: TrackKind::from_name(&kind).ok_or_else(|| {
                Problem::new(
                    format!("a track of the kind {kind:?}"),
                    "process, thread, coroutine, fiber, task, async or custom",
                )
            })?,
            parent: TrackId(self.tracks.get(entry[3].number()).unwrap_or_default()),
            os_id: u32::try_from(entry[4].number()).unwrap_or_default(),
            name: entry[5].text().as_ref().into(),
            resource: entry[6].text().as_ref().into(),
        };
        let known = match self.tracks.get(id) {
            Some(known) => TrackId(known),
            None if id == 0 => TrackId::PROCESS,
            None => self.dictionary.push_track(track.clone()),
        };
        self.dictionary.set_track(known, track);
        self.tracks.set(id, known.0);
        self.open.resize_with(self.open.len().max(known.index() + 1), Vec::new);
        Ok(())
    }

    fn define_category(&mut self, id: u64, entry: &[Value<'_>; 7]) -> Result<(), Problem> {
        if self.categories.get(id).is_some() {
            return Ok(());
        }
        let name = entry[2].text();
        let categories = self.dictionary.categories();
        let known = match categories.iter().position(|category| category.name == name) {
            Some(at) => at,
            None if categories.len() < MAX_CATEGORIES => {
                let description = entry[3].text().into_owned().into();
                let name = name.into_owned().into();
                let new = tickscope_core::Category { name, description };
                usize::from(self.dictionary.push_category(new).0)
            }
            None => return Err(Problem::new("too many categories", format!("at most {MAX_CATEGORIES}"))),
        };
        self.categories.set(id, known as u32);
        Ok(())
    }

    fn head(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut metadata =
            Metadata { clock: ClockInfo { source: String::new(), error_ns: 0 }, ..Metadata::default() };
        metadata.schema = 0;
        let small = |value: Value<'_>| u32::try_from(value.number()).unwrap_or(u32::MAX);
        let mut fields = Fields::of(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                head::SCHEMA => metadata.schema = small(value),
                head::PRODUCER => metadata.producer = value.text().into_owned(),
                head::SUBJECT => metadata.subject = value.text().into_owned(),
                head::BUDGET => metadata.budget_ns = value.number(),
                head::DEPTH => metadata.depth = Depth::from_name(&value.text()).unwrap_or_default(),
                head::PID => metadata.pid = small(value),
                head::START => metadata.start_ns = value.number(),
                head::START_UNIX => metadata.start_unix_ns = value.number(),
                head::CLOCK_SOURCE => metadata.clock.source = value.text().into_owned(),
                head::CLOCK_ERROR => metadata.clock.error_ns = value.number(),
                head::FACT => {
                    let mut fact = (String::new(), String::new());
                    let mut inner = Fields::of(value.bytes());
                    while let Some((field, value)) = inner.next()? {
                        match field {
                            1 => fact.0 = value.text().into_owned(),
                            2 => fact.1 = value.text().into_owned(),
                            _ => {}
                        }
                    }
                    metadata.facts.push(fact);
                }
                head::PART => self.part = small(value),
                _ => {}
            }
        }
        if metadata.schema > SCHEMA {
            return Err(Problem::new(
                format!("schema {} of a newer Tickscope ({})", metadata.schema, metadata.producer),
                format!("schema {SCHEMA} or older; read it with the version that wrote it"),
            ));
        }
        self.metadata = Some(metadata);
        Ok(())
    }
}

impl<'a> TrackEvent<'a> {
    #[inline]
    fn parse(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut event = Self::default();
        let mut fields = Fields::of(bytes);
        loop {
            let before = fields;
            let Some((field, value)) = fields.next()? else { break };
            match field {
                event::TYPE => event.kind = value.number(),
                event::TRACK => event.track = value.number(),
                event::NAME => event.name = value.number(),
                event::CATEGORY => event.category = value.number(),
                event::FLOW | event::TERMINATING_FLOW => event.flow = value.number(),
                event::COUNTER => event.counter = Some(CounterValue::Int(value.number() as i64)),
                event::DOUBLE_COUNTER => {
                    event.counter = Some(CounterValue::Float(f64::from_bits(value.number())));
                }
                event::ANNOTATION if !event.annotated => {
                    event.annotated = true;
                    event.annotations = Some(before);
                }
                _ => {}
            }
        }
        Ok(event)
    }
}

fn undefined(what: &str, id: u64) -> Problem {
    Problem::new(
        format!("{what} {id}, which nothing before defines"),
        "a definition; the file was damaged, or its beginning is missing",
    )
}
