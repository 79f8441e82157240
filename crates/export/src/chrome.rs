//! Chrome's trace event JSON: one strict JSON array, closed at the end, for every viewer that reads the old format.
//!
//! A span is one complete event (`X`), written when it ends, with times in microseconds and three decimals, counted
//! from the recording's start: nanoseconds survive. Each track is a row of its own; a coroutine's slices also stand
//! on the row of the thread that ran them, so that on-CPU time can be seen. Links are flows, counters are counters.
//! Parents follow their children in the file; readers sort, and put the longer of two that begin together outside.
//!
//! # Guarantees
//! No allocation per span after its names have been seen. Numbers beyond 2^53 are strings, what is no number is null.
//!
//! # Deliberately absent
//! Sampled stacks: the format has no place for them that more than one viewer reads; take the capture itself,
//! Speedscope or folded stacks. Speedscope appends arguments to names: set [`Writer::without_args`] for it, or write
//! its own format.

use std::collections::HashSet;
use std::io::Write;

use tickscope_core::{
    Batch, Begin, CategoryId, CounterValue, End, Event, Flow, Metadata, Outcome, Sample, Scope, Sink,
    SinkError, SpanId, SymbolId, TrackId, TrackKind,
};

use crate::json;
use crate::output::Output;

/// Writes Chrome trace event JSON.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut json = Vec::new();
/// let mut writer = tickscope_export::chrome::Writer::new(&mut json);
/// let example = conformance::example();
/// writer.open(&example.metadata)?;
/// writer.batch(&example.as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert!(json.starts_with(b"[{") && json.ends_with(b"}\n]\n"));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: Output<W>,
    args: bool,
    opened: bool,
    pid: u32,
    /// Time 0 of the file.
    base_ns: u64,
    last_ns: u64,
    tracks: Vec<Track>,
    thread_ids: HashSet<u32>,
    /// `,"name":"…","cat":` of each symbol, and `,"args":{…` without the closing brace.
    symbols: Vec<Option<Fragment>>,
    /// `"…"` of each category.
    categories: Vec<(Box<[u8]>, Option<Piece>)>,
    scratch: Vec<u8>,
}

/// Bytes of the longest line that is put together from pieces.
const LINE: usize = 448;

/// A short constant text that is copied whole, which is faster than copying its length.
#[derive(Clone, Copy, Debug)]
struct Piece {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Piece {
    const MOST: usize = 80;

    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() })
    }
}

#[derive(Debug)]
struct Fragment {
    name: Box<[u8]>,
    piece: Option<Piece>,
    /// The arguments of the symbol alone, closed.
    closed: Option<Piece>,
    args: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Track {
    /// `"pid":1,"tid":2,"ts":`; empty while the track has not been named.
    place: Vec<u8>,
    piece: Option<Piece>,
    /// `"…"`: its name.
    label: Vec<u8>,
    stack: Vec<Open>,
    /// Arguments of the open spans, rendered, one behind the other.
    args: Vec<u8>,
}

#[derive(Debug)]
enum Open {
    Span { span: SpanId, symbol: SymbolId, category: CategoryId, begin_ns: u64, args: usize },
    Run { track: TrackId, since_ns: u64 },
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            out: Output::new("Chrome JSON", writer),
            args: true,
            opened: false,
            pid: 1,
            base_ns: 0,
            last_ns: 0,
            tracks: Vec::new(),
            thread_ids: HashSet::new(),
            symbols: Vec::new(),
            categories: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Leaves arguments out, for readers that take them for a part of the name.
    pub fn without_args(mut self) -> Self {
        self.args = false;
        self
    }

