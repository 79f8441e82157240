//! `kill -9` at random moments: of the recorded program, whose records are all there, and of the `tickscope` that
//! records, after which the program runs on and `record --attach` goes on with it.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::attach;
use super::record::{conserved, installed, record, report};

/// Writes down how many of its calls are complete, after each; ends when it is told to and says whether it was right. Between
/// them it has something to do: none of its calls is to find a ring full, though the machine has others to serve.
const COUNTING: &str = r#"
local file = assert(io.open("count", "w"))
print((io.open("/proc/self/stat"):read("*n"))) io.stdout:flush()
local function step(n) return n % 7 end
local sum, n = 0, 0
repeat
  for i = 1, 100 do
    n = n + 1
    sum = sum + step(n)
    file:seek("set", 0) file:write(string.format("%12d", n)) file:flush()
    for _ = 1, 3000 do end
  end
  if io.open("children") then
    os.remove("children")
    os.execute(arg[-1] .. " -e 'local function child() end for i = 1, 1000 do child() end'")
    io.open("born", "w"):close()
  end
until io.open("stop")
local again = 0
for i = 1, n do again = again + i % 7 end
print("right", again == sum, debug.gethook() == nil)
"#;

/// Kills of each kind.
fn kills() -> u32 {
    if std::env::var("TICKSCOPE_SOAK").as_deref() == Ok("full") { 50 } else { 5 }
}

/// Random moments that can be had again.
struct Moments(u64);

impl Moments {
    /// The seed is the variable `TICKSCOPE_SEED`, or the time; said, for the output of a test that fails.
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let given = std::env::var("TICKSCOPE_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or(now.as_nanos() as u64);
        println!("TICKSCOPE_SEED={seed}");
        Self(seed)
    }

    /// Below `limit`: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Some time within the next moments passes.
    fn pass(&mut self) {
        std::thread::sleep(Duration::from_micros(self.below(300_000)));
    }
}

/// The counting program under `tickscope record`.
struct Recorded {
    recorder: Child,
    /// The program.
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Recorded {
    fn start(folder: &Path, interpreter: &str) -> Self {
        std::fs::write(folder.join("counting.lua"), COUNTING).unwrap();
        let mut command = record(folder, &["--depth", "trace"], &[interpreter, "counting.lua"]);
        let errors = std::fs::File::create(folder.join("errors")).unwrap();
        let mut recorder = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut lines = BufReader::new(recorder.stdout.take().unwrap()).lines();
        let pid = lines.next().unwrap().unwrap().trim().trim_end_matches(".0").parse().unwrap();
        Self { recorder, pid, lines }
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

fn count(folder: &Path) -> u64 {
    std::fs::read_to_string(folder.join("count")).unwrap().trim().parse().unwrap_or(0)
}

/// How often a function was called, as a report tells.
fn calls(report: &Value, function: &str) -> u64 {
    let symbols = report["symbols"].as_array().unwrap().iter();
    symbols
        .filter(|symbol| symbol["function"] == function)
        .filter_map(|symbol| symbol["calls"].as_u64())
        .sum()
}

/// `tickscope record --attach`, from the moment that it has taken the recording over.
fn go_on(folder: &Path, pid: u32, into: &str, options: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["record", "--attach", &pid.to_string(), "-o", into]).args(options);
    let mut child = command.current_dir(folder).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    assert!(first.contains(&format!("going on with the recording of {pid}")), "{first}");
    (child, said)
}

fn end(mut child: Child, said: Lines<BufReader<ChildStderr>>) -> String {
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended}: {rest:?}");
    rest.join("\n")
}

fn interpreters() -> impl Iterator<Item = &'static str> {
    ["lua5.4", "lua5.1"].into_iter().filter(|interpreter| installed(interpreter))
}

#[test]
fn a_program_that_is_killed_loses_nothing_it_has_recorded() {
    let mut moments = Moments::new();
    for round in 0..kills() {
        for interpreter in interpreters() {
            let folder = tempfile::tempdir().unwrap();
            let mut run = Recorded::start(folder.path(), interpreter);
            moments.pass();
            kill(run.pid);
            let ended = run.recorder.wait().unwrap();
            assert_eq!(ended.code(), Some(128 + 9), "{interpreter}, round {round}");
            let (done, report) = (count(folder.path()), report(&folder.path().join("run.perfetto-trace")));
            conserved(&report, 1);
            assert_eq!((&report["dropped"], &report["discarded"]), (&0.into(), &0.into()));
            let recorded = calls(&report, "step");
            // The one after may have begun, or be complete and not yet written down.
            assert!((done..=done + 1).contains(&recorded), "{recorded} of {done} in round {round}");
            println!("{interpreter}, round {round}: {recorded} calls recorded, {done} written down");
        }
    }
}

