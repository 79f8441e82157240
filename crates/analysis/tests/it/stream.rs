//! A small language for streams of samples: what a collector would deliver for a server's main thread.

use tickscope_analysis::{Analyzer, Options, Report};
use tickscope_core::{
    Account, Arg, ArgRange, ArgValue, Begin, CategoryId, CounterValue, Depth, End, Event, Link, LinkKind,
    Metadata, Outcome, RecordingSink, RingId, Runtime, Sample, Scope, Sink, SpanId, StackId, StackNode,
    SwitchReason, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind, Weight,
};

pub const MS: u64 = 1_000_000;

/// A recording that is being written. Time moves only by [`Stream::run`].
pub struct Stream {
    pub out: RecordingSink,
    pub now: u64,
    pub main: TrackId,
    /// Tracks of the main thread, each running on the one before.
    chain: Vec<TrackId>,
    open: Vec<(TrackId, SpanId, SymbolId, u64)>,
    next: u64,
    ticks: u64,
    last_stack: u64,
}

impl Stream {
    pub fn new(depth: Depth) -> Self {
        let mut out = RecordingSink {
            metadata: Metadata { budget_ns: 50 * MS, depth, ..Metadata::default() },
            ..RecordingSink::default()
        };
        let main = out.dictionary.push_track(Track {
            kind: TrackKind::Thread,
            parent: TrackId::PROCESS,
            os_id: 1,
            name: "main".into(),
            resource: "".into(),
        });
        Self { out, now: 1_000, main, chain: vec![main], open: Vec::new(), next: 0, ticks: 0, last_stack: 0 }
    }

    /// The Lua function `resource:name@file:line`; `@file:line` may be missing.
    pub fn lua(&mut self, text: &str) -> SymbolId {
        self.symbol(Runtime::Lua, text)
    }

    /// The native `resource:name`.
    pub fn native(&mut self, text: &str) -> SymbolId {
        self.symbol(Runtime::Native, text)
    }

    pub fn symbol(&mut self, runtime: Runtime, text: &str) -> SymbolId {
        let (resource, rest) = text.split_once(':').unwrap();
        let (name, place) = rest.rsplit_once('@').unwrap_or((rest, ":0"));
        let (file, line) = place.rsplit_once(':').unwrap();
        let symbol: Symbol = SymbolRef { runtime, resource, name, file, line: line.parse().unwrap() }.into();
        let known = self.out.dictionary.symbols().iter().position(|known| *known == symbol);
        known.map_or_else(|| self.out.dictionary.push_symbol(symbol), |index| SymbolId(index as u32))
    }

    pub fn coroutine(&mut self, resource: &str) -> TrackId {
        self.track(TrackKind::Coroutine, resource)
    }

    pub fn track(&mut self, kind: TrackKind, resource: &str) -> TrackId {
        let (name, resource) = ("track".into(), resource.into());
        self.out.dictionary.push_track(Track { kind, parent: self.main, os_id: 0, name, resource })
    }

    /// Lets `nanos` pass.
    pub fn run(&mut self, nanos: u64) -> &mut Self {
        self.now += nanos;
        self
    }

    pub fn push(&mut self, track: TrackId, event: Event) {
        self.out.samples.push(Sample { time_ns: self.now, ring: RingId(1), track, event });
    }

    pub fn id(&mut self) -> SpanId {
        self.next += 1;
        SpanId::new(RingId(1), self.next).unwrap()
    }

    fn args(&mut self, args: &[(&str, u64)]) -> ArgRange {
        let start = self.out.args.len() as u32;
        for (name, value) in args {
            let keys = self.out.dictionary.keys();
            let key = keys.iter().position(|key| **key == **name);
            let key = key.map_or_else(
                || self.out.dictionary.push_key(name),
                |index| tickscope_core::KeyId(index as u32),
            );
            self.out.args.push(Arg { key, value: ArgValue::Uint(*value) });
        }
        if args.is_empty() { ArgRange::NONE } else { ArgRange { start, len: args.len() as u32 } }
    }

