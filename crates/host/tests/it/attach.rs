//! `tickscope record --pid`: programs that run already are recorded and left as they were.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::record::{conserved, functions, installed, report};

/// Defines new functions all the time; ends when its input does, and prints what it computed.
const BUSY: &str = r#"
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local turns, wrong = 0, 0
local make = loadstring or load
local function turn()
  turns = turns + 1
  local name = "made_" .. turns
  -- On a line of its own: in 5.1 functions are told apart by chunk and line.
  local sum = make(string.rep("\n", turns % 1000) .. "local function " .. name ..
    "(n) local s = 0 for i = 1, n do s = s + i end return s end return (" .. name .. "(100))", "=chunk")()
  if sum ~= 5050 then wrong = wrong + 1 end
  local co = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(fib(6)) end end)
  sum = 0
  for i = 1, 5 do sum = sum + co() end
  if sum ~= 40 then wrong = wrong + 1 end
  if select(2, pcall(error, "boom", 0)) ~= "boom" then wrong = wrong + 1 end
end
print("ready") io.stdout:flush()
while not io.open("stop") do for i = 1, 20 do assert(pcall(turn)) end end
print("wrong", wrong, debug.gethook())
"#;

pub(super) struct Program {
    pub(super) child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    pub(super) fn start(folder: &Path, interpreter: &str) -> Self {
        std::fs::write(folder.join("busy.lua"), BUSY).unwrap();
        let mut child = Command::new(interpreter)
            .arg("busy.lua")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Self { child, lines }
    }

    /// What it prints at its end; it must end well.
    pub(super) fn end(mut self, folder: &Path) -> Vec<String> {
        std::fs::write(folder.join("stop"), "").unwrap();
        let rest = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Program {
    /// A test that failed leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn attach(folder: &Path, pid: u32, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["record", "--pid", &pid.to_string()]).args(options).current_dir(folder);
    command.output().unwrap()
}

/// Whether this machine lets us trace; said where it does not.
pub(super) fn may_trace() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let output = attach(folder.path(), sleeper.id(), &[]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let may = !errors.contains("may not attach");
    if !may {
        println!("skipped: this machine does not let us trace: {errors}");
    }
    may
}

#[test]
fn a_busy_program_is_recorded_again_and_again_and_left_as_it_was() {
    if !may_trace() {
        return;
    }
    let cycles = match std::env::var("TICKSCOPE_SOAK").as_deref() {
        Ok("full") => 1_000,
        _ => 50,
    };
    for (interpreter, cycles) in [("lua5.4", cycles), ("lua5.1", 5)] {
        if !installed(interpreter) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let plain = Program::start(folder.path(), interpreter).end(folder.path());
        std::fs::remove_file(folder.path().join("stop")).unwrap();
        let program = Program::start(folder.path(), interpreter);
        let mut newest = 0;
        for cycle in 0..cycles {
            // On a busy machine the program may get nothing done in that time: then it is given more.
            let mut last = None;
            for time in ["50ms", "200ms", "1s", "5s"] {
                // One that is left from before would do for this one's.
                let _ = std::fs::remove_file(folder.path().join("run.perfetto-trace"));
                let output = attach(
                    folder.path(),
                    program.child.id(),
                    &["--for", time, "--depth", "trace", "-o", "run.perfetto-trace"],
                );
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "cycle {cycle}: {errors}");
                println!("{interpreter}, cycle {cycle}: {errors}");
                if !errors.contains("nothing was recorded") {
                    let report = report(&folder.path().join("run.perfetto-trace"));
                    conserved(&report, 0);
                    let made = |name: String| name.strip_prefix("made_")?.parse::<u32>().ok();
                    last = functions(&report).into_iter().filter_map(made).max();
                }
                if last > Some(newest) {
                    break;
                }
            }
            assert!(last > Some(newest), "cycle {cycle}: {last:?} after {newest}");
            newest = last.unwrap();
        }
        assert_eq!(program.end(folder.path()), plain);
    }
}

#[track_caller]
fn check(pid: u32, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = attach(folder.path(), pid, &["--for", "1s"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(says), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn what_cannot_be_attached_to_is_said_and_untouched() {
    check(0x7fff_fffe, "there is no process");
    if !may_trace() {
        return;
    }
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    check(sleeper.id(), "has no Lua that can be recorded");
    assert!(Command::new("kill").args(["-STOP", &sleeper.id().to_string()]).status().unwrap().success());
    let stat = format!("/proc/{}/stat", sleeper.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") T") {
        std::thread::yield_now();
    }
    check(sleeper.id(), "is stopped");
    sleeper.kill().unwrap();
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z") {
        std::thread::yield_now();
    }
    check(sleeper.id(), "a zombie");
    sleeper.wait().unwrap();
}