    fn sample(&mut self, batch: &Batch<'_>, sample: &Sample) {
        let track = self.track(batch, sample.track);
        let time_ns = sample.time_ns.saturating_sub(self.base_ns);
        self.last_ns = self.last_ns.max(time_ns);
        match sample.event {
            Event::Begin(begin) => self.begin(batch, track, time_ns, &begin),
            Event::End(end) => self.end(batch, track, time_ns, &end),
            Event::Instant { symbol, category, scope, args } => {
                self.name(batch, symbol);
                let scope = match scope {
                    Scope::Track => b't',
                    Scope::Process => b'p',
                    Scope::Global => b'g',
                };
                self.start(track, b'i', time_ns);
                self.out.bytes.extend_from_slice(&[b',', b'"', b's', b'"', b':', b'"', scope, b'"']);
                self.scratch.clear();
                if self.args {
                    json::args(&mut self.scratch, batch, args);
                }
                self.name_and_category(symbol, category);
                self.close(symbol, Outcome::Ok, 0);
            }
            Event::Counter { symbol, value } => {
                let known = batch.dictionary.symbol(symbol);
                self.start(track, b'C', time_ns);
                json::key(&mut self.out.bytes, "name");
                if known.resource.is_empty() {
                    json::text(&mut self.out.bytes, &known.name);
                } else {
                    json::text(&mut self.out.bytes, &format!("{} ({})", known.name, known.resource));
                }
                self.out.bytes.extend_from_slice(b",\"cat\":\"metric\",\"args\":{\"value\":");
                match value {
                    CounterValue::Int(value) => json::int(&mut self.out.bytes, value),
                    CounterValue::Float(value) => json::float(&mut self.out.bytes, value),
                }
                self.out.bytes.extend_from_slice(b"}}");
            }
            Event::Resume { host } => {
                let host = self.track(batch, host);
                let run = Open::Run { track, since_ns: time_ns };
                self.tracks[host.index()].stack.push(run);
            }
            Event::Suspend { host, reason } => {
                let host = self.track(batch, host);
                let stack = &mut self.tracks[host.index()].stack;
                let Some(&Open::Run { track: running, since_ns }) = stack.last() else { return };
                if running == track {
                    stack.pop();
                    self.run_slice(host, track, since_ns, time_ns, reason.name());
                }
            }
            Event::LinkPoint { id, .. } => self.flow(track, b's', time_ns, id),
            Event::Gap { events } => {
                self.start(track, b'i', time_ns);
                let out = &mut self.out.bytes;
                out.extend_from_slice(b",\"s\":\"t\",\"name\":\"gap\",\"args\":{\"events\":");
                json::uint(out, events);
                out.extend_from_slice(b"}}");
            }
            Event::Account(account) => {
                self.start(track, b'C', time_ns);
                let out = &mut self.out.bytes;
                out.extend_from_slice(b",\"name\":\"dropped events, ring ");
                json::digits(out, u64::from(sample.ring.0));
                out.extend_from_slice(b"\",\"cat\":\"metric\",\"args\":{\"value\":");
                json::uint(out, account.dropped);
                out.extend_from_slice(b"}}");
            }
            Event::Stack { .. } => {}
        }
    }

    #[inline]
    fn begin(&mut self, batch: &Batch<'_>, track: TrackId, time_ns: u64, begin: &Begin) {
        if let Some(link) = begin.link {
            self.flow(track, b'f', time_ns, link.source);
        }
        let Begin { span, symbol, category, .. } = *begin;
        self.name(batch, symbol);
        let state = &mut self.tracks[track.index()];
        let args = state.args.len();
        if self.args {
            if let Some(link) = begin.link {
                json::key(&mut state.args, "link");
                json::text(&mut state.args, link.kind.name());
            }
            json::args(&mut state.args, batch, begin.args);
        }
        state.stack.push(Open::Span { span, symbol, category, begin_ns: time_ns, args });
    }

    #[inline]
    fn end(&mut self, batch: &Batch<'_>, track: TrackId, time_ns: u64, end: &End) {
        let state = &mut self.tracks[track.index()];
        let at =
            state.stack.iter().rposition(|open| matches!(open, Open::Span { span, .. } if *span == end.span));
        let Some(at) = at else { return };
        self.end_above(track, at + 1, time_ns);
        self.scratch.clear();
        if self.args {
            json::args(&mut self.scratch, batch, end.args);
        }
        self.end_top(track, time_ns, end.outcome, end.bytes);
    }

