//! Tasks of a pool: what caused them, how long they were queued, and what they did.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

#[cfg(feature = "profile")]
use tickscope::profile;
use tickscope::scheduler::Tasks;
use tickscope::{
    ArgValue, Builder, Event, LinkKind, MemorySink, Outcome, Recording, RecordingSink, SamplingConfig,
    TraceContext, context_span, span,
};
use tickscope_core::{SpanId, TrackKind};
use tickscope_scheduler::{Pool, Spawner, Stop, fiber};

use crate::alone;

/// A span as it was recorded.
#[derive(Clone, Debug)]
struct Spanned {
    id: SpanId,
    name: String,
    category: String,
    track: (TrackKind, String),
    /// The span around it on its track.
    around: Option<SpanId>,
    link: Option<(LinkKind, SpanId)>,
    args: HashMap<String, u64>,
    begin_ns: u64,
    end_ns: u64,
    outcome: Outcome,
}

/// A capture, to be asked who caused what.
struct Record {
    spans: Vec<Spanned>,
    /// What a link point was inside of.
    points: HashMap<SpanId, Option<SpanId>>,
}

impl Record {
    fn of(sink: &RecordingSink) -> Self {
        let names = &sink.dictionary;
        let (mut spans, mut points) = (Vec::<Spanned>::new(), HashMap::new());
        for sample in &sink.samples {
            match sample.event {
                Event::Begin(begin) => {
                    let track = names.track(sample.track);
                    let number = |arg: &tickscope_core::Arg| match arg.value {
                        ArgValue::Uint(number) => Some((names.key(arg.key).to_owned(), number)),
                        _ => None,
                    };
                    spans.push(Spanned {
                        id: begin.span,
                        name: names.symbol(begin.symbol).name.to_string(),
                        category: names.category(begin.category).name.to_string(),
                        track: (track.kind, track.name.to_string()),
                        around: begin.parent,
                        link: begin.link.map(|link| (link.kind, link.source)),
                        args: sink.as_batch().args(begin.args).iter().filter_map(number).collect(),
                        begin_ns: sample.time_ns,
                        end_ns: 0,
                        outcome: Outcome::Truncated,
                    });
                }
                Event::End(end) => {
                    let span = spans.iter_mut().find(|span| span.id == end.span).expect("an end has a begin");
                    (span.end_ns, span.outcome) = (sample.time_ns, end.outcome);
                }
                Event::LinkPoint { id, span } => {
                    points.insert(id, span);
                }
                _ => {}
            }
        }
        Self { spans, points }
    }

    /// The spans of tasks whose name ends so, in the order of time.
    fn parts(&self, name: &str) -> Vec<&Spanned> {
        let of = |span: &&Spanned| span.category == "task" && span.name.ends_with(name);
        let mut parts: Vec<_> = self.spans.iter().filter(of).collect();
        parts.sort_by_key(|span| span.begin_ns);
        parts
    }

    fn span(&self, id: SpanId) -> &Spanned {
        self.spans.iter().find(|span| span.id == id).expect("a span that is linked to is there")
    }

    /// What a span was caused by, and how.
    fn cause(&self, span: &Spanned) -> (LinkKind, &Spanned) {
        let (kind, source) = span.link.unwrap_or_else(|| panic!("{span:?} has no cause"));
        let around = self.points[&source].expect("it was caused inside a span");
        (kind, self.span(around))
    }
}

/// Runs `program` with a pool that is recorded, and reads the capture back.
fn record(program: impl FnOnce(&Pool)) -> Record {
    record_with_workers(2, program)
}

