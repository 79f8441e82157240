//! Sessions from outside: what is recorded arrives, what is not is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tickscope_core::{
    ArgInput, ArgValue, Batch, CategoryId, CounterValue, Event, Flow, Link, LinkKind, Outcome, Progress,
    Recorder, RecordingSink, Runtime, Scope, Sink, SinkError, Source, Span, StackId, StackNode, SwitchReason,
    SymbolRef, Track, TrackId, TrackKind,
};
use tickscope_session::{Collector, Config, ConfigError, Policy, Pump, PumpConfig, Session, ThreadRecorder};

fn session(config: Config) -> (Session, Collector) {
    Session::new(config).expect("a legal configuration")
}

fn tiny() -> Config {
    Config { ring_bytes: 8 << 10, threads: 4, arena_bytes: 64 << 10, ..Config::default() }
}

fn coroutine(recorder: &ThreadRecorder, name: &str) -> TrackId {
    recorder.new_track(Track {
        kind: TrackKind::Coroutine,
        parent: recorder.thread_track(),
        os_id: 0,
        name: name.into(),
        resource: "shops".into(),
    })
}

/// What a recording says, one line a sample, times left out.
fn story(sink: &RecordingSink) -> Vec<String> {
    let names = &sink.dictionary;
    let track = |id: TrackId| names.track(id).name.to_string();
    let args = |range| {
        let one = |arg: &tickscope_core::Arg| match arg.value {
            ArgValue::Text { .. } => format!(" {}={:?}", names.key(arg.key), sink.as_batch().text(arg.value)),
            value => format!(" {}={value:?}", names.key(arg.key)),
        };
        sink.as_batch().args(range).iter().map(one).collect::<String>()
    };
    let line = |sample: &tickscope_core::Sample| {
        let what = match sample.event {
            Event::Begin(begin) => {
                let link = begin.link.map(|link| format!(" <-{}", link.kind.name())).unwrap_or_default();
                format!("begin {}{link}{}", names.symbol(begin.symbol).name, args(begin.args))
            }
            Event::End(end) => {
                let bytes = if end.bytes > 0 { format!(" {}B", end.bytes) } else { String::new() };
                format!(
                    "end {} {}{bytes}{}",
                    names.symbol(end.symbol).name,
                    end.outcome.name(),
                    args(end.args)
                )
            }
            Event::Instant { symbol, scope, args: range, .. } => {
                format!("instant {} {scope:?}{}", names.symbol(symbol).name, args(range))
            }
            Event::Counter { symbol, value } => format!("counter {} {value:?}", names.symbol(symbol).name),
            Event::Resume { host } => format!("resume on {}", track(host)),
            Event::Suspend { host, reason } => format!("suspend to {} {}", track(host), reason.name()),
            Event::LinkPoint { span, .. } => format!("link point in {}", span.is_some()),
            Event::Stack { stack, weight } => {
                let frames: Vec<_> =
                    names.frames(stack).map(|n| names.symbol(n.symbol).name.to_string()).collect();
                format!("stack {} {}B", frames.join("<"), weight.bytes)
            }
            Event::Gap { events } => format!("gap {events}"),
            Event::Account(_) => return None,
        };
        Some(format!("{}: {what}", track(sample.track)))
    };
    sink.samples.iter().filter_map(line).collect()
}

