//! The plugin as hosts load it: what it writes, by our reader and by TensorBoard's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Dictionary, End, Event, Metadata, Outcome, RingId, Sample, Sink,
    SpanId, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind, conformance,
};
use tickscope_plugin::{Direct, Level, Log, Plugin};
use tickscope_tensorboard::{Number, What, read};

const MS: u64 = 1_000_000;
const START_NS: u64 = 777 * MS;
const START_UNIX_S: u64 = 1_790_000_000;

fn direct(options: &Value) -> Direct {
    let tests = std::env::current_exe().unwrap();
    let plugin = Arc::new(Plugin::load(&tests.with_file_name("libtickscope_tensorboard.so")).unwrap());
    let options = plugin.schema.read("tensorboard", &options.to_string()).unwrap();
    let silent: Log = Arc::new(|_: &str, _: Level, _: &str| {});
    Direct::new(plugin, options, silent)
}

/// A server's ticks: in each some milliseconds of a resource.
struct Server {
    dictionary: Dictionary,
    samples: Vec<Sample>,
    now_ms: u64,
    spans: u64,
}

impl Server {
    fn new() -> Self {
        let mut dictionary = Dictionary::default();
        let resource = |resource| SymbolRef { resource, ..SymbolRef::host("pay") };
        for symbol in [SymbolRef::host("tick"), resource("bank"), resource("a/\"b\" ü")] {
            dictionary.push_symbol(Symbol::from(symbol));
        }
        let (name, resource) = ("main".into(), "".into());
        dictionary.push_track(Track {
            kind: TrackKind::Thread,
            parent: TrackId::PROCESS,
            os_id: 1,
            name,
            resource,
        });
        Self { dictionary, samples: Vec::new(), now_ms: 0, spans: 0 }
    }

    fn push(&mut self, event: Event) {
        let (ring, track) = (RingId(1), TrackId(1));
        self.samples.push(Sample { time_ns: START_NS + self.now_ms * MS, ring, track, event });
    }

    fn begin(&mut self, symbol: u32, category: CategoryId) -> End {
        self.spans += 1;
        let (span, args) = (SpanId::new(RingId(1), self.spans).unwrap(), ArgRange::NONE);
        // Symbol 0 of a dictionary stands for those that are not known.
        let symbol = SymbolId(symbol + 1);
        self.push(Event::Begin(Begin { span, parent: None, symbol, category, link: None, args }));
        let begin_ns = START_NS + self.now_ms * MS;
        End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes: 0, args }
    }

    /// Ticks of `ms` in every `every_ms`, of which `symbol`'s resource runs all but one.
    fn ticks(&mut self, count: u64, every_ms: u64, ms: u64, symbol: u32) {
        for _ in 0..count {
            let tick = self.begin(0, CategoryId::TICK);
            let call = self.begin(symbol, CategoryId::EVENT);
            self.now_ms += ms - 1;
            self.push(Event::End(End { bytes: 100, ..call }));
            self.now_ms += 1;
            self.push(Event::End(End { bytes: 100, ..tick }));
            self.now_ms += every_ms - ms;
        }
    }

    /// Has the plugin write a run called `run` in `folder`.
    fn record(&self, folder: &Path, run: &str, seconds: u64) {
        let mut sink = direct(&json!({ "folder": folder.to_str().unwrap(), "run": run, "seconds": seconds }));
        let metadata = Metadata {
            budget_ns: 50 * MS,
            pid: 4711,
            start_ns: START_NS,
            start_unix_ns: START_UNIX_S * 1_000 * MS,
            ..Metadata::default()
        };
        sink.open(&metadata).unwrap();
        for samples in self.samples.chunks(7) {
            sink.batch(&Batch { samples, args: &[], text: "", dictionary: &self.dictionary }).unwrap();
        }
        sink.finish().unwrap();
        let health = sink.health.unwrap();
        assert_eq!(health.bytes, std::fs::metadata(file(&folder.join(run))).unwrap().len());
    }
}

/// 20 ticks of 20 ms and 5 of 75 ms, four in a second; a pause; 3 of another resource.
fn played() -> Server {
    let mut server = Server::new();
    server.ticks(20, 250, 20, 1);
    server.ticks(5, 250, 75, 1);
    server.now_ms += 30_000;
    server.ticks(3, 250, 30, 2);
    server
}

/// The only file of a run.
fn file(run: &Path) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(|| direct(&json!({ "folder": folder.path().to_str().unwrap() })));
    // Each recording under its own name: of the example, and of one that knows nothing.
    let mut runs: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|run| run.unwrap().file_name().into_string().unwrap())
        .collect();
    runs.sort();
    assert_eq!(runs, ["1970-01-01T00-00-00-0", "2026-09-21T14-13-20-4711"]);
}

/// Step and value of each scalar of a tag.
type Scalars = BTreeMap<String, Vec<(i64, f32)>>;

