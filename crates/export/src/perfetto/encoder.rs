//! Samples to packets: all the state of a capture being written, without any I/O.
//!
//! The hot path (a begin or end without arguments) writes one packet through a fixed window: constants of the
//! sequence, of the track and of the symbol, encoded once, and three varints between them. Names that a sequence has
//! not seen go ahead in a packet of their own.

use std::collections::HashMap;
use std::sync::Arc;

use tickscope_core::{
    Account, ArgRange, ArgValue, Batch, Begin, CategoryId, CounterValue, End, Event, KeyId, Metadata,
    Outcome, RingId, Sample, Scope, SpanId, SymbolId, TrackId,
};

use super::intern::MONOTONIC;
use super::schema::{
    FIRST_COUNTER, FIRST_KEY, FIRST_NAME, FIRST_RUN_NAME, FIRST_SEQUENCE, FIRST_TRACK, KEY_BYTES,
    KEY_CONTINUED, KEY_EVENTS, KEY_LINK, KEY_OUTCOME, KEY_REASON, KEY_RESOURCE, KEY_RUNS, KEY_SCOPE,
    NAME_GAP, NAME_LINK, NAME_SUSPEND, OWN_SEQUENCE, annotation, event, packet, record,
};
use super::sequence::{BLOB, CounterState, Defined, Open, Sequence, SymbolEntry, TrackState};
use super::{Options, StackFormat};
use crate::wire::{Buf, Mark, put_varint, zigzag};

/// Bytes after which clock, descriptors and names are written again.
const GENERATION_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) buf: Buf,
    pub(super) options: Options,
    pub(super) metadata: Metadata,
    /// Number of this file, from 0.
    pub(super) part: u32,
    /// Bytes of this file that left the buffer.
    written: u64,
    /// Where in the file this generation began.
    generation_start: u64,
    pub(super) generation: u32,
    /// Counts batches, to look at each track's name once a batch.
    batch: u32,
    pub(super) sequences: Vec<Sequence>,
    rings: HashMap<u32, usize>,
    last: (u32, usize),
    symbols: Vec<SymbolEntry>,
    pub(super) defined: Defined,
    pub(super) tracks: Vec<TrackState>,
    pub(super) counters: HashMap<(u32, u32), CounterState>,
    pub(super) ring_counters: HashMap<u32, CounterState>,
    next_counter: u64,
    pub(super) resources: HashMap<Arc<str>, u32>,
    pub(super) run_names: HashMap<Arc<str>, u32>,
    pub(super) scratch: Vec<u32>,
    /// Latest time of any sample.
    last_ns: u64,
}

impl Encoder {
    pub(super) fn new(options: Options) -> Self {
        Self {
            buf: Buf::default(),
            options,
            metadata: Metadata::default(),
            part: 0,
            written: 0,
            generation_start: 0,
            generation: 0,
            batch: 0,
            sequences: vec![Sequence { id: OWN_SEQUENCE, ..Sequence::default() }],
            rings: HashMap::new(),
            last: (u32::MAX, 0),
            symbols: Vec::new(),
            defined: Defined::default(),
            tracks: Vec::new(),
            counters: HashMap::new(),
            ring_counters: HashMap::new(),
            next_counter: FIRST_COUNTER,
            resources: HashMap::new(),
            run_names: HashMap::new(),
            scratch: Vec::new(),
            last_ns: 0,
        }
    }

    /// Bytes of this file so far.
    pub(super) fn file_bytes(&self) -> u64 {
        self.written + self.buf.len() as u64
    }

    /// The buffer was written out.
    pub(super) fn drained(&mut self) {
        self.written += self.buf.len() as u64;
        self.buf.clear();
    }

    /// The recording starts: the file's head.
    pub(super) fn open(&mut self, metadata: &Metadata) {
        self.metadata = metadata.clone();
        self.new_generation();
        self.banner();
    }

    /// A tick ended.
    pub(super) fn tick(&mut self, end_ns: u64) {
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        self.record(record::TICK, &[end_ns]);
        self.buf.close(mark);
    }

