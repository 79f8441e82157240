//! `tickscope record`: programs that nobody changed, with their own Lua.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Interpreters of Debian.
const INTERPRETERS: [&str; 4] = ["lua5.1", "lua5.2", "lua5.3", "lua5.4"];
pub(crate) const DEPTHS: [&str; 3] = ["boundary", "sample", "trace"];

/// Plain work, coroutines, errors, and a hook of the program's own.
pub(crate) const PROGRAM: &str = r#"
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local function grumble() error("boom", 0) end
local function producer()
  for i = 1, 50 do coroutine.yield(fib(i % 12)) end
end
local sum = 0
local co = coroutine.wrap(producer)
for i = 1, 50 do sum = sum + co() end
print("sum", sum, fib(20))
for i = 1, 100 do assert(select(2, pcall(grumble)) == "boom") end
local lines = 0
debug.sethook(function(event, line) lines = lines + 1 end, "l")
local x = 1
x = x + 1
debug.sethook()
print("lines", lines, debug.gethook())
print(arg[0], arg[1], ...)
io.stderr:write("to standard error\n")
os.exit(7)
"#;

pub(crate) fn record(folder: &Path, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.arg("record").args(options).arg("-o").arg(folder.join("run.perfetto-trace"));
    command.arg("--").args(program).current_dir(folder).stdin(Stdio::null());
    command
}

pub(crate) fn report(capture: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["report", "--format", "json"])
        .arg(capture)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The law of conservation; at a kill one event may have been on its way.
#[track_caller]
pub(crate) fn conserved(report: &Value, in_flight: u64) {
    let number = |key: &str| report[key].as_u64().unwrap();
    assert!(number("attempted") > 0, "nothing was recorded");
    let missing = number("attempted") - number("committed") - number("dropped");
    assert!(missing <= in_flight, "{missing} events are missing");
    assert_eq!(number("committed"), number("delivered") + number("overwritten") + number("discarded"));
}

pub(crate) fn functions(report: &Value) -> Vec<String> {
    let symbols = report["symbols"].as_array().unwrap();
    symbols.iter().filter_map(|symbol| Some(symbol["function"].as_str()?.to_owned())).collect()
}

pub(crate) fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("-v").output().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

pub(crate) fn captures(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut captures: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|found| found == "perfetto-trace")).collect();
    captures.sort();
    captures
}

pub(crate) fn same(output: &Output, plain: &Output) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&plain.stdout));
    assert_eq!(output.status.code(), plain.status.code());
    let (recorded, plain) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&plain.stderr));
    assert!(recorded.starts_with(&*plain), "{recorded}");
}

#[test]
fn every_lua_runs_as_without_and_its_functions_are_named() {
    for interpreter in INTERPRETERS.into_iter().filter(|interpreter| installed(interpreter)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("program.lua"), PROGRAM).unwrap();
        let words = [interpreter, "program.lua", "a", "b"];
        let plain = Command::new(interpreter).args(&words[1..]).current_dir(folder.path()).output().unwrap();
        assert_eq!(plain.status.code(), Some(7));
        for depth in DEPTHS {
            let output = record(folder.path(), &["--depth", depth], &words).output().unwrap();
            println!("{interpreter} at depth {depth}: {}", String::from_utf8_lossy(&output.stderr));
            same(&output, &plain);
            let report = report(&folder.path().join("run.perfetto-trace"));
            conserved(&report, 0);
            if depth == "trace" {
                let functions = functions(&report);
                for wanted in ["fib", "grumble", "producer"] {
                    assert!(functions.iter().any(|name| name == wanted), "{wanted}: {functions:?}");
                }
            }
        }
    }
}

/// Whether `measure` finds the 85 % that are known, once in three runs: on a machine with other work a sample may stand
/// for much more than its millisecond.
#[track_caller]
pub(crate) fn finds_the_split(what: &str, within: f64, mut measure: impl FnMut() -> f64) {
    let mut shares = Vec::new();
    for _ in 0..3 {
        let share = measure();
        if (share - 0.85).abs() < within {
            return;
        }
        shares.push(share);
    }
    panic!("{what}: hot has {shares:.3?} of the time, not 0.85");
}