#[test]
fn everything_arrives_as_it_was_recorded() {
    let (session, collector) = session(Config::default());
    let main = session.thread("main");
    let symbol = |name| {
        main.intern_symbol(SymbolRef {
            runtime: Runtime::Lua,
            resource: "shops",
            name,
            file: "a.lua",
            line: 3,
        })
    };
    let (tick, restock, sort, count) = (symbol("tick"), symbol("restock"), symbol("sort"), symbol("count"));
    let (player, text) = (main.intern_key("player"), main.intern_key("text"));
    let long = "é".repeat(40);

    let at = || main.now();
    let root = main.enter_with(at(), tick, CategoryId::TICK, None, &[(player, ArgInput::Int(-7))]);
    let cause = main.link_point(at()).unwrap();
    let link = Some(Link { kind: LinkKind::Event, source: cause });
    let handler = main.enter_with(
        at(),
        restock,
        CategoryId::EVENT,
        link,
        &[(text, (&*long).into()), (player, 1u8.into())],
    );
    let track = coroutine(&main, "co");
    main.resume(at(), track);
    let inner = main.enter(at(), sort, CategoryId::FUNCTION);
    let outer = main.intern_stack(StackNode { parent: StackId::ROOT, symbol: restock, line: 4 });
    let stack = main.intern_stack(StackNode { parent: outer, symbol: sort, line: 9 });
    main.stack(at(), stack, 1_000, 64);
    main.suspend(at(), SwitchReason::Yield);
    main.arg(player, ArgInput::Bool(true));
    main.arg(text, "late".into());
    main.exit(at(), handler, Outcome::Ok, 512);
    main.counter(at(), count, CounterValue::Int(-3));
    main.counter(at(), count, CounterValue::Float(0.25));
    main.instant(
        at(),
        count,
        CategoryId::ERROR,
        Scope::Process,
        &[(text, "".into()), (player, ArgInput::Float(1.5))],
    );
    main.resume(at(), track);
    main.exit(at(), inner, Outcome::Error, 7);
    let lost = main.enter(at(), sort, CategoryId::FUNCTION);
    assert!(lost.position().is_some());
    main.suspend(at(), SwitchReason::Error);
    main.exit(at(), root, Outcome::Ok, 0);
    let _left_open = main.enter(at(), restock, CategoryId::DEFAULT);

    let mut sink = RecordingSink::default();
    let account = session.finish(collector, &mut sink).unwrap();
    let expected = [
        "main: begin tick player=Int(-7)".to_owned(),
        "main: link point in true".into(),
        format!("main: begin restock <-event text={long:?} player=Uint(1)"),
        "co: resume on main".into(),
        "co: begin sort".into(),
        "co: stack sort<restock 64B".into(),
        "co: suspend to main yield".into(),
        "main: end restock ok 512B player=Bool(true) text=\"late\"".into(),
        "main: counter count Int(-3)".into(),
        "main: counter count Float(0.25)".into(),
        "main: instant count Process text=\"\" player=Float(1.5)".into(),
        "co: resume on main".into(),
        "co: end sort error 7B".into(),
        "co: begin sort".into(),
        "co: end sort unwound".into(),
        "co: suspend to main error".into(),
        "main: end tick ok".into(),
        "main: begin restock".into(),
        "main: end restock truncated".into(),
    ];
    assert_eq!(story(&sink), expected);
    assert_eq!(sink.ticks.len(), 1);
    assert!(account.holds(0) && account.dropped == 0, "{account:?}");
    assert!(sink.samples.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns), "one thread, one order");
}

#[test]
fn bad_sizes_are_named() {
    let check = |config: Config, message: &str| {
        let error = Session::new(config).map(|_| ()).unwrap_err();
        assert!(matches!(error, ConfigError::Range { .. }));
        assert_eq!(error.to_string(), message);
    };
    check(
        Config { ring_bytes: 5_000, ..tiny() },
        "ring_bytes is 5000; expected a power of two from 8 KiB to 1 GiB",
    );
    check(Config { threads: 0, ..tiny() }, "threads is 0; expected 1 to 1024");
    check(Config { arena_bytes: 1, ..tiny() }, "arena_bytes is 1; expected 64 KiB to 1 GiB");
}

#[test]
fn a_flooded_ring_drops_whole_spans_and_says_so() {
    let (session, mut collector) = session(tiny());
    let main = session.thread("main");
    let symbol = main.intern_symbol(SymbolRef::host("work"));
    let mut sink = RecordingSink::default();
    for round in 0..20 {
        // Depth 700 does not fit into 512 slots; every second round the collector looks in between.
        let spans: Vec<Span> =
            (0..700).map(|_| main.enter(main.now(), symbol, CategoryId::DEFAULT)).collect();
        main.counter(main.now(), symbol, CounterValue::Int(1));
        if round % 2 == 0 {
            collector.poll(&mut sink).unwrap();
        }
        for span in spans.into_iter().rev() {
            main.exit(main.now(), span, Outcome::Ok, 0);
        }
        collector.poll(&mut sink).unwrap();
    }
    let account = session.finish(collector, &mut sink).unwrap();
    assert!(account.holds(0), "{account:?}");
    assert!(account.dropped > 1_000 && account.delivered > 1_000, "{account:?}");
    let count =
        |matches: fn(&Event) -> bool| sink.samples.iter().filter(|s| matches(&s.event)).count() as u64;
    let begins = count(|event| matches!(event, Event::Begin(_)));
    assert_eq!(begins, count(|event| matches!(event, Event::End(end) if end.outcome == Outcome::Ok)));
    let gaps: u64 =
        sink.samples.iter().map(|s| if let Event::Gap { events } = s.event { events } else { 0 }).sum();
    assert!(
        gaps > 0 && gaps <= account.dropped,
        "what was lost before the last record is marked where it was lost"
    );
}

