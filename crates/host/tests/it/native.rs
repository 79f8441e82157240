//! Programs that say themselves what they do, in C and in Python, through `tickscope.h`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::record::{conserved, installed, record, report, same};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/native")
}

/// A program that uses the header, built in `scratch`. The flags are those of who takes warnings seriously.
fn build(scratch: &Path, compiler: &[&str]) -> PathBuf {
    let program = scratch.join("work");
    let built = Command::new(compiler[0])
        .args(&compiler[1..])
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-D_GNU_SOURCE", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/include"))
        .arg("-o")
        .arg(&program)
        .arg(folder().join("work.c"))
        .arg("-lpthread")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

/// The lines of the capture as JSON, each an event.
pub(crate) fn events(capture: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["convert", "--to", "jsonl", "-o", "-"])
        .arg(capture)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn of<'a>(events: &'a [Value], kind: &str, name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind && event["name"] == name).collect()
}

#[test]
fn a_c_program_says_what_it_does() {
    // The last one's C library is musl.
    let compilers: [&[&str]; 3] =
        [&["cc", "-std=c99"], &["c++", "-x", "c++", "-std=c++11"], &["musl-gcc", "-std=c99"]];
    for compiler in compilers.into_iter().filter(|compiler| installed(compiler[0])) {
        let scratch = tempfile::tempdir().unwrap();
        let program = build(scratch.path(), compiler);
        let plain = Command::new(&program).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&plain.stdout), "300000\nnot recorded\n");

        let output =
            record(scratch.path(), &["--depth", "boundary"], &[program.to_str().unwrap()]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "300000\nrecorded\n");
        assert_eq!(output.status.code(), plain.status.code());
        let capture = scratch.path().join("run.perfetto-trace");
        conserved(&report(&capture), 0);

        let events = events(&capture);
        assert_eq!(of(&events, "begin", "request").len(), 101);
        let sums = of(&events, "begin", "sum");
        assert_eq!(sums.len(), 101);
        for sum in &sums {
            assert!(
                sum["file"].as_str().unwrap().ends_with("work.c") && sum["defined"].as_u64() > Some(0),
                "{sum}"
            );
            let parent = events.iter().find(|event| event["span"] == sum["parent"]).unwrap();
            assert!(parent["name"] == "request" || parent["name"] == "job", "{parent}");
        }
        assert_eq!(of(&events, "end", "request")[0]["args"]["path"], "/index.html");
        assert_eq!(of(&events, "end", "sum")[5]["args"]["n"], 1005.0);
        assert_eq!(of(&events, "instant", "half way").len(), 1);
        let values: Vec<_> =
            of(&events, "counter", "requests").iter().map(|event| event["value"].as_f64()).collect();
        assert_eq!(values, (1..=100).map(|value| Some(f64::from(value))).collect::<Vec<_>>());

        let [job] = of(&events, "begin", "job")[..] else { panic!("one job") };
        assert_eq!(job["track"]["name"], "worker");
        let source = events.iter().find(|event| event["id"] == job["link"]["source"]).unwrap();
        assert_eq!(source["span"], of(&events, "begin", "request")[100]["span"]);
        assert_eq!(of(&events, "end", "job")[0]["outcome"], "error");
    }
}

#[test]
fn a_python_program_says_what_it_does() {
    if !installed("python3") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let script = folder().join("work.py");
    let plain = Command::new("python3").arg(&script).output().unwrap();
    let output = record(scratch.path(), &[], &["python3", script.to_str().unwrap()]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("not recorded", "recorded");
    assert_eq!(text(&output.stdout), text(&plain.stdout));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("not recorded"));
    let events = events(&scratch.path().join("run.perfetto-trace"));
    assert_eq!(of(&events, "begin", "fib of a number").len(), 10);
    assert_eq!(of(&events, "end", "division")[0]["outcome"], "error");
}

#[test]
fn a_child_of_a_fork_says_what_it_does() {
    if !installed("python3") {
        return;
    }
    const FORKS: &str = r#"
import ctypes, os
library = ctypes.CDLL(None)
library.tickscope_name.restype = library.tickscope_begin.restype = ctypes.c_uint64
name = library.tickscope_name(b"work")
def work(times):
    for _ in range(times):
        library.tickscope_end(ctypes.c_uint64(library.tickscope_begin(ctypes.c_uint64(name))))
work(10)
for child in range(3):
    if os.fork() == 0:
        work(20 + child)
        os._exit(0)
    os.wait()
work(5)
"#;
    let scratch = tempfile::tempdir().unwrap();
    let output = record(scratch.path(), &[], &["python3", "-c", FORKS]).output().unwrap();
    same(&output, &Command::new("true").output().unwrap());
    let mut counts: Vec<usize> = crate::record::captures(scratch.path())
        .iter()
        .map(|capture| of(&events(capture), "begin", "work").len())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [15, 20, 21, 22]);
}