#[test]
fn a_recorder_that_is_killed_leaves_the_program_alone_and_another_goes_on() {
    let mut moments = Moments::new();
    for round in 0..kills() {
        for interpreter in interpreters() {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let mut run = Recorded::start(folder, interpreter);
            let pid = run.pid;
            let place = PathBuf::from(format!("/dev/shm/tickscope-{}", run.recorder.id()));
            moments.pass();
            run.recorder.kill().unwrap();
            run.recorder.wait().unwrap();
            check_cut(&folder.join("run.perfetto-trace"));

            moments.pass();
            // Another recording tidies up, and not this.
            let other = tempfile::tempdir().unwrap();
            assert!(record(other.path(), &[], &["true"]).output().unwrap().status.success());
            assert!(place.is_dir(), "what runs was tidied up");

            // The second one is killed as well, or leaves the program to a third.
            if moments.below(2) == 0 {
                let (mut second, _said) = go_on(folder, pid, "second.perfetto-trace", &[]);
                moments.pass();
                second.kill().unwrap();
                second.wait().unwrap();
                check_cut(&folder.join("second.perfetto-trace"));
            } else {
                let (second, said) = go_on(folder, pid, "second.perfetto-trace", &["--for", "200ms"]);
                let said = end(second, said);
                assert!(said.contains(&format!("record --attach {pid} goes on")), "{said}");
                let second = report(&folder.join("second.perfetto-trace"));
                conserved(&second, 1);
                assert!(calls(&second, "step") > 0, "nothing was recorded");
            }
            assert!(place.is_dir() && runs(pid));

            let (third, said) = go_on(folder, pid, "third.perfetto-trace", &["--report"]);
            std::fs::write(folder.join("stop"), "").unwrap();
            let said = end(third, said);
            assert!(said.contains("of a recording: what was before is in another capture"), "{said}");
            let third = report(&folder.join("third.perfetto-trace"));
            conserved(&third, 0);
            assert!(calls(&third, "step") > 0);
            assert!(!place.exists(), "nothing is left");
            let rest: Vec<String> = run.lines.map(Result::unwrap).collect();
            assert_eq!(rest, ["right\ttrue\ttrue"], "{interpreter}, round {round}");
            assert!(!runs(pid));
        }
    }
}

/// What a recorder that was killed leaves opens and adds up, if it came to write anything.
fn check_cut(capture: &Path) {
    if std::fs::metadata(capture).is_ok_and(|file| file.len() > 0) {
        let report = report(capture);
        if report["attempted"] != 0 {
            conserved(&report, 1);
        }
    }
}

#[test]
fn children_are_recorded_that_are_born_while_nobody_collects_and_after() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut run = Recorded::start(folder, "lua5.4");
    let pid = run.pid;
    run.recorder.kill().unwrap();
    run.recorder.wait().unwrap();
    let bear = || {
        std::fs::write(folder.join("children"), "").unwrap();
        while !folder.join("born").exists() {
            assert!(runs(pid));
            std::thread::sleep(Duration::from_millis(1));
        }
        std::fs::remove_file(folder.join("born")).unwrap();
    };
    bear();
    let (second, said) = go_on(folder, pid, "second.perfetto-trace", &[]);
    bear();
    std::fs::write(folder.join("stop"), "").unwrap();
    end(second, said);
    let children: Vec<u64> = super::record::captures(folder)
        .iter()
        .filter(|capture| capture.file_name().unwrap().to_str().unwrap().starts_with("second-"))
        .map(|capture| report(capture))
        .inspect(|report| conserved(report, 1))
        .map(|report| calls(&report, "child"))
        .collect();
    assert_eq!(children, [1_000, 1_000]);
    assert!(calls(&report(&folder.join("second.perfetto-trace")), "step") > 0);
}

#[test]
fn what_cannot_be_gone_on_with_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    let output = command.args(["record", "--attach", "2147483646"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("process 2147483646 has no recording to go on with"), "{errors}");
}

#[test]
fn a_tickscope_that_is_killed_while_it_attaches_harms_nobody() {
    if !attach::may_trace() {
        return;
    }
    let mut moments = Moments::new();
    for round in 0..4 * kills() {
        for interpreter in interpreters() {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let program = attach::Program::start(folder, interpreter);
            let pid = program.child.id().to_string();
            let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
            command.args(["record", "--pid", &pid, "-o", "first.perfetto-trace"]).current_dir(folder);
            let mut first = command.stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(moments.below(120_000)));
            first.kill().unwrap();
            first.wait().unwrap();
            // It is as it was: it can be attached to, and comes to the right end.
            let again =
                attach::attach(folder, program.child.id(), &["--for", "20ms", "-o", "again.perfetto-trace"]);
            let errors = String::from_utf8_lossy(&again.stderr);
            assert!(again.status.success(), "{interpreter}, round {round}: {errors}");
            let rest = program.end(folder);
            assert!(rest[0].starts_with("wrong\t0"), "{interpreter}, round {round}: {rest:?}");
        }
    }
}