    /// The file is complete.
    pub(super) fn finish(&mut self, goes_on: bool) {
        let mark = self.buf.open(1);
        self.buf.uint(packet::SEQUENCE, OWN_SEQUENCE);
        self.record(record::FINISH, &[u64::from(goes_on)]);
        self.buf.close(mark);
    }

    /// Starts the next file of a rotation: everything it needs, and the spans that are still open.
    pub(super) fn next_part(&mut self, batch: &Batch<'_>) {
        self.part += 1;
        (self.written, self.generation_start) = (0, 0);
        self.buf.clear();
        self.new_generation();
        self.banner();
        // Oldest first: a run slice must stand inside the span it runs in.
        let mut open: Vec<(u64, usize, usize)> = Vec::new();
        for (track, state) in self.tracks.iter().enumerate() {
            open.extend(state.stack.iter().enumerate().map(|(at, entry)| match entry {
                Open::Span { begin_ns, .. } => (*begin_ns, track, at),
                Open::Run { since_ns, .. } => (*since_ns, track, at),
            }));
        }
        open.sort_by_key(|(since_ns, track, at)| (*since_ns, *at, *track));
        for (since_ns, track, at) in open {
            let entry = self.tracks[track].stack[at];
            let track = TrackId(track as u32);
            match entry {
                Open::Span { span, ring, symbol, category, .. } => {
                    let parent = self.innermost_below(track, at);
                    let begin = Begin { span, parent, symbol, category, link: None, args: ArgRange::NONE };
                    let sample = Sample { time_ns: self.last_ns, ring, track, event: Event::Begin(begin) };
                    self.full_begin(batch, &sample, &begin, Some(since_ns), false);
                }
                Open::Run { track: running, ring, .. } => {
                    self.resume(batch, self.last_ns, ring, TrackId(running), track, false);
                }
            }
        }
    }

    /// Looks at every name again: the dictionary may have changed.
    pub(super) fn begin_batch(&mut self, batch: &Batch<'_>) {
        self.batch += 1;
        if self.generation == 0 {
            self.new_generation(); // a sink that was never opened still writes a file that can be read
        }
        let known = batch.dictionary.tracks().len();
        if self.tracks.len() < known {
            self.tracks.resize_with(known, TrackState::default);
        }
    }

    /// Encodes one sample.
    #[inline]
    pub(super) fn sample(&mut self, batch: &Batch<'_>, sample: &Sample) {
        if self.file_bytes() - self.generation_start > GENERATION_BYTES {
            self.new_generation();
        }
        self.last_ns = self.last_ns.max(sample.time_ns);
        match &sample.event {
            Event::Begin(begin) => self.begin(batch, sample, begin),
            Event::End(end) => self.end(batch, sample, end),
            other => self.other(batch, sample, other),
        }
    }