#[test]
fn threads_come_and_go_in_a_few_rings() {
    let (session, mut collector) = session(tiny());
    let mut sink = RecordingSink::default();
    let symbol = session.intern_symbol(SymbolRef::host("work"));
    for _ in 0..100 {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let recorder = session.thread("worker");
                    for _ in 0..50 {
                        let span = recorder.enter(recorder.now(), symbol, CategoryId::DEFAULT);
                        recorder.exit(recorder.now(), span, Outcome::Ok, 0);
                    }
                });
            }
        });
        collector.poll(&mut sink).unwrap();
    }
    let account = session.finish(collector, &mut sink).unwrap();
    assert_eq!((account.attempted, account.delivered, account.dropped), (30_000, 30_000, 0));
    let rings: std::collections::BTreeSet<_> = sink.samples.iter().map(|sample| sample.ring).collect();
    assert_eq!(rings.len(), 300, "ring numbers are never used twice");
}

#[test]
fn a_thread_too_many_is_counted_not_lost_in_silence() {
    let (session, collector) = session(Config { threads: 1, ..tiny() });
    let (first, second) = (session.thread("first"), session.thread("second"));
    let symbol = first.intern_symbol(SymbolRef::host("work"));
    for recorder in [&first, &second] {
        let span = recorder.enter(recorder.now(), symbol, CategoryId::DEFAULT);
        recorder.exit(recorder.now(), span, Outcome::Ok, 0);
    }
    drop(second);
    let account = session.finish(collector, &mut RecordingSink::default()).unwrap();
    assert_eq!((account.attempted, account.delivered, account.dropped), (4, 2, 2));
}

#[test]
fn an_operation_may_end_on_another_thread() {
    let (session, collector) = session(tiny());
    let track = session.new_track(&Track {
        kind: TrackKind::Async,
        parent: TrackId::PROCESS,
        os_id: 0,
        name: "download".into(),
        resource: "".into(),
    });
    let main = session.thread("main");
    let symbol = main.intern_symbol(SymbolRef::host("get"));
    let span = main.enter_on(main.now(), track, symbol, CategoryId::IO, None, &[]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = session.thread("other");
            assert!(other.link_point_on(other.now(), track).is_some());
            other.exit_on(other.now(), track, span, Outcome::Error);
        });
    });
    let mut sink = RecordingSink::default();
    session.finish(collector, &mut sink).unwrap();
    let expected = ["download: begin get", "download: link point in true", "download: end get error"];
    assert_eq!(story(&sink), expected);
}

#[test]
fn an_argument_finds_its_span_and_tracks_without_a_thread_take_moments_and_counters() {
    let (session, collector) = session(tiny());
    let gpu = Track {
        kind: TrackKind::Custom,
        parent: TrackId::PROCESS,
        os_id: 0,
        name: "gpu".into(),
        resource: "".into(),
    };
    let track = session.new_track(&gpu);
    let main = session.thread("main");
    let symbol = |name| main.intern_symbol(SymbolRef::host(name));
    let (outer, inner, key) = (symbol("outer"), symbol("inner"), main.intern_key("rows"));
    let long = "0123456789abcdefghij";

    let open = main.enter(main.now(), outer, CategoryId::DEFAULT);
    let draw = main.enter_on(main.now(), track, inner, CategoryId::DEFAULT, None, &[]).unwrap();
    let within = main.enter(main.now(), inner, CategoryId::DEFAULT);
    main.arg_of(None, main.span_id(open).unwrap(), key, long.into());
    main.arg_of(Some(track), draw, key, ArgInput::Int(3));
    main.instant_on(main.now(), track, outer, CategoryId::DEFAULT, Scope::Track, &[(key, 1u8.into())]);
    main.counter_on(main.now(), TrackId::PROCESS, outer, CounterValue::Int(5));
    main.exit(main.now(), within, Outcome::Ok, 0);
    main.exit(main.now(), open, Outcome::Ok, 0);
    main.exit_on(main.now(), track, draw, Outcome::Ok);

    let mut sink = RecordingSink::default();
    let account = session.finish(collector, &mut sink).unwrap();
    let expected = [
        "main: begin outer".to_owned(),
        "gpu: begin inner".into(),
        "main: begin inner".into(),
        "gpu: instant outer Track rows=Uint(1)".into(),
        ": counter outer Int(5)".into(),
        "main: end inner ok".into(),
        format!("main: end outer ok rows={long:?}"),
        "gpu: end inner ok rows=Int(3)".into(),
    ];
    assert_eq!(story(&sink), expected);
    assert!(account.holds(0) && account.discarded == 0, "{account:?}");
}

