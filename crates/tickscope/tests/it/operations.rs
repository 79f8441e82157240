//! Spans that belong to no thread.

use tickscope::{Event, Track, async_span, counter, instant, note, span};

use crate::{check, record, story};

#[test]
fn an_operation_ends_on_another_thread() {
    let sink = record(|_| {
        let mut download = async_span!("download", bytes = 3);
        download.arg("url", "a/b");
        let worker = std::thread::spawn(move || {
            instant!("not recorded: this thread was not told to");
            tickscope::args!(download, parts = 2);
            download.fail();
        });
        worker.join().unwrap();
    });
    assert_eq!(
        story(&sink),
        [
            "async download: begin download[task] bytes=Int(3)",
            "async download: end download error url=\"a/b\" parts=Int(2)"
        ]
    );
    let rings: std::collections::BTreeSet<_> = sink
        .samples
        .iter()
        .filter(|sample| matches!(sample.event, Event::Begin(_) | Event::End(_)))
        .map(|sample| sample.ring)
        .collect();
    assert_eq!(rings.len(), 2);
}

#[test]
fn operations_at_the_same_time_have_tracks_of_their_own() {
    let sink = record(|_| {
        let first = async_span!("get");
        let second = async_span!("get");
        let inner = span!(on: &first, "parse", n = 1);
        drop(second);
        instant!(on: &first, "half");
        drop(inner);
    });
    let tracks: std::collections::BTreeSet<_> = sink
        .samples
        .iter()
        .filter_map(|sample| matches!(sample.event, Event::Begin(_)).then_some(sample.track))
        .collect();
    assert_eq!(tracks.len(), 2);
    let parents = sink.samples.iter().filter(|s| matches!(s.event, Event::Begin(b) if b.parent.is_some()));
    assert_eq!(parents.count(), 1);
    assert!(story(&sink).contains(&"async get: instant half Track".to_owned()));
}

#[test]
fn a_named_track_has_its_name() {
    static GPU: Track = Track::new("gpu queue");
    check(
        |_| {
            let _frame = span!(on: &GPU, "frame", number = 7);
            let _pass = span!(on: &GPU, "pass");
            counter!(on: &GPU, "length", 3);
        },
        &[
            "custom gpu queue: begin frame number=Int(7)",
            "custom gpu queue: begin pass",
            "custom gpu queue: counter length Int(3)",
            "custom gpu queue: end pass",
            "custom gpu queue: end frame",
        ],
    );
}

#[test]
fn a_thousand_operations_over_threads_all_end() {
    let sink = record(|recording| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || receive.into_iter().for_each(drop));
            scope.spawn(move || {
                let _chosen = recording.on_this_thread();
                for n in 0..1_000 {
                    send.send(async_span!("job", n = n)).unwrap();
                }
            });
        });
    });
    let ended = sink
        .samples
        .iter()
        .filter(|s| matches!(s.event, Event::End(e) if e.outcome == tickscope::Outcome::Ok));
    assert_eq!(ended.count(), 1_000);
}

#[test]
fn a_moment_noted_here_and_logged_elsewhere_stands_here() {
    let sink = record(|recording| {
        let text = String::from("né");
        let noted = {
            let _outer = span!("outer");
            let noted = note!("missed", table = &text, key = -7, share = 0.5, cold = true);
            let forgotten = note!("forgotten");
            assert!(forgotten.is_noted() && !note!(if: false, "not noted").is_noted());
            noted
        };
        instant!("after");
        let gap = std::time::Instant::now();
        while gap.elapsed() < std::time::Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        std::thread::scope(|scope| {
            let logger = scope.spawn(move || {
                let _chosen = recording.on_this_thread();
                instant!("logging");
                noted.log();
                instant!("logged");
            });
            logger.join().unwrap();
        });
    });
    let place = |name: &str| {
        let found = sink.samples.iter().find(|sample| match sample.event {
            Event::Begin(tickscope_core::Begin { symbol, .. }) | Event::Instant { symbol, .. } => {
                &*sink.dictionary.symbol(symbol).name == name
            }
            _ => false,
        });
        let sample = found.unwrap();
        (sample.track, sample.time_ns)
    };
    let ((track, missed), (here, begun), (_, after)) = (place("missed"), place("outer"), place("after"));
    assert_eq!(track, here);
    assert!(begun <= missed && missed <= after, "{begun} {missed} {after}");
    let ((there, logging), (_, logged)) = (place("logging"), place("logged"));
    assert_ne!(there, here);
    assert!(missed + 2_000_000 <= logging && logging <= logged);
    let story = story(&sink);
    let line = "instant missed Track table=\"né\" key=Int(-7) share=Float(0.5) cold=Bool(true)";
    assert_eq!(story.iter().filter(|known| *known == line).count(), 1);
    assert!(!story.iter().any(|line| line.contains("forgotten")));
}

#[test]
fn a_moment_of_a_recording_that_is_over_is_logged_nowhere() {
    let mut kept = tickscope::Noted::none();
    record(|_| kept = note!("late"));
    let sink = record(|_| kept.log());
    assert!(story(&sink).is_empty());
}