    fn other(&mut self, batch: &Batch<'_>, sample: &Sample, event: &Event) {
        let (time_ns, ring, track) = (sample.time_ns, sample.ring, sample.track);
        match *event {
            Event::Begin(_) | Event::End(_) => {}
            Event::Instant { symbol, category, scope, args } => {
                let (symbol, category) = self.prepare(batch, ring, symbol, category);
                let track = self.track(batch, track);
                self.prepare_args(batch, ring, args);
                let marks = self.start_instant(time_ns, ring, track);
                self.name_and_category(symbol, category);
                if scope != Scope::Track {
                    let name = if scope == Scope::Process { "process" } else { "global" };
                    self.annotate_text(KEY_SCOPE, name);
                }
                self.args(batch, args);
                self.close_event(marks);
            }
            Event::Counter { symbol, value } => {
                let symbol = known_symbol(batch, symbol);
                let track = self.track(batch, track);
                let uuid = self.counter_track(batch, track, symbol);
                let sequence = self.sequence(ring);
                let marks = self.start_event_on(time_ns, sequence, event::COUNTER_TYPE, uuid);
                match value {
                    CounterValue::Int(value) => self.buf.uint(event::COUNTER, value as u64),
                    CounterValue::Float(value) => self.buf.double(event::DOUBLE_COUNTER, value),
                }
                self.close_event(marks);
            }
            Event::Resume { host } => self.resume(batch, time_ns, ring, track, host, true),
            Event::Suspend { host, reason } => {
                let (track, host) = (self.track(batch, track), self.track(batch, host));
                let top = self.tracks[host.index()].stack.last().copied();
                let matched = matches!(top, Some(Open::Run { track: running, .. }) if running == track.0);
                if matched {
                    self.tracks[host.index()].stack.pop();
                    let marks = self.start_event(time_ns, ring, event::END, host);
                    self.annotate_text(KEY_REASON, reason.name());
                    self.buf.close(marks.1);
                    self.record(record::SUSPEND, &[reason as u64]);
                    self.buf.close(marks.0);
                } else {
                    let marks = self.start_event(time_ns, ring, event::INSTANT, track);
                    self.buf.uint(event::NAME, NAME_SUSPEND);
                    self.annotate_text(KEY_REASON, reason.name());
                    self.buf.close(marks.1);
                    let ids = [reason as u64, u64::from(track.0) + 1, u64::from(host.0) + 1];
                    self.record(record::SUSPEND, &ids);
                    self.buf.close(marks.0);
                }
                let state = &mut self.tracks[track.index()];
                if reason != tickscope_core::SwitchReason::Yield && state.stack.is_empty() {
                    state.stack = Vec::new(); // it is over: a server makes coroutines for days
                }
            }
            Event::LinkPoint { id, span } => {
                let track = self.track(batch, track);
                let derived = self.innermost(track);
                let marks = self.start_event(time_ns, ring, event::INSTANT, track);
                self.buf.uint(event::NAME, NAME_LINK);
                self.buf.fixed64(event::FLOW, id.raw());
                self.buf.close(marks.1);
                if derived == span {
                    self.record(record::LINK_POINT, &[id.raw()]);
                } else {
                    self.record(record::LINK_POINT, &[id.raw(), span.map_or(0, SpanId::raw), 1]);
                }
                self.buf.close(marks.0);
            }
            Event::Stack { stack, weight } => {
                let track = self.track(batch, track);
                self.stack_sample(batch, time_ns, ring, track, stack, weight);
            }
            Event::Gap { events } => {
                let track = self.track(batch, track);
                let marks = self.start_event(time_ns, ring, event::INSTANT, track);
                self.buf.uint(event::NAME, NAME_GAP);
                self.annotate_uint(KEY_EVENTS, events);
                self.buf.close(marks.1);
                self.record(record::GAP, &[events]);
                self.buf.close(marks.0);
            }
            Event::Account(account) => self.account(batch, time_ns, ring, track, account),
        }
    }

    #[inline]
    fn begin(&mut self, batch: &Batch<'_>, sample: &Sample, begin: &Begin) {
        let track = self.track(batch, sample.track);
        let expected = self.innermost(track);
        if !begin.args.is_empty() || begin.link.is_some() || begin.parent != expected {
            return self.full_begin(batch, sample, begin, None, true);
        }
        let (symbol, category) = self.prepare(batch, sample.ring, begin.symbol, begin.category);
        let sequence = &mut self.sequences[self.last.1];
        let time_ns = sample.time_ns.max(sequence.time_ns);
        let delta = time_ns - sequence.time_ns;
        sequence.time_ns = time_ns;
        let span = zigzag(begin.span.raw().wrapping_sub(sequence.span) as i64);
        sequence.span = begin.span.raw();

        let out = self.buf.window();
        (out[0], out[2]) = (0x0a, tag(packet::TIMESTAMP, 0));
        let mut at = put_varint(out, 3, delta);
        out[at..at + 16].copy_from_slice(&sequence.tail);
        at += sequence.tail_len;
        out[at] = tag(packet::TRACK_EVENT, 2);
        let length_at = at + 1;
        out[at + 2] = tag(event::TYPE, 0);
        out[at + 3] = event::BEGIN as u8;
        out[at + 4] = tag(event::CATEGORY, 0);
        at = put_varint(out, at + 5, u64::from(category.0) + 1);
        out[at] = tag(event::TRACK, 0);
        at = put_varint(out, at + 1, u64::from(track.0) + FIRST_TRACK);
        let entry = &self.symbols[symbol.index()];
        out[at..at + BLOB].copy_from_slice(&entry.blob);
        at += usize::from(entry.len);
        out[length_at] = (at - length_at - 1) as u8;
        out[at] = (packet::SPAN << 3) as u8 | 0x80;
        out[at + 1] = (packet::SPAN >> 4) as u8;
        at = put_varint(out, at + 2, span);
        out[1] = (at - 2) as u8;
        self.buf.advance(at);

        self.tracks[track.index()].stack.push(Open::Span {
            span: begin.span,
            ring: sample.ring,
            symbol,
            category,
            begin_ns: time_ns,
        });
    }

