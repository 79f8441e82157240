//! A host in C that forks, execs, drops its rights, ends threads and stacks inside Lua: it does all that under `record`
//! as it does alone. See `tests/data/c/hostile.c`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where Debian keeps each version's headers, and its library.
pub(crate) const LUAS: [(&str, &str); 2] =
    [("/usr/include/lua5.1", "lua5.1"), ("/usr/include/lua5.4", "lua5.4")];

/// The ways that the program knows.
pub(crate) const WAYS: [&str; 11] = [
    "fork-inside",
    "exec-inside",
    "default-signals",
    "own-profiler",
    "descriptors",
    "fork-under-churn",
    "thread-ends-inside",
    "fibers",
    "movers",
    "close-late",
    "drop-rights",
];

/// A host of `tests/data/c` with a Lua of Debian's; `None`, said by name, where that or the compiler is not installed.
pub(crate) fn host(folder: &Path, source: &str, (headers, library): (&str, &str)) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/c").join(source);
    let program = folder.join(library);
    if !Path::new(headers).is_dir() {
        println!("skipped: the headers of {library} are not installed");
        return None;
    }
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-g", "-I", headers, "-o"]).arg(&program).arg(source);
    let Ok(output) = compiler.args([&format!("-l{library}"), "-lpthread"]).output() else {
        println!("skipped: there is no cc");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

/// Runs one way of the host alone, and recorded at each depth; answers the reports' functions, by capture.
#[track_caller]
fn check(way: &str) -> Vec<Vec<String>> {
    let reports = reports("hostile.c", way, &LUAS);
    reports.iter().map(judge).collect()
}

/// [`check`] of a host that has been built with `library`.
#[track_caller]
pub(crate) fn check_host(host: &Path, library: &str, way: &str) {
    for report in run(host, library, way) {
        judge(&report);
    }
}

#[track_caller]
fn judge(report: &Value) -> Vec<String> {
    // What a process that ends without warning was about to record.
    super::record::conserved(report, 1);
    super::record::functions(report)
}

/// Runs one way of a host with some Luas, alone and recorded at each depth: what it prints is the same. Answers the reports
/// of all captures.
#[track_caller]
pub(crate) fn reports(source: &str, way: &str, luas: &[(&str, &str)]) -> Vec<Value> {
    let mut reports = Vec::new();
    for lua in luas.iter().copied() {
        let folder = tempfile::tempdir().unwrap();
        if let Some(host) = host(folder.path(), source, lua) {
            reports.extend(run(&host, lua.1, way));
        }
    }
    reports
}

#[track_caller]
fn run(host: &Path, library: &str, way: &str) -> Vec<Value> {
    let mut reports = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    let plain = Command::new(host).arg(way).output().unwrap();
    assert!(plain.status.success(), "{way} alone: {}", String::from_utf8_lossy(&plain.stderr));
    for depth in ["sample", "trace"] {
        let into = folder.path().join(depth);
        std::fs::create_dir(&into).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
        command.args(["record", "--depth", depth, "-o"]).arg(into.join("run.perfetto-trace"));
        let output = command.arg("--").arg(host).arg(way).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stdout)),
            (Some(0), String::from_utf8_lossy(&plain.stdout)),
            "{way} with {library} at depth {depth}: {errors}"
        );
        let captures = std::fs::read_dir(&into).unwrap().flatten();
        reports.extend(captures.map(|capture| super::record::report(&capture.path())));
    }
    reports
}

#[test]
fn forks_inside_lua() {
    check("fork-inside");
}

#[test]
fn executes_another_program_inside_lua() {
    check("exec-inside");
}

#[test]
fn sets_all_signals_to_their_defaults() {
    check("default-signals");
}

#[test]
fn profiles_itself() {
    check("own-profiler");
}

#[test]
fn counts_on_its_descriptors() {
    check("descriptors");
}

#[test]
fn forks_while_threads_come_and_go() {
    check("fork-under-churn");
}

#[test]
fn ends_threads_inside_lua() {
    check("thread-ends-inside");
}

#[test]
fn has_two_stacks_in_one_thread() {
    check("fibers");
}

#[test]
fn moves_its_machine_between_threads() {
    check("movers");
}

#[test]
fn closes_its_machine_at_exit() {
    check("close-late");
}

#[test]
fn brings_its_own_allocator() {
    check("own-allocator");
}

#[test]
fn a_worker_without_rights_is_recorded() {
    let captures = check("drop-rights");
    let worker = |functions: &Vec<String>| functions.iter().any(|name| name == "of_the_worker");
    assert!(captures.is_empty() || captures.iter().any(worker), "{captures:?}");
}