    /// Ends every span of a track above `keep` of them, as truncated.
    fn end_above(&mut self, track: TrackId, keep: usize, time_ns: u64) {
        while self.tracks[track.index()].stack.len() > keep {
            match self.tracks[track.index()].stack.last() {
                Some(&Open::Run { track: running, since_ns }) => {
                    self.tracks[track.index()].stack.pop();
                    self.run_slice(track, running, since_ns, time_ns, "truncated");
                }
                _ => {
                    self.scratch.clear();
                    self.end_top(track, time_ns, Outcome::Truncated, 0);
                }
            }
        }
    }

    /// Writes the innermost span of a track; what it learned at its end stands in `scratch`.
    #[inline]
    fn end_top(&mut self, track: TrackId, time_ns: u64, outcome: Outcome, bytes: u32) {
        let state = &mut self.tracks[track.index()];
        let Some(Open::Span { symbol, category, begin_ns, args, .. }) = state.stack.pop() else { return };
        if args < state.args.len() {
            self.scratch.extend_from_slice(&state.args[args..]);
            state.args.truncate(args);
        }
        let plain = outcome == Outcome::Ok && bytes == 0 && self.scratch.is_empty();
        let dur_ns = time_ns.saturating_sub(begin_ns);
        if plain && self.whole_line(track, begin_ns, dur_ns, symbol, category) {
            return;
        }
        self.start(track, b'X', begin_ns);
        self.out.bytes.extend_from_slice(b",\"dur\":");
        json::micros(&mut self.out.bytes, dur_ns);
        self.name_and_category(symbol, category);
        self.close(symbol, outcome, bytes);
    }

    /// The line of a span without arguments of its own, put together from constant pieces. False, with nothing
    /// written, where one of them is too long.
    #[inline]
    fn whole_line(
        &mut self,
        track: TrackId,
        begin_ns: u64,
        dur_ns: u64,
        symbol: SymbolId,
        category: CategoryId,
    ) -> bool {
        let Some(place) = &self.tracks[track.index()].piece else { return false };
        let Some(Some(Fragment { piece: Some(name), closed: Some(closed), .. })) =
            self.symbols.get(symbol.index())
        else {
            return false;
        };
        let Some((_, Some(category))) = self.categories.get(usize::from(category.0)) else { return false };
        // Straight into the buffer: what is put together elsewhere would be read back before its stores are done.
        let start = self.out.bytes.len();
        self.out.bytes.resize(start + LINE, 0);
        let line = &mut self.out.bytes[start..];
        line[..12].copy_from_slice(b",\n{\"ph\":\"X\",");
        let mut at = 12;
        line[at..at + Piece::MOST].copy_from_slice(&place.bytes);
        at += place.len;
        let name_at = {
            let (begin, len) = json::micros_text(begin_ns);
            line[at..at + 24].copy_from_slice(&begin);
            at += len;
            line[at..at + 7].copy_from_slice(b",\"dur\":");
            at += 7;
            let (dur, len) = json::micros_text(dur_ns);
            line[at..at + 24].copy_from_slice(&dur);
            at + len
        };
        line[name_at..name_at + Piece::MOST].copy_from_slice(&name.bytes);
        let category_at = name_at + name.len;
        line[category_at..category_at + Piece::MOST].copy_from_slice(&category.bytes);
        let end = category_at + category.len;
        if self.args {
            line[end..end + Piece::MOST].copy_from_slice(&closed.bytes);
            self.out.bytes.truncate(start + end + closed.len);
        } else {
            line[end] = b'}';
            self.out.bytes.truncate(start + end + 1);
        }
        true
    }

    fn name_and_category(&mut self, symbol: SymbolId, category: CategoryId) {
        let fragment = self.symbols.get(symbol.index()).or_else(|| self.symbols.first());
        let Some(Some(fragment)) = fragment else { return };
        self.out.bytes.extend_from_slice(&fragment.name);
        let category = self.categories.get(usize::from(category.0)).or_else(|| self.categories.first());
        self.out.bytes.extend_from_slice(category.map_or(b"\"\"", |known| &known.0));
    }