    /// A begin with everything it may have. `push` is false when the span is on its track's stack already.
    fn full_begin(
        &mut self,
        batch: &Batch<'_>,
        sample: &Sample,
        begin: &Begin,
        continued_since: Option<u64>,
        push: bool,
    ) {
        let track = self.track(batch, sample.track);
        let expected = if push { self.innermost(track) } else { begin.parent };
        let (symbol, category) = self.prepare(batch, sample.ring, begin.symbol, begin.category);
        self.prepare_args(batch, sample.ring, begin.args);
        let marks = self.start_event(sample.time_ns, sample.ring, event::BEGIN, track);
        self.name_and_category(symbol, category);
        if let Some(link) = begin.link {
            self.buf.fixed64(event::TERMINATING_FLOW, link.source.raw());
            self.annotate_text(KEY_LINK, link.kind.name());
        }
        if let Some(since_ns) = continued_since {
            self.annotate_uint(KEY_CONTINUED, since_ns);
        }
        self.args(batch, begin.args);
        self.buf.close(marks.1);
        let sequence = &mut self.sequences[self.last.1];
        let begin_ns = sequence.time_ns;
        let span = zigzag(begin.span.raw().wrapping_sub(sequence.span) as i64);
        sequence.span = begin.span.raw();
        self.buf.uint(packet::SPAN, span);
        if begin.parent != expected {
            self.record(record::ORPHAN, &[begin.parent.map_or(0, SpanId::raw)]);
        }
        self.buf.close(marks.0);
        if push {
            self.tracks[track.index()].stack.push(Open::Span {
                span: begin.span,
                ring: sample.ring,
                symbol,
                category,
                begin_ns,
            });
        }
    }

