//! Limits, signals, users and files around a recorded program: it runs on as it does alone, `record` stays with it to its end,
//! and says what is not recorded.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::attach::may_trace;
use super::hostile::{LUAS, host};
use super::record::{captures, conserved, functions, installed, record, report};

fn words(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn names(capture: &Path) -> Vec<String> {
    let report = report(capture);
    conserved(&report, 1);
    functions(&report)
}

#[test]
fn a_limit_of_the_size_of_files_is_told_and_the_program_runs() {
    if !installed("lua5.4") || !installed("prlimit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = ["prlimit", "--fsize=1000000", "lua5.4", "-e", "print(2 + 2) os.exit(7)"];
    let output = record(folder.path(), &[], &program).output().unwrap();
    let (code, errors) = words(&output);
    assert_eq!((code, &*output.stdout), (Some(7), &b"4\n"[..]), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("may have 1000000 bytes (RLIMIT_FSIZE"), "{errors}");
}

#[test]
fn a_server_in_the_background_that_has_run_no_lua_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(daemon) = host(folder.path(), "background.c", LUAS[1]) else { return };
    let mut command = record(folder.path(), &[], &[daemon.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It runs until its input ends.
    let input = child.stdin.take().unwrap();
    let (code, errors) = words(&child.wait_with_output().unwrap());
    drop(input);
    assert_eq!(code, Some(0), "{errors}");
    let (left, rest) = errors.split_once(" running, which had run no Lua by then").unwrap_or_default();
    assert!(left.contains("left lua5.4 (") && rest.contains("--pid"), "{errors}");
}

#[test]
fn a_process_with_another_number_of_its_own_is_watched() {
    if !installed("lua5.4") || !installed("unshare") {
        return;
    }
    let own = ["unshare", "-rpf", "--mount-proc"];
    if !Command::new(own[0]).args(&own[1..]).arg("true").output().unwrap().status.success() {
        println!("skipped: this machine gives no namespaces");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The first one there: number 1, which is another process here.
    let text = "local function one() end for i = 1, 100 do one() end os.exit(7)";
    let program = [&own[..], &["lua5.4", "-e", text]].concat();
    let output = record(folder.path(), &["--depth", "trace"], &program).output().unwrap();
    let (code, errors) = words(&output);
    assert_eq!(code, Some(7), "{errors}");
    assert!(names(&folder.path().join("run.perfetto-trace")).contains(&"one".to_owned()), "{errors}");
}

#[test]
fn a_process_that_replaces_itself_has_a_capture_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let Some(stages) = host(folder.path(), "stages.c", LUAS[1]) else { return };
    let program = [stages.to_str().unwrap(), "4"];
    let output = record(folder.path(), &["--depth", "trace"], &program).output().unwrap();
    let (code, errors) = words(&output);
    assert_eq!((code, &*output.stdout), (Some(0), &b"the last stage\n"[..]), "{errors}");
    let all: Vec<Vec<String>> = captures(folder.path()).iter().map(|capture| names(capture)).collect();
    assert_eq!(all.len(), 4, "{errors}");
    for stage in ["stage1", "stage2", "stage3", "stage4"] {
        let having = all.iter().filter(|names| names.iter().any(|name| name == stage)).count();
        assert_eq!(having, 1, "{stage}: {all:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_program_begins() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    for (place, why) in [
        ("none/x.perfetto-trace", "cannot write the capture none/x.perfetto-trace"),
        ("pipe", "pipe is a pipe"),
        (".", ". is a directory"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
        command.args(["record", "-o", place, "--", "touch", "ran"]).current_dir(folder.path());
        let (code, errors) = words(&command.stdin(Stdio::null()).output().unwrap());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(why), "{errors}");
        assert!(!folder.path().join("ran").exists(), "it was started: {errors}");
    }
}

/// Calls a function until its capture is there.
const SEEN: &str = "local function before() end repeat before() until io.open('out/run.perfetto-trace')";

/// `tickscope record` of a shell's script, with the capture in the folder `out`.
fn script(folder: &Path, script: &str) -> (Option<i32>, String) {
    std::fs::create_dir(folder.join("out")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["record", "--depth", "trace", "-o", "out/run.perfetto-trace", "--", "sh", "-c", script]);
    words(&command.current_dir(folder).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_capture_that_cannot_be_made_costs_its_process_only() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seen.lua"), SEEN).unwrap();
    let lines = "lua5.4 seen.lua; mv out kept; lua5.4 -e 'print(1)'; exit 7";
    let (code, errors) = script(folder.path(), lines);
    assert_eq!(code, Some(7), "{errors}");
    assert!(errors.contains("is not recorded: cannot write the capture"), "{errors}");
    assert!(names(&folder.path().join("kept/run.perfetto-trace")).contains(&"before".to_owned()));
}

#[test]
fn a_session_goes_on_when_its_file_is_removed() {
    if !installed("lua5.4") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let after = "assert(os.execute('rm -r \"${TICKSCOPE_AGENT##*in=}\"'))
        local function after() end for i = 1, 1000 do after() end os.exit(7)";
    std::fs::write(folder.path().join("seen.lua"), format!("{SEEN} {after}")).unwrap();
    let (code, errors) = script(folder.path(), "exec lua5.4 seen.lua");
    assert_eq!(code, Some(7), "{errors}");
    assert!(errors.contains("is not seen"), "{errors}");
    assert!(names(&folder.path().join("out/run.perfetto-trace")).contains(&"after".to_owned()));
}

#[test]
fn a_recorder_without_descriptors_stays_with_the_program() {
    if !installed("lua5.4") || !installed("prlimit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    std::fs::write(folder.path().join("wait.lua"), "local function f() end f() io.open('gate')").unwrap();
    let lines = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do lua5.4 wait.lua & done; wait; exit 7";
    let recording = record(folder.path(), &["--depth", "trace"], &["sh", "-c", lines]);
    let mut command = Command::new("prlimit");
    command.arg("--nofile=20").arg(recording.get_program()).args(recording.get_args());
    command.current_dir(folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = said.find(|line| line.contains("Too many open files")).expect("too many are open");
    assert!(first.contains("cannot"), "{first}");
    // Open for writing: none of them waits for it any longer.
    let open = std::fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
    let rest: Vec<String> = said.collect();
    drop(open);
    assert_eq!(child.wait().unwrap().code(), Some(7), "{rest:?}");
    let all = captures(folder.path());
    assert!((1..12).contains(&all.len()), "{all:?}, {rest:?}");
    all.iter().for_each(|capture| conserved(&report(capture), 1));
}

#[test]
fn ignored_signals_stay_ignored() {
    let folder = tempfile::tempdir().unwrap();
    for ignored in ["trap '' HUP INT QUIT TERM USR1 PIPE;", ""] {
        let script = format!("{ignored} exec \"$@\"");
        let program = ["grep", "SigIgn", "/proc/self/status"];
        let recording = record(folder.path(), &[], &program);
        let shell = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", &script, "sh"]).stdin(Stdio::null());
            shell
        };
        let plain = shell().args(program).output().unwrap();
        let recorded = shell().arg(recording.get_program()).args(recording.get_args()).output().unwrap();
        // Without those that the C library keeps to itself: what it starts ignores two of them.
        let signals = |output: &Output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let mask = text.strip_prefix("SigIgn:").expect("a line of the kernel's").trim().to_owned();
            u64::from_str_radix(&mask, 16).unwrap() & 0x7fff_ffff
        };
        assert_eq!(signals(&recorded), signals(&plain), "{script}");
    }
}

/// What runs another program as user 65534, where we may, and where that user may read the agent.
fn as_nobody() -> Option<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).stdin(Stdio::null());
    let build = Path::new(env!("CARGO_BIN_EXE_tickscope")).parent().unwrap();
    let mut try_it = Command::new("setpriv");
    try_it.args(["--reuid=65534", "--regid=65534", "--clear-groups", "ls"]).arg(build);
    if std::fs::metadata("/proc/self").unwrap().uid() != 0
        || !try_it.output().is_ok_and(|it| it.status.success())
    {
        println!("skipped: needs root, setpriv, and a build that others may read");
        return None;
    }
    Some(command)
}

/// A test that failed leaves nothing behind.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_goes_on_with_the_recording_of_another_user() {
    let Some(mut program) = as_nobody().filter(|_| installed("lua5.4") && may_trace()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let endless = "print('ready') io.stdout:flush() local function turn() end while true do pcall(turn) end";
    let mut program = Ending(program.args(["lua5.4", "-e", endless]).stdout(Stdio::piped()).spawn().unwrap());
    let pid = program.0.id().to_string();
    let tickscope = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
        command.arg("record").args(words).current_dir(folder.path()).stdin(Stdio::null());
        command
    };
    // Not before it is a Lua that runs.
    let said = program.0.stdout.take().unwrap();
    assert_eq!(BufReader::new(said).lines().next().unwrap().unwrap(), "ready");
    let mut first = tickscope(&["--pid", &pid, "-o", "first.perfetto-trace"]);
    let mut first = first.stderr(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(first.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(line.contains("recording process"), "{line}");
    let place = PathBuf::from(format!("/dev/shm/tickscope-{}", first.id()));
    let has_session = || {
        let mut files = std::fs::read_dir(&place).unwrap().flatten();
        files.any(|file| file.path().extension().is_some_and(|found| found == "session"))
    };
    for _ in 0..1_200 {
        if has_session() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(has_session(), "nothing is recorded");
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = tickscope(&["--attach", &pid, "--for", "100ms", "-o", "second.perfetto-trace"]);
    let (code, errors) = words(&second.output().unwrap());
    // Later, another test's recording may remove it at any time.
    assert!(place.is_dir());
    program.0.kill().unwrap();
    program.0.wait().unwrap();
    assert_eq!(code, Some(0), "{errors}");
    conserved(&report(&folder.path().join("second.perfetto-trace")), 1);
    // What nobody records into any more goes with the next one.
    for _ in 0..100 {
        assert!(record(folder.path(), &[], &["true"]).output().unwrap().status.success());
        if !place.exists() {
            return;
        }
        // Another test's may be about to remove it.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("its memory is held for ever");
}
