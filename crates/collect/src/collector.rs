//! Posts one after the other, as samples.

use std::collections::{HashMap, VecDeque};

use tickscope_core::{
    ArgRange, CategoryId, CounterValue, Flow, Metadata, Runtime, Sink, SinkError, SymbolId,
};
use tickscope_core::{Depth, SymbolRef, TrackKind};
use tickscope_import::build::{Build, Lane};

use crate::names::Named;
use crate::nest::{Nest, Span, Tick};
use crate::post::{Part, Piece, Post, PostError, Ticks};

/// Symbols of all resources; the rest are one.
const MAX_SYMBOLS: usize = 65_536;
/// Counters of what symbols take; the rest are left out.
const MAX_COUNTERS: usize = 4_096;
/// Resources that are told apart.
const MAX_RESOURCES: usize = 4_096;
/// Slices of one flight: those of 500 resources whose rings are full.
const MAX_SLICES: usize = 1 << 21;
/// Ticks that wait for a flight that covers them, and how long they do, in nanoseconds.
const MAX_TICKS: usize = 8_192;
const HORIZON_NS: u64 = 70_000_000_000;
/// Runs that are over and may send what was late.
const MAX_RUNS: usize = 64;

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was read.
    New,
    /// It, or a later one, was there before; nothing of it was used.
    Again,
}

/// What was taken and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Posts that were read.
    pub posts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Posts that came again or too late.
    pub again: u64,
    /// Posts that were refused.
    pub refused: u64,
    /// Posts of a run that never came.
    pub missing: u64,
    /// Runs of the server, or of its resource `tickscope`.
    pub runs: u64,
    /// Ticks.
    pub ticks: u64,
    /// Late ones.
    pub late: u64,
    /// The longest, in nanoseconds.
    pub longest_ns: u64,
    /// Ticks that no post told of.
    pub ticks_missing: u64,
    /// Slices.
    pub slices: u64,
    /// Slices that were overwritten on the server, or had no room here.
    pub slices_lost: u64,
    /// Late ticks whose slices the server did not send.
    pub flights_lost: u64,
}

/// A run of the resource on the server.
#[derive(Debug)]
struct Run {
    name: String,
    /// The post taken last.
    number: u64,
    /// The next tick.
    tick: Option<u64>,
    /// The capture's clock less the server's.
    offset: i128,
    flights_lost: u64,
}

/// A flight whose last part has not come.
#[derive(Debug)]
struct Flight {
    from_ns: u64,
    to_ns: u64,
    spans: Vec<Span>,
    /// When, and how many.
    overwritten: Vec<(u64, u64)>,
}