/// Begins and ends an operation in the middle of a poll: its end lies in a ring that is still to be read, its begin in
/// one that was read already.
struct Meddler<'a> {
    first: &'a ThreadRecorder,
    second: &'a ThreadRecorder,
    track: TrackId,
    kept: RecordingSink,
    done: bool,
}

impl Sink for Meddler<'_> {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if !std::mem::replace(&mut self.done, true) {
            let symbol = self.first.intern_symbol(SymbolRef::host("get"));
            let (at, key) = (self.first.now(), self.first.intern_key("bytes"));
            let args = [(key, ArgInput::Int(1))];
            let plain = self.first.enter_on(at, self.track, symbol, CategoryId::IO, None, &[]).expect("room");
            self.second.exit_on(self.second.now(), self.track, plain, Outcome::Error);
            let with_args =
                self.first.enter_on(at, self.track, symbol, CategoryId::IO, None, &args).expect("room");
            self.second.exit_on(self.second.now(), self.track, with_args, Outcome::Ok);
        }
        self.kept.batch(batch)
    }
}

#[test]
fn an_end_that_is_read_before_its_begin_is_not_lost() {
    let (session, mut collector) = session(Config { ring_bytes: 256 << 10, ..tiny() });
    let track = session.new_track(&Track {
        kind: TrackKind::Async,
        parent: TrackId::PROCESS,
        os_id: 0,
        name: "download".into(),
        resource: "".into(),
    });
    let (first, second) = (session.thread("first"), session.thread("second"));
    let work = first.intern_symbol(SymbolRef::host("work"));
    for _ in 0..4_096 {
        let span = first.enter(first.now(), work, CategoryId::DEFAULT);
        first.exit(first.now(), span, Outcome::Ok, 0);
    }
    let mut sink = Meddler { first: &first, second: &second, track, kept: Default::default(), done: false };
    collector.poll(&mut sink).unwrap();
    let mut sink = sink.kept;
    let on_track = |sink: &RecordingSink| {
        story(sink).into_iter().filter(|line| line.starts_with("download")).collect::<Vec<_>>()
    };
    assert!(on_track(&sink).is_empty(), "the ring of the begins was read before");
    let account = session.finish(collector, &mut sink).unwrap();
    let told = ["begin get", "end get error", "begin get bytes=Int(1)", "end get ok"];
    assert_eq!(on_track(&sink), told.map(|line| format!("download: {line}")));
    assert!(account.holds(0) && account.discarded == 0, "{account:?}");
}

#[test]
fn a_track_that_is_over_is_used_again() {
    let (session, collector) = session(tiny());
    let main = session.thread("main");
    let first = coroutine(&main, "event");
    main.resume(main.now(), first);
    assert_ne!(coroutine(&main, "event"), first, "it runs still");
    main.suspend(main.now(), SwitchReason::Return);
    assert_eq!(coroutine(&main, "event"), first);
    assert_ne!(coroutine(&main, "other"), first);
    session.finish(collector, &mut RecordingSink::default()).unwrap();
}

#[test]
fn a_flight_recorder_keeps_the_last_spans_and_accounts_for_the_others() {
    let (session, mut collector) = session(Config { policy: Policy::Overwrite, ..tiny() });
    let main = session.thread("main");
    let symbol = main.intern_symbol(SymbolRef::host("work"));
    let outer = main.enter(main.now(), symbol, CategoryId::DEFAULT);
    for _ in 0..10_000 {
        let span = main.enter(main.now(), symbol, CategoryId::DEFAULT);
        main.exit(main.now(), span, Outcome::Ok, 0);
    }
    main.exit(main.now(), outer, Outcome::Ok, 0);
    let mut sink = RecordingSink::default();
    assert_eq!(collector.poll(&mut sink).unwrap(), Progress::Idle, "nothing is read until it is asked for");
    assert!(collector.snapshot(&mut sink).unwrap() > 200);
    let seen = sink.samples.len();
    assert_eq!(collector.snapshot(&mut sink).unwrap(), 0, "nothing is read twice");
    let account = session.finish(collector, &mut sink).unwrap();
    assert!(account.holds(0), "{account:?}");
    assert_eq!(account.attempted, 20_002);
    assert!(account.overwritten > 19_000 && account.discarded >= 1, "{account:?}");
    assert_eq!(sink.samples.len(), seen, "the end of a span whose begin is gone makes no sample");
}