fn record_with_workers(workers: usize, program: impl FnOnce(&Pool)) -> Record {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tasks.perfetto-trace");
    let memory = MemorySink::default();
    let recording =
        Recording::builder().file(&path).sink("memory", memory.clone()).start().expect("a legal setup");
    let pool =
        Pool::builder().workers(workers).observer(Tasks::new(&recording)).build().expect("a few threads");
    program(&pool);
    let counters = pool.stop(Stop::Drain);
    assert_eq!(counters.live(), 0);
    let summary = recording.stop();
    assert!(summary.account.holds(0) && summary.account.discarded == 0, "{:?}", summary.account);
    assert_eq!((summary.account.dropped, summary.failed.len()), (0, 0), "{summary:?}");
    let file = std::fs::File::open(&path).expect("the capture");
    let mut reader = tickscope_export::perfetto::Reader::new("tasks", file).expect("a capture");
    let mut sink = RecordingSink::default();
    tickscope_core::drain(&mut reader, &mut sink).expect("all of it");
    assert_eq!(sink.samples.len(), memory.take().samples.len());
    let record = Record::of(&sink);
    let open = record.spans.iter().find(|span| span.outcome == Outcome::Truncated);
    assert!(open.is_none(), "{open:?} never ended");
    record
}

fn first(spawner: Spawner) -> impl FnOnce() + Send {
    move || {
        let inner = spawner.clone();
        let _work = span!("work of first");
        spawner.spawn(second(inner)).join().expect("it returns");
    }
}

fn second(spawner: Spawner) -> impl FnOnce() + Send {
    move || drop(spawner.spawn(third()))
}

fn third() -> impl FnOnce() + Send {
    || drop(span!("work of third"))
}

#[test]
fn a_spawns_b_spawns_c() {
    let record = record(|pool| {
        let request = span!("request");
        let task = pool.spawn(first(pool.spawner()));
        drop(request);
        task.join().unwrap();
    });
    let [first, second, third] = ["tasks::first", "tasks::second", "tasks::third"].map(|name| {
        let parts = record.parts(name);
        assert_eq!(parts.len(), 1, "{name}");
        parts[0].clone()
    });
    let (kind, request) = record.cause(&first);
    assert_eq!((kind, &*request.name), (LinkKind::Task, "request"));
    let (kind, work) = record.cause(&second);
    assert_eq!((kind, &*work.name, work.around), (LinkKind::Task, "work of first", Some(first.id)));
    let (kind, cause) = record.cause(&third);
    assert_eq!((kind, cause.id), (LinkKind::Task, second.id));
    for task in [&first, &second, &third] {
        assert!(task.args.contains_key("waited_ns"), "{task:?}");
        assert_eq!((task.outcome, task.track.0), (Outcome::Ok, TrackKind::Thread));
        assert!(task.track.1.starts_with("worker-"), "{task:?}");
    }
    let inside = record.spans.iter().find(|span| span.name == "work of third").unwrap();
    assert_eq!(inside.around, Some(third.id));
}

#[test]
fn queued_and_run_are_apart() {
    let record = record(|pool| {
        let spawner = pool.spawner();
        // One worker's whole life: the second task is queued for as long as the first runs.
        let doors: Vec<_> =
            (0..2).map(|_| pool.spawn(|| std::thread::sleep(Duration::from_millis(3)))).collect();
        drop(spawner.spawn(third()));
        doors.into_iter().for_each(|door| door.join().unwrap());
    });
    let third = &record.parts("tasks::third")[0];
    let (_, source) = third.link.unwrap();
    assert!(record.points.contains_key(&source), "spawned outside of spans, and still linked");
    assert!(third.args["waited_ns"] > 0);
}

async fn waits(spawner: Spawner) {
    drop(span!("before"));
    spawner.sleep(Duration::from_millis(2)).await;
    let task = spawner.spawn(third());
    task.await.expect("it returns");
    drop(span!("after"));
}