    fn current(&self) -> TrackId {
        *self.chain.last().unwrap()
    }

    pub fn begin(&mut self, category: CategoryId, symbol: SymbolId) -> &mut Self {
        self.begin_on(self.current(), category, symbol, None, &[]);
        self
    }

    pub fn begin_on(
        &mut self,
        track: TrackId,
        category: CategoryId,
        symbol: SymbolId,
        source: Option<SpanId>,
        args: &[(&str, u64)],
    ) -> SpanId {
        let (span, args) = (self.id(), self.args(args));
        let parent = self.open.iter().rev().find(|open| open.0 == track).map(|open| open.1);
        let link = source.map(|source| Link { kind: LinkKind::Event, source });
        self.open.push((track, span, symbol, self.now));
        self.push(track, Event::Begin(Begin { span, parent, symbol, category, link, args }));
        span
    }

    /// Ends the innermost span of the current track.
    pub fn end(&mut self) -> &mut Self {
        self.end_on(self.current(), Outcome::Ok, 0, &[])
    }

    pub fn end_on(
        &mut self,
        track: TrackId,
        outcome: Outcome,
        bytes: u32,
        args: &[(&str, u64)],
    ) -> &mut Self {
        let args = self.args(args);
        let at = self.open.iter().rposition(|open| open.0 == track).expect("something is open on the track");
        let (_, span, symbol, begin_ns) = self.open.remove(at);
        self.push(track, Event::End(End { span, symbol, begin_ns, outcome, bytes, args }));
        self
    }

    /// A span of `category` around what `body` does.
    pub fn span(
        &mut self,
        category: CategoryId,
        symbol: SymbolId,
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.begin(category, symbol);
        body(self);
        self.end()
    }

    pub fn call(&mut self, symbol: SymbolId, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.span(CategoryId::FUNCTION, symbol, body)
    }

    /// One native call that takes `nanos`.
    pub fn native_call(&mut self, symbol: SymbolId, nanos: u64) -> &mut Self {
        self.span(CategoryId::NATIVE, symbol, |s| {
            s.run(nanos);
        })
    }

    pub fn resume(&mut self, track: TrackId) -> &mut Self {
        let host = self.current();
        self.push(track, Event::Resume { host });
        self.chain.push(track);
        self
    }

    pub fn suspend(&mut self, reason: SwitchReason) -> &mut Self {
        let track = self.chain.pop().unwrap();
        let host = self.current();
        self.push(track, Event::Suspend { host, reason });
        self
    }

    /// A boundary span whose coroutine runs from start to end.
    pub fn boundary(
        &mut self,
        category: CategoryId,
        symbol: SymbolId,
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let track = self.coroutine("");
        self.slice(category, symbol, track, SwitchReason::Return, body)
    }

    /// One slice of a coroutine.
    pub fn slice(
        &mut self,
        category: CategoryId,
        symbol: SymbolId,
        track: TrackId,
        reason: SwitchReason,
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.begin(category, symbol).resume(track);
        body(self);
        self.suspend(reason).end()
    }

    /// The coroutine, suspended, waits `nanos` in `symbol`.
    pub fn wait(&mut self, category: CategoryId, track: TrackId, symbol: SymbolId, nanos: u64) -> &mut Self {
        self.begin_on(track, category, symbol, None, &[]);
        self.run(nanos).end_on(track, Outcome::Ok, 0, &[])
    }

    pub fn tick(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.tick_with(&[], body)
    }

    pub fn tick_with(&mut self, end: &[(&str, u64)], body: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin_tick();
        body(self);
        let main = self.main;
        self.end_on(main, Outcome::Ok, 0, end)
    }

    pub fn begin_tick(&mut self) -> &mut Self {
        self.ticks += 1;
        let (tick, main, number) = (self.symbol(Runtime::Host, ":tick"), self.main, self.ticks);
        self.begin_on(main, CategoryId::TICK, tick, None, &[("tick", number)]);
        self
    }

