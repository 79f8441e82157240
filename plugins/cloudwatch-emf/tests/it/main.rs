//! The plugin as hosts load it: what it writes, and a judge of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tickscope_core::{Metadata, Sink, conformance};
use tickscope_trial::{Server, Trial, python};

fn trial() -> Trial {
    Trial::new("tickscope-cloudwatch-emf")
}

fn file(path: &Path) -> String {
    json!({ "file": path.to_str().unwrap() }).to_string()
}

/// What the plugin writes of a server.
fn written(server: &Server, options: Value) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.emf");
    let mut options = options;
    options["file"] = file.to_str().unwrap().into();
    let mut sink = trial().direct(&options.to_string());
    server.play(&mut sink).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let health = sink.health.unwrap();
    assert_eq!((health.written, health.bytes), (text.lines().count() as u64, text.len() as u64));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(documents: &'a [Value], resource: Option<&str>) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["Resource"].as_str() == resource).collect()
}

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    trial().conforms(&file(&folder.path().join("out")));
}

#[test]
fn what_happened_in_an_interval_has_its_time() {
    let mut server = Server::new();
    let (bank, other) = (server.symbol("bank", "pay"), server.symbol("über", "pay"));
    server.ticks(3, 2_000, 20, bank);
    server.ticks(2, 2_000, 70, bank);
    // Nothing for a while: an interval without samples has no document.
    server.now_ms += 30_000;
    server.ticks(1, 2_000, 30, other);
    let documents = written(&server, json!({ "seconds": 10, "namespace": "Games" }));

    let server = of(&documents, None);
    assert_eq!(server.len(), 2, "{documents:#?}");
    let times: Vec<u64> =
        server.iter().map(|document| document["_aws"]["Timestamp"].as_u64().unwrap()).collect();
    assert_eq!(times, [Server::START_UNIX_MS + 9_999, Server::START_UNIX_MS + 40_030]);
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
    let bank = server.symbol("bank", "pay");
    server.ticks(250, 100, 40, bank);
    let documents = written(&server, json!({ "seconds": 60 }));
    let ticks: Vec<usize> =
        documents.iter().filter_map(|document| document["TickDuration"].as_array().map(Vec::len)).collect();
    assert_eq!(ticks, [100, 100, 50]);
    let last = documents.iter().rfind(|document| document["LateTicks"].is_number()).unwrap();
    assert_eq!(last["Samples"], json!(1000.0));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none/out.emf");
    let mut sink = trial().direct(&file(&missing));
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    let expected = format!(
        "cannot write {}: No such file or directory (os error 2); name another file with file=PATH",
        missing.display()
    );
    assert_eq!(error, expected);
    let mut sink = trial().direct(r#"{"file": "-", "namespace": ":x"}"#);
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    assert_eq!(error, "namespace: expected a name that does not begin with :, found \":x\"");
}

#[test]
fn a_disk_that_is_full_costs_lines_and_no_more() {
    let mut server = Server::new();
    let bank = server.symbol("bank", "pay");
    server.ticks(250, 100, 40, bank);
    let trial = trial();
    let mut sink = trial.direct(r#"{"file": "/dev/full", "seconds": 1}"#);
    server.play(&mut sink).unwrap();
    let health = sink.health.clone().unwrap();
    assert!(health.degraded && health.lost > 20 && health.written == 0, "{health:?}");
    assert_eq!(health.message, format!("{} lines found no room in /dev/full", health.lost));
    let warning = "cloudwatch-emf: Warning: cannot write /dev/full: No space left on device (os error 28); \
                   what finds no room until it can is left out";
    let said = trial.said();
    assert_eq!(
        said.iter().filter(|line| line.contains("Warning")).collect::<Vec<_>>(),
        [warning],
        "{said:?}"
    );
}

#[test]
fn jsonschema_holds_every_line_against_the_specification() {
    let Some(python) = python("jsonschema") else { return };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.emf");
    let options = json!({ "file": file.to_str().unwrap(), "seconds": 1, "server": "ü \"1\"" });
    let mut sink = trial().direct(&options.to_string());
    let example = conformance::example();
    let mut server = Server::new();
    let bank = server.symbol("bank", "pay");
    server.ticks(250, 50, 20, bank);
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.finish().unwrap();
    let mut lines: Vec<Value> = written(&server, json!({}));
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