/// 85 % of the time in `hot`, 15 % in `warm`, also in a coroutine.
pub(crate) const SPLIT: &str = r#"
local function hot(n) local s = 0 for i = 1, n * 17 do s = s + i % 7 end return s end
local function warm(n) local s = 0 for i = 1, n * 3 do s = s + i % 7 end return s end
local stop = os.clock() + 1.5
local co = coroutine.wrap(function() while true do hot(1000) warm(1000) coroutine.yield() end end)
while os.clock() < stop do hot(1000) warm(1000) co() end
"#;

/// The share of `hot` in the time of `hot` and `warm`.
pub(crate) fn share(report: &Value) -> f64 {
    let of = |name: &str| {
        let symbols = report["symbols"].as_array().unwrap();
        let own = symbols.iter().filter(|symbol| symbol["function"] == name);
        own.filter_map(|symbol| symbol["self_ms"].as_f64()).sum::<f64>()
    };
    of("hot") / (of("hot") + of("warm"))
}

#[test]
fn samples_find_what_takes_the_time() {
    for interpreter in INTERPRETERS.into_iter().filter(|interpreter| installed(interpreter)) {
        finds_the_split(interpreter, 0.03, || {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("split.lua"), SPLIT).unwrap();
            let output = record(folder.path(), &[], &[interpreter, "split.lua"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let report = report(&folder.path().join("run.perfetto-trace"));
            conserved(&report, 0);
            share(&report)
        });
    }
}

#[test]
fn what_was_recorded_outlives_a_program_that_is_killed() {
    const ENDLESS: &str = "local function turn() local t = {} for i = 1, 100 do t[i] = i end return #t end
for i = 1, 1000 do turn() end print('ready') io.stdout:flush() while true do turn() end";
    if !installed("lua5.4") {
        return;
    }
    for round in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("endless.lua"), ENDLESS).unwrap();
        // The shell's number is the program's: it replaces itself.
        let script = "echo $$ && exec lua5.4 endless.lua";
        let mut child = record(folder.path(), &["--depth", "trace"], &["sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pid = lines.next().unwrap().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + 9), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 1);
        assert!(functions(&report).iter().any(|name| name == "turn"));
    }
}

#[test]
fn a_program_outlives_the_command_that_records_it() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "local function turn() end io.read() for i = 1, 1000000 do turn() end
local f = io.open('done', 'w') f:write('all of it') f:close()";
    std::fs::write(folder.path().join("patient.lua"), script).unwrap();
    let mut child = record(folder.path(), &["--depth", "trace"], &["lua5.4", "patient.lua"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    input.write_all(b"go\n").unwrap();
    let done = folder.path().join("done");
    for _ in 0..600 {
        if std::fs::read_to_string(&done).is_ok_and(|text| text == "all of it") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the program did not reach its end");
}

#[test]
fn every_process_gets_a_capture() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.lua"), "local function only() end only() print('one')").unwrap();
    let script = "lua5.4 one.lua; lua5.4 one.lua & wait";
    let output = record(folder.path(), &["--depth", "trace"], &["sh", "-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\none\n");
    let captures = captures(folder.path());
    assert_eq!(captures.len(), 2, "{captures:?}");
    for capture in captures {
        let report = report(&capture);
        conserved(&report, 0);
        assert!(functions(&report).iter().any(|name| name == "only"));
    }
}

#[track_caller]
fn check(program: &[&str], code: i32, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = record(folder.path(), &[], program).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(says), "{errors}");
    assert!(captures(folder.path()).is_empty());
}

#[test]
fn what_cannot_be_recorded_is_said_and_runs() {
    check(&["sh", "-c", "exit 5"], 5, "nothing was recorded");
    check(&["nonesuch-program"], 127, "cannot start nonesuch-program");
    check(&["/etc/passwd"], 126, "cannot start /etc/passwd");
    check(&["sh", "-c", "kill -TERM $$"], 128 + 15, "nothing was recorded");
}

#[test]
fn signals_reach_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = record(folder.path(), &[], &["sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(lines.next().unwrap().unwrap(), "asked");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}
