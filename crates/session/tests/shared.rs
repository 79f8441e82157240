//! Sessions in files: one process records, another collects, and either may be gone at any moment.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use tickscope_core::{
    ArgInput, Batch, CategoryId, Depth, Event, Flow, Metadata, Outcome, Progress, Recorder, RecordingSink,
    Sink, SinkError, Source, SymbolRef,
};
use tickscope_session::{Collector, Config, ConfigError, OpenError, PART, Session, ThreadRecorder};

/// Set in the environment of the process that records: where, and what it does.
const PLACE: &str = "TICKSCOPE_TEST_SESSION";

fn config() -> Config {
    Config { ring_bytes: 64 << 10, threads: 4, arena_bytes: 256 << 10, ..Config::default() }
}

/// A place for a session of this test.
fn place(name: &str) -> PathBuf {
    let folder =
        if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    folder.join(format!("tickscope-test-{}-{name}", std::process::id()))
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn span(recorder: &ThreadRecorder, name: &str) {
    let symbol = recorder.intern_symbol(SymbolRef::host(name));
    let key = recorder.intern_key("player");
    let span = recorder.enter_with(
        recorder.now(),
        symbol,
        CategoryId::DEFAULT,
        None,
        &[(key, ArgInput::Text("somebody"))],
    );
    recorder.exit(recorder.now(), span, Outcome::Ok, 7);
}

/// Not a test of its own: what the process that records does. It says `recording` and records until it is killed.
#[test]
fn records_until_it_is_killed() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let session = Session::create(Path::new(&path), "victim", config()).expect("a session");
    let recorder = session.thread("main");
    for index in 0..1_000 {
        span(&recorder, &format!("work {}", index % 10));
    }
    let left_open = recorder.intern_symbol(SymbolRef::host("never ends"));
    recorder.enter(recorder.now(), left_open, CategoryId::DEFAULT);
    println!("recording");
    std::io::stdout().flush().expect("standard output");
    loop {
        span(&recorder, "more");
    }
}

fn victim(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("the test's own path"))
        .args(["--exact", "records_until_it_is_killed", "--nocapture"])
        .env(PLACE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test again");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.ends_with("recording"))), "it never recorded");
    child
}

fn collect(mut collector: Collector, sink: &mut RecordingSink) -> tickscope_core::Account {
    sink.open(collector.metadata()).expect("a sink that takes all");
    collector.close();
    while !matches!(collector.poll(sink).expect("a sink that takes all"), Progress::End) {}
    collector.account()
}

#[test]
fn what_was_committed_outlives_a_process_that_is_killed() {
    for round in 0..5 {
        let path = place(&format!("killed-{round}"));
        let _removed = Removed(path.clone());
        let mut child = victim(&path);
        child.kill().expect("it runs");
        child.wait().expect("it ran");

        let collector = Collector::open(&path, Metadata::default()).expect("its session");
        assert_eq!(collector.program(), "victim");
        assert_eq!(collector.metadata().pid, child.id());
        let mut sink = RecordingSink::default();
        let account = collect(collector, &mut sink);
        let in_flight = account.attempted - account.committed - account.dropped;
        assert!(in_flight <= 1, "{account:?}");
        assert_eq!(account.committed, account.delivered + account.discarded);
        assert!(account.delivered >= 2_000);
        let names: Vec<&str> = sink.dictionary.symbols().iter().map(|symbol| symbol.as_ref().name).collect();
        assert!(names.contains(&"work 9") && names.contains(&"never ends"), "{names:?}");
        let open = sink
            .samples
            .iter()
            .filter(|sample| matches!(sample.event, Event::End(end) if end.outcome == Outcome::Truncated));
        assert!(open.count() >= 1, "what was open when it died ends as truncated");
    }
}

