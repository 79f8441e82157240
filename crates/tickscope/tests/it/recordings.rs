//! How recordings begin, are switched, and end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tickscope::{Batch, Error, Event, Flow, MemorySink, Outcome, Recording, Sink, SinkError, span};

use crate::{alone, record, story};

#[test]
fn the_default_recording_sees_all_threads_and_is_the_only_one() {
    let _alone = alone();
    let memory = MemorySink::default();
    let recording = Recording::builder().sink("memory", memory.clone()).start().unwrap();
    assert!(matches!(Recording::builder().start(), Err(Error::InProgress)));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let work = move || {
                for _ in 0..1_000 {
                    let _span = span!("work", thread = n);
                }
            };
            std::thread::Builder::new().name(format!("worker {n}")).spawn(work).unwrap()
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let summary = recording.stop();
    assert_eq!((summary.account.delivered, summary.account.dropped), (8_000, 0));
    assert_eq!(recording.stop().account, summary.account, "stopping twice is stopping once");
    drop(span!("not recorded any more"));
    let sink = memory.take();
    assert!(sink.finished);
    let names: Vec<_> = sink.dictionary.tracks().iter().map(|track| track.name.to_string()).collect();
    assert!((0..4).all(|n| names.contains(&format!("worker {n}"))), "{names:?}");
    let _again = Recording::builder().start().unwrap();
}

#[test]
fn two_recordings_see_only_their_events() {
    static NET: tickscope::Category = tickscope::Category::new("test.two.net", "");
    static DISK: tickscope::Category = tickscope::Category::new("test.two.disk", "");
    let work = || {
        let _net = span!(category: NET, "net");
        let _disk = span!(category: DISK, "disk");
    };
    let (one, two) = (MemorySink::default(), MemorySink::default());
    let first =
        Recording::builder().filter("-*,test.two.net").sink("one", one.clone()).start_apart().unwrap();
    let second =
        Recording::builder().filter("-*,test.two.disk").sink("two", two.clone()).start_apart().unwrap();
    std::thread::scope(|scope| {
        for recording in [&first, &second] {
            scope.spawn(move || {
                let _chosen = recording.on_this_thread();
                work();
            });
        }
    });
    {
        let _outer = first.on_this_thread();
        let around = span!(category: NET, "around");
        let inner = second.on_this_thread();
        work();
        drop(around);
        drop(inner);
        work();
    }
    first.stop();
    second.stop();
    let mut told = story(&one.take());
    told.sort();
    let net = ["begin around[test.two.net]", "begin net[test.two.net]", "begin net[test.two.net]"];
    assert_eq!(told, [&net[..], &["end around", "end net", "end net"]].concat());
    let mut told = story(&two.take());
    told.sort();
    let disk = ["begin disk[test.two.disk]", "begin disk[test.two.disk]", "end disk", "end disk"];
    assert_eq!(told, disk);
}

#[test]
fn switching_from_eight_threads_loses_and_doubles_nothing() {
    static SWITCHED: tickscope::Category = tickscope::Category::new("test.switched", "");
    let _alone = alone();
    let memory = MemorySink::default();
    let recording = Recording::builder().sink("memory", memory.clone()).start().unwrap();
    let (counted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (recording, stop) = (&recording, &stop);
            scope.spawn(move || {
                let mut on = thread % 2 == 0;
                while !stop.load(Ordering::Relaxed) {
                    recording.set_enabled(on);
                    recording.set_categories("test.switched", on);
                    on = !on;
                    std::thread::yield_now();
                }
            });
        }
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let outer = span!(category: SWITCHED, "outer");
                        let inner = span!("inner", n = 1);
                        let recorded = u64::from(outer.is_recorded()) + u64::from(inner.is_recorded());
                        counted.fetch_add(recorded, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        stop.store(true, Ordering::Relaxed);
    });
    let summary = recording.stop();
    assert!(summary.account.holds(0) && summary.account.dropped == 0, "{:?}", summary.account);
    let sink = memory.take();
    let begins = sink.samples.iter().filter(|sample| matches!(sample.event, Event::Begin(_))).count();
    let whole = |event: Event| matches!(event, Event::End(end) if end.outcome == Outcome::Ok);
    let ends = sink.samples.iter().filter(|sample| whole(sample.event)).count();
    let counted = counted.into_inner() as usize;
    assert_eq!((begins, ends), (counted, counted));
}