    /// Lets time pass with a stack sample each millisecond, as the sampler takes them; frames outermost first.
    pub fn sampled(&mut self, frames: &[SymbolId], nanos: u64) -> &mut Self {
        let until = self.now + nanos;
        while self.now + MS <= until {
            self.run(MS).stack(frames);
        }
        self.now = until;
        self
    }

    /// A stack sample of the current track, standing for the time since the one before.
    pub fn stack(&mut self, frames: &[SymbolId]) -> &mut Self {
        let mut stack = StackId::ROOT;
        for symbol in frames {
            stack = self.out.dictionary.push_stack(StackNode { parent: stack, symbol: *symbol, line: 0 });
        }
        let time_ns = (self.now - self.last_stack).min(MS);
        self.last_stack = self.now;
        self.push(self.current(), Event::Stack { stack, weight: Weight { time_ns, bytes: 0 } });
        self
    }

    pub fn link_point(&mut self) -> SpanId {
        let id = self.id();
        self.push(self.current(), Event::LinkPoint { id, span: None });
        id
    }

    pub fn error(&mut self, symbol: SymbolId) -> &mut Self {
        let track = self.current();
        let category = CategoryId::ERROR;
        self.push(track, Event::Instant { symbol, category, scope: Scope::Track, args: ArgRange::NONE });
        self
    }

    pub fn heap(&mut self, resource: &str, bytes: i64) -> &mut Self {
        let symbol = self.symbol(Runtime::Lua, &format!("{resource}:lua.heap_bytes"));
        self.push(TrackId::PROCESS, Event::Counter { symbol, value: CounterValue::Int(bytes) });
        self
    }

    pub fn account(&mut self, account: Account) -> &mut Self {
        self.push(TrackId::PROCESS, Event::Account(account));
        self
    }

    /// Ends what is open as a collector does when the recording ends.
    pub fn cut(&mut self) -> &mut Self {
        while let Some(open) = self.open.last() {
            let track = open.0;
            self.end_on(track, Outcome::Truncated, 0, &[]);
        }
        self
    }

    pub fn report(&self) -> Report {
        self.report_with(Options::default())
    }

    pub fn report_with(&self, options: Options) -> Report {
        self.analyzer(options, usize::MAX).into_report()
    }

    pub fn analyzer(&self, options: Options, batch: usize) -> Analyzer {
        let mut analyzer = Analyzer::new(options);
        analyzer.open(&self.out.metadata).unwrap();
        let whole = self.out.as_batch();
        for samples in whole.samples.chunks(batch.clamp(1, whole.samples.len().max(1))) {
            analyzer.batch(&tickscope_core::Batch { samples, ..whole }).unwrap();
        }
        analyzer.finish().unwrap();
        analyzer
    }
}

/// The chains of a tick as text: `kind resource:function@file:line total/self ×calls`, `~` for estimates, `!` for the
/// culprit; no place behind a name that is one.
pub fn chains(report: &Report, tick: u64) -> Vec<Vec<String>> {
    let late = report.late_ticks.iter().find(|late| late.tick == tick).expect("the tick is late");
    late.chains
        .iter()
        .map(|chain| {
            let line = |cause: &tickscope_analysis::Cause| {
                let symbol = &cause.symbol;
                let place = if symbol.file.is_empty() || symbol.name.starts_with('@') {
                    String::new()
                } else {
                    format!("@{}:{}", symbol.file, symbol.line)
                };
                let calls = cause.calls.map_or(String::new(), |calls| format!(" ×{calls}"));
                let about = if cause.estimated { "~" } else { "" };
                format!(
                    "{}{} {}:{}{place} {about}{}/{}{calls}",
                    if cause.culprit { "!" } else { "" },
                    cause.kind,
                    symbol.resource,
                    symbol.name,
                    cause.total_ns / MS,
                    cause.self_ns / MS,
                )
            };
            chain.causes.iter().map(line).collect()
        })
        .collect()
}

#[track_caller]
pub fn check_chains(stream: &Stream, tick: u64, expected: &[&[&str]]) {
    let report = stream.report();
    assert_eq!(chains(&report, tick), expected);
    assert_eq!(report.irregular, 0);
}
