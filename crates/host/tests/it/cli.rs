//! The command on small servers, good and bad, and what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A server directory of resources given as (path, contents).
struct Server {
    dir: TempDir,
}

impl Server {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, contents) in files {
            let path = dir.path().join("server/resources").join(path);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("a writable directory");
            fs::write(path, contents).expect("a writable file");
        }
        Self { dir }
    }

    fn capture(&self) -> PathBuf {
        self.dir.path().join("out.perfetto-trace")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = tickscope();
        command.arg("run").arg(self.dir.path().join("server")).args(args);
        command.arg("-o").arg(self.capture()).current_dir(self.dir.path());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> (Value, String) {
        let output = self.command(&["--format", "json", "--virtual-time"]).args(args).output().expect("runs");
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{}\n{errors}", output.status);
        (serde_json::from_slice(&output.stdout).expect("one JSON document"), errors)
    }
}

fn tickscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn report(capture: &Path, format: &str) -> Output {
    tickscope().args(["report", "--format", format]).arg(capture).output().expect("runs")
}

const MANIFEST: &str = "fx_version 'cerulean'\ngame 'gta5'\nserver_script 'main.lua'\n";

/// Late every 20th tick, in `grind`, called by an event handler that a thread triggers.
const BUSY: &str = "
local function grind(n)
  local t = {}
  for i = 1, n do t[i % 1000] = tostring(i) .. 'x' end
  return #t
end

AddEventHandler('shop:restock', function(n)
  grind(n)
end)

CreateThread(function()
  while true do
    Wait(1000)
    TriggerEvent('shop:restock', 1500000)
  end
end)
";

fn busy() -> Server {
    Server::new(&[("[shops]/shop/fxmanifest.lua", MANIFEST), ("[shops]/shop/main.lua", BUSY)])
}

#[test]
fn the_cause_is_named_at_each_depth() {
    for depth in ["boundary", "sample", "trace"] {
        let (document, errors) = busy().run(&["--ticks", "70", "--depth", depth]);
        assert_eq!(document["ticks"], 70, "{errors}");
        let late = document["late_ticks"].as_array().expect("an array");
        assert!(late.len() >= 3, "{depth}: {document:#}");
        let mut named = 0;
        for tick in late.iter().filter(|tick| tick["blame"] == "script") {
            let causes = tick["causes"].as_array().expect("an array");
            let find = |kind: &str, name: &str| {
                causes.iter().find(|cause| cause["kind"] == kind && cause["function"] == name)
            };
            let event = find("event", "shop:restock").unwrap_or_else(|| panic!("{depth}: {causes:#?}"));
            assert_eq!(event["calls"], 1);
            let function = find("function", "grind");
            // On a busy machine the timer may not come in each of them.
            if depth != "sample" {
                assert_eq!(function.is_some(), depth == "trace", "{depth}: {causes:#?}");
            }
            if let Some(function) = function {
                named += 1;
                assert_eq!((&function["file"], &function["line"]), (&"main.lua".into(), &2.into()));
                assert_eq!((&function["resource"], &function["culprit"]), (&"shop".into(), &true.into()));
                assert_eq!(function["calls"], if depth == "trace" { Value::from(1) } else { Value::Null });
            }
        }
        let blamed = late.iter().any(|tick| tick["blame"] == "script");
        assert_eq!(named > 0, blamed && depth != "boundary", "{depth}: {document:#}");
        let figure = |name: &str| document[name].as_u64().expect("a number");
        assert_eq!(figure("attempted"), figure("committed") + figure("dropped"));
        assert_eq!(figure("committed"), figure("delivered") + figure("overwritten") + figure("discarded"));
    }
}

#[test]
fn a_capture_gives_the_same_report_again() {
    let server = busy();
    let live = server.command(&["--ticks", "50", "--format", "json"]).output().expect("runs");
    let again = report(&server.capture(), "json");
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(text(&live.stdout), text(&again.stdout));

    let live = server.command(&["--ticks", "50", "--depth", "trace"]).output().expect("runs");
    let again = report(&server.capture(), "text");
    assert!(
        text(&live.stdout).ends_with(&text(&again.stdout)),
        "{}\n{}",
        text(&live.stdout),
        text(&again.stdout)
    );
}