#[test]
fn a_collector_that_goes_leaves_the_program_alone_and_another_goes_on() {
    let path = place("collector");
    let _removed = Removed(path.clone());
    let session = Session::create(&path, "server", config()).unwrap();
    let recorder = session.thread("main");
    let mut first = Collector::open(&path, Metadata::default()).unwrap();
    span(&recorder, "seen by the first");
    let name = recorder.intern_symbol(SymbolRef::host("open when it goes"));
    let open = recorder.enter(recorder.now(), name, CategoryId::DEFAULT);
    let mut sink = RecordingSink::default();
    first.poll(&mut sink).unwrap();
    assert_eq!(sink.samples.iter().filter(|sample| matches!(sample.event, Event::Begin { .. })).count(), 2);
    drop(first);
    recorder.exit(recorder.now(), open, Outcome::Ok, 0);
    for _ in 0..100_000 {
        span(&recorder, "far more than a ring holds");
    }
    // What the first one took is not the second's, whatever becomes of it.
    let mut sink = RecordingSink::default();
    let second = Collector::open(&path, Metadata::default()).unwrap();
    assert_eq!(second.metadata().facts, [(PART.to_owned(), "2".to_owned())]);
    let account = collect(second, &mut sink);
    assert!(account.holds(0), "{account:?}");
    // Gaps are told of where there is room for that.
    let gaps = account.attempted - (1 + 2 * 100_000);
    assert!(gaps < 10, "{account:?}");
    assert_eq!(account.discarded, 1, "the end of what was open");
    assert!(account.dropped > 100_000 && account.delivered > 1_000, "{account:?}");
    let names: Vec<&str> = sink.dictionary.symbols().iter().map(|symbol| symbol.as_ref().name).collect();
    assert!(names.contains(&"seen by the first"), "names are read from the beginning: {names:?}");
    // The second one was closed. What comes then is the third's.
    for _ in 0..10 {
        span(&recorder, "the rest");
    }
    let account =
        collect(Collector::open(&path, Metadata::default()).unwrap(), &mut RecordingSink::default());
    assert_eq!((account.delivered, account.dropped), (20 + 1, 0), "with the last gap");
    assert!(account.holds(0), "{account:?}");
}

/// A session whose collectors are killed, one after the other, while threads come and go.
#[test]
fn collectors_that_die_anywhere_leave_nothing_unaccounted_for() {
    let path = place("relay");
    let _removed = Removed(path.clone());
    let session = Session::create(&path, "server", config()).unwrap();
    let (mut spans, mut taken) = (0, 0);
    let stays = session.thread("stays");
    for round in 0..40 {
        let mut collector = Collector::open(&path, Metadata::default()).unwrap();
        let mut sink = RecordingSink::default();
        for poll in 0..4 {
            let goes = session.thread("goes");
            for work in 0..(round * 37 + poll * 13) % 200 {
                span(if work % 3 == 0 { &goes } else { &stays }, "work");
                spans += 1;
            }
            drop(goes);
            // The last thread of a round is still there for the next.
            if poll < 3 {
                collector.poll(&mut sink).unwrap();
            }
        }
        let ends = |sample: &&tickscope_core::Sample| matches!(sample.event, Event::End(_));
        taken += sink.samples.iter().filter(ends).count();
    }
    let mut sink = RecordingSink::default();
    let account = collect(Collector::open(&path, Metadata::default()).unwrap(), &mut sink);
    assert!(account.holds(0), "{account:?}");
    taken += sink.samples.iter().filter(|sample| matches!(sample.event, Event::End(_))).count();
    assert_eq!((taken, account.dropped), (spans, 0));
}

#[test]
fn the_collector_asks_for_a_depth_and_hears_of_the_end() {
    let path = place("depth");
    let _removed = Removed(path.clone());
    let mut config = config();
    config.metadata.depth = Depth::Trace;
    let session = Session::create(&path, "server", config).unwrap();
    assert_eq!(session.depth().get(), Depth::Trace);
    let collector = Collector::open(&path, Metadata::default()).unwrap();
    assert_eq!(collector.metadata().depth, Depth::Trace);
    for depth in Depth::ALL {
        collector.want_depth(depth);
        assert_eq!(session.depth().get(), depth);
    }
    assert!(!collector.is_finished());
    session.close();
    assert!(collector.is_finished());
}

