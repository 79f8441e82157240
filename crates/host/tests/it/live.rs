//! `tickscope top` and `tickscope ctl`, on recordings that go on.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::record::{conserved, functions, installed, record, report};
use crate::terminal::drawn;

const SPIN: &str = "
local function hot(n) local s = 0 for i = 1, n * 17 do s = s + i % 7 end return s end
local function warm(n) local s = 0 for i = 1, n * 3 do s = s + i % 7 end return s end
while true do hot(1000) warm(1000) end
";

fn tickscope(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(words).stdin(Stdio::null());
    command
}

fn said(words: &[&str]) -> (String, Option<i32>) {
    let output = tickscope(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (text.into_owned(), output.status.code())
}

/// Whatever is asked until the answer is `right`; fails when it never is.
#[track_caller]
fn until(what: &str, mut right: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !right() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A recording that goes on until it is dropped.
struct Going(Child);

impl Going {
    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn end(mut self) {
        interrupt(self.0.id());
        self.0.wait().unwrap();
    }
}

fn interrupt(pid: u32) {
    // SAFETY: plain numbers; the process is a child that was not waited for.
    assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGTERM) }, 0);
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spinning(folder: &Path, depth: &str) -> Going {
    std::fs::write(folder.join("spin.lua"), SPIN).unwrap();
    let mut command = record(folder, &["--depth", depth], &["lua5.4", "spin.lua"]);
    Going(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn a_recording_follows_what_ctl_asks_for() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let going = spinning(folder.path(), "sample");
    let pid = going.pid();
    until("recorded", || {
        said(&["top", "--pid", &pid, "--batch", "1", "--every", "100ms"]).0.contains("hot  spin.lua:2")
    });
    // One chunk that never returns: the depth changes inside it.
    let (text, code) = said(&["ctl", "--pid", &pid, "depth", "trace", "--for", "300ms"]);
    assert_eq!((text.as_str(), code), ("depth trace for 300 ms\n", Some(0)));
    let top = || said(&["top", "--pid", &pid, "--batch", "1", "--every", "50ms"]).0;
    until("at depth sample again", || top().lines().next().unwrap_or_default().contains("at depth sample"));
    going.end();
    let report = report(&folder.path().join("run.perfetto-trace"));
    conserved(&report, 1);
    let calls: u64 = report["symbols"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|symbol| symbol["function"] == "hot")
        .map(|symbol| symbol["calls"].as_u64().unwrap_or(0))
        .sum();
    assert!(calls > 0, "no call of hot was traced: {:?}", functions(&report));
}

#[test]
fn top_starts_a_program_and_ends_it() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("spin.lua");
    std::fs::write(&script, SPIN).unwrap();
    let kept = folder.path().join("kept.perfetto-trace");
    let (script, kept) = (script.to_str().unwrap(), kept.to_str().unwrap());
    let words = ["top", "--batch", "2", "--every", "300ms", "-o", kept, "--", "lua5.4", script];
    let (text, code) = said(&words);
    assert_eq!(code, Some(0), "{text}");
    let tables: Vec<_> = text.split("\n\n").collect();
    assert!(tables[0].starts_with("lua5.4: recorded for ") && tables[1].contains("hot  "), "{text}");
    assert!(functions(&report(Path::new(kept))).iter().any(|name| name == "warm"));

    // One that ends by itself, and one that is not there.
    std::fs::write(script, "os.exit(3)").unwrap();
    let (text, code) = said(&["top", "--batch", "9", "--every", "50ms", "--", "lua5.4", script]);
    assert!(code == Some(3) && text.contains("ended with code 3"), "{text}");
    let (text, code) = said(&["top", "--batch", "1", "--", "no-such-program-at-all"]);
    assert!(code == Some(127), "{text}");
}

#[test]
fn top_draws_on_a_terminal_until_q() {
    if !installed("lua5.4") || !installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("spin.lua");
    std::fs::write(&script, SPIN).unwrap();
    let keys = [("hot", "r"), ("resource", "a"), ("", "q")];
    drawn(&keys, &["top", "--every", "200ms", "--", "lua5.4", script.to_str().unwrap()]);
}

#[test]
fn top_works_on_a_server_that_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let city = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/city");
    let mut command = tickscope(&[
        "run",
        city.to_str().unwrap(),
        "--ticks",
        "0",
        "--format",
        "json",
        "--depth",
        "boundary",
    ]);
    command
        .args(["--data", folder.path().to_str().unwrap(), "-o"])
        .arg(folder.path().join("run.perfetto-trace"));
    let mut going = Going(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let pid = going.pid();
    let top = |more: &[&str]| {
        let mut words = vec!["top", "--pid", &pid, "--batch", "1", "--every", "100ms"];
        words.extend(more);
        said(&words).0
    };
    until("ticks", || {
        top(&[]).lines().nth(1).is_some_and(|line| line.contains(" ticks in ") && !line.starts_with("0 "))
    });
    until("a resource", || top(&["--resources"]).contains("inventory"));
    assert_eq!(said(&["ctl", "--pid", &pid, "depth", "trace"]).1, Some(0));
    until("functions", || top(&[]).contains(" function "));
    interrupt(going.0.id());
    let mut text = String::new();
    going.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(going.0.wait().unwrap().success());
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(report["ticks"].as_u64() > Some(0));
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let (text, code) = said(&["top", "--pid", "1", "--batch", "1"]);
    assert_eq!((text.as_str(), code), ("tickscope: process 1 is not being recorded by this user\n", Some(1)));
    let (text, code) = said(&["ctl", "--pid", "1", "depth", "trace"]);
    assert_eq!((text.as_str(), code), ("tickscope: process 1 is not being recorded by this user\n", Some(1)));
    assert_eq!(said(&["ctl", "depth", "deep"]).1, Some(2));
}
