//! Samples become spans that are worth sending.
//!
//! Only spans that may be sent are followed: functions, waits and slices of coroutines cost nothing. The innermost one that is
//! open where a span begins is its parent; a coroutine is inside of whoever resumed it. What a coroutine still has open from
//! an earlier tick is no parent in this one.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use tickscope_abi::{ArgValue, Batch, Begin, End, Event, Names, Range, Sample, link_kind_name, outcome_name};
use tickscope_counts::Clock;
use tickscope_push::Limit;

use crate::ids::{Ids, Place, mixed};
use crate::proto::{self, KeyValue, Value};

/// Spans that are followed at a time.
const MAX_OPEN: usize = 1 << 16;
/// Threads that are followed at a time.
const MAX_RINGS: usize = 1 << 12;
/// Tracks that are followed: a host has no more names than these.
const MAX_TRACKS: usize = 1 << 24;
/// Causes that are kept, a power of two: a link to one that is older than so many may be left out.
const MAX_CAUSES: usize = 1 << 16;
/// Traces that are known, a power of two: of an older one, a span that comes late is one more trace.
const MAX_TRACES: usize = 1 << 12;
/// Arguments of a span, and bytes of a text among them.
const MAX_ARGS: usize = 32;
const MAX_TEXT: usize = 1024;
/// Errors and anomalies of a span.
const MAX_EVENTS: usize = 16;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// A tick that took longer is sent with all that the host started in it; 0: none is.
    pub tick_ns: u64,
    /// What took as long is sent, with what it was in.
    pub span_ns: u64,
    /// Spans of one trace: the longest are kept.
    pub max_spans: usize,
}

/// What kind of span it is, for what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tick,
    /// Work that the host starts.
    Boundary,
    /// Anything else that may be slow.
    Work,
}

fn kind(category: &str) -> Option<Kind> {
    Some(match category {
        "tick" => Kind::Tick,
        "resource" | "thread" | "event" | "export" | "timer" | "command" | "state_bag" | "http" | "entry"
        | "task" => Kind::Boundary,
        // Functions are too many, and the others are no work.
        "function" | "await" | "sleep" | "coroutine" => return None,
        _ => Kind::Work,
    })
}

/// A span that is followed: what is needed to write it if it is sent, which few are.
#[derive(Debug)]
struct Open {
    span: u64,
    begin_ns: u64,
    kind: Kind,
    place: Place,
    /// The parent's id; 0 for none.
    parent: u64,
    /// The tick that it is sent with; 0 for none.
    group: u64,
    /// The tick it began in, on its thread; 0 for none.
    tick: u64,
    symbol: u32,
    category: u32,
    track: u32,
    /// What caused it, and how.
    cause: Option<(Place, u32)>,
    /// Where it ran, when it is a part of another trace.
    within: Option<Place>,
    args: Vec<KeyValue>,
    dropped_args: u32,
    events: Vec<proto::Event>,
    dropped_events: u32,
}

/// A span that is over.
#[derive(Debug)]
struct Ended {
    open: Open,
    end_ns: u64,
    duration_ns: u64,
    bytes: u32,
    outcome: u32,
}

#[derive(Debug, Default)]
struct Ring {
    /// Tracks that run, the thread's own first.
    chain: Vec<u32>,
    tick: u64,
    /// Ended in the tick that runs.
    ended: Vec<Ended>,
    left_out: u64,
}

/// Follows all threads.
#[derive(Debug)]
pub struct Follower {
    ids: Ids,
    clock: Clock,
    thresholds: Thresholds,
    traces: Traces,
    rings: Rings,
    tracks: Vec<Vec<Open>>,
    open: usize,
    /// Those of tracks that no thread runs were let go of, and most are open still.
    crowded: bool,
    causes: Causes,
    ready: Vec<proto::Span>,
}

/// Threads by the numbers of their rings, which are never given again: whoever waits for work may be one that is over.
#[derive(Debug, Default)]
struct Rings {
    slots: HashMap<u32, Ring>,
}

impl Rings {
    fn get(&self, ring: u32) -> Option<&Ring> {
        self.slots.get(&ring)
    }

    fn get_mut(&mut self, ring: u32) -> Option<&mut Ring> {
        self.slots.get_mut(&ring)
    }

    /// That of a thread which may be new; `None` when too many are busy. Where there are many, those on which nothing is open
    /// are let go of, all at once.
    fn at(&mut self, ring: u32, tracks: &[Vec<Open>]) -> Option<&mut Ring> {
        if self.slots.len() >= MAX_RINGS && !self.slots.contains_key(&ring) {
            let open = |track: &u32| tracks.get(*track as usize).is_some_and(|open| !open.is_empty());
            self.slots.retain(|_, ring| ring.chain.iter().any(open));
            if self.slots.len() >= MAX_RINGS {
                return None;
            }
        }
        Some(self.slots.entry(ring).or_default())
    }
}

