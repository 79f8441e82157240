//! What every sink must bear, as a test a sink's author calls; and a stream of samples to test with.
//!
//! ```
//! use tickscope_core::{RecordingSink, conformance};
//! conformance::check(RecordingSink::default);
//! ```

use std::sync::Arc;

use crate::{
    Account, Arg, ArgRange, ArgValue, Batch, Begin, CategoryId, CounterValue, Dictionary, End, Event, Flow,
    Link, LinkKind, Metadata, Outcome, RingId, Runtime, Sample, Scope, Sink, SpanId, StackNode, SwitchReason,
    Symbol, SymbolRef, Track, TrackId, TrackKind, Weight,
};

/// Feeds a sink made by `make` with each of several legal streams, and checks that it takes them without an error.
///
/// # Panics
/// When the sink returns an error or asks to stop on a legal stream, with what it was given.
#[track_caller]
pub fn check<S: Sink>(make: impl FnMut() -> S) {
    if let Err(problem) = try_check(make) {
        panic!("{problem}");
    }
}

/// As [`check`], for those that test the sinks of others.
///
/// # Errors
/// What the sink did, and what it was given.
pub fn try_check<S: Sink>(mut make: impl FnMut() -> S) -> Result<(), String> {
    let example = example();
    let whole = example.as_batch();

    for (name, size) in [("one batch", usize::MAX), ("one sample a batch", 1), ("seven samples a batch", 7)] {
        let mut sink = make();
        sink.open(&example.metadata).map_err(|error| format!("{name}: open failed: {error}"))?;
        for samples in whole.samples.chunks(size.min(whole.samples.len())) {
            let flow = sink.batch(&Batch { samples, ..whole }).map_err(|error| format!("{name}: {error}"))?;
            if flow != Flow::Continue {
                return Err(format!("{name}: asked to stop"));
            }
            sink.flush().map_err(|error| format!("{name}: flush failed: {error}"))?;
        }
        sink.tick(5_000).map_err(|error| format!("{name}: tick failed: {error}"))?;
        sink.finish().map_err(|error| format!("{name}: finish failed: {error}"))?;
    }

    let mut sink = make();
    sink.open(&Metadata::default()).map_err(|error| format!("empty recording: open failed: {error}"))?;
    sink.batch(&Batch { samples: &[], ..whole }).map_err(|error| format!("empty batch: {error}"))?;
    sink.finish().map_err(|error| format!("empty recording: finish failed: {error}"))
}

