//! Those it is for: OpenTelemetry's own decoders, which know nothing of us, one for each encoding.

use std::path::Path;
use std::process::{Command, Stdio};

use tickscope_trial::{Receiver, python};

use crate::{arrived, record};

/// What the judge finds in a recording of the example.
fn judged(python: &Path, kind: &str) -> String {
    let receiver = Receiver::start(200, "text/plain", b"");
    let options = serde_json::json!({
        "endpoint": format!("http://{}", receiver.address()),
        "encoding": kind,
        "gzip": false,
        "threshold_ms": 0.000005,
        "attributes": {"ratio": 0.5, "live": true},
    });
    record(&options.to_string());
    let folder = tempfile::tempdir().unwrap();
    let got = arrived(&receiver);
    let mut files = Vec::new();
    for (got, name) in got.iter().zip(["traces", "metrics"]) {
        assert_eq!(got.target, format!("/v1/{name}"));
        let file = folder.path().join(name);
        std::fs::write(&file, &got.body).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let mut judge = Command::new(python);
    judge.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/read.py")).arg(kind).args(&files);
    let output = judge.stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn opentelemetry_reads_the_same_in_both_encodings() {
    let modules = "opentelemetry.proto.trace.v1.trace_pb2, opentelemetry.proto_json";
    let Some(python) = python(modules) else { return };
    let protobuf = judged(&python, "protobuf");
    assert_eq!(protobuf, judged(&python, "json"));
    let lines: Vec<&str> = protobuf.lines().collect();
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("resource "), count("scope tickscope 0.1.0"), count("span ")), (1, 1, 4), "{protobuf}");
    assert!(count("metric ") > 10, "{protobuf}");
    for told in [
        "('ratio', 'double_value', 0.5)",
        "('live', 'bool_value', True)",
        "'event bank:pay' 1 1790000000000000243 1790000000000000303 1",
        "('tickscope.late', 'bool_value', True)",
        "metric tickscope.tick.duration s histogram 2 [] 1790000000000000123 1790000000000005223 (1, 4e-06, [1, 0",
        "metric tickscope.resource.errors {error} sum 2 [('tickscope.resource', 'string_value', 'odd;one')]",
    ] {
        assert!(protobuf.contains(told), "no {told} in\n{protobuf}");
    }
}