/// Which traces are sent: so many a minute, and so many spans in each. A new one takes the place of an old one.
#[derive(Debug)]
struct Traces {
    limit: Limit,
    max_spans: usize,
    /// Ids, and how many spans more may be sent.
    slots: Vec<(u128, usize)>,
    /// Traces that were left out, for there were too many.
    left_out: u64,
}

impl Traces {
    /// Whether so many spans of a trace are sent.
    fn take(&mut self, trace: u128, spans: usize, now_ns: u64) -> bool {
        if self.slots.is_empty() {
            self.slots.resize(MAX_TRACES, (0, 0));
        }
        let (known, left) = &mut self.slots[mixed(trace as u64) as usize & (MAX_TRACES - 1)];
        if *known == trace && *left > 0 {
            *left = left.saturating_sub(spans);
            return true;
        }
        let taken = self.limit.take(now_ns);
        // One that is left out is counted once, however many of its spans there are.
        self.left_out += u64::from(!taken && *known != trace);
        *left = if taken { self.max_spans.saturating_sub(spans) } else { 0 };
        *known = trace;
        taken
    }
}

/// What later spans may name as their cause: a new one takes the place of an old one.
#[derive(Debug, Default)]
struct Causes {
    slots: Vec<(u64, Place)>,
}

impl Causes {
    fn slot(id: u64) -> usize {
        mixed(id) as usize & (MAX_CAUSES - 1)
    }

    fn add(&mut self, id: u64, place: Place) {
        if self.slots.is_empty() {
            self.slots.resize(MAX_CAUSES, (0, Place::default()));
        }
        self.slots[Self::slot(id)] = (id, place);
    }

    /// 0 is none.
    fn get(&self, id: u64) -> Option<Place> {
        let (found, place) = self.slots.get(Self::slot(id))?;
        (id != 0 && *found == id).then_some(*place)
    }
}

/// What is at a number, which may be the first time it is seen.
fn at<T: Default>(list: &mut Vec<T>, number: u32, limit: usize) -> Option<&mut T> {
    let number = number as usize;
    if number >= list.len() && number < limit {
        list.resize_with(number + 1, T::default);
    }
    list.get_mut(number)
}

impl Follower {
    /// Nothing is open yet. At most `per_minute` traces are sent.
    pub fn new(ids: Ids, clock: Clock, thresholds: Thresholds, per_minute: u32) -> Self {
        Self {
            ids,
            clock,
            thresholds,
            traces: Traces {
                limit: Limit::new(per_minute),
                max_spans: thresholds.max_spans,
                slots: Vec::new(),
                left_out: 0,
            },
            rings: Rings::default(),
            tracks: Vec::new(),
            open: 0,
            crowded: false,
            causes: Causes::default(),
            ready: Vec::new(),
        }
    }

    /// Traces that were left out, for there were too many.
    pub fn left_out(&self) -> u64 {
        self.traces.left_out
    }

    /// Spans that are to be sent, since this was asked.
    pub fn ready(&mut self) -> Vec<proto::Span> {
        std::mem::take(&mut self.ready)
    }

    /// How many of them there are.
    pub fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// Takes more samples.
    pub fn take(&mut self, batch: &Batch<'_>) {
        if batch.missed() > 0 {
            self.forget();
        }
        for sample in batch.samples() {
            self.sample(batch, &sample);
        }
    }

    /// Samples are missing: nobody knows what is open.
    fn forget(&mut self) {
        self.rings.slots.clear();
        self.tracks.clear();
        self.open = 0;
        self.crowded = false;
    }

    /// Forgets spans of tracks that no thread runs: of operations and coroutines that wait for what never comes there are more
    /// each day, and what runs now is not to be missed for them.
    #[cold]
    fn let_go(&mut self) {
        let running: HashSet<u32> =
            self.rings.slots.values().flat_map(|ring| ring.chain.iter().copied()).collect();
        for (track, open) in (0..).zip(&mut self.tracks) {
            if !open.is_empty() && !running.contains(&track) {
                self.open -= open.len();
                *open = Vec::new();
            }
        }
        self.crowded = self.open > MAX_OPEN / 2;
    }

