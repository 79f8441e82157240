//! The plugin as hosts load it: what it writes, by our reader and by TensorBoard's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tickscope_core::{Metadata, Sink};
use tickscope_tensorboard::{Number, What, read};
use tickscope_trial::{Server, Trial, python};

fn trial() -> Trial {
    Trial::new("tickscope-tensorboard")
}

/// Has the plugin write a run called `run` of [`played`] in `folder`.
fn record(folder: &Path, run: &str, seconds: u64) {
    let options = json!({ "folder": folder.to_str().unwrap(), "run": run, "seconds": seconds });
    let mut sink = trial().direct(&options.to_string());
    played().play(&mut sink).unwrap();
    let health = sink.health.unwrap();
    assert_eq!(health.bytes, std::fs::metadata(file(&folder.join(run))).unwrap().len());
}

/// 20 ticks of 20 ms and 5 of 75 ms, four in a second; a pause; 3 of another resource.
fn played() -> Server {
    let mut server = Server::new();
    let (bank, odd) = (server.symbol("bank", "pay"), server.symbol("a/\"b\" ü", "pay"));
    server.ticks(20, 250, 20, bank);
    server.ticks(5, 250, 75, bank);
    server.now_ms += 30_000;
    server.ticks(3, 250, 30, odd);
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
    trial().conforms(&json!({ "folder": folder.path().to_str().unwrap() }).to_string());
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
    record(folder.path(), "one", 5);
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
    assert!((wall[0] - (Server::START_UNIX_MS as f64 / 1_000.0 + 0.020)).abs() < 1e-6, "{}", wall[0]);
    assert!(wall.is_sorted());
}

#[test]
fn a_file_that_is_full_is_left_whole() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        json!({ "folder": folder.path().to_str().unwrap(), "run": "one", "seconds": 3600, "max_mb": 1 });
    let trial = trial();
    let mut sink = trial.direct(&options.to_string());
    let mut server = Server::new();
    let bank = server.symbol("bank", "pay");
    server.ticks(30_000, 50, 40, bank);
    server.play(&mut sink).unwrap();
    let health = sink.health.clone().unwrap();
    assert!(health.degraded && health.lost > 0, "{health:?}");
    assert_eq!(health.message, "1 MB were full: later events are not there");
    let warnings: Vec<String> = trial.said().into_iter().filter(|line| line.contains("Warning")).collect();
    assert_eq!(warnings, ["tensorboard: Warning: 1 MB are full: nothing is written on; see max_mb"]);
    let bytes = std::fs::read(file(&folder.path().join("one"))).unwrap();
    assert!(bytes.len() < 2 << 20, "{}", bytes.len());
    let (mut rest, mut events) = (&*bytes, 0);
    while read(&mut rest).unwrap().is_some() {
        events += 1;
    }
    assert_eq!((events, rest.len()), (health.written, 0));
    assert_eq!(events + health.lost, 30_000 + 2); // the version, and the interval
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    std::fs::write(&taken, "a file").unwrap();
    let mut sink = trial().direct(&json!({ "folder": taken.to_str().unwrap(), "run": "x" }).to_string());
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    let place = taken.join("x");
    let begin =
        format!("cannot write {}: Not a directory (os error 20); name another place", place.display());
    assert!(error.starts_with(&begin), "{error}");
}

#[test]
fn tensorboard_finds_what_was_played() {
    let Some(python) = python("tensorboard") else { return };
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "one", 5);
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