#[test]
fn a_category_can_be_turned_off_while_recording() {
    let (session, collector) = session(tiny());
    let main = session.thread("main");
    assert!(main.enabled(CategoryId::GC));
    session.categories().set_matching("g*", false);
    assert!(!main.enabled(CategoryId::GC) && main.enabled(CategoryId::TICK));
    let (other, _) = self::session(tiny());
    assert!(other.categories().contains(CategoryId::GC), "sessions have their own");
    session.finish(collector, &mut RecordingSink::default()).unwrap();
}

#[test]
fn a_failing_sink_does_not_hold_up_another() {
    struct Either(Option<RecordingSink>);
    impl Sink for Either {
        fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
            self.0.as_mut().ok_or(SinkError::Other("disk full".into()))?.batch(batch)
        }
        fn finish(&mut self) -> Result<(), SinkError> {
            self.0.as_mut().map_or(Ok(()), RecordingSink::finish)
        }
    }
    static OBSERVED: AtomicBool = AtomicBool::new(false);
    let (session, collector) = session(tiny());
    let sinks = vec![
        ("broken".to_owned(), Either(None)),
        ("good".to_owned(), Either(Some(RecordingSink::default()))),
    ];
    let observe = Box::new(|_: &Collector| OBSERVED.store(true, Ordering::Relaxed));
    let pump = Pump::start(collector, sinks, PumpConfig { observe: Some(observe), ..PumpConfig::default() });
    let main = session.thread("main");
    let symbol = main.intern_symbol(SymbolRef::host("work"));
    while !OBSERVED.load(Ordering::Relaxed) {
        let span = main.enter(main.now(), symbol, CategoryId::DEFAULT);
        main.exit(main.now(), span, Outcome::Ok, 0);
        std::thread::sleep(Duration::from_micros(200));
    }
    let finished = pump.stop();
    assert_eq!(finished.sinks[0].error.as_ref().unwrap().to_string(), "disk full");
    let good = finished.sinks[1].sink.0.as_ref().unwrap();
    assert!(finished.sinks[1].error.is_none() && good.finished);
    assert!(finished.account.holds(0) && finished.account.dropped == 0, "{:?}", finished.account);
    assert!(finished.overhead.collect.count() > 0 && finished.overhead.pair_ns > 0.0);
}

#[test]
fn what_was_recorded_before_it_settles_has_arrived() {
    /// What it was given and has flushed.
    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl Sink for Count {
        fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
            let ends = batch.samples.iter().filter(|sample| matches!(sample.event, Event::End(_)));
            self.0.fetch_add(ends.count(), Ordering::Relaxed);
            Ok(Flow::Continue)
        }
        fn flush(&mut self) -> Result<(), SinkError> {
            self.1.store(self.0.load(Ordering::Relaxed), Ordering::Relaxed);
            Ok(())
        }
    }
    let (session, collector) = session(tiny());
    let count = Count::default();
    let never = PumpConfig { flush_every: Duration::from_secs(60), ..PumpConfig::default() };
    let pump = Pump::start(collector, vec![("count".to_owned(), count.clone())], never);
    let (handle, main) = (pump.handle(), session.thread("main"));
    let symbol = main.intern_symbol(SymbolRef::host("work"));
    for round in 1..=200 {
        let span = main.enter(main.now(), symbol, CategoryId::DEFAULT);
        main.exit(main.now(), span, Outcome::Ok, 0);
        assert!(handle.settle(Duration::from_secs(60)));
        assert_eq!(count.1.load(Ordering::Relaxed), round, "given and flushed");
    }
    pump.stop();
    assert!(!handle.settle(Duration::from_secs(60)), "nobody is there any more");
}