    fn sample(&mut self, batch: &Batch<'_>, sample: &Sample<'_>) {
        let Sample { time_ns, ring, track, event } = *sample;
        match event {
            Event::Begin(begin) => {
                if let Some(kind) = kind(&batch.names().category(begin.category).name) {
                    self.begin(batch, sample, begin, kind);
                }
            }
            Event::End(end) => self.end(batch, sample, end),
            Event::Resume(switch) => {
                let Some(Ring { chain, .. }) = self.rings.at(ring, &self.tracks) else { return };
                if chain.is_empty() && switch.host != track {
                    chain.push(switch.host);
                }
                if !chain.contains(&track) {
                    chain.push(track);
                }
            }
            Event::Suspend(switch) => {
                let Some(Ring { chain, .. }) = self.rings.get_mut(ring) else { return };
                if let Some(depth) = chain.iter().rposition(|running| *running == track) {
                    chain.truncate(depth);
                }
                if switch.reason != 0
                    && let Some(open) = self.tracks.get_mut(track as usize)
                {
                    self.open -= open.len();
                    *open = Vec::new();
                }
            }
            Event::LinkPoint(point) => {
                if let Some((track, depth)) = self.around(ring, track) {
                    let place = self.tracks[track][depth].place;
                    self.causes.add(point.id, place);
                }
            }
            Event::Instant(instant) => {
                let category = &*batch.names().category(instant.category).name;
                let symbol = &batch.names().symbol(instant.symbol).name;
                let name = match category {
                    "error" => "exception",
                    "anomaly" => symbol,
                    _ => return,
                };
                let Some((track, depth)) = self.around(ring, track) else { return };
                let time_unix_nano = self.clock.unix_ns(time_ns);
                let open = &mut self.tracks[track][depth];
                if open.events.len() >= MAX_EVENTS {
                    open.dropped_events += 1;
                    return;
                }
                let mut attributes = Vec::new();
                let exception = category == "error";
                if exception {
                    attributes.push(KeyValue::text("exception.type", symbol));
                }
                let rename = |name: &str| match name {
                    "message" if exception => "exception.message".to_owned(),
                    name => argument(name),
                };
                let _ = arguments(batch, instant.args, rename, &mut attributes); // an event does not count what it lacks
                open.events.push(proto::Event { time_unix_nano, name: cut(name).to_owned(), attributes });
            }
            _ => {}
        }
    }

    /// The innermost open span where something happens: its track and depth.
    fn around(&self, ring: u32, track: u32) -> Option<(usize, usize)> {
        let last = |track: u32, tick: u64| {
            let open = self.tracks.get(track as usize)?;
            let depth = open.iter().rposition(|open| tick == 0 || open.tick == tick)?;
            Some((track as usize, depth))
        };
        let running = self.rings.get(ring).and_then(|ring| {
            let place = ring.chain.iter().rposition(|running| *running == track)?;
            Some((&ring.chain[..=place], ring.tick))
        });
        match running {
            Some((chain, tick)) => chain.iter().rev().find_map(|track| last(*track, tick)),
            None => last(track, 0),
        }
    }

    fn begin(&mut self, batch: &Batch<'_>, sample: &Sample<'_>, begin: &Begin, kind: Kind) {
        let Some(ring) = self.rings.at(sample.ring, &self.tracks) else { return };
        if ring.chain.is_empty() && batch.names().track(sample.track).kind_name() == "thread" {
            ring.chain.push(sample.track);
        }
        let running = ring.chain.contains(&sample.track);
        if kind == Kind::Tick && running {
            // One that did not end has lost its end.
            ring.tick = begin.span;
            ring.ended.clear();
            ring.left_out = 0;
        }
        let tick = if running { ring.tick } else { 0 };
        let around = if kind == Kind::Tick { None } else { self.around(sample.ring, sample.track) };
        let around = around.map(|(track, depth)| &self.tracks[track][depth]);
        let (mut place, mut parent, mut group) = match around {
            Some(around) => {
                let place = Place { trace: around.place.trace, span: self.ids.span(begin.span) };
                (place, around.place.span, around.group)
            }
            None => (self.ids.root(begin.span), 0, if kind == Kind::Tick { tick } else { 0 }),
        };

        let cause = self.causes.get(begin.link).filter(|cause| cause.span != parent);
        let mut within = None;
        if let Some((given, from)) = context(batch, begin.args) {
            within = around.map(|around| around.place).filter(|around| around.trace != given.trace);
            (place, parent, group) = (given, from, 0);
        }
        self.causes.add(begin.span, place);
        let mut args = Vec::new();
        let dropped_args = arguments(batch, begin.args, argument, &mut args);
        let open = Open {
            span: begin.span,
            begin_ns: sample.time_ns,
            kind,
            place,
            parent,
            group,
            tick,
            symbol: begin.symbol,
            category: begin.category,
            track: sample.track,
            cause: cause.map(|cause| (cause, begin.link_kind)),
            within,
            args,
            dropped_args,
            events: Vec::new(),
            dropped_events: 0,
        };
        if self.open >= MAX_OPEN && !self.crowded {
            self.let_go();
        }
        if self.open < MAX_OPEN
            && let Some(track) = at(&mut self.tracks, sample.track, MAX_TRACKS)
        {
            track.push(open);
            self.open += 1;
        }
    }