    #[inline]
    fn end(&mut self, batch: &Batch<'_>, sample: &Sample, end: &End) {
        let track = self.track(batch, sample.track);
        let stack = &mut self.tracks[track.index()].stack;
        match stack.last() {
            Some(Open::Span { span, .. }) if *span == end.span => {
                stack.pop();
            }
            _ => {
                if !self.unwind_to(sample, track, end.span) {
                    return; // its begin was never written: nothing in the file could end
                }
            }
        }
        if !end.args.is_empty() {
            self.prepare_args(batch, sample.ring, end.args);
            let marks = self.start_event(sample.time_ns, sample.ring, event::END, track);
            if end.outcome != Outcome::Ok {
                self.annotate_text(KEY_OUTCOME, end.outcome.name());
            }
            if end.bytes != 0 {
                self.annotate_uint(KEY_BYTES, u64::from(end.bytes));
            }
            self.args(batch, end.args);
            return self.close_event(marks);
        }
        let at = self.sequence(sample.ring);
        let sequence = &mut self.sequences[at];
        let time_ns = sample.time_ns.max(sequence.time_ns);
        let delta = time_ns - sequence.time_ns;
        sequence.time_ns = time_ns;

        let out = self.buf.window();
        (out[0], out[2]) = (0x0a, tag(packet::TIMESTAMP, 0));
        let mut at = put_varint(out, 3, delta);
        out[at..at + 16].copy_from_slice(&sequence.tail);
        at += sequence.tail_len;
        out[at] = tag(packet::TRACK_EVENT, 2);
        let length_at = at + 1;
        out[at + 2] = tag(event::TYPE, 0);
        out[at + 3] = event::END as u8;
        out[at + 4] = tag(event::TRACK, 0);
        at = put_varint(out, at + 5, u64::from(track.0) + FIRST_TRACK);
        if end.bytes != 0 {
            out[at] = tag(event::ANNOTATION, 2);
            out[at + 2] = tag(annotation::NAME, 0);
            out[at + 3] = KEY_BYTES as u8;
            out[at + 4] = tag(annotation::UINT, 0);
            let stop = put_varint(out, at + 5, u64::from(end.bytes));
            out[at + 1] = (stop - at - 2) as u8;
            at = stop;
        }
        if end.outcome != Outcome::Ok {
            let name = end.outcome.name().as_bytes();
            out[at] = tag(event::ANNOTATION, 2);
            out[at + 1] = name.len() as u8 + 4;
            out[at + 2] = tag(annotation::NAME, 0);
            out[at + 3] = KEY_OUTCOME as u8;
            out[at + 4] = tag(annotation::STRING, 2);
            out[at + 5] = name.len() as u8;
            out[at + 6..at + 6 + name.len()].copy_from_slice(name);
            at += 6 + name.len();
        }
        out[length_at] = (at - length_at - 1) as u8;
        out[1] = (at - 2) as u8;
        self.buf.advance(at);
    }

    /// An end out of turn: ends what lies above `span` first. Whether `span` was open at all.
    #[cold]
    fn unwind_to(&mut self, sample: &Sample, track: TrackId, span: SpanId) -> bool {
        let stack = &self.tracks[track.index()].stack;
        let Some(at) =
            stack.iter().rposition(|open| matches!(open, Open::Span { span: open, .. } if *open == span))
        else {
            return false;
        };
        while self.tracks[track.index()].stack.len() > at + 1 {
            let entry = self.tracks[track.index()].stack.pop();
            let marks = self.start_event(sample.time_ns, sample.ring, event::END, track);
            match entry {
                Some(Open::Run { .. }) => {
                    self.buf.close(marks.1);
                    self.record(record::SUSPEND, &[0]);
                    self.buf.close(marks.0);
                }
                _ => {
                    self.annotate_text(KEY_OUTCOME, Outcome::Unwound.name());
                    self.close_event(marks);
                }
            }
        }
        self.tracks[track.index()].stack.pop();
        true
    }

    fn resume(
        &mut self,
        batch: &Batch<'_>,
        time_ns: u64,
        ring: RingId,
        track: TrackId,
        host: TrackId,
        push: bool,
    ) {
        let (track, host) = (self.track(batch, track), self.track(batch, host));
        let (_, category) = self.prepare(batch, ring, SymbolId::OTHER, CategoryId::COROUTINE);
        let name = self.run_name(batch, ring, track);
        let marks = self.start_event(time_ns, ring, event::BEGIN, host);
        self.buf.uint(event::CATEGORY, u64::from(category.0) + 1);
        self.buf.uint(event::NAME, FIRST_RUN_NAME + u64::from(name));
        self.annotate_uint(KEY_RUNS, u64::from(track.0) + FIRST_TRACK);
        self.buf.close(marks.1);
        self.record(record::RESUME, &[u64::from(track.0)]);
        self.buf.close(marks.0);
        if push {
            let since_ns = self.sequences[self.last.1].time_ns;
            self.tracks[host.index()].stack.push(Open::Run { track: track.0, ring, since_ns });
        }
    }