/// Makes samples of posts, for whom [`Collector::drain`] gives them to.
///
/// Memory: a flight's slices (64 bytes each, two million at most), the ticks of a minute, names (65,536 of 2,048 characters at
/// most; usual ones take a few MiB), and samples until they are drained.
#[derive(Debug)]
pub struct Collector {
    build: Build,
    main: Lane,
    counters: Lane,
    tick: SymbolId,
    elsewhere: SymbolId,
    restart: SymbolId,
    other: SymbolId,
    resources: HashMap<String, u32>,
    symbols: HashMap<(u32, String), (SymbolId, CategoryId)>,
    totals: HashMap<(u32, String), SymbolId>,
    run: Option<Run>,
    over: VecDeque<String>,
    ticks: VecDeque<Tick>,
    flight: Option<Flight>,
    /// What is older was written.
    floor_ns: u64,
    metadata: Option<Metadata>,
    counts: Counts,
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector {
    /// Nothing was posted yet.
    pub fn new() -> Self {
        let mut build = Build::default();
        let main = build.lane(TrackKind::Thread, "main", "", 0);
        let counters = build.lane(TrackKind::Thread, "totals", "", 0);
        let tick = build.symbol(SymbolRef::host("tick"));
        let elsewhere =
            build.symbol(SymbolRef::host("not measured: other resources, what is short and often, idle"));
        let restart = build.symbol(SymbolRef::host("the server, or its resource tickscope, started again"));
        let other = build.symbol(SymbolRef::host("other"));
        Self {
            build,
            main,
            counters,
            tick,
            elsewhere,
            restart,
            other,
            resources: HashMap::new(),
            symbols: HashMap::new(),
            totals: HashMap::new(),
            run: None,
            over: VecDeque::new(),
            ticks: VecDeque::new(),
            flight: None,
            floor_ns: 0,
            metadata: None,
            counts: Counts::default(),
        }
    }

    /// What was taken so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What the first post says of the recording; `None` before it.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Takes a post that came at `now_ns` of the capture's clock, which does not run backwards.
    ///
    /// # Errors
    /// When the bytes are no post, or its run is over. Nothing of it was used then.
    pub fn post(&mut self, bytes: &[u8], now_ns: u64) -> Result<Taken, PostError> {
        let taken = Post::read(bytes).and_then(|post| {
            if self.over.contains(&post.run) {
                return Err(PostError::Superseded { run: post.run });
            }
            Ok(self.take(post, now_ns))
        });
        match taken {
            Ok(Taken::New) => {
                self.counts.posts += 1;
                self.counts.bytes += bytes.len() as u64;
            }
            Ok(Taken::Again) => self.counts.again += 1,
            Err(_) => self.counts.refused += 1,
        }
        taken
    }

    fn take(&mut self, post: Post, now_ns: u64) -> Taken {
        if self.run.as_ref().is_none_or(|run| run.name != post.run) {
            self.begin_run(&post, now_ns);
        }
        let Some(run) = &mut self.run else { return Taken::Again };
        if post.number <= run.number {
            return Taken::Again;
        }
        // the first that is seen of a run need not be its first
        if run.number > 0 {
            self.counts.missing += post.number - run.number - 1;
        }
        run.number = post.number;
        let flights_lost = post.lost.flights.saturating_sub(run.flights_lost);
        self.counts.flights_lost = self.counts.flights_lost.saturating_add(flights_lost);
        run.flights_lost = run.flights_lost.max(post.lost.flights);
        let offset = run.offset;
        let at = |ns: u64| (i128::from(ns) + offset).clamp(0, i128::from(i64::MAX)) as u64;
        if let Some(ticks) = &post.ticks {
            self.take_ticks(ticks, post.late_ms, at);
        }
        self.take_counters(&post, at);
        if let Some(part) = &post.flight {
            self.take_part(part, at);
        }
        self.write_old();
        Taken::New
    }

    fn begin_run(&mut self, post: &Post, now_ns: u64) {
        self.counts.runs += 1;
        self.write_flight();
        self.write_all();
        if let Some(run) = self.run.take() {
            self.over.push_back(run.name);
            if self.over.len() > MAX_RUNS {
                self.over.pop_front();
            }
            let last_ns = self.floor_ns;
            self.build.instant(self.main, last_ns, self.restart, CategoryId::RESOURCE, ArgRange::NONE);
        }
        let offset = i128::from(now_ns) - i128::from(post.now_ns);
        self.run = Some(Run {
            name: post.run.clone(),
            number: 0,
            tick: None,
            offset,
            flights_lost: post.lost.flights,
        });
        self.metadata.get_or_insert_with(|| Metadata {
            subject: "a live FXServer".into(),
            budget_ns: post.late_ms * 1_000_000,
            depth: Depth::Boundary,
            start_ns: now_ns,
            start_unix_ns: post.unix_s.saturating_mul(1_000_000_000),
            facts: vec![("posted by".into(), "the resource tickscope".into())],
            ..Metadata::default()
        });
    }

    fn take_ticks(&mut self, ticks: &Ticks, late_ms: u64, at: impl Fn(u64) -> u64) {
        if let Some(run) = &mut self.run {
            let missing = run.tick.map_or(0, |next| ticks.first.saturating_sub(next));
            self.counts.ticks_missing = self.counts.ticks_missing.saturating_add(missing);
            run.tick = Some(ticks.first.saturating_add(ticks.took_ns.len() as u64));
        }
        let mut begin_ns = ticks.begin_ns;
        for (number, took_ns) in (ticks.first..).zip(&ticks.took_ns) {
            let late = *took_ns > late_ms * 1_000_000;
            self.counts.ticks += 1;
            self.counts.late += u64::from(late);
            self.counts.longest_ns = self.counts.longest_ns.max(*took_ns);
            let end_ns = begin_ns.saturating_add(*took_ns);
            // they follow on each other, but for a forger's
            let from = self.ticks.back().map_or(self.floor_ns, |last| last.end_ns).max(at(begin_ns));
            let tick = Tick { number, begin_ns: from, end_ns: at(end_ns).max(from), late };
            self.ticks.push_back(tick);
            begin_ns = end_ns;
        }
    }

    fn take_counters(&mut self, post: &Post, at: impl Fn(u64) -> u64) {
        let now_ns = at(post.now_ns);
        for (resource, bytes) in &post.heaps {
            if self.resource(resource).is_none() {
                continue;
            }
            let symbol =
                SymbolRef { runtime: Runtime::Lua, resource, name: "lua.heap_bytes", file: "", line: 0 };
            let symbol = self.build.symbol(symbol);
            self.build.counter(self.counters, now_ns, symbol, CounterValue::Int(bytes.cast_signed()));
        }
        let seconds = post.period.1.saturating_sub(post.period.0) as f64 / 1e9;
        if seconds <= 0.0 {
            return;
        }
        for total in post.totals.iter().filter(|total| total.took_ns > 0) {
            let Some(number) = self.resource(&total.resource) else { continue };
            let key = (number, total.name.clone());
            let symbol = match self.totals.get(&key) {
                Some(known) => *known,
                None if self.totals.len() >= MAX_COUNTERS => continue,
                None => {
                    let name = format!("ms/s {}", total.name);
                    let symbol = self.build.symbol(SymbolRef {
                        runtime: Runtime::Lua,
                        resource: &total.resource,
                        name: &name,
                        file: "",
                        line: 0,
                    });
                    self.totals.insert(key, symbol);
                    symbol
                }
            };
            let value = total.took_ns as f64 / 1e6 / seconds;
            self.build.counter(self.counters, now_ns, symbol, CounterValue::Float(value));
        }
    }

    fn resource(&mut self, name: &str) -> Option<u32> {
        match self.resources.get(name) {
            Some(known) => Some(*known),
            None if self.resources.len() >= MAX_RESOURCES => None,
            None => {
                let number = self.resources.len() as u32;
                self.resources.insert(name.to_owned(), number);
                Some(number)
            }
        }
    }

    fn symbol(&mut self, number: u32, resource: &str, name: &str) -> (SymbolId, CategoryId) {
        let key = (number, name.to_owned());
        if let Some(known) = self.symbols.get(&key) {
            return *known;
        }
        if self.symbols.len() >= MAX_SYMBOLS {
            return (self.other, CategoryId::SCOPE);
        }
        let named = Named::parse(resource, name);
        let known = (self.build.symbol(named.symbol), named.category);
        self.symbols.insert(key, known);
        known
    }

    fn take_part(&mut self, part: &Part, at: impl Fn(u64) -> u64) {
        let (from_ns, to_ns) = (at(part.from_ns), at(part.to_ns));
        if self.flight.as_ref().is_some_and(|flight| (flight.from_ns, flight.to_ns) != (from_ns, to_ns)) {
            self.write_flight(); // the rest of it does not come any more
        }
        let mut flight = self.flight.take().unwrap_or_else(|| Flight {
            from_ns,
            to_ns,
            spans: Vec::new(),
            overwritten: Vec::new(),
        });
        for piece in &part.pieces {
            self.take_piece(piece, &mut flight, &at);
        }
        self.flight = Some(flight);
        if part.over {
            self.write_flight();
        }
    }

    fn take_piece(&mut self, piece: &Piece, flight: &mut Flight, at: impl Fn(u64) -> u64) {
        let Some(resource) = self.resource(&piece.resource) else {
            self.counts.slices_lost += piece.slices.len() as u64;
            return;
        };
        let names: HashMap<u16, (SymbolId, CategoryId)> = piece
            .names
            .iter()
            .map(|(number, name)| (*number, self.symbol(resource, &piece.resource, name)))
            .collect();
        if piece.overwritten > 0 {
            let first = piece.slices.first().map_or(flight.from_ns, |slice| at(slice.start_ns));
            flight.overwritten.push((first.max(flight.from_ns), piece.overwritten));
            self.counts.slices_lost = self.counts.slices_lost.saturating_add(piece.overwritten);
        }
        for slice in &piece.slices {
            let (start_ns, end_ns) = (at(slice.start_ns), at(slice.start_ns.saturating_add(slice.took_ns)));
            // what a forger may write; the probe sends no such
            let outside = end_ns < flight.from_ns || start_ns > flight.to_ns;
            if outside || flight.spans.len() >= MAX_SLICES {
                self.counts.slices_lost += 1;
                continue;
            }
            self.counts.slices += 1;
            let (symbol, category) =
                names.get(&slice.symbol).copied().unwrap_or((self.other, CategoryId::SCOPE));
            let call = category == CategoryId::NATIVE;
            let (life, cause) = if call { (0, 0) } else { (slice.life, slice.cause) };
            let end_ns = end_ns.min(flight.to_ns);
            flight.spans.push(Span { start_ns, end_ns, symbol, category, resource, life, cause });
        }
    }

    /// Writes what came of a flight, and the ticks up to its end.
    fn write_flight(&mut self) {
        let Some(mut flight) = self.flight.take() else { return };
        flight.overwritten.sort_unstable();
        let count = self.ticks.partition_point(|tick| tick.begin_ns < flight.to_ns);
        self.write(count, flight.spans, &flight.overwritten, flight.to_ns);
    }

    /// Writes ticks that no flight covers any more.
    fn write_old(&mut self) {
        if self.flight.is_some() && self.ticks.len() <= MAX_TICKS {
            return;
        }
        let newest = self.ticks.back().map_or(0, |tick| tick.end_ns);
        let old = |tick: &Tick| tick.end_ns.saturating_add(HORIZON_NS) < newest;
        let count = self.ticks.partition_point(old).max(self.ticks.len().saturating_sub(MAX_TICKS));
        self.write(count, Vec::new(), &[], 0);
    }

    fn write_all(&mut self) {
        self.write(self.ticks.len(), Vec::new(), &[], 0);
    }

    fn write(&mut self, ticks: usize, mut spans: Vec<Span>, overwritten: &[(u64, u64)], to_ns: u64) {
        let ticks: Vec<Tick> = self.ticks.drain(..ticks).collect();
        let last_ns = ticks.last().map_or(0, |tick| tick.end_ns);
        for span in &mut spans {
            span.start_ns = span.start_ns.max(self.floor_ns);
        }
        let mut nest =
            Nest { build: &mut self.build, lane: self.main, tick: self.tick, elsewhere: self.elsewhere };
        nest.write(&ticks, spans, overwritten, self.floor_ns);
        self.floor_ns = self.floor_ns.max(last_ns).max(to_ns);
    }

    /// Nothing more is posted: what waits is written.
    pub fn finish(&mut self) {
        self.write_flight();
        self.write_all();
        self.build.close();
    }

    /// Gives `sink` what was made since the last call; the recording's [`Collector::metadata`] is for its `open`.
    ///
    /// # Errors
    /// The sink's.
    pub fn drain(&mut self, sink: &mut dyn Sink) -> Result<Flow, SinkError> {
        let mut flow = Flow::Continue;
        self.build.drain(|batch, tick| {
            if flow == Flow::Continue {
                flow = sink.batch(&batch)?;
            }
            if let (Flow::Continue, Some(end_ns)) = (flow, tick) {
                flow = sink.tick(end_ns)?;
            }
            Ok(())
        })?;
        Ok(flow)
    }
}