    fn end(&mut self, batch: &Batch<'_>, sample: &Sample<'_>, end: &End) {
        let Some(track) = self.tracks.get_mut(sample.track as usize) else { return };
        let Some(depth) = track.iter().rposition(|open| open.span == end.span) else { return };
        // Spans inside of it that are still open have lost their end.
        self.open -= track.len() - depth;
        self.crowded &= self.open > MAX_OPEN / 2;
        let Some(mut open) = track.drain(depth..).next() else { return };
        open.dropped_args += arguments(batch, end.args, argument, &mut open.args);
        let duration_ns = sample.time_ns.saturating_sub(open.begin_ns);
        let (kind, group) = (open.kind, open.group);
        let (end_ns, bytes, outcome) = (sample.time_ns, end.bytes, end.outcome);
        let ended = Ended { open, end_ns, duration_ns, bytes, outcome };
        let slow = duration_ns >= self.thresholds.span_ns;
        let Some(ring) = self.rings.get_mut(sample.ring) else { return };
        if kind == Kind::Tick && group == end.span && ring.tick == end.span {
            ring.tick = 0;
            self.tick(sample.ring, ended, batch.names());
        } else if group != 0 && group == ring.tick {
            if slow || kind == Kind::Boundary {
                ring.ended.push(ended);
                if ring.ended.len() > 2 * self.thresholds.max_spans {
                    ring.left_out += longest(&mut ring.ended, self.thresholds.max_spans);
                }
            }
        } else if slow && kind != Kind::Tick && self.traces.take(ended.open.place.trace, 1, sample.time_ns) {
            self.ready.push(ended.write(batch.names(), self.clock));
        }
    }

    /// A tick ended: is it worth sending?
    fn tick(&mut self, ring: u32, root: Ended, names: &Names) {
        let Thresholds { tick_ns, span_ns, max_spans } = self.thresholds;
        let Some(ring) = self.rings.get_mut(ring) else { return };
        let mut inside = std::mem::take(&mut ring.ended);
        let late = tick_ns > 0 && root.duration_ns > tick_ns;
        if !late {
            inside.retain(|ended| ended.duration_ns >= span_ns);
        }
        if !late && inside.is_empty() {
            return;
        }
        let left_out = ring.left_out + longest(&mut inside, max_spans);
        if !self.traces.take(root.open.place.trace, inside.len() + 1, root.end_ns) {
            return;
        }
        let id = root.open.place.span;
        let mut root = root.write(names, self.clock);
        if late {
            root.attributes.push(KeyValue::new("tickscope.late", Value::BoolValue(true)));
        }
        if late && left_out > 0 {
            root.attributes.push(KeyValue::int("tickscope.spans_left_out", left_out));
        }
        self.ready.push(root);
        // A parent that was left out, shorter than others, is not to be missed.
        let kept: HashSet<u64> = inside.iter().map(|ended| ended.open.place.span).collect();
        for mut ended in inside {
            if !kept.contains(&ended.open.parent) {
                ended.open.parent = id;
            }
            self.ready.push(ended.write(names, self.clock));
        }
    }
}

