//! The plugin as hosts load it: what it writes, and a judge of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Dictionary, End, Event, Metadata, Outcome, RecordingSink, RingId,
    Sample, Sink, SpanId, Symbol, SymbolRef, Track, TrackId, TrackKind, conformance,
};
use tickscope_plugin::{Direct, Level, Log, Plugin};

const MS: u64 = 1_000_000;
const START_NS: u64 = 777 * MS;
const START_UNIX_MS: u64 = 1_790_000_000_000;

fn plugin() -> Arc<Plugin> {
    let tests = std::env::current_exe().unwrap();
    Arc::new(Plugin::load(&tests.with_file_name("libtickscope_cloudwatch_emf.so")).unwrap())
}

/// What sinks say.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn log(&self) -> Log {
        let said = self.0.clone();
        Arc::new(move |_: &str, level: Level, line: &str| {
            said.lock().unwrap().push(format!("{level:?}: {line}"));
        })
    }
}

fn direct(options: &Value) -> Direct {
    let plugin = plugin();
    let options = plugin.schema.read("cloudwatch-emf", &options.to_string()).unwrap();
    Direct::new(plugin, options, Said::default().log())
}

/// A server's ticks, one after the other: in each some milliseconds of `bank`, in its own time.
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
        for symbol in [SymbolRef::host("tick"), resource("bank"), resource("über")] {
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

    fn begin(&mut self, symbol: usize, category: CategoryId) -> End {
        self.spans += 1;
        let (span, args) = (SpanId::new(RingId(1), self.spans).unwrap(), ArgRange::NONE);
        // Symbol 0 of a dictionary stands for those that are not known.
        let symbol = tickscope_core::SymbolId(symbol as u32 + 1);
        self.push(Event::Begin(Begin { span, parent: None, symbol, category, link: None, args }));
        let begin_ns = START_NS + self.now_ms * MS;
        End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes: 0, args }
    }

    /// A tick of `ms` in every `every_ms`, of which `symbol`'s resource runs all but one.
    fn ticks(&mut self, count: u64, every_ms: u64, ms: u64, symbol: usize) {
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

    /// What the plugin writes of it.
    fn written(&self, options: Value) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.emf");
        let mut options = options;
        options["file"] = file.to_str().unwrap().into();
        let mut sink = direct(&options);
        let metadata = Metadata {
            subject: "a server".into(),
            budget_ns: 50 * MS,
            start_ns: START_NS,
            start_unix_ns: START_UNIX_MS * MS,
            ..Metadata::default()
        };
        sink.open(&metadata).unwrap();
        for samples in self.samples.chunks(7) {
            sink.batch(&Batch { samples, args: &[], text: "", dictionary: &self.dictionary }).unwrap();
        }
        sink.finish().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let health = sink.health.unwrap();
        assert_eq!((health.written, health.bytes), (text.lines().count() as u64, text.len() as u64));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn of<'a>(documents: &'a [Value], resource: Option<&str>) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["Resource"].as_str() == resource).collect()
}

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(|| direct(&json!({ "file": folder.path().join("out").to_str().unwrap() })));
}

#[test]
fn what_happened_in_an_interval_has_its_time() {
    let mut server = Server::new();
    server.ticks(3, 2_000, 20, 1);
    server.ticks(2, 2_000, 70, 1);
    // Nothing for a while: an interval without samples has no document.
    server.now_ms += 30_000;
    server.ticks(1, 2_000, 30, 2);
    let documents = server.written(json!({ "seconds": 10, "namespace": "Games" }));

    let server = of(&documents, None);
    assert_eq!(server.len(), 2, "{documents:#?}");
    let times: Vec<u64> =
        server.iter().map(|document| document["_aws"]["Timestamp"].as_u64().unwrap()).collect();
    assert_eq!(times, [START_UNIX_MS + 9_999, START_UNIX_MS + 40_030]);
    assert_eq!(server[0]["TickDuration"], json!([20.0, 20.0, 20.0, 70.0, 70.0]));
    assert_eq!((&server[0]["LateTicks"], &server[0]["Samples"]), (&json!(2.0), &json!(20.0)));
    assert_eq!((&server[1]["TickDuration"], &server[1]["LateTicks"]), (&json!(30.0), &json!(0.0)));
    assert_eq!(server[0]["Server"], "a server");
    let directive = &server[0]["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("Games"), &json!([["Server"]])));
    assert_eq!(directive["Metrics"][0]["StorageResolution"], 1);

    // What did nothing is left out.
    let bank = of(&documents, Some("bank"));
    assert_eq!(bank.len(), 1);
    assert_eq!(bank[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Server", "Resource"]]));
    assert_eq!((&bank[0]["RunningTime"], &bank[0]["Calls"]), (&json!(3.0 * 19.0 + 2.0 * 69.0), &json!(5.0)));
    assert_eq!(bank[0]["Allocated"], json!(500.0));
    assert_eq!(of(&documents, Some("%C3%BCber"))[0]["RunningTime"], json!(29.0));
}

#[test]
fn a_metric_has_a_hundred_values_at_most_and_none_is_lost() {
    let mut server = Server::new();
    server.ticks(250, 100, 40, 1);
    let documents = server.written(json!({ "seconds": 60 }));
    let ticks: Vec<usize> =
        documents.iter().filter_map(|document| document["TickDuration"].as_array().map(Vec::len)).collect();
    assert_eq!(ticks, [100, 100, 50]);
    let last = documents.iter().rfind(|document| document["LateTicks"].is_number()).unwrap();
    assert_eq!(last["Samples"], json!(1000.0));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none/out.emf");
    let mut sink = direct(&json!({ "file": file.to_str().unwrap() }));
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    let expected = format!(
        "cannot write {}: No such file or directory (os error 2); name another file with file=PATH",
        file.display()
    );
    assert_eq!(error, expected);
    let mut sink = direct(&json!({ "file": "-", "namespace": ":x" }));
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    assert_eq!(error, "namespace: expected a name that does not begin with :, found \":x\"");
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
fn jsonschema_holds_every_line_against_the_specification() {
    let Some(python) = python("jsonschema") else { return };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.emf");
    let mut sink = direct(&json!({ "file": file.to_str().unwrap(), "seconds": 1, "server": "ü \"1\"" }));
    let RecordingSink { metadata, .. } = conformance::example();
    let mut server = Server::new();
    server.ticks(250, 50, 20, 1);
    sink.open(&metadata).unwrap();
    sink.batch(&conformance::example().as_batch()).unwrap();
    sink.finish().unwrap();
    let mut lines: Vec<Value> = server.written(json!({}));
    lines.extend(
        std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()),
    );
    let good = lines.len();
    assert!(good > 6, "{lines:#?}");
    // It would have said something.
    let mut wrong = vec![lines[0].clone(); 6];
    wrong[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = "Millis".into();
    wrong[1]["TickDuration"] = vec![1.0; 101].into();
    wrong[2]["Server"] = "ü".into();
    wrong[3]["_aws"]["Timestamp"] = "now".into();
    wrong[4].as_object_mut().unwrap().remove("TickDuration");
    wrong[5]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([["Server", "Player"]]);
    lines.append(&mut wrong);

    let mut judge = Command::new(python);
    judge.arg(data.join("judge.py")).arg(data.join("emf.schema.json"));
    let mut judge = judge.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut input = judge.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = judge.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), lines.len());
    for (line, said) in lines.iter().zip(&said).take(good) {
        assert_eq!(*said, "ok", "{line}");
    }
    assert!(said[good..].iter().all(|said| *said != "ok"), "{:#?}", &said[good..]);
}