#[test]
fn a_future_keeps_its_cause_over_timers_and_wakes() {
    let record = record(|pool| {
        let _request = span!("request");
        pool.spawn_future(waits(pool.spawner())).join().unwrap();
    });
    let parts = record.parts("tasks::waits");
    assert!(parts.len() >= 2, "{parts:?}");
    let (kind, request) = record.cause(parts[0]);
    assert_eq!((kind, &*request.name), (LinkKind::Task, "request"));
    for pair in parts.windows(2) {
        let (kind, before) = record.cause(pair[1]);
        assert_eq!((kind, before.id), (LinkKind::Await, pair[0].id));
        assert_eq!(pair[0].args["task"], pair[1].args["task"]);
        assert!(pair[0].end_ns <= pair[1].begin_ns);
        assert!(!pair[1].args.contains_key("waited_ns"));
    }
    // The timer was waited for between the first two.
    assert!(parts[1].begin_ns - parts[0].end_ns >= 1_000_000, "{parts:?}");
    let third = &record.parts("tasks::third")[0];
    assert_eq!(record.cause(third).1.id, parts[1].id);
    for (name, part) in [("before", parts[0]), ("after", parts[parts.len() - 1])] {
        let span = record.spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(span.around, Some(part.id));
    }
}

fn sleeps(spawner: Spawner) -> impl FnOnce() + Send {
    move || {
        let held = span!("held");
        fiber::sleep(Duration::from_millis(2));
        drop(spawner.spawn(third()));
        fiber::yield_now();
        drop(held);
    }
}

#[test]
fn a_fiber_has_a_track_on_which_it_waits() {
    let record = record(|pool| {
        let _request = span!("request");
        pool.spawn_fiber(sleeps(pool.spawner())).join().unwrap();
    });
    let parts = record.parts("tasks::sleeps");
    assert!(parts.len() >= 3, "{parts:?}");
    assert_eq!(record.cause(parts[0]).1.name, "request");
    for pair in parts.windows(2) {
        let (kind, before) = record.cause(pair[1]);
        // The point is on the worker's track, after the fiber's own was left.
        assert_eq!((kind, before.id), (LinkKind::Await, pair[0].id));
    }
    let held = record.spans.iter().find(|span| span.name == "held").unwrap();
    assert_eq!((held.track.0, held.outcome), (TrackKind::Fiber, Outcome::Ok));
    assert!(held.track.1.ends_with("tasks::sleeps"), "{held:?}");
    assert!(held.begin_ns <= parts[0].end_ns && parts[parts.len() - 1].begin_ns <= held.end_ns);
    let awaits: Vec<_> = record.spans.iter().filter(|span| span.category == "await").collect();
    assert_eq!(awaits.len(), parts.len() - 1);
    assert!(awaits.iter().all(|wait| wait.around == Some(held.id) && wait.track == held.track));
    assert!(awaits[0].end_ns - awaits[0].begin_ns >= 1_000_000, "{awaits:?}");
    let third = &record.parts("tasks::third")[0];
    assert_eq!(record.cause(third).1.id, held.id);
}

fn panics() {
    let _work = span!("work");
    panic!("it does");
}

fn waits_for_ever(begun: Sender<()>) -> impl FnOnce() + Send {
    move || {
        let _held = span!("held");
        begun.send(()).expect("somebody waits");
        fiber::block_on(std::future::pending::<()>());
    }
}

#[test]
fn panics_and_cancelled_fibers_end_their_spans() {
    let record = record(|pool| {
        assert!(pool.spawn(panics).join().is_err());
        let (begun, has_begun) = channel();
        let task = pool.spawn_fiber(waits_for_ever(begun));
        has_begun.recv().unwrap();
        assert!(task.cancel());
        assert!(task.join().is_err());
    });
    let outcome = |name: &str| record.spans.iter().find(|span| span.name == name).unwrap().outcome;
    assert!(record.parts("tasks::panics").iter().all(|part| part.outcome == Outcome::Unwound));
    assert_eq!((outcome("work"), outcome("held")), (Outcome::Unwound, Outcome::Unwound));
    // It is resumed to unwind its stack, unless it was cancelled before it had begun to wait.
    let parts = record.parts("tasks::waits_for_ever");
    assert_eq!(parts.last().unwrap().outcome, Outcome::Error, "{parts:?}");
}