#[test]
fn what_is_no_session_is_refused_by_name() {
    let path = place("refused");
    let _removed = Removed(path.clone());
    let refusal = |contents: &[u8]| {
        std::fs::write(&path, contents).unwrap();
        Collector::open(&path, Metadata::default()).unwrap_err().to_string()
    };
    assert!(refusal(b"").ends_with("it is too short"));
    assert!(refusal(&[0; 8_192]).ends_with("it does not begin as one"));
    std::fs::remove_file(&path).unwrap();
    let session = Session::create(&path, "server", config()).unwrap();
    let taken = Session::create(&path.join("below a file"), "server", config()).unwrap_err();
    assert!(matches!(taken, ConfigError::Memory(_)), "{taken}");
    drop(session);
    let whole = std::fs::read(&path).unwrap();
    assert!(refusal(&whole[..whole.len() / 2]).ends_with("its sizes contradict each other"));
    let mut newer = whole.clone();
    newer[8] = 99;
    std::fs::write(&path, newer).unwrap();
    let error = Collector::open(&path, Metadata::default()).unwrap_err();
    assert!(matches!(error, OpenError::Version { found: 99, .. }), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = Collector::open(&path, Metadata::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

/// A file system with room for the head and little more: names and rings are refused, nothing is killed.
#[test]
fn a_full_file_system_refuses_and_counts() {
    let folder = place("full");
    std::fs::create_dir_all(&folder).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=700k", "tickscope-test"])
        .arg(&folder)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("skipped: a full file system: mounting a small one takes root");
        return;
    }
    let path = folder.join("session");
    let result = std::panic::catch_unwind(|| {
        let session = Session::create(&path, "server", Config { ring_bytes: 256 << 10, ..config() }).unwrap();
        let recorders: Vec<_> = (0..4).map(|index| session.thread(&format!("thread {index}"))).collect();
        for recorder in &recorders {
            for index in 0..100 {
                span(recorder, &format!("work {index}"));
            }
        }
        let mut sink = RecordingSink::default();
        collect(Collector::open(&path, Metadata::default()).unwrap(), &mut sink)
    });
    let unmounted = Command::new("umount").arg(&folder).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    std::fs::remove_dir(&folder).unwrap();
    let account = result.expect("nothing panics");
    assert_eq!(account.attempted, 800);
    assert!(account.delivered >= 200 && account.dropped >= 200, "{account:?}");
    assert_eq!(account.attempted, account.delivered + account.discarded + account.dropped);
}

/// The head's counts, the directory, the begin of the arena, and the first ring's head and slots.
fn where_it_hurts() -> impl Strategy<Value = usize> {
    let arena = 4_096_usize + 65_536;
    let ring = arena + (256 << 10);
    prop_oneof![48usize..512, 4_096usize..4_200, arena..arena + 4_096, ring..ring + 256, ring..ring + 8_192]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever a program gone mad writes over its session, the collector comes to an end.
    #[test]
    fn a_scribbled_session_harms_no_collector(
        scribbles in prop::collection::vec((where_it_hurts(), prop::collection::vec(any::<u8>(), 1..16)), 1..24),
    ) {
        let path = place("scribbled");
        let _removed = Removed(path.clone());
        let session = Session::create(&path, "server", config()).unwrap();
        let recorder = session.thread("main");
        for index in 0..200 {
            span(&recorder, &format!("work {index}"));
        }
        let mut contents = std::fs::read(&path).unwrap();
        drop((recorder, session));
        for (at, bytes) in scribbles {
            let end = (at + bytes.len()).min(contents.len());
            contents[at..end].copy_from_slice(&bytes[..end - at]);
        }
        std::fs::write(&path, contents).unwrap();
        if let Ok(collector) = Collector::open(&path, Metadata::default()) {
            collect(collector, &mut RecordingSink::default());
        }
    }
}

#[derive(Default)]
struct Counting(usize);

impl Sink for Counting {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.0 += batch.samples.len();
        Ok(Flow::Continue)
    }
}

/// As above, while it is being collected: what was looked at is another the next moment.
#[test]
fn a_session_that_is_scribbled_on_meanwhile_harms_no_collector() {
    for round in 0..4_u64 {
        let path = place(&format!("scribbled-live-{round}"));
        let _removed = Removed(path.clone());
        let session = Session::create(&path, "server", config()).unwrap();
        let recorder = session.thread("main");
        for index in 0..2_000 {
            span(&recorder, &format!("work {}", index % 50));
        }
        let mut collector = Collector::open(&path, Metadata::default()).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        drop((recorder, session));
        let done = Arc::new(AtomicBool::new(false));
        let mut sink = Counting::default();
        let stop = done.clone();
        let scribbler = std::thread::spawn(move || {
            // Places and bytes by Marsaglia's xorshift.
            let mut random = 0x9E37_79B9_7F4A_7C15_u64 ^ round;
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            let arena = 4_096 + 16_384;
            let ring = arena + (256 << 10);
            let places =
                [(48, 512), (4_096, 512), (arena, 4_096), (ring, 256), (ring, 256), (ring, 64 << 10)];
            while !stop.load(Ordering::Relaxed) {
                let (begin, length) = places[next() as usize % places.len()];
                let bytes = next().to_le_bytes();
                let bytes = &bytes[..1 + next() as usize % 8];
                file.write_all_at(bytes, begin + next() % length).unwrap();
            }
        });
        for _ in 0..300 {
            collector.poll(&mut sink).unwrap();
            // What four rings hold, and as many ends of spans that were open.
            assert!(std::mem::take(&mut sink.0) <= 4 * 2 * (64 << 10) / 16);
        }
        done.store(true, Ordering::Relaxed);
        scribbler.join().expect("it only writes");
        collector.close();
        while !matches!(collector.poll(&mut sink).unwrap(), Progress::End) {}
    }
}