    /// The arguments in `scratch`, and the closing brace.
    #[inline]
    fn close(&mut self, symbol: SymbolId, outcome: Outcome, bytes: u32) {
        let out = &mut self.out.bytes;
        let fragment = self.symbols.get(symbol.index()).or_else(|| self.symbols.first());
        let Some(Some(fragment)) = fragment else { return };
        if !self.args {
            out.push(b'}');
            return;
        }
        out.extend_from_slice(&fragment.args);
        let start = out.len();
        if bytes != 0 {
            json::key(out, "bytes");
            json::digits(out, u64::from(bytes));
        }
        if outcome != Outcome::Ok {
            json::key(out, "outcome");
            json::text(out, outcome.name());
        }
        out.extend_from_slice(&self.scratch);
        if fragment.args.ends_with(b"{") && out.len() > start {
            out.remove(start); // the comma before the first argument
        }
        out.extend_from_slice(b"}}");
    }

    fn run_slice(&mut self, host: TrackId, track: TrackId, since_ns: u64, until_ns: u64, why: &str) {
        self.start(host, b'X', since_ns);
        let out = &mut self.out.bytes;
        out.extend_from_slice(b",\"dur\":");
        json::micros(out, until_ns.saturating_sub(since_ns));
        json::key(out, "name");
        out.extend_from_slice(&self.tracks[track.index()].label);
        out.extend_from_slice(b",\"cat\":\"coroutine\"");
        if self.args {
            out.extend_from_slice(b",\"args\":{\"reason\":");
            json::text(out, why);
            out.push(b'}');
        }
        out.push(b'}');
    }

    fn flow(&mut self, track: TrackId, phase: u8, time_ns: u64, id: SpanId) {
        if self.tracks[track.index()].stack.is_empty() && phase == b's' {
            return; // a flow hangs on the slice around it
        }
        self.start(track, phase, time_ns);
        let out = &mut self.out.bytes;
        if phase == b'f' {
            out.extend_from_slice(b",\"bp\":\"e\"");
        }
        out.extend_from_slice(format!(",\"id\":\"{:#x}\"", id.raw()).as_bytes());
        out.extend_from_slice(b",\"name\":\"link\",\"cat\":\"link\"}");
    }

    #[inline]
    fn start(&mut self, track: TrackId, phase: u8, time_ns: u64) {
        let out = &mut self.out.bytes;
        out.extend_from_slice(&[b',', b'\n', b'{', b'"', b'p', b'h', b'"', b':', b'"', phase, b'"', b',']);
        out.extend_from_slice(&self.tracks[track.index()].place);
        json::micros(out, time_ns);
    }

    /// The track, or the process where the dictionary does not know it; it is named before its first event.
    #[inline]
    fn track(&mut self, batch: &Batch<'_>, track: TrackId) -> TrackId {
        match self.tracks.get(track.index()) {
            Some(state) if !state.place.is_empty() => track,
            _ => self.name_track(batch, track),
        }
    }

    #[cold]
    fn name_track(&mut self, batch: &Batch<'_>, track: TrackId) -> TrackId {
        let tracks = batch.dictionary.tracks();
        let track = if track.index() < tracks.len() { track } else { TrackId::PROCESS };
        if self.tracks.len() < tracks.len() {
            self.tracks.resize_with(tracks.len(), Track::default);
        }
        if !self.tracks[track.index()].place.is_empty() {
            return track;
        }
        let known = batch.dictionary.track(track);
        // The system's id where it can be had; the others count from far above all of them.
        let system =
            known.kind == TrackKind::Thread && known.os_id != 0 && self.thread_ids.insert(known.os_id);
        let id = if system { known.os_id } else { track.0.saturating_add(1 << 30) };
        let pid = self.pid;
        let place = format!("\"pid\":{pid},\"tid\":{id},\"ts\":").into_bytes();
        self.tracks[track.index()].piece = Piece::new(&place);
        self.tracks[track.index()].place = place;
        let name = if known.name.is_empty() { known.kind.name() } else { &known.name };
        let out = &mut self.out.bytes;
        out.extend_from_slice(
            format!(",\n{{\"ph\":\"M\",\"pid\":{pid},\"tid\":{id},\"ts\":0,\"name\":\"thread_name\",\"args\":{{\"name\":")
                .as_bytes(),
        );
        let start = out.len();
        json::text(out, name);
        self.tracks[track.index()].label = out[start..].to_vec();
        out.extend_from_slice(b"}}");
        track
    }