    fn account(&mut self, batch: &Batch<'_>, time_ns: u64, ring: RingId, track: TrackId, account: Account) {
        let track = self.track(batch, track);
        let uuid = self.ring_counter(ring);
        let sequence = self.sequence(ring);
        let marks = self.start_event_on(time_ns, sequence, event::COUNTER_TYPE, uuid);
        self.buf.uint(event::COUNTER, account.dropped);
        self.buf.close(marks.1);
        let Account { attempted, committed, delivered, overwritten, discarded, dropped } = account;
        let track = u64::from(track.0);
        self.record(
            record::ACCOUNT,
            &[attempted, committed, delivered, overwritten, discarded, dropped, track],
        );
        self.buf.close(marks.0);
    }

    /// The innermost span of a track.
    #[inline]
    fn innermost(&self, track: TrackId) -> Option<SpanId> {
        self.innermost_below(track, usize::MAX)
    }

    #[inline]
    fn innermost_below(&self, track: TrackId, depth: usize) -> Option<SpanId> {
        let stack = &self.tracks[track.index()].stack;
        stack[..depth.min(stack.len())].iter().rev().find_map(|open| match open {
            Open::Span { span, .. } => Some(*span),
            Open::Run { .. } => None,
        })
    }

    /// The track, or the process where the dictionary does not know it; its descriptor is written first.
    #[inline]
    pub(super) fn track(&mut self, batch: &Batch<'_>, track: TrackId) -> TrackId {
        match self.tracks.get(track.index()) {
            Some(state) if state.generation == self.generation && state.batch == self.batch => track,
            _ => self.check_track(batch, track),
        }
    }

    #[cold]
    fn check_track(&mut self, batch: &Batch<'_>, track: TrackId) -> TrackId {
        let track = if track.index() < self.tracks.len() { track } else { TrackId::PROCESS };
        let state = &mut self.tracks[track.index()];
        let known = batch.dictionary.track(track);
        let fresh = state.generation == self.generation
            && state.track.as_ref().is_some_and(|written| {
                (Arc::ptr_eq(&written.name, &known.name) || written.name == known.name)
                    && (written.kind, written.parent, written.os_id)
                        == (known.kind, known.parent, known.os_id)
                    && written.resource == known.resource
            });
        state.batch = self.batch;
        if !fresh {
            self.describe(batch, track);
        }
        track
    }

    /// The sequence of a ring; its clock and names start afresh in a new generation.
    #[inline]
    pub(super) fn sequence(&mut self, ring: RingId) -> usize {
        if self.last.0 == ring.0 && self.sequences[self.last.1].generation == self.generation {
            return self.last.1;
        }
        self.find_sequence(ring)
    }

    #[cold]
    fn find_sequence(&mut self, ring: RingId) -> usize {
        let at = match self.rings.get(&ring.0) {
            Some(at) => *at,
            None => {
                let id = (u64::from(ring.0) + FIRST_SEQUENCE).min(u64::from(u32::MAX));
                let mut sequence = Sequence { id, ..Sequence::default() };
                let mut window = [0; crate::wire::WINDOW];
                window[0] = tag(packet::SEQUENCE, 0);
                let end = put_varint(&mut window, 1, id);
                (window[end], window[end + 1]) = (tag(packet::FLAGS, 0), 2);
                sequence.tail.copy_from_slice(&window[..16]);
                sequence.tail_len = end + 2;
                self.sequences.push(sequence);
                self.rings.insert(ring.0, self.sequences.len() - 1);
                self.sequences.len() - 1
            }
        };
        self.last = (ring.0, at);
        let sequence = &mut self.sequences[at];
        if sequence.generation != self.generation {
            sequence.restart(self.generation);
            self.sequence_head(at);
        }
        at
    }

    fn new_generation(&mut self) {
        self.generation += 1;
        self.generation_start = self.file_bytes();
        self.defined.clear();
        self.sequences[0].restart(self.generation);
        self.file_head();
    }

