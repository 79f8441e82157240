//! From slots to samples: time, stacks, arguments.

use std::collections::HashMap;

use tickscope_core::{
    Account, Arg, ArgRange, ArgValue, Batch, Begin, Calibration, CategoryId, CounterValue, Dictionary, End,
    Event, Flow, KeyId, Link, LinkKind, Outcome, RingId, Sample, Scope, SourceError, SpanId, StackId,
    SwitchReason, SymbolId, Ticks, TrackId, Weight,
};
use tickscope_ring::Policy;

use super::sample;
use crate::mapping::Shape;
use crate::record::{self, TEXT_PER_SLOT};

/// Deepest nesting of tracks and of spans on one track that is believed.
const MAX_DEPTH: usize = 1 << 16;
/// Ends that may wait for their begins: more than threads can produce while the rings are looked at once.
const MAX_EARLY: usize = 1 << 16;

/// What is known of one ring between two slots.
#[derive(Debug)]
pub(super) struct Parser {
    pub(super) thread: TrackId,
    pub(super) delivered: u64,
    pub(super) discarded: u64,
    /// For flight recorders: the next position to read.
    pub(super) position: u64,
    ring: RingId,
    last_ns: u64,
    current: TrackId,
    hosts: Vec<TrackId>,
    link: Option<Link>,
    on: Option<TrackId>,
    /// Where an instant behind it is older than what came before.
    noted: bool,
    of: Option<SpanId>,
    /// The event whose arguments are still coming, and how many of their slots.
    pending: Option<(Pending, u8)>,
    args_start: u32,
    /// Text still to come for the last argument, in bytes.
    text_left: usize,
}

#[derive(Debug)]
enum Pending {
    Event(Sample),
    Counter {
        time_ns: u64,
        symbol: SymbolId,
        float: bool,
    },
    Stack {
        time_ns: u64,
        stack: StackId,
        bytes: u64,
    },
    /// Text of the last late argument of that span; `None` when the span is not known.
    Late(Option<(TrackId, SpanId)>),
}

/// The end of a span whose begin another ring still holds.
#[derive(Debug)]
struct EarlyEnd {
    track: TrackId,
    time_ns: u64,
    outcome: Outcome,
}

impl Parser {
    /// Whether an event's first slots were read and its last ones were not.
    pub(super) fn mid_event(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn new(ring: RingId, thread: TrackId) -> Self {
        Self {
            thread,
            delivered: 0,
            discarded: 0,
            position: 0,
            ring,
            last_ns: 0,
            current: thread,
            hosts: Vec::new(),
            link: None,
            on: None,
            noted: false,
            of: None,
            pending: None,
            args_start: 0,
            text_left: 0,
        }
    }
}

#[derive(Debug)]
struct Open {
    span: SpanId,
    position: u32,
    symbol: SymbolId,
    begin_ns: u64,
    tick: bool,
    late: Vec<LateArg>,
}

#[derive(Debug)]
struct LateArg {
    key: KeyId,
    value: ArgValue,
    text: String,
}

/// The open span `of` of a track, or the innermost one.
fn find(stack: &mut [Open], of: Option<SpanId>) -> Option<&mut Open> {
    match of {
        Some(span) => {
            let at = place(stack, span.position() as u32).filter(|at| stack[*at].span == span)?;
            stack.get_mut(at)
        }
        None => stack.last_mut(),
    }
}

/// Where in a stack the span is that began at `position`. Spans begin in the order of positions, so a search halves what is
/// left: where a recursion ends that went deeper than is kept, each of its ends is looked for in vain. Positions repeat after
/// 2^32 slots, so few are looked at one by one.
fn place(stack: &[Open], position: u32) -> Option<usize> {
    const FEW: usize = 64;
    let few = stack.len().saturating_sub(FEW);
    if let Some(at) = stack[few..].iter().rposition(|open| open.position == position) {
        return Some(few + at);
    }
    let last = stack.last()?.position;
    let distance = |position: u32| last.wrapping_sub(position);
    let at = stack[..few].partition_point(|open| distance(open.position) > distance(position));
    stack[..few].get(at).is_some_and(|open| open.position == position).then_some(at)
}

/// Samples being put together, and the stacks of all tracks.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) dictionary: Dictionary,
    pub(super) calibration: Calibration,
    pub(super) delivered: u64,
    base: u64,
    last_ns: u64,
    samples: Vec<Sample>,
    args: Vec<Arg>,
    text: String,
    /// Index behind the end of each tick in `samples`, and when it ended.
    ticks: Vec<(usize, u64)>,
    tracks: Vec<Vec<Open>>,
    /// More the arena cannot define: each takes two words. A higher number is not believed.
    max_tracks: usize,
    text_bytes: Vec<u8>,
    /// Ends of asynchronous spans read before their begins: those lie in a ring that is read later.
    early: HashMap<SpanId, EarlyEnd>,
    /// Whether every begin arrives some day: not in a flight recorder.
    complete: bool,
    collector_ns: u64,
}