#[test]
fn a_pool_outlives_its_recording() {
    let _alone = alone();
    let recording = Recording::builder().start().unwrap();
    let pool = Pool::builder().workers(1).observer(Tasks::new(&recording)).build().unwrap();
    pool.spawn(third()).join().unwrap();
    let (begun, open) = (channel(), channel::<()>());
    let task = pool.spawn_fiber(move || {
        begun.0.send(()).unwrap();
        fiber::sleep(Duration::from_millis(1));
        open.1.recv().unwrap();
    });
    begun.1.recv().unwrap();
    let summary = recording.stop();
    assert!(summary.account.holds(0) && summary.failed.is_empty(), "{summary:?}");
    open.0.send(()).unwrap();
    task.join().unwrap();
    // Another recording is not told of this pool's tasks.
    let memory = MemorySink::default();
    let other = Recording::builder().sink("memory", memory.clone()).start().unwrap();
    pool.spawn(third()).join().unwrap();
    drop(pool);
    other.stop();
    let record = Record::of(&memory.take());
    assert_eq!(record.spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["work of third"]);
}

/// What a pool of one worker records with head sampling, and none of it never ended.
fn sampled(builder: Builder, program: impl FnOnce(&Pool)) -> Record {
    let _alone = alone();
    let memory = MemorySink::default();
    let sampling = SamplingConfig { rate: 0.5, ..SamplingConfig::default() };
    let recording = builder.sampling(sampling).sink("memory", memory.clone()).start().expect("a legal setup");
    let pool = Pool::builder().workers(1).observer(Tasks::new(&recording)).build().expect("a thread");
    program(&pool);
    assert_eq!(pool.stop(Stop::Drain).live(), 0);
    recording.stop();
    let record = Record::of(&memory.take());
    let open = record.spans.iter().find(|span| span.outcome == Outcome::Truncated);
    assert!(open.is_none(), "{open:?} never ended");
    record
}

fn below() {
    drop(span!("below"));
}

fn spans_between_turns(inner: Spawner) -> impl FnOnce() + Send {
    move || {
        let root = span!("root");
        fiber::yield_now();
        let task = inner.spawn(below);
        drop(span!("child"));
        fiber::yield_now();
        drop(root);
        drop(span!("sibling"));
        task.join().expect("it returns");
    }
}