    /// Makes sure that the ring's sequence knows both names.
    #[inline]
    fn prepare(
        &mut self,
        batch: &Batch<'_>,
        ring: RingId,
        symbol: SymbolId,
        category: CategoryId,
    ) -> (SymbolId, CategoryId) {
        let at = self.sequence(ring);
        let sequence = &self.sequences[at];
        if !sequence.names.contains(symbol.0) || symbol.index() >= self.symbols.len() {
            return self.prepare_slowly(batch, at, symbol, category);
        }
        if !sequence.categories.contains(u32::from(category.0)) {
            return self.prepare_slowly(batch, at, symbol, category);
        }
        (symbol, category)
    }

    #[cold]
    fn prepare_slowly(
        &mut self,
        batch: &Batch<'_>,
        at: usize,
        symbol: SymbolId,
        category: CategoryId,
    ) -> (SymbolId, CategoryId) {
        let symbol = known_symbol(batch, symbol);
        let category = if usize::from(category.0) < batch.dictionary.categories().len() {
            category
        } else {
            CategoryId::DEFAULT
        };
        while self.symbols.len() <= symbol.index() {
            let id = SymbolId(self.symbols.len() as u32);
            let entry = self.symbol_entry(batch, id);
            self.symbols.push(entry);
        }
        let resource = self.symbols[symbol.index()].resource;
        self.intern_symbol(batch, at, symbol, resource);
        self.intern_category(batch, at, category);
        (symbol, category)
    }

    fn symbol_entry(&mut self, batch: &Batch<'_>, id: SymbolId) -> SymbolEntry {
        let symbol = batch.dictionary.symbol(id);
        let mut buf = Buf::default();
        buf.uint(event::NAME, u64::from(id.0) + FIRST_NAME);
        if !symbol.file.is_empty() {
            buf.uint(super::intern::SOURCE_LOCATION_IID, u64::from(id.0) + 1);
        }
        let mut resource = None;
        if !symbol.resource.is_empty() {
            let next = self.resources.len() as u32;
            let number = *self.resources.entry(Arc::clone(&symbol.resource)).or_insert(next);
            let mark = buf.open(event::ANNOTATION);
            buf.uint(annotation::NAME, KEY_RESOURCE);
            buf.uint(super::intern::STRING_VALUE_IID, u64::from(number) + 1);
            buf.close(mark);
            resource = Some(number);
        }
        let mut blob = [0; BLOB];
        blob[..buf.len()].copy_from_slice(buf.as_slice()); // at most 6 + 7 + 11 bytes
        SymbolEntry { blob, len: buf.len() as u8, resource }
    }

    fn prepare_args(&mut self, batch: &Batch<'_>, ring: RingId, args: ArgRange) {
        let at = self.sequence(ring);
        for arg in batch.args(args) {
            let key = known_key(batch, arg.key);
            if !self.sequences[at].keys.contains(key.0) {
                self.intern_key(batch, at, key);
            }
        }
    }

    fn args(&mut self, batch: &Batch<'_>, args: ArgRange) {
        for arg in batch.args(args) {
            let mark = self.buf.open(event::ANNOTATION);
            self.buf.uint(annotation::NAME, u64::from(known_key(batch, arg.key).0) + FIRST_KEY);
            match arg.value {
                ArgValue::Int(value) => self.buf.uint(annotation::INT, value as u64),
                ArgValue::Uint(value) => self.buf.uint(annotation::UINT, value),
                ArgValue::Float(value) => self.buf.double(annotation::DOUBLE, value),
                ArgValue::Bool(value) => self.buf.uint(annotation::BOOL, u64::from(value)),
                ArgValue::Pointer(value) => self.buf.uint(annotation::POINTER, value),
                text @ ArgValue::Text { .. } => self.buf.text(annotation::STRING, batch.text(text)),
            }
            self.buf.close(mark);
        }
    }

    fn start_event(&mut self, time_ns: u64, ring: RingId, kind: u64, track: TrackId) -> (Mark, Mark) {
        let sequence = self.sequence(ring);
        self.start_event_on(time_ns, sequence, kind, u64::from(track.0) + FIRST_TRACK)
    }