    /// Renders a symbol's name and place once.
    #[inline]
    fn name(&mut self, batch: &Batch<'_>, symbol: SymbolId) {
        match self.symbols.get(symbol.index()) {
            Some(Some(_)) => {}
            _ => self.name_slowly(batch, symbol),
        }
    }

    #[cold]
    fn name_slowly(&mut self, batch: &Batch<'_>, symbol: SymbolId) {
        let symbols = batch.dictionary.symbols();
        let symbol = if symbol.index() < symbols.len() { symbol } else { SymbolId::OTHER };
        if self.symbols.len() < symbols.len() {
            self.symbols.resize_with(symbols.len(), || None);
        }
        for category in &batch.dictionary.categories()[self.categories.len()..] {
            let mut name = Vec::new();
            json::text(&mut name, &category.name);
            self.categories.push((name.as_slice().into(), Piece::new(&name)));
        }
        if self.symbols[0].is_none() && symbol != SymbolId::OTHER {
            self.name_slowly(batch, SymbolId::OTHER); // what an unknown id falls back to
        }
        if self.symbols[symbol.index()].is_some() {
            return;
        }
        let known = batch.dictionary.symbol(symbol);
        let (mut name, mut args) = (Vec::new(), b",\"args\":{".to_vec());
        json::key(&mut name, "name");
        json::text(&mut name, if known.name.is_empty() { "(no name)" } else { &known.name });
        json::key(&mut name, "cat");
        let mut comma = "";
        if !known.resource.is_empty() {
            args.extend_from_slice(b"\"resource\":");
            json::text(&mut args, &known.resource);
            comma = ",";
        }
        if !known.file.is_empty() {
            args.extend_from_slice(comma.as_bytes());
            args.extend_from_slice(b"\"source\":");
            json::text(&mut args, &format!("{}:{}", known.file, known.line));
        }
        self.symbols[symbol.index()] = Some(Fragment {
            piece: Piece::new(&name),
            closed: Piece::new(&[&args[..], b"}}"].concat()),
            name: name.into(),
            args: args.into(),
        });
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.opened = true;
        self.pid = metadata.pid.max(1);
        self.base_ns = metadata.start_ns;
        let pid = self.pid;
        let out = &mut self.out.bytes;
        out.extend_from_slice(
            format!("[{{\"ph\":\"M\",\"pid\":{pid},\"ts\":0,\"name\":\"process_name\",\"args\":{{\"name\":")
                .as_bytes(),
        );
        json::text(out, if metadata.subject.is_empty() { "tickscope" } else { &metadata.subject });
        let tid = 1u32 << 30;
        out.extend_from_slice(
            format!("}}}},\n{{\"ph\":\"i\",\"pid\":{pid},\"tid\":{tid},\"ts\":0.000,\"s\":\"p\",\"name\":\"recording\",\"args\":{{\"producer\":")
                .as_bytes(),
        );
        json::text(out, &metadata.producer);
        for (key, value) in [
            ("start_unix_ns", metadata.start_unix_ns),
            ("budget_ns", metadata.budget_ns),
            ("clock_error_ns", metadata.clock.error_ns),
        ] {
            json::key(out, key);
            json::uint(out, value);
        }
        json::key(out, "depth");
        json::text(out, metadata.depth.name());
        for (name, value) in &metadata.facts {
            out.push(b',');
            json::text(out, name);
            out.push(b':');
            json::text(out, value);
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if !self.opened {
            self.open(&Metadata::default())?;
        }
        for sample in batch.samples {
            self.sample(batch, sample);
            self.out.settle()?;
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        // Every span has ended when a recording is over; a stream that breaks this loses no span for it.
        for track in 0..self.tracks.len() {
            self.end_above(TrackId(track as u32), 0, self.last_ns);
        }
        self.out.bytes.extend_from_slice(b"\n]\n");
        self.out.flush()
    }
}
