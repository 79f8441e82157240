//! Sources of figures: set up, started, asked, stopped.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use tickscope::{DataSource, Error, Event, MemorySink, Recording, Scope, counter, instant, span};

use crate::story;

/// What happened, in order, by whom.
type Diary = Arc<Mutex<Vec<String>>>;

struct Keeper {
    name: &'static str,
    diary: Diary,
    fails: &'static str,
}

impl Keeper {
    fn write(&self, what: &str) {
        self.diary.lock().expect("no panic").push(format!("{} {what}", self.name));
        if self.fails == what {
            std::panic::resume_unwind(Box::new(()));
        }
    }
}

impl DataSource for Keeper {
    fn setup(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.write("setup");
        if self.fails == "set up" { Err("no such device".into()) } else { Ok(()) }
    }

    fn start(&mut self) {
        self.write("start");
        instant!(scope: Scope::Process, "started", name = self.name);
    }

    fn sample(&mut self) {
        self.write("sample");
        counter!("asked", 1);
    }

    fn stop(&mut self) {
        instant!("stopped", name = self.name);
        self.write("stop");
    }
}

fn keeper(name: &'static str, diary: &Diary, fails: &'static str) -> Keeper {
    Keeper { name, diary: diary.clone(), fails }
}

fn written(diary: &Diary) -> Vec<String> {
    diary.lock().expect("no panic").clone()
}

/// Longer than any test.
const NEVER: Duration = Duration::MAX;

#[test]
fn sources_start_in_order_and_stop_in_reverse_and_record_in_between() {
    let (diary, memory) = (Diary::default(), MemorySink::default());
    let recording = Recording::builder()
        .source("a", NEVER, keeper("a", &diary, ""))
        .source("b", NEVER, keeper("b", &diary, ""))
        .sink("memory", memory.clone())
        .start_apart()
        .unwrap();
    let begun = ["a setup", "b setup", "a start", "b start", "a sample", "b sample"];
    assert_eq!(written(&diary), begun, "all has started when `start` answers");
    {
        let _chosen = recording.on_this_thread();
        let _span = span!("work");
    }
    let summary = recording.stop();
    recording.stop();
    assert_eq!(written(&diary)[6..], ["a sample", "b sample", "b stop", "a stop"]);
    assert!(summary.failed.is_empty() && summary.account.holds(0) && summary.account.discarded == 0);
    let sink = memory.take();
    let mut story = story(&sink);
    story.retain(|line| !line.contains("work"));
    assert_eq!(
        story,
        [
            "instant started Process name=\"a\"",
            "instant started Process name=\"b\"",
            "counter asked Int(1)",
            "counter asked Int(1)",
            "counter asked Int(1)",
            "counter asked Int(1)",
            "instant stopped Track name=\"b\"",
            "instant stopped Track name=\"a\"",
        ]
    );
    let thread =
        sink.samples.iter().find(|sample| matches!(sample.event, Event::Counter { .. })).unwrap().track;
    assert_eq!(&*sink.dictionary.track(thread).name, "tickscope sources");
}

#[test]
fn a_source_is_asked_at_its_interval() {
    let diary = Diary::default();
    let recording = Recording::builder()
        .source("often", Duration::from_millis(1), keeper("often", &diary, ""))
        .source("never", NEVER, keeper("never", &diary, ""))
        .start_apart()
        .unwrap();
    let asked = |name: &str| written(&diary).iter().filter(|line| **line == format!("{name} sample")).count();
    let start = std::time::Instant::now();
    while asked("often") < 20 {
        assert!(start.elapsed() < Duration::from_secs(30), "asked {} times in 30 s", asked("often"));
        std::thread::yield_now();
    }
    drop(recording);
    assert_eq!(asked("never"), 2, "at the start and at the end");
    assert_eq!(written(&diary).last().unwrap(), "often stop");
}

#[test]
fn what_cannot_be_set_up_keeps_the_recording_from_starting() {
    let diary = Diary::default();
    let error = Recording::builder()
        .source("a", NEVER, keeper("a", &diary, ""))
        .source("b", NEVER, keeper("b", &diary, "set up"))
        .source("c", NEVER, keeper("c", &diary, ""))
        .start_apart()
        .unwrap_err();
    assert_eq!(error.to_string(), "the data source b cannot be set up");
    assert!(matches!(&error, Error::Source { source, .. } if source.to_string() == "no such device"));
    assert_eq!(written(&diary), ["a setup", "b setup"], "nothing is started that would have to be stopped");
}

#[test]
fn a_source_that_panics_is_left_out_and_named() {
    for fails in ["start", "sample", "stop"] {
        let diary = Diary::default();
        let recording = Recording::builder()
            .source("a", NEVER, keeper("a", &diary, ""))
            .source("b", NEVER, keeper("b", &diary, fails))
            .source("c", Duration::from_millis(1), keeper("c", &diary, ""))
            .start_apart()
            .unwrap();
        let summary = recording.stop();
        let failed: Vec<_> = summary.failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        assert_eq!(failed, ["b: the data source panicked"], "{fails}");
        let diary = written(&diary);
        let after = diary.iter().position(|line| *line == format!("b {fails}")).unwrap();
        assert!(!diary[after + 1..].iter().any(|line| line.starts_with("b ")), "{diary:?}");
        assert_eq!(diary.last().unwrap(), "a stop");
    }
}

/// Stops its own recording when it is stopped itself.
struct Stopper(Arc<OnceLock<Weak<Recording>>>);

impl DataSource for Stopper {
    fn sample(&mut self) {}

    fn stop(&mut self) {
        if let Some(recording) = self.0.get().and_then(Weak::upgrade) {
            recording.stop();
        }
    }
}

#[test]
fn a_source_stops_the_recording_that_another_thread_is_stopping() {
    let (diary, of) = (Diary::default(), Arc::new(OnceLock::new()));
    let recording = Recording::builder()
        .source("a", NEVER, keeper("a", &diary, ""))
        .source("stopper", NEVER, Stopper(of.clone()))
        .start_apart()
        .unwrap();
    let recording = Arc::new(recording);
    of.set(Arc::downgrade(&recording)).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stoppers: Vec<_> = (0..2)
            .map(|_| {
                let recording = recording.clone();
                std::thread::spawn(move || recording.stop())
            })
            .collect();
        let held = stoppers.into_iter().all(|stopper| stopper.join().unwrap().account.holds(0));
        done.send(held).unwrap();
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(true), "they wait for each other");
    assert_eq!(written(&diary).last().unwrap(), "a stop");
}