#[test]
fn starting_and_stopping_a_hundred_times_leaves_no_thread_behind() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..100 {
        let (session, collector) = session(tiny());
        let pump = Pump::start(
            collector,
            vec![("memory".to_owned(), RecordingSink::default())],
            PumpConfig::default(),
        );
        drop(session.thread("main"));
        assert!(pump.stop().sinks[0].sink.finished);
    }
    assert!(threads() <= before + 8, "other tests run beside this one");
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u8),
    Exit,
    Resume(u8),
    Suspend(bool),
    Instant,
    Poll,
}

proptest! {
    /// Any legal sequence of calls, with polls in between, in a ring that overflows or not: begins and ends balance on
    /// each track, the conservation law holds, and without drops the story is the one that was told.
    #[test]
    fn any_legal_sequence_balances(
        steps in proptest::collection::vec(prop_oneof![
            6 => (0u8..4).prop_map(Step::Enter), 5 => Just(Step::Exit), 2 => (0u8..3).prop_map(Step::Resume),
            2 => any::<bool>().prop_map(Step::Suspend), 1 => Just(Step::Instant), 1 => Just(Step::Poll),
        ], 0..1500),
        poll in any::<bool>(),
    ) {
        let (session, mut collector) = session(tiny());
        let main = session.thread("main");
        let symbols: Vec<_> = (0..4).map(|n| main.intern_symbol(SymbolRef::host(["a", "b", "c", "d"][n]))).collect();
        let mut stacks: std::collections::HashMap<TrackId, Vec<(Span, usize)>> = Default::default();
        let mut tracks = [None; 3];
        let (mut hosts, mut current) = (vec![], main.thread_track());
        let (mut sink, mut told) = (RecordingSink::default(), vec![]);
        for step in steps {
            match step {
                Step::Enter(n) => {
                    let n = usize::from(n);
                    stacks.entry(current).or_default().push((main.enter(main.now(), symbols[n], CategoryId::DEFAULT), n));
                    told.push((current, true, n));
                }
                Step::Exit => if let Some((span, n)) = stacks.entry(current).or_default().pop() {
                    main.exit(main.now(), span, Outcome::Ok, 0);
                    told.push((current, false, n));
                },
                Step::Resume(n) => {
                    let track = *tracks[usize::from(n)].get_or_insert_with(|| coroutine(&main, ["x", "y", "z"][usize::from(n)]));
                    if track != current && !hosts.contains(&track) {
                        main.resume(main.now(), track);
                        hosts.push(current);
                        current = track;
                    }
                }
                Step::Suspend(over) => if let Some(host) = hosts.pop() {
                    let reason = if over { SwitchReason::Return } else { SwitchReason::Yield };
                    if over {
                        for (_, n) in stacks.remove(&current).unwrap_or_default().into_iter().rev() {
                            told.push((current, false, n));
                        }
                        for track in tracks.iter_mut().filter(|track| **track == Some(current)) {
                            *track = None;
                        }
                    }
                    main.suspend(main.now(), reason);
                    current = host;
                },
                Step::Instant => main.instant(main.now(), symbols[0], CategoryId::ERROR, Scope::Track, &[]),
                Step::Poll => if poll { collector.poll(&mut sink).unwrap(); },
            }
        }
        drop(main);
        let account = session.finish(collector, &mut sink).unwrap();
        prop_assert!(account.holds(0), "{:?}", account);

        let mut open: std::collections::HashMap<TrackId, Vec<_>> = Default::default();
        let mut heard = vec![];
        let truncated = |outcome| matches!(outcome, Outcome::Truncated);
        for sample in &sink.samples {
            match sample.event {
                Event::Begin(begin) => {
                    let stack = open.entry(sample.track).or_default();
                    prop_assert_eq!(begin.parent, stack.last().copied());
                    stack.push(begin.span);
                    heard.push((sample.track, true, symbols.iter().position(|s| *s == begin.symbol).unwrap()));
                }
                Event::End(end) => {
                    prop_assert_eq!(open.entry(sample.track).or_default().pop(), Some(end.span));
                    if !truncated(end.outcome) {
                        heard.push((sample.track, false, symbols.iter().position(|s| *s == end.symbol).unwrap()));
                    }
                }
                _ => {}
            }
        }
        prop_assert!(open.values().all(Vec::is_empty), "everything that began has ended");
        if account.dropped == 0 {
            // Spans left open at the thread's end are unwound, not told.
            prop_assert!(heard.starts_with(&told), "{:?}\n{:?}", heard, told);
        }
    }
}