/// A small recording with one of everything: every event, argument type, outcome, link; names with quotes, control
/// characters, semicolons and escapes; two tracks of one name; ids no dictionary knows.
pub fn example() -> crate::RecordingSink {
    let mut out = Recording::default();
    let function =
        |resource, name, file, line| SymbolRef { runtime: Runtime::Lua, resource, name, file, line };
    let tick = out.symbol(SymbolRef::host("tick"));
    let event = out.symbol(function("banking", "bank:pay", "server/main.lua", 12));
    let pay = out.symbol(function("banking", "Account.pay", "server/main.lua", 40));
    let same = out.symbol(function("shops", "Account.pay", "server/main.lua", 40));
    let odd = out.symbol(function("odd;one", "a\"b\\c\n;\u{1}\\xff <&> =1+1", "dir with space/ü.lua", 1));
    let native = out.symbol(SymbolRef {
        runtime: Runtime::Native,
        resource: "banking",
        name: "GET_PLAYER_PED",
        file: "",
        line: 0,
    });
    let players = out.symbol(SymbolRef::host("players"));

    let main = out.track(TrackKind::Thread, TrackId::PROCESS, "main", "");
    let first = out.track(TrackKind::Coroutine, main, "thread @banking/server/main.lua:12", "banking");
    let second = out.track(TrackKind::Coroutine, main, "thread @banking/server/main.lua:12", "banking");
    let download = out.track(TrackKind::Async, TrackId::PROCESS, "download", "");

    let root = out.open(1_000, main, tick, CategoryId::TICK, None, &[("tick", ArgValue::Uint(7))]);
    let cause = out.id();
    out.push(1_010, main, Event::LinkPoint { id: cause, span: Some(root) });
    let link = Some(Link { kind: LinkKind::Event, source: cause });
    let handler = out.open(1_020, main, event, CategoryId::EVENT, link, &[("player", ArgValue::Int(-14))]);
    out.push(1_030, first, Event::Resume { host: main });
    let call = out.open(1_040, first, pay, CategoryId::FUNCTION, None, &[]);
    let inner = out.open(1_041, first, same, CategoryId::FUNCTION, None, &[]);
    out.close(1_050, first, inner, Outcome::Ok, 64, &[]);
    let wait =
        out.open(1_051, first, native, CategoryId::NATIVE, None, &[("ped", ArgValue::Pointer(0xdead_beef))]);
    out.close(1_060, first, wait, Outcome::Error, 0, &[("ok", ArgValue::Bool(false))]);
    out.push(1_070, first, Event::Suspend { host: main, reason: SwitchReason::Yield });
    out.close(1_080, main, handler, Outcome::Ok, u32::MAX, &[]);

    out.push(1_090, second, Event::Resume { host: main });
    let unwound =
        out.open(1_100, second, odd, CategoryId::FUNCTION, None, &[("ratio", ArgValue::Float(0.5))]);
    let args =
        out.args(&[("text", ArgValue::Text { start: 0, len: 0 }), ("nan", ArgValue::Float(f64::INFINITY))]);
    out.push(
        1_110,
        second,
        Event::Instant { symbol: odd, category: CategoryId::ERROR, scope: Scope::Process, args },
    );
    out.close(1_120, second, unwound, Outcome::Unwound, 10, &[]);
    out.push(1_121, second, Event::Suspend { host: main, reason: SwitchReason::Error });

    out.push(1_130, TrackId::PROCESS, Event::Counter { symbol: players, value: CounterValue::Int(64) });
    out.push(1_140, TrackId::PROCESS, Event::Counter { symbol: players, value: CounterValue::Float(63.5) });
    let outer = out.stack(StackNode { parent: crate::StackId::ROOT, symbol: pay, line: 44 });
    let stack = out.stack(StackNode { parent: outer, symbol: same, line: 45 });
    out.push(1_150, first, Event::Stack { stack, weight: Weight { time_ns: 1_000_000, bytes: 4_096 } });
    out.push(1_160, main, Event::Gap { events: 3 });
    out.close(5_000, main, root, Outcome::Ok, 4_096, &[("run_delay_ns", ArgValue::Uint(u64::MAX))]);

    out.push(5_010, first, Event::Resume { host: main });
    out.push(5_020, first, Event::Suspend { host: main, reason: SwitchReason::Return });
    out.close(5_030, first, call, Outcome::Ok, 128, &[]);
    let transfer = out.open(5_040, download, odd, CategoryId::IO, None, &[]);
    out.close(6_000, download, transfer, Outcome::Truncated, 0, &[]);
    let account =
        Account { attempted: 40, committed: 37, delivered: 35, overwritten: 1, discarded: 1, dropped: 3 };
    out.push(6_000, main, Event::Account(account));

    let mut recording = out.finish(Metadata {
        producer: "conformance".into(),
        subject: "examples \"quoted\"".into(),
        budget_ns: 2_000,
        pid: 4711,
        start_ns: 900,
        start_unix_ns: 1_790_000_000_000_000_123,
        facts: vec![("seed".into(), "7".into())],
        ..Metadata::default()
    });
    recording.ticks = vec![5_000];
    recording
}

const TEXT: &str = "player said \"hi\"\n";

/// A recording made by hand, sample by sample, to feed to sinks in tests. All of it is on ring 1.
///
/// ```
/// use tickscope_core::conformance::Recording;
/// use tickscope_core::{CategoryId, Metadata, Outcome, SymbolRef, TrackId, TrackKind};
///
/// let mut made = Recording::default();
/// let tick = made.symbol(SymbolRef::host("tick"));
/// let main = made.track(TrackKind::Thread, TrackId::PROCESS, "main", "");
/// let span = made.open(1_000, main, tick, CategoryId::TICK, None, &[]);
/// made.close(9_000, main, span, Outcome::Ok, 64, &[]);
/// let recording = made.finish(Metadata::default());
/// assert_eq!(recording.as_batch().samples.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Recording {
    dictionary: Dictionary,
    samples: Vec<Sample>,
    args: Vec<Arg>,
    next: u64,
    open: Vec<(TrackId, SpanId, u64, crate::SymbolId)>,
}

impl Recording {
    /// A symbol more.
    pub fn symbol(&mut self, symbol: SymbolRef<'_>) -> crate::SymbolId {
        self.dictionary.push_symbol(Symbol::from(symbol))
    }

    /// A track more.
    pub fn track(&mut self, kind: TrackKind, parent: TrackId, name: &str, resource: &str) -> TrackId {
        let os_id = if kind == TrackKind::Thread { 4712 } else { 0 };
        self.dictionary.push_track(Track {
            kind,
            parent,
            os_id,
            name: Arc::from(name),
            resource: Arc::from(resource),
        })
    }