    /// One that was noted earlier is older than what its sequence has: its time is told by another clock, as it is.
    fn start_instant(&mut self, time_ns: u64, ring: RingId, track: TrackId) -> (Mark, Mark) {
        let sequence = self.sequence(ring);
        if time_ns >= self.sequences[sequence].time_ns {
            return self.start_event(time_ns, ring, event::INSTANT, track);
        }
        let packet = self.buf.open(1);
        self.buf.uint(packet::TIMESTAMP, time_ns);
        self.buf.uint(packet::CLOCK, MONOTONIC);
        let sequence = &self.sequences[sequence];
        self.buf.raw(&sequence.tail[..sequence.tail_len]);
        let event = self.buf.open(packet::TRACK_EVENT);
        self.buf.uint(event::TYPE, event::INSTANT);
        self.buf.uint(event::TRACK, u64::from(track.0) + FIRST_TRACK);
        (packet, event)
    }

    fn start_event_on(&mut self, time_ns: u64, sequence: usize, kind: u64, uuid: u64) -> (Mark, Mark) {
        let packet = self.start_packet(time_ns, sequence);
        let event = self.buf.open(packet::TRACK_EVENT);
        self.buf.uint(event::TYPE, kind);
        self.buf.uint(event::TRACK, uuid);
        (packet, event)
    }

    pub(super) fn start_packet(&mut self, time_ns: u64, sequence: usize) -> Mark {
        let sequence = &mut self.sequences[sequence];
        let time_ns = time_ns.max(sequence.time_ns);
        let mark = self.buf.open(1);
        self.buf.uint(packet::TIMESTAMP, time_ns - sequence.time_ns);
        sequence.time_ns = time_ns;
        self.buf.raw(&sequence.tail[..sequence.tail_len]);
        mark
    }

    fn close_event(&mut self, marks: (Mark, Mark)) {
        self.buf.close(marks.1);
        self.buf.close(marks.0);
    }

    fn name_and_category(&mut self, symbol: SymbolId, category: CategoryId) {
        self.buf.uint(event::CATEGORY, u64::from(category.0) + 1);
        let entry = &self.symbols[symbol.index()];
        self.buf.raw(&entry.blob[..usize::from(entry.len)]);
    }

    pub(super) fn annotate_text(&mut self, key: u64, text: &str) {
        let mark = self.buf.open(event::ANNOTATION);
        self.buf.uint(annotation::NAME, key);
        self.buf.text(annotation::STRING, text);
        self.buf.close(mark);
    }

    fn annotate_uint(&mut self, key: u64, value: u64) {
        let mark = self.buf.open(event::ANNOTATION);
        self.buf.uint(annotation::NAME, key);
        self.buf.uint(annotation::UINT, value);
        self.buf.close(mark);
    }

    pub(super) fn record(&mut self, kind: u64, numbers: &[u64]) {
        let mark = self.buf.open(packet::RECORD);
        self.buf.uint(record::KIND, kind);
        for (at, number) in numbers.iter().enumerate() {
            if *number != 0 {
                self.buf.uint(at as u32 + 2, *number);
            }
        }
        self.buf.close(mark);
    }

    /// A uuid that no track has.
    pub(super) fn new_counter(&mut self) -> u64 {
        self.next_counter += 1;
        self.next_counter
    }

    /// Whether stacks go out as `perf_sample`.
    pub(super) fn compatible(&self) -> bool {
        self.options.stacks == StackFormat::PerfSample
    }
}

/// The tag of a field below 16.
const fn tag(field: u32, wire_type: u8) -> u8 {
    (field << 3) as u8 | wire_type
}

pub(super) fn known_symbol(batch: &Batch<'_>, symbol: SymbolId) -> SymbolId {
    if symbol.index() < batch.dictionary.symbols().len() { symbol } else { SymbolId::OTHER }
}

pub(super) fn known_key(batch: &Batch<'_>, key: KeyId) -> KeyId {
    if key.index() < batch.dictionary.keys().len() { key } else { KeyId(0) }
}