#[test]
fn any_cut_of_a_capture_is_reported_up_to_there() {
    let server = busy();
    server.run(&["--ticks", "30"]);
    let whole = fs::read(server.capture()).expect("the capture");
    let cut = server.dir.path().join("cut.perfetto-trace");
    for part in 1..8 {
        fs::write(&cut, &whole[..whole.len() * part / 8 + part]).expect("writable");
        let output = report(&cut, "json");
        assert!(output.status.success(), "{part}/8: {}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
        assert!(document["ticks"].as_u64().expect("a number") <= 30);
    }
}

#[test]
fn what_is_no_capture_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let check = |name: &str, contents: Option<&[u8]>, parts: &[&str]| {
        let path = dir.path().join(name);
        if let Some(contents) = contents {
            fs::write(&path, contents).expect("writable");
        }
        let output = report(&path, "text");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("tickscope: ") && message.lines().count() == 1, "{message}");
        for part in parts.iter().chain([&name]) {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    };
    check("absent.perfetto-trace", None, &["No such file"]);
    check("notes.txt", Some(b"remember the milk"), &["expected"]);
    check("trace.json", Some(br#"{"traceEvents":[]}"#), &["expected"]);
    check("empty.perfetto-trace", Some(b""), &["expected"]);
}

#[test]
fn every_format_can_be_had() {
    let server = busy();
    server.run(&["--ticks", "30"]);
    for (format, begins) in [
        ("chrome", "{\"traceEvents\""),
        ("speedscope", "{"),
        ("folded", ""),
        ("svg", "<"),
        ("csv", ""),
        ("jsonl", "{"),
        ("perfetto", ""),
        ("pprof", "\u{1f}"),
    ] {
        let mut command = tickscope();
        command.arg("convert").arg(server.capture()).args(["--to", format, "-o", "-"]);
        let output = command.output().expect("runs");
        assert!(output.status.success(), "{format}: {}", text(&output.stderr));
        let written = text(&output.stdout);
        assert!(written.len() > 100, "{format}: {written}");
        assert!(written.starts_with(begins) || written.starts_with('['), "{format}: {}", &written[..60]);
        if matches!(format, "folded" | "svg" | "csv" | "jsonl" | "chrome" | "speedscope") {
            assert!(written.contains("shop"), "{format}");
        }
    }
    let output =
        tickscope().arg("convert").arg(server.capture()).args(["--to", "gif"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected one of"));
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let server = busy();
    let check = |output: &str, args: &[&str]| {
        let mut command = tickscope();
        command.arg("run").arg(server.dir.path().join("server")).args(args).args([
            "--virtual-time",
            "-o",
            output,
        ]);
        let result = command.output().expect("runs");
        assert_eq!(result.status.code(), Some(1), "{}", text(&result.stderr));
        (text(&result.stdout), text(&result.stderr))
    };
    let (_, errors) = check("/nowhere/at/all.perfetto-trace", &["--ticks", "5"]);
    assert!(errors.contains("/nowhere/at/all.perfetto-trace") && errors.contains("-o"), "{errors}");
    // A full disk: the report is there all the same.
    let (page, errors) = check("/dev/full", &["--ticks", "40"]);
    assert!(page.contains("40 ticks") && page.contains("grind"), "{page}");
    assert!(errors.contains("No space left"), "{errors}");
}

#[test]
fn broken_resources_are_named_and_the_rest_runs() {
    let server = Server::new(&[
        ("good/fxmanifest.lua", MANIFEST),
        ("good/main.lua", "CreateThread(function() Wait(100) print('good runs') end)"),
        ("nomanifest/main.lua", "print('never')"),
        ("badmanifest/fxmanifest.lua", "server_script 'main.lua' ("),
        ("syntax/fxmanifest.lua", MANIFEST),
        ("syntax/main.lua", "local x = 1\nlocal function oops(\nend\n"),
        ("raises/fxmanifest.lua", MANIFEST),
        ("raises/main.lua", "CreateThread(function()\n  error('no such job')\nend)"),
        ("greedy/fxmanifest.lua", MANIFEST),
        (
            "greedy/main.lua",
            "CreateThread(function()\n  local t = {}\n  for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end\nend)",
        ),
        ("asks/fxmanifest.lua", MANIFEST),
        (
            "asks/main.lua",
            "CreateThread(function()\n  for i = 1, 3 do pcall(SetVehicleEngineOn, i) end\n  SetVehicleEngineOn(1)\nend)",
        ),
    ]);
    let (document, errors) = server.run(&["--ticks", "20", "--memory-limit", "64"]);
    assert_eq!(document["ticks"], 20);
    for told in [
        "good runs",
        "badmanifest",
        "main.lua:3",
        "main.lua:2",
        "no such job",
        "not enough memory",
        "SetVehicleEngineOn",
    ] {
        assert!(errors.contains(told), "{told:?} in\n{errors}");
    }
    let resources = document["resources"].as_array().expect("an array");
    let raises =
        resources.iter().find(|resource| resource["resource"] == "raises").expect("raises is listed");
    assert_eq!(raises["errors"], 1);
}

#[test]
fn a_loop_that_never_ends_is_stopped_named_and_reported() {
    let server = Server::new(&[
        ("hang/fxmanifest.lua", MANIFEST),
        (
            "hang/main.lua",
            "local function spin()\n  while true do pcall(function() local x = 1 end) end\nend\n\nCreateThread(function()\n  Wait(200)\n  spin()\nend)",
        ),
        ("good/fxmanifest.lua", MANIFEST),
        ("good/main.lua", "CreateThread(function() Wait(500) print('good runs') end)"),
    ]);
    let (document, errors) = server.run(&["--ticks", "20", "--tick-limit", "3s"]);
    assert_eq!(document["ticks"], 20, "the run went on: {errors}");
    assert!(errors.contains("good runs"), "{errors}");
    assert!(
        errors.contains("has been running for") && errors.contains("spin"),
        "shown while it ran: {errors}"
    );
    let late = &document["late_ticks"][0];
    assert!(late["ms"].as_f64().expect("a number") >= 2_900.0, "{late:#}");
    assert!(
        late["causes"].as_array().expect("an array").iter().any(|cause| cause["function"] == "spin"),
        "{late:#}"
    );
}

/// Starts a run that has no end and lets it get going.
fn endless(server: &Server, args: &[&str]) -> std::process::Child {
    let mut command = server.command(args);
    command.args(["--ticks", "0", "--format", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    let start = Instant::now();
    while fs::metadata(server.capture()).map_or(0, |file| file.len()) < 20_000 {
        assert!(start.elapsed() < Duration::from_secs(60), "the capture grows");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn signal(child: &std::process::Child, signal: libc::c_int) {
    // SAFETY: signals a child of ours that was not waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, signal) };
}

#[test]
fn ctrl_c_ends_the_run_and_everything_is_written() {
    let server = busy();
    let child = endless(&server, &[]);
    signal(&child, libc::SIGINT);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let live: Value = serde_json::from_slice(&output.stdout).expect("the report");
    let again = report(&server.capture(), "json");
    assert_eq!(text(&output.stdout), text(&again.stdout));
    assert_eq!(live["truncated"], false);
}

#[test]
fn ctrl_c_ends_a_script_that_hangs() {
    let server = Server::new(&[
        ("hang/fxmanifest.lua", MANIFEST),
        (
            "hang/main.lua",
            "local function spin()\n  while true do pcall(function() local x = 1 end) end\nend\nCreateThread(function()\n  Wait(300)\n  spin()\nend)",
        ),
    ]);
    let mut command = server.command(&["--ticks", "0", "--tick-limit", "0", "--format", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    std::thread::sleep(Duration::from_secs(4));
    signal(&child, libc::SIGINT);
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("the report");
    assert!(document.to_string().contains("\"spin\""), "{document:#}");
}

#[test]
fn a_killed_run_leaves_a_capture_that_opens() {
    let server = busy();
    let mut child = endless(&server, &["--depth", "trace"]);
    std::thread::sleep(Duration::from_millis(1_500));
    signal(&child, libc::SIGKILL);
    child.wait().expect("ends");
    let output = report(&server.capture(), "json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("the report");
    assert!(document["ticks"].as_u64().expect("a number") >= 5, "{document:#}");
}

#[test]
fn captures_rotate_by_size_and_each_opens_alone() {
    let server = busy();
    server.run(&["--ticks", "100", "--depth", "trace", "--max-size", "1MiB"]);
    let parts: Vec<PathBuf> = fs::read_dir(server.dir.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "perfetto-trace"))
        .collect();
    assert!(parts.len() > 1, "{parts:?}");
    for part in parts {
        let output = report(&part, "json");
        assert!(output.status.success(), "{}: {}", part.display(), text(&output.stderr));
    }
}

#[test]
fn on_hitch_keeps_only_the_time_before_late_ticks() {
    let server = busy();
    let (live, _) = server.run(&["--ticks", "70", "--on-hitch", "200ms"]);
    assert_eq!(live["ticks"], 70);
    let kept: Value = serde_json::from_slice(&report(&server.capture(), "json").stdout).expect("the report");
    assert_eq!(kept["late"], live["late"]);
    assert!(kept["ticks"].as_u64().expect("a number") < 70, "{kept:#}");
}

#[test]
fn help_has_examples_and_wrong_usage_is_code_2() {
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["lua", "--help"],
        &["report", "--help"],
        &["convert", "--help"],
    ] {
        let output = tickscope().args(command).output().expect("runs");
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:"), "{command:?}");
    }
    let output = tickscope().args(["run", ".", "--budget", "soon"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a time such as 50ms"));
}

#[test]
fn imported_names_of_natives_are_used_and_strict_runs_refuse_what_does_nothing() {
    let server = Server::new(&[
        ("a/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua'"),
        (
            "a/main.lua",
            "CreateThread(function() Citizen.InvokeNative(0x509D5878EB39E843) end)\nSetVehicleAlarm(1, true)",
        ),
    ]);
    let data = server.dir.path().join("data");
    let file = server.dir.path().join("natives.json");
    fs::write(&file, r#"{"OBJECT": {"0x509D5878EB39E843": {"name": "CREATE_THING", "params": []}}}"#)
        .expect("a writable file");
    let output = tickscope()
        .args(["natives", "import"])
        .arg(&file)
        .env("XDG_DATA_HOME", &data)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("1 hashes of natives"), "{}", text(&output.stdout));
    let run = |args: &[&str]| {
        let mut command = server.command(&["--virtual-time", "--ticks", "5"]);
        let output = command.args(args).env("XDG_DATA_HOME", &data).output().expect("runs");
        text(&output.stderr)
    };
    let errors = run(&[]);
    assert!(errors.contains("CREATE_THING (0x509D5878EB39E843)"), "{errors}");
    assert!(errors.contains("how often they were called: SetVehicleAlarm (1)"), "{errors}");
    let errors = run(&["--strict"]);
    assert!(errors.contains("main.lua:2: native SetVehicleAlarm does nothing in this host"), "{errors}");

    fs::write(&file, r#"{"OBJECT": {"number five": {"name": "X"}}}"#).expect("a writable file");
    let output = tickscope().args(["natives", "import"]).arg(&file).output().expect("runs");
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("namespace OBJECT, native number five"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_run_without_http_counts_what_it_refused() {
    let server = Server::new(&[
        ("hook/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua'"),
        (
            "hook/main.lua",
            "for _ = 1, 2 do PerformHttpRequest('http://localhost:1/secret', function(status, _, _, why)
                 print(status, why)
             end, 'POST', 'x') end",
        ),
    ]);
    let args = ["--virtual-time", "--ticks", "5", "--no-http"];
    let output = server.command(&args).output().expect("the command starts");
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{errors}");
    assert_eq!(out.matches("[hook] 0\tHTTP is turned off for this run").count(), 2, "{out}");
    assert!(errors.contains("HTTP requests were refused, and how many: hook (2)"), "{errors}");
    assert!(!out.contains("secret") && !errors.contains("secret"), "what a URL holds stays in it");
}

#[test]
fn commands_typed_while_it_runs_are_carried_out() {
    let server = Server::new(&[
        ("shop/fxmanifest.lua", "fx_version 'cerulean' server_script 'main.lua'"),
        (
            "shop/main.lua",
            "print('opened') RegisterCommand('price', function(source, args) print(source, args[1]) end)",
        ),
    ]);
    let mut command = server.command(&["--ticks", "0", "--set", "greeting=hello there"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let lines = "\nprice 5\ngreeting\nrestart shop\nnonsense\nquit\n";
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), lines.as_bytes()).expect("it listens");
    let output = child.wait_with_output().expect("it ends by itself");
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}\n{}", text(&output.stderr));
    assert!(out.contains("[shop] 0\t5\n") && out.contains("hello there"), "{out}");
    assert!(out.contains("nonsense"), "an unknown command is told: {out}");
}

#[test]
fn what_another_profiler_recorded_becomes_a_capture_like_any_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("trace.json");
    let events = r#"[{"ph":"B","name":"outer","ts":0,"pid":1,"tid":1},{"ph":"X","name":"inner","ts":10,"dur":4000,"pid":1,"tid":1},"#;
    fs::write(&file, events).expect("a writable file");
    let output = tickscope().arg("import").arg(&file).output().expect("runs");
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("4 events of Chrome trace JSON") && errors.contains("breaks off"), "{errors}");
    let output = report(&file.with_extension("perfetto-trace"), "json");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let names: Vec<_> =
        report["symbols"].as_array().expect("a list").iter().map(|one| &one["function"]).collect();
    assert!(names.contains(&&Value::from("inner")) && names.contains(&&Value::from("outer")), "{names:?}");

    let piped = |args: &[&str], input: &str| {
        let mut command = tickscope();
        command.arg("import").arg("-").args(args).current_dir(dir.path());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        use std::io::Write;
        // Who refuses its arguments is gone before it reads.
        let _ = child.stdin.take().expect("is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("ends")
    };
    let output = piped(&["--hz", "100", "-o", "folded.perfetto-trace"], "main;pay 30\nmain 10\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (args, input, says) in [
        (&[][..], "main 1\n", "choose one with -o"),
        (&["-o", "x.perfetto-trace"], "what is this", "expected what FXServer's"),
    ] {
        let output = piped(args, input);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    assert!(!dir.path().join("x.perfetto-trace").exists());
}