impl Ended {
    /// As it is sent.
    fn write(self, names: &Names, clock: Clock) -> proto::Span {
        let Self { open, end_ns, bytes, outcome, .. } = self;
        let (symbol, track) = (names.symbol(open.symbol), names.track(open.track));
        let category = &*names.category(open.category).name;
        let name = match open.kind {
            Kind::Tick => cut(&symbol.name).to_owned(),
            _ => format!("{category} {}", cut(&symbol.name)),
        };
        let mut attributes = vec![KeyValue::text("tickscope.category", category)];
        let mut told = |key: &str, value: &str| {
            if !value.is_empty() {
                attributes.push(KeyValue::text(key, cut(value)));
            }
        };
        told("tickscope.resource", &symbol.resource);
        told("code.function.name", &symbol.name);
        told("code.file.path", &symbol.file);
        if track.kind_name() == "thread" {
            told("thread.name", &track.name);
        }
        if symbol.line > 0 {
            attributes.push(KeyValue::int("code.line.number", symbol.line));
        }
        if bytes > 0 {
            attributes.push(KeyValue::int("tickscope.allocated_bytes", bytes));
        }
        attributes.extend(open.args);
        let mut status = None;
        if outcome != 0 {
            let outcome = outcome_name(outcome);
            attributes.push(KeyValue::text("tickscope.outcome", outcome));
            if matches!(outcome, "error" | "unwound") {
                let message =
                    open.events.iter().rev().find_map(|event| event.attributes.iter().find_map(message));
                status = Some(proto::Status { message: message.unwrap_or_default(), code: proto::ERROR });
            }
        }
        let cause = open.cause.map(|(place, how)| link(place, link_kind_name(how)));
        let links = cause.into_iter().chain(open.within.map(|place| link(place, "within"))).collect();
        let server = category == "http" && open.kind == Kind::Boundary;
        let start_time_unix_nano = clock.unix_ns(open.begin_ns);
        proto::Span {
            trace_id: open.place.trace.to_be_bytes().into(),
            span_id: open.place.span.to_be_bytes().into(),
            parent_span_id: if open.parent == 0 { Vec::new() } else { open.parent.to_be_bytes().into() },
            name,
            kind: if server { proto::SERVER } else { proto::INTERNAL },
            start_time_unix_nano,
            end_time_unix_nano: clock.unix_ns(end_ns).max(start_time_unix_nano),
            attributes,
            dropped_attributes_count: open.dropped_args,
            events: open.events,
            dropped_events_count: open.dropped_events,
            links,
            status,
            flags: proto::SAMPLED,
        }
    }
}

/// Keeps the longest, in the order they began, and says how many were left out.
fn longest(spans: &mut Vec<Ended>, limit: usize) -> u64 {
    let left_out = spans.len().saturating_sub(limit);
    if left_out > 0 {
        // Of equal ones the outer ended later.
        spans.reverse();
        spans.sort_by_key(|ended| Reverse(ended.duration_ns));
        spans.truncate(limit);
    }
    spans.sort_by_key(|ended| (ended.open.begin_ns, Reverse(ended.duration_ns)));
    left_out as u64
}

/// The name of an argument among attributes.
fn argument(name: &str) -> String {
    format!("tickscope.arg.{name}")
}

fn link(place: Place, how: &str) -> proto::Link {
    proto::Link {
        trace_id: place.trace.to_be_bytes().into(),
        span_id: place.span.to_be_bytes().into(),
        attributes: vec![KeyValue::text("tickscope.link", how)],
        flags: proto::SAMPLED,
    }
}

/// Adds arguments as attributes, under other names; how many were too many.
fn arguments(
    batch: &Batch<'_>,
    range: Range,
    rename: impl Fn(&str) -> String,
    attributes: &mut Vec<KeyValue>,
) -> u32 {
    for (name, value) in batch.args(range).take(MAX_ARGS) {
        let value = match value {
            ArgValue::Int(value) => Value::IntValue(value),
            // There is no unsigned one.
            ArgValue::Uint(value) => {
                i64::try_from(value).map_or(Value::DoubleValue(value as f64), Value::IntValue)
            }
            ArgValue::Float(value) => Value::DoubleValue(value),
            ArgValue::Bool(value) => Value::BoolValue(value),
            ArgValue::Pointer(value) => Value::StringValue(format!("{value:#x}")),
            ArgValue::Text(value) => Value::StringValue(cut(value).to_owned()),
            _ => continue,
        };
        attributes.push(KeyValue::new(&rename(name), value));
    }
    range.len.saturating_sub(MAX_ARGS as u32)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

fn message(attribute: &KeyValue) -> Option<String> {
    match &attribute.value.as_ref()?.value {
        Some(Value::StringValue(text)) if attribute.key == "exception.message" => Some(text.clone()),
        _ => None,
    }
}

/// Where a span is in a trace that other processes take part in, and its parent's id there: what `tickscope::context_span!`
/// tells in arguments. Ids of other sizes, of no hex digits, or of zeros are none.
fn context(batch: &Batch<'_>, range: Range) -> Option<(Place, u64)> {
    let (mut trace, mut span, mut parent) = (0_u128, 0_u64, 0_u64);
    for (name, value) in batch.args(range) {
        let ArgValue::Text(text) = value else { continue };
        let hex = |digits: usize| {
            let digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if digits { u128::from_str_radix(text, 16).unwrap_or(0) } else { 0 }
        };
        match name {
            "trace_id" => trace = hex(32),
            "span_id" => span = hex(16) as u64,
            "parent_id" => parent = hex(16) as u64,
            _ => {}
        }
    }
    (trace != 0 && span != 0).then_some((Place { trace, span }, parent))
}