impl Assembly {
    pub(super) fn new(dictionary: Dictionary, calibration: Calibration, base: u64, shape: Shape) -> Self {
        Self {
            dictionary,
            calibration,
            delivered: 0,
            base,
            last_ns: 0,
            samples: Vec::with_capacity(super::BATCH * 2),
            args: Vec::new(),
            text: String::new(),
            ticks: Vec::new(),
            tracks: Vec::new(),
            max_tracks: shape.arena_bytes / 16,
            text_bytes: Vec::new(),
            early: HashMap::new(),
            complete: shape.policy == Policy::Drop,
            collector_ns: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn open(&self, track: TrackId) -> impl Iterator<Item = (SymbolId, u64)> + '_ {
        self.tracks.get(track.index()).into_iter().flatten().map(|open| (open.symbol, open.begin_ns))
    }

    /// Takes one slot.
    #[inline(always)]
    pub(super) fn read(&mut self, parser: &mut Parser, position: u64, words: [u64; 2]) {
        let [w0, w1] = words;
        match record::kind(w0) {
            record::ENTER if (w1 >> 48) & 0xff == 0 && parser.link.is_none() && parser.on.is_none() => {
                self.abandon(parser);
                let time_ns = self.time(parser, w0);
                let track = parser.current;
                self.begin(parser, position, time_ns, track, w1, None, ArgRange::NONE);
            }
            record::EXIT => {
                self.abandon(parser);
                let time_ns = self.time(parser, w0);
                self.exit(parser, time_ns, record::flags(w0), w1);
            }
            _ => self.read_rare(parser, position, words),
        }
    }

    fn read_rare(&mut self, parser: &mut Parser, position: u64, [w0, w1]: [u64; 2]) {
        let kind = record::kind(w0);
        match kind {
            record::MORE => return self.more(parser, [w0, w1]),
            record::ARG => return self.arg(parser, w0, w1),
            _ => self.abandon(parser),
        }
        match kind {
            record::LINK => {
                let kind = LinkKind::from_number(record::payload(w0) as u8).unwrap_or_default();
                parser.link = SpanId::from_raw(w1).map(|source| Link { kind, source });
            }
            record::ON => {
                parser.on = Some(TrackId(record::payload(w0) as u32));
                parser.noted = record::flags(w0) == record::NOTED;
            }
            record::OF => parser.of = SpanId::from_raw(w1),
            record::ENTER => {
                let time_ns = self.time(parser, w0);
                let track = parser.on.take().unwrap_or(parser.current);
                let link = parser.link.take();
                let arg_slots = (w1 >> 48) as u8;
                let args = ArgRange { start: self.args.len() as u32, len: 0 };
                let begun = self.begin(parser, position, time_ns, track, w1, link, ArgRange::NONE);
                if arg_slots > 0 && begun {
                    // The sample is taken back until its arguments are there.
                    if let Some(sample) = self.samples.pop() {
                        parser.args_start = args.start;
                        parser.delivered -= 1;
                        self.delivered -= 1;
                        parser.pending = Some((Pending::Event(sample), arg_slots));
                    }
                } else if begun {
                    self.end_early(SpanId::new(parser.ring, position));
                }
            }
            record::INSTANT => {
                let time_ns = match parser.on.is_some() && parser.noted {
                    true => self.calibration.nanos(self.ticks(w0)),
                    false => self.time(parser, w0),
                };
                let scope =
                    [Scope::Track, Scope::Process, Scope::Global][usize::from(record::flags(w0)).min(2)];
                let event = Event::Instant {
                    symbol: SymbolId(w1 as u32),
                    category: CategoryId((w1 >> 32) as u16),
                    scope,
                    args: ArgRange::NONE,
                };
                let track = parser.on.take().unwrap_or(parser.current);
                let instant = sample(time_ns, parser.ring, track, event);
                match (w1 >> 48) as u8 {
                    0 => self.deliver(parser, instant),
                    arg_slots => {
                        parser.args_start = self.args.len() as u32;
                        parser.pending = Some((Pending::Event(instant), arg_slots));
                    }
                }
            }
            record::COUNTER => {
                let (time_ns, float) = (self.time(parser, w0), record::flags(w0) == 1);
                parser.pending = Some((Pending::Counter { time_ns, symbol: SymbolId(w1 as u32), float }, 1));
            }
            record::STACK => {
                let time_ns = self.time(parser, w0);
                let stack = Pending::Stack { time_ns, stack: StackId(w1 as u32), bytes: w1 >> 32 };
                parser.pending = Some((stack, 1));
            }
            record::LINK_POINT => {
                let track = parser.on.take().unwrap_or(parser.current);
                let time_ns = self.time(parser, w0);
                match SpanId::new(parser.ring, position) {
                    Some(id) => {
                        let span = self.stack(track).last().map(|open| open.span);
                        let event = Event::LinkPoint { id, span };
                        self.deliver(parser, sample(time_ns, parser.ring, track, event));
                    }
                    None => parser.discarded += 1,
                }
            }
            record::RESUME => {
                let time_ns = self.time(parser, w0);
                let (track, host) = (TrackId(w1 as u32), parser.current);
                if track.index() >= self.max_tracks || parser.hosts.len() >= MAX_DEPTH {
                    parser.discarded += 1;
                    return;
                }
                parser.hosts.push(host);
                parser.current = track;
                self.deliver(parser, sample(time_ns, parser.ring, track, Event::Resume { host }));
            }
            record::SUSPEND => {
                let time_ns = self.time(parser, w0);
                let Some(host) = parser.hosts.pop() else {
                    parser.discarded += 1;
                    return;
                };
                let reason = SwitchReason::ALL[usize::from(record::flags(w0)).min(2)];
                let track = parser.current;
                if reason != SwitchReason::Yield {
                    self.close(parser.ring, track, time_ns, Outcome::Unwound);
                }
                self.deliver(parser, sample(time_ns, parser.ring, track, Event::Suspend { host, reason }));
                parser.current = host;
            }
            record::EXIT_ON => {
                let time_ns = self.time(parser, w0);
                let outcome = Outcome::ALL[usize::from(record::flags(w0)).min(3)];
                let track = parser.on.take().unwrap_or(parser.current);
                let stack = self.stack(track);
                let at = SpanId::from_raw(w1).and_then(|span| {
                    place(stack, span.position() as u32).filter(|at| stack[*at].span == span)
                });
                match at {
                    Some(at) => {
                        self.close_above(parser.ring, track, at, time_ns);
                        self.end_top(parser.ring, track, time_ns, outcome, 0);
                        parser.delivered += 1;
                        self.delivered += 1;
                    }
                    None => self.keep_early_end(parser, track, w1, time_ns, outcome),
                }
            }
            record::GAP => {
                let time_ns = parser.last_ns.max(self.last_ns_floor());
                let gap = sample(time_ns, parser.ring, parser.thread, Event::Gap { events: w1 });
                self.deliver(parser, gap);
            }
            _ => parser.discarded += 1,
        }
    }

    /// An argument's slot: of the pending event, or of the span that is open.
    fn arg(&mut self, parser: &mut Parser, w0: u64, w1: u64) {
        let late = record::flags(w0) == 1;
        if late {
            self.abandon(parser);
        } else if !matches!(parser.pending, Some((Pending::Event(_), _))) {
            return; // its event was overwritten
        }
        let payload = record::payload(w0);
        let key = KeyId((payload >> 8) as u32);
        let value = match payload as u8 {
            record::arg::INT => ArgValue::Int(w1 as i64),
            record::arg::UINT => ArgValue::Uint(w1),
            record::arg::FLOAT => ArgValue::Float(f64::from_bits(w1)),
            record::arg::BOOL => ArgValue::Bool(w1 != 0),
            record::arg::POINTER => ArgValue::Pointer(w1),
            _ => {
                parser.text_left = (w1 as usize).min(crate::MAX_TEXT);
                self.text_bytes.clear();
                ArgValue::Text { start: self.text.len() as u32, len: 0 }
            }
        };
        if late {
            let text_slots = parser.text_left.div_ceil(TEXT_PER_SLOT) as u8;
            let (track, of) = (parser.on.take().unwrap_or(parser.current), parser.of.take());
            match self.stack_mut(track).and_then(|stack| find(stack, of)) {
                Some(open) => {
                    open.late.push(LateArg { key, value, text: String::new() });
                    if text_slots > 0 {
                        parser.pending = Some((Pending::Late(Some((track, open.span))), text_slots));
                    } else {
                        parser.delivered += 1;
                        self.delivered += 1;
                    }
                }
                None => {
                    parser.text_left = 0;
                    parser.discarded += 1;
                }
            }
        } else {
            self.args.push(Arg { key, value });
            self.slot_done(parser);
        }
    }

    /// A continuation slot.
    fn more(&mut self, parser: &mut Parser, words: [u64; 2]) {
        match &parser.pending {
            None => {} // its event was overwritten or refused
            Some((Pending::Counter { time_ns, symbol, float }, _)) => {
                let value = match float {
                    true => CounterValue::Float(f64::from_bits(words[1])),
                    false => CounterValue::Int(words[1] as i64),
                };
                let event = Event::Counter { symbol: *symbol, value };
                let track = parser.on.take().unwrap_or(parser.current);
                let counter = sample(*time_ns, parser.ring, track, event);
                parser.pending = None;
                self.deliver(parser, counter);
            }
            Some((Pending::Stack { time_ns, stack, bytes }, _)) => {
                let weight = Weight { time_ns: self.calibration.scale(words[1]), bytes: *bytes };
                let event = Event::Stack { stack: *stack, weight };
                let stack = sample(*time_ns, parser.ring, parser.current, event);
                parser.pending = None;
                self.deliver(parser, stack);
            }
            Some((Pending::Event(_) | Pending::Late(_), _)) => {
                let len = parser.text_left.min(TEXT_PER_SLOT);
                self.text_bytes.extend_from_slice(&record::slot_text(words)[..len]);
                parser.text_left -= len;
                if parser.text_left == 0 {
                    self.text_done(parser);
                }
                self.slot_done(parser);
            }
        }
    }

    fn text_done(&mut self, parser: &Parser) {
        let text = String::from_utf8_lossy(&self.text_bytes);
        if let Some((Pending::Late(of), _)) = parser.pending {
            let text = text.into_owned();
            if let Some((track, span)) = of
                && let Some(open) = self.stack_mut(track).and_then(|stack| find(stack, Some(span)))
                && let Some(arg) = open.late.last_mut()
            {
                arg.text = text;
            }
        } else if let Some(Arg { value: ArgValue::Text { start, len }, .. }) = self.args.last_mut() {
            *start = self.text.len() as u32;
            *len = text.len() as u32;
            self.text.push_str(&text);
        }
        self.text_bytes.clear();
    }

    /// One of the pending event's slots was read; the last one delivers it.
    fn slot_done(&mut self, parser: &mut Parser) {
        let Some((pending, left)) = &mut parser.pending else { return };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return;
        }
        match std::mem::replace(pending, Pending::Late(None)) {
            Pending::Event(mut event) => {
                let range = ArgRange {
                    start: parser.args_start,
                    len: (self.args.len() as u32).saturating_sub(parser.args_start),
                };
                match &mut event.event {
                    Event::Begin(begin) => begin.args = range,
                    Event::Instant { args, .. } => *args = range,
                    _ => {}
                }
                parser.pending = None;
                self.deliver(parser, event);
                if let Event::Begin(begin) = event.event {
                    self.end_early(Some(begin.span));
                }
            }
            _ => {
                parser.pending = None;
                parser.delivered += 1;
                self.delivered += 1;
            }
        }
    }