#[test]
fn with_sampling_a_task_is_kept_or_dropped_whole() {
    const TASKS: usize = 200;
    let record = sampled(Recording::builder(), |pool| {
        let (open, door) = channel::<()>();
        // None begins before all are there: they take turns.
        drop(pool.spawn(move || door.recv().expect("it is opened")));
        let tasks: Vec<_> =
            (0..TASKS).map(|_| pool.spawn_fiber(spans_between_turns(pool.spawner()))).collect();
        open.send(()).unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    let parts = record.parts("tasks::spans_between_turns");
    let kept: HashSet<_> = parts.iter().map(|part| part.args["task"]).collect();
    assert!((50..150).contains(&kept.len()), "100 expected, 7 sigma: {}", kept.len());
    for name in ["root", "child", "sibling", "below"] {
        let found = record.spans.iter().filter(|span| span.name == name).count();
        assert_eq!(found, kept.len(), "{name}");
    }
}

/// Numbers of two traces, the first left out at a rate of one half, the other kept.
fn two_traces() -> [u64; 2] {
    let kept =
        |trace: u64| !sampled(Recording::builder(), |_| drop(span!(trace: trace, "trace"))).spans.is_empty();
    [false, true].map(|wanted| (0..64).find(|trace| kept(*trace) == wanted).expect("one of 64"))
}

#[test]
fn fibers_that_take_turns_leave_sampling_as_it_was() {
    let [dropped, kept] = two_traces();
    // The tasks themselves are off: each span is a root.
    let record = sampled(Recording::builder().filter("*,-task"), |pool| {
        let (open, door) = channel::<()>();
        drop(pool.spawn(move || door.recv().expect("it is opened")));
        let root = |trace: u64, turns: usize| {
            move || {
                let _root = span!(trace: trace, "root", trace = trace);
                (0..turns).for_each(|_| fiber::yield_now());
                drop(span!("inside"));
            }
        };
        // The first ends before the second, which began inside its time.
        let tasks = [root(dropped, 1), root(kept, 4)].map(|body| pool.spawn_fiber(body));
        open.send(()).unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        pool.spawn(move || drop(span!(trace: kept, "later"))).join().unwrap();
    });
    let names: Vec<_> = record.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["root", "inside", "later"]);
    assert_eq!(record.spans[0].args["trace"], kept);
}

/// The trace it works in once it has begun its own span.
fn works_alone() -> u128 {
    assert_eq!(TraceContext::current(), None);
    let span = context_span!("alone");
    assert!(span.context().baggage().is_empty());
    span.context().trace_id()
}

/// Works in a trace with baggage while `wait` waits, and in that still when it goes on.
fn works_with_baggage(wait: impl FnOnce()) -> u128 {
    let mut context = TraceContext::root(true);
    context.baggage_mut().insert("customer", "7").expect("legal baggage");
    let span = context_span!(from: context, "first");
    wait();
    assert_eq!(TraceContext::current().as_ref(), Some(span.context()));
    span.context().trace_id()
}

#[test]
fn a_task_on_the_stack_of_one_that_waits_has_a_trace_of_its_own() {
    record(|pool| {
        let _outside = TraceContext::root(true).enter();
        let spawner = pool.spawner();
        let task = pool.spawn(move || {
            let mut inner = 0;
            let outer = works_with_baggage(|| {
                let tasks: Vec<_> = (0..64).map(|_| spawner.spawn(works_alone)).collect();
                tasks.into_iter().for_each(|task| inner = task.join().unwrap());
            });
            assert_ne!(inner, outer);
            assert_eq!(TraceContext::current(), None);
        });
        task.join().unwrap();
    });
}

#[test]
fn fibers_that_take_turns_work_each_in_its_own_trace() {
    record(|pool| {
        let (open, door) = channel::<()>();
        drop(pool.spawn(move || door.recv().expect("it is opened")));
        let tasks: Vec<_> = (0..16)
            .map(|_| pool.spawn_fiber(|| works_with_baggage(|| (0..3).for_each(|_| fiber::yield_now()))))
            .collect();
        let alone: Vec<_> = (0..16).map(|_| pool.spawn(works_alone)).collect();
        open.send(()).unwrap();
        let traces: HashSet<_> = tasks.into_iter().chain(alone).map(|task| task.join().unwrap()).collect();
        assert_eq!(traces.len(), 32);
    });
}

#[cfg(feature = "profile")]
#[test]
fn fibers_that_take_turns_end_each_its_own_call() {
    #[profile(min_duration = "100s", args(first = first))]
    fn call(first: bool) {
        drop(span!("inside"));
        (0..if first { 1 } else { 4 }).for_each(|_| fiber::yield_now());
    }
    // That none is left open is seen there.
    let record = record_with_workers(1, |pool| {
        let (open, door) = channel::<()>();
        drop(pool.spawn(move || door.recv().expect("it is opened")));
        let tasks = [true, false].map(|first| pool.spawn_fiber(move || call(first)));
        open.send(()).unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    let named = |name: &str| {
        record.spans.iter().filter(|span| span.name.ends_with(name)).cloned().collect::<Vec<_>>()
    };
    let (calls, inside) = (named("::call"), named("inside"));
    assert_eq!((calls.len(), inside.len()), (2, 2));
    for (call, inside) in calls.iter().zip(&inside) {
        assert_eq!((call.outcome, inside.around), (Outcome::Ok, Some(call.id)));
    }
}