    /// A call path more.
    pub fn stack(&mut self, node: StackNode) -> crate::StackId {
        self.dictionary.push_stack(node)
    }

    /// The id of a span, or of the source of a link, that nothing else has.
    pub fn id(&mut self) -> SpanId {
        self.next += 1;
        SpanId::new(RingId(1), self.next).expect("ring 1 is not 0")
    }

    /// A sample. Times of a recording go up.
    pub fn push(&mut self, time_ns: u64, track: TrackId, event: Event) {
        self.samples.push(Sample { time_ns, ring: RingId(1), track, event });
    }

    /// Arguments of an event. A text is always the same one, whatever its range.
    pub fn args(&mut self, args: &[(&str, ArgValue)]) -> ArgRange {
        if args.is_empty() {
            return ArgRange::NONE;
        }
        let start = self.args.len() as u32;
        for (key, value) in args {
            let known = self.dictionary.keys().iter().position(|known| **known == **key);
            let key = match known {
                Some(index) => crate::KeyId(index as u32),
                None => self.dictionary.push_key(key),
            };
            let value = match value {
                ArgValue::Text { .. } => ArgValue::Text { start: 0, len: TEXT.len() as u32 },
                other => *other,
            };
            self.args.push(Arg { key, value });
        }
        ArgRange { start, len: args.len() as u32 }
    }

    /// A span begins.
    pub fn open(
        &mut self,
        time_ns: u64,
        track: TrackId,
        symbol: crate::SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(&str, ArgValue)],
    ) -> SpanId {
        let (span, args) = (self.id(), self.args(args));
        let parent = self.open.iter().rev().find(|open| open.0 == track).map(|open| open.1);
        self.open.push((track, span, time_ns, symbol));
        self.push(time_ns, track, Event::Begin(Begin { span, parent, symbol, category, link, args }));
        span
    }

    /// A span ends, having allocated `bytes`.
    ///
    /// # Panics
    /// When it is not open.
    #[track_caller]
    pub fn close(
        &mut self,
        time_ns: u64,
        track: TrackId,
        span: SpanId,
        outcome: Outcome,
        bytes: u32,
        args: &[(&str, ArgValue)],
    ) {
        let args = self.args(args);
        let at = self.open.iter().position(|open| open.1 == span).expect("only open spans are closed");
        let (_, _, begin_ns, symbol) = self.open.remove(at);
        self.push(time_ns, track, Event::End(End { span, symbol, begin_ns, outcome, bytes, args }));
    }

    /// All so far, as one batch.
    pub fn as_batch(&self) -> Batch<'_> {
        Batch { samples: &self.samples, args: &self.args, text: TEXT, dictionary: &self.dictionary }
    }

    /// All of it, as it was recorded.
    pub fn finish(self, metadata: Metadata) -> crate::RecordingSink {
        crate::RecordingSink {
            metadata,
            samples: self.samples,
            args: self.args,
            text: TEXT.into(),
            dictionary: self.dictionary,
            ticks: Vec::new(),
            finished: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordingSink, SinkError};
    use std::collections::HashMap;

    #[test]
    fn the_recording_sink_conforms_and_keeps_what_it_is_given() {
        check(RecordingSink::default);
        let example = example();
        let mut sink = RecordingSink::default();
        sink.batch(&example.as_batch()).unwrap();
        assert_eq!(sink.samples, example.samples);
    }

    #[test]
    #[should_panic(expected = "one batch: disk full")]
    fn a_failing_sink_does_not_conform() {
        struct Full;
        impl Sink for Full {
            fn batch(&mut self, _: &Batch<'_>) -> Result<Flow, SinkError> {
                Err(SinkError::Other("disk full".into()))
            }
        }
        check(|| Full);
    }

    #[test]
    fn parents_rebuild_the_tree_from_shuffled_samples() {
        let mut samples = example().samples;
        samples.reverse();
        samples.rotate_left(11);
        let parents: HashMap<SpanId, Option<SpanId>> = samples
            .iter()
            .filter_map(|sample| match sample.event {
                Event::Begin(begin) => Some((begin.span, begin.parent)),
                _ => None,
            })
            .collect();
        let depth = |mut span: SpanId| {
            let mut depth = 0;
            while let Some(parent) = parents[&span] {
                (span, depth) = (parent, depth + 1);
            }
            depth
        };
        let mut depths: Vec<u32> = parents.keys().map(|span| depth(*span)).collect();
        depths.sort_unstable();
        assert_eq!(depths, [0, 0, 0, 0, 1, 1, 1]);
    }
}