    /// The event that was pending never became whole: only in a flight recorder or spoilt memory.
    #[inline(always)]
    fn abandon(&mut self, parser: &mut Parser) {
        if let Some((pending, _)) = parser.pending.take() {
            parser.text_left = 0;
            match pending {
                Pending::Event(event) => {
                    // Its begin is on the stack already: the span is real, deliver it with what came.
                    self.deliver(parser, event);
                }
                _ => parser.discarded += 1,
            }
        }
    }

    /// An operation that began on a thread whose ring is read later in this round ends when its begin is read.
    fn keep_early_end(
        &mut self,
        parser: &mut Parser,
        track: TrackId,
        span: u64,
        time_ns: u64,
        outcome: Outcome,
    ) {
        match SpanId::from_raw(span) {
            Some(span) if self.complete && self.early.len() < MAX_EARLY && span.ring() != parser.ring => {
                self.early.insert(span, EarlyEnd { track, time_ns, outcome });
                parser.delivered += 1;
                self.delivered += 1;
            }
            _ => parser.discarded += 1,
        }
    }

    /// Ends the span that just began when its end was read before. The sample is the collector's own: both rings may
    /// be past its time.
    fn end_early(&mut self, span: Option<SpanId>) {
        if self.early.is_empty() {
            return;
        }
        let Some((span, end)) = span.and_then(|span| self.early.remove_entry(&span)) else { return };
        if self.stack(end.track).last().is_some_and(|open| open.span == span) {
            self.collector_ns = self.collector_ns.max(end.time_ns);
            self.end_top(RingId(0), end.track, self.collector_ns, end.outcome, 0);
        }
    }