#[test]
fn dropping_a_recording_writes_its_capture() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program.perfetto-trace");
    {
        let recording = Recording::builder().file(&path).start_apart().unwrap();
        let _chosen = recording.on_this_thread();
        let _span = span!("work", n = 1);
    }
    let file = std::fs::File::open(&path).unwrap();
    let mut reader = tickscope_export::perfetto::Reader::new("program", file).unwrap();
    let mut sink = tickscope::RecordingSink::default();
    tickscope_core::drain(&mut reader, &mut sink).unwrap();
    assert_eq!(story(&sink), ["begin work n=Int(1)", "end work"]);
}

#[test]
fn a_span_open_at_the_stop_is_truncated() {
    let mut left = None;
    let sink = record(|_| left = Some(span!("long")));
    assert_eq!(story(&sink), ["begin long", "end long truncated"]);
    drop(left);
}

#[test]
fn what_cannot_start_says_why() {
    let error = Recording::builder().file("/nonexistent/directory/x").start_apart().unwrap_err();
    assert_eq!(error.to_string(), "cannot write /nonexistent/directory/x");
    let error = Recording::builder().ring_bytes(5).start_apart().unwrap_err();
    assert!(error.to_string().starts_with("ring_bytes is 5; expected"));
}

/// Takes its time.
struct Slow;

impl Sink for Slow {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if !batch.samples.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn a_slow_sink_shows_in_the_overhead_and_not_in_the_spans() {
    let memory = MemorySink::default();
    let recording =
        Recording::builder().sink("memory", memory.clone()).sink("slow", Slow).start_apart().unwrap();
    {
        let _chosen = recording.on_this_thread();
        drop(span!("work"));
    }
    let summary = recording.stop();
    let export = &summary.overhead.operations.export;
    assert!(export.max() >= Duration::from_millis(20) && export.count() >= 1);
    assert!(summary.overhead.share > 0.0 && summary.overhead.operations.pair_ns > 0.0);
    let text = summary.overhead.to_string();
    assert!(text.contains("export") && text.contains("2 attempted, 2 delivered"), "{text}");
}

/// Panics at its first batch.
struct Broken;

impl Sink for Broken {
    fn batch(&mut self, _: &Batch<'_>) -> Result<Flow, SinkError> {
        std::panic::resume_unwind(Box::new("broken"));
    }
}

#[test]
fn a_sink_that_panics_is_reported() {
    let recording = Recording::builder().sink("broken", Broken).start_apart().unwrap();
    {
        let _chosen = recording.on_this_thread();
        drop(span!("work"));
    }
    let summary = recording.stop();
    assert_eq!(summary.failed[0].1.to_string(), "a sink panicked");
}

#[test]
fn a_thread_local_that_outlives_ours_records_nothing_and_does_not_panic() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let _span = span!("late", n = 1);
        }
    }
    thread_local!(static LATE: Late = const { Late });
    let memory = MemorySink::default();
    let recording = Recording::builder().sink("memory", memory.clone()).start_apart().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            LATE.with(|_| ());
            let _chosen = recording.on_this_thread();
            drop(span!("early"));
        });
    });
    recording.stop();
    assert_eq!(story(&memory.take()), ["begin early", "end early"]);
}

#[test]
fn a_capture_keeps_the_place_of_what_was_logged_later() {
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("program.perfetto-trace");
    let live = MemorySink::default();
    let recording = Recording::builder().sink("live", live.clone()).file(&path).start_apart().unwrap();
    {
        let _chosen = recording.on_this_thread();
        let _outer = span!("outer");
        let noted = tickscope::note!("missed", key = 7);
        drop(span!("inner"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _chosen = recording.on_this_thread();
                let _other = span!("other");
                noted.log();
            });
        });
    }
    assert!(recording.stop().failed.is_empty());
    let file = std::fs::File::open(&path).unwrap();
    let mut reader = tickscope_export::perfetto::Reader::new("program", file).unwrap();
    let mut read = tickscope_core::RecordingSink::default();
    tickscope_core::drain(&mut reader, &mut read).unwrap();
    let moments = |sink: &tickscope_core::RecordingSink| -> Vec<(u64, String, String)> {
        let moment = |sample: &tickscope_core::Sample| match sample.event {
            Event::Instant { symbol, args, .. } => Some((
                sample.time_ns,
                sink.dictionary.track(sample.track).name.to_string(),
                format!("{} {:?}", sink.dictionary.symbol(symbol).name, sink.as_batch().args(args)[0].value),
            )),
            _ => None,
        };
        sink.samples.iter().filter_map(moment).collect()
    };
    let live = moments(&live.take());
    assert_eq!(live.len(), 1);
    assert_eq!(moments(&read), live);
}