/// What [`played`] is, in intervals of 5 s: the pause has none.
#[track_caller]
fn check_scalars(scalars: &Scalars) {
    let of =
        |tag: &str| scalars.get(tag).unwrap_or_else(|| panic!("no {tag}: {:?}", scalars.keys())).as_slice();
    let ticks = of("tick/duration_ms");
    assert_eq!(ticks.len(), 28);
    assert_eq!((ticks[0], ticks[20], ticks[27]), ((1, 20.0), (21, 75.0), (28, 30.0)));
    // 20 ticks to 5 s, 5 ticks to 6.25 s, and 3 after 36.25 s.
    assert_eq!(of("ticks/count"), [(4, 20.0), (9, 5.0), (36, 3.0)]);
    assert_eq!(of("ticks/mean_ms"), [(4, 20.0), (9, 75.0), (36, 30.0)]);
    assert_eq!(of("ticks/max_ms"), [(4, 20.0), (9, 75.0), (36, 30.0)]);
    assert_eq!(of("ticks/late"), [(4, 0.0), (9, 5.0), (36, 0.0)]);
    assert_eq!(of("running_ms/bank"), [(4, 20.0 * 19.0), (9, 5.0 * 74.0), (36, 0.0)]);
    assert_eq!(of("allocated_bytes/bank"), [(4, 2000.0), (9, 500.0), (36, 0.0)]);
    assert_eq!(of("calls/a/\"b\" ü"), [(36, 3.0)]);
    assert_eq!(of("recording/missed"), [(4, 0.0), (9, 0.0), (36, 0.0)]);
}

#[test]
fn our_reader_finds_what_was_played() {
    let folder = tempfile::tempdir().unwrap();
    played().record(folder.path(), "one", 5);
    let bytes = std::fs::read(file(&folder.path().join("one"))).unwrap();
    let (mut rest, mut scalars, mut wall) = (&*bytes, Scalars::new(), Vec::new());
    while let Some(event) = read(&mut rest).unwrap() {
        match event.what.unwrap() {
            What::FileVersion(version) => assert_eq!(version, "brain.Event:2"),
            What::Summary(summary) => {
                wall.push(event.wall_time);
                for value in summary.value {
                    if let Some(Number::Scalar(number)) = value.value {
                        scalars.entry(value.tag).or_default().push((event.step, number));
                    }
                }
            }
        }
    }
    check_scalars(&scalars);
    assert!((wall[0] - (START_UNIX_S as f64 + 0.020)).abs() < 1e-6, "{}", wall[0]);
    assert!(wall.is_sorted());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "a file").unwrap();
    let mut sink = direct(&json!({ "folder": taken.to_str().unwrap(), "run": "x" }));
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    let place = taken.join("x");
    let begin =
        format!("cannot write {}: Not a directory (os error 20); name another place", place.display());
    assert!(error.starts_with(&begin), "{error}");
}

/// A Python that has the package: what `cargo xtask test --install` makes, or the system's.
fn python(package: &str) -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../oracles/python/bin/python3");
    let has = |python: &PathBuf| {
        let mut ask = Command::new(python);
        ask.args(["-c", &format!("import {package}")]).stdin(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    };
    let found = [made, "python3".into()].into_iter().find(has);
    if found.is_none() {
        println!("skipped: Python's {package} is not installed: `cargo xtask test --install`, or pip");
    }
    found
}

#[test]
fn tensorboard_finds_what_was_played() {
    let Some(python) = python("tensorboard") else { return };
    let folder = tempfile::tempdir().unwrap();
    played().record(folder.path(), "one", 5);
    let run = folder.path().join("one");
    let ask = || {
        let mut command = Command::new(&python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/read.py")).arg(&run);
        command.env("TF_CPP_MIN_LOG_LEVEL", "3").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = ask();
    let scalars = found["scalars"].as_object().unwrap().iter().map(|(tag, values)| {
        let value = |value: &Value| (value[1].as_i64().unwrap(), value[2].as_f64().unwrap() as f32);
        (tag.clone(), values.as_array().unwrap().iter().map(value).collect())
    });
    check_scalars(&scalars.collect());
    let histograms = found["histograms"]["ticks/duration_ms"].as_array().unwrap();
    assert_eq!(histograms.len(), 3);
    let second = &histograms[1][2];
    assert_eq!((&second["num"], &second["min"], &second["sum"]), (&json!(5.0), &json!(75.0), &json!(375.0)));
    let buckets: f64 = second["bucket"].as_array().unwrap().iter().map(|count| count.as_f64().unwrap()).sum();
    assert_eq!(buckets, 5.0);

    // It checks what it reads: from a wrong byte on there is nothing.
    let file = file(&run);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let less = ask()["scalars"]["tick/duration_ms"].as_array().map_or(0, Vec::len);
    assert!(less < 28, "{less}");
}