    #[inline(always)]
    fn time(&mut self, parser: &mut Parser, w0: u64) -> u64 {
        let time_ns = self.calibration.nanos(self.ticks(w0)).max(parser.last_ns);
        parser.last_ns = time_ns;
        self.last_ns = self.last_ns.max(time_ns);
        time_ns
    }

    #[inline(always)]
    fn ticks(&self, w0: u64) -> Ticks {
        Ticks(record::payload(w0).wrapping_add(self.base))
    }

    fn last_ns_floor(&self) -> u64 {
        self.calibration.nanos(Ticks(self.base))
    }

    #[inline(always)]
    fn deliver(&mut self, parser: &mut Parser, sample: Sample) {
        self.samples.push(sample);
        parser.delivered += 1;
        self.delivered += 1;
    }

    fn stack(&self, track: TrackId) -> &[Open] {
        self.tracks.get(track.index()).map_or(&[], |stack| stack)
    }

    fn stack_mut(&mut self, track: TrackId) -> Option<&mut Vec<Open>> {
        let index = track.index();
        if index >= self.tracks.len() {
            if index >= self.max_tracks {
                return None;
            }
            self.tracks.resize_with(index + 1, Vec::new);
        }
        Some(&mut self.tracks[index])
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one call from each of two arms of the hottest match")]
    fn begin(
        &mut self,
        parser: &mut Parser,
        position: u64,
        time_ns: u64,
        track: TrackId,
        w1: u64,
        link: Option<Link>,
        args: ArgRange,
    ) -> bool {
        let category = CategoryId((w1 >> 32) as u16);
        let symbol = SymbolId(w1 as u32);
        let span = SpanId::new(parser.ring, position);
        let (Some(span), Some(stack)) = (span, self.stack_mut(track).filter(|stack| stack.len() < MAX_DEPTH))
        else {
            parser.discarded += 1;
            return false;
        };
        let parent = stack.last().map(|open| open.span);
        let tick = category == CategoryId::TICK;
        stack.push(Open {
            span,
            position: position as u32,
            symbol,
            begin_ns: time_ns,
            tick,
            late: Vec::new(),
        });
        let begin = Begin { span, parent, symbol, category, link, args };
        self.deliver(parser, sample(time_ns, parser.ring, track, Event::Begin(begin)));
        true
    }

    #[inline(always)]
    fn exit(&mut self, parser: &mut Parser, time_ns: u64, outcome: u8, w1: u64) {
        let (position, track) = (w1 as u32, parser.current);
        let stack = self.stack(track);
        match stack.last() {
            Some(open) if open.position == position => {}
            _ => match place(stack, position) {
                Some(at) => self.close_above(parser.ring, track, at, time_ns),
                None => {
                    parser.discarded += 1;
                    return;
                }
            },
        }
        self.end_top(parser.ring, track, time_ns, Outcome::ALL[usize::from(outcome & 3)], (w1 >> 32) as u32);
        parser.delivered += 1;
        self.delivered += 1;
    }

    /// Ends everything above stack entry `at`: their own ends never came.
    fn close_above(&mut self, ring: RingId, track: TrackId, at: usize, time_ns: u64) {
        while self.stack(track).len() > at + 1 {
            self.end_top(ring, track, time_ns, Outcome::Unwound, 0);
        }
    }

    fn close(&mut self, ring: RingId, track: TrackId, time_ns: u64, outcome: Outcome) {
        while !self.stack(track).is_empty() {
            self.end_top(ring, track, time_ns, outcome, 0);
        }
    }

    #[inline(always)]
    fn end_top(&mut self, ring: RingId, track: TrackId, time_ns: u64, outcome: Outcome, bytes: u32) {
        let Some(open) = self.tracks.get_mut(track.index()).and_then(Vec::pop) else { return };
        let args = if open.late.is_empty() { ArgRange::NONE } else { self.late_args(open.late) };
        let end = End { span: open.span, symbol: open.symbol, begin_ns: open.begin_ns, outcome, bytes, args };
        self.samples.push(sample(time_ns.max(open.begin_ns), ring, track, Event::End(end)));
        if open.tick {
            self.ticks.push((self.samples.len(), time_ns));
        }
    }

    #[cold]
    fn late_args(&mut self, late: Vec<LateArg>) -> ArgRange {
        let start = self.args.len() as u32;
        for mut arg in late {
            if let ArgValue::Text { start, len } = &mut arg.value {
                *start = self.text.len() as u32;
                *len = arg.text.len() as u32;
                self.text.push_str(&arg.text);
            }
            self.args.push(Arg { key: arg.key, value: arg.value });
        }
        ArgRange { start, len: self.args.len() as u32 - start }
    }

    /// Records before the parser's next slot are gone: whatever it had in mind is over.
    pub(super) fn resynchronise(&mut self, parser: &mut Parser) {
        self.close_ring(parser, Outcome::Truncated);
        parser.link = None;
        parser.on = None;
        parser.of = None;
        parser.pending = None;
        parser.text_left = 0;
    }

    /// Ends what is open on the ring's thread and the tracks it hosts, innermost first.
    pub(super) fn close_ring(&mut self, parser: &mut Parser, outcome: Outcome) {
        self.abandon(parser);
        let (ring, time_ns) = (parser.ring, parser.last_ns);
        self.close(ring, parser.current, time_ns, outcome);
        while let Some(host) = parser.hosts.pop() {
            let event = Event::Suspend { host, reason: SwitchReason::Yield };
            self.samples.push(sample(time_ns, ring, parser.current, event));
            parser.current = host;
            self.close(ring, host, time_ns, outcome);
        }
    }

    /// Ends what is open anywhere: suspended coroutines, asynchronous operations.
    pub(super) fn close_all(&mut self) {
        let time_ns = self.last_ns;
        for index in 0..self.tracks.len() {
            if let Some(open) = self.tracks[index].last() {
                let ring = open.span.ring();
                self.close(ring, TrackId(index as u32), time_ns, Outcome::Truncated);
            }
        }
    }

    /// Reports where the events of a ring went; `parser` is none for threads that got no ring.
    pub(super) fn account(&mut self, parser: Option<&Parser>, account: Account) {
        let (time_ns, ring, track) = match parser {
            // A thread that recorded nothing has no time of its own.
            Some(parser) => (parser.last_ns.max(self.last_ns_floor()), parser.ring, parser.thread),
            None => (self.last_ns, RingId(0), TrackId::PROCESS),
        };
        self.samples.push(sample(time_ns, ring, track, Event::Account(account)));
    }

    /// Gives out what was assembled: one batch up to the end of each tick, and the rest.
    pub(super) fn batches(
        &self,
        mut each: impl FnMut(Batch<'_>, Option<u64>) -> Result<Flow, SourceError>,
    ) -> Result<(), SourceError> {
        let mut start = 0;
        let rest = (self.samples.len(), u64::MAX);
        for (end, end_ns) in self.ticks.iter().copied().chain([rest]) {
            let samples = &self.samples[start..end];
            start = end;
            let tick = (end_ns != u64::MAX).then_some(end_ns);
            if samples.is_empty() && tick.is_none() {
                continue;
            }
            let batch = Batch { samples, args: &self.args, text: &self.text, dictionary: &self.dictionary };
            if each(batch, tick)? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// Forgets what was given out. Arguments of events that are still pending stay.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.ticks.clear();
        self.args.clear();
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_deep_stacks_are_found_by_position() {
        // Begun at every third slot, with the numbers starting anew on the way.
        let first = u32::MAX - 1_000;
        let stack: Vec<Open> = (0..2_000)
            .map(|index| Open {
                span: SpanId::new(RingId(1), index).expect("a ring"),
                position: first.wrapping_add(3 * index as u32),
                symbol: SymbolId::OTHER,
                begin_ns: 0,
                tick: false,
                late: Vec::new(),
            })
            .collect();
        for (index, open) in stack.iter().enumerate() {
            assert_eq!(place(&stack, open.position), Some(index));
            assert_eq!(place(&stack, open.position.wrapping_add(1)), None);
        }
        assert_eq!(place(&[], 7), None);
    }
}
