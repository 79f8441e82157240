//! `--sink` and `tickscope plugins`: plugins in Rust and C, good and bad, in the command itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::built;
use super::record::installed;

/// A machine under load is slow; one that waits for a plugin waits for an hour.
const TIME_LIMIT: Duration = Duration::from_secs(120);

struct Run {
    code: Option<i32>,
    out: String,
    said: Vec<String>,
}

fn tickscope(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(arguments).current_dir(folder).env("TICKSCOPE_PLUGINS", folder).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + TIME_LIMIT;
    // What it says fits into the pipes.
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    Run { code: output.status.code(), out: String::from_utf8_lossy(&output.stdout).into_owned(), said }
}

impl Run {
    #[track_caller]
    fn says(&self, begin: &str, end: &str) {
        let fits = |line: &&String| line.starts_with(begin) && line.ends_with(end);
        assert_eq!(self.said.iter().filter(fits).count(), 1, "{begin}…{end}: {:#?}", self.said);
    }
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    built::c(folder.path(), "c_count", &[]);
    std::fs::copy(built::rust(), folder.path().join("libodd.so")).unwrap();
    std::fs::write(folder.path().join("program.lua"), PROGRAM).unwrap();
    folder
}

const PROGRAM: &str = "local function work(n) local s = 0 for i = 1, n do s = s + i end return s end
    for i = 1, 200 do work(100) end print 'done'";
/// Lasts long enough for processes of plugins to begin on a machine under load.
const PATIENCE: &str = " io.stdout:flush() os.execute('sleep 3')";

#[test]
fn a_program_is_recorded_into_plugins_in_both_languages() {
    let folder = prepared();
    let run = tickscope(
        folder.path(),
        &[
            "lua",
            "--depth",
            "trace",
            "-o",
            "c.perfetto-trace",
            "--sink",
            "c-count=loud=true",
            "--sink",
            "./libodd.so=file=odd.txt",
            "--sink",
            "odd",
            "program.lua",
        ],
    );
    assert_eq!((run.code, &*run.out), (Some(0), "done\n"), "{:#?}", run.said);
    run.says("sink c-count: opened for program.lua with {\"loud\":true}", "");
    run.says("sink c-count: took ", "; counted in C");
    run.says("sink odd 2: took ", " samples are written down");
    let noted = std::fs::read_to_string(folder.path().join("odd.txt")).unwrap();
    let ends = noted.lines().filter(|line| line.contains(" end ") && line.contains("\"work\"")).count();
    assert_eq!(ends, 200);
    let begins = noted.lines().filter(|line| line.contains(" begin ") && line.contains(" function ")).count();
    run.says(&format!("sink c-count: function: {begins}"), "");
    assert!(noted.ends_with("missed 0\n"));
}

#[test]
fn what_is_wrong_with_a_plugin_is_told_and_the_rest_goes_on() {
    let folder = prepared();
    std::fs::write(folder.path().join("text.so"), "no library").unwrap();
    built::c(folder.path(), "two", &["major = 2"]);
    let run = tickscope(
        folder.path(),
        &[
            "lua",
            "-o",
            "c.perfetto-trace",
            "--sink",
            "./text.so",
            "--sink",
            "two",
            "--sink",
            "odd=limit=0",
            "--sink",
            "none",
            "--sink",
            "odd=panic open",
            "--sink",
            "odd=hang batch",
            "--sink",
            "c-count",
            "program.lua",
        ],
    );
    // The program's own code would be 0: sinks that were asked for are not there.
    assert_eq!((run.code, &*run.out), (Some(1), "done\n"), "{:#?}", run.said);
    run.says("tickscope: a sink is not used: ./text.so: it is no shared library", "libmy_sink.so");
    run.says("tickscope: a sink is not used: ", ": take a newer tickscope");
    run.says("tickscope: a sink is not used: options of odd: limit: expected 1 or more, found 0", "");
    run.says("tickscope: a sink is not used: there is no sink \"none\"; looked for libnone.so and ", "");
    run.says(
        "sink odd: is not used any more, for its `open` failed: it panicked at ",
        "more than it can bear",
    );
    run.says("sink odd 2: took ", "s"); // left behind, its call has not come back for … s
    run.says("sink c-count: took ", "counted in C");
    let report = tickscope(folder.path(), &["report", "c.perfetto-trace"]);
    assert_eq!(report.code, Some(0), "{:#?}", report.said);
}

#[test]
fn isolated_plugins_crash_and_the_recording_goes_on() {
    let folder = prepared();
    built::c(folder.path(), "constructor", &["constructor = abort()"]);
    std::fs::write(folder.path().join("program.lua"), PROGRAM.to_owned() + PATIENCE).unwrap();
    let sinks = ["c-count", "odd=segfault batch", "odd=memory batch", "odd=spin finish", "constructor"];
    let mut arguments = vec!["lua", "--depth", "trace", "-o", "c.perfetto-trace", "--isolate"];
    arguments.extend(sinks.iter().flat_map(|sink| ["--sink", sink]));
    let run = tickscope(folder.path(), &[&arguments[..], &["program.lua"]].concat());
    assert_eq!((run.code, &*run.out), (Some(1), "done\n"), "{:#?}", run.said);
    run.says(
        "tickscope: a sink is not used: ",
        ": its process died of SIGABRT while it was loaded: its constructors run then",
    );
    run.says("sink odd: died of SIGSEGV in its `batch`; the recording goes on without it", "");
    run.says("sink odd 2: died of SIGABRT in its `batch`; the recording goes on without it", "");
    run.says("sink odd: took ", "; died of SIGSEGV in its `batch`");
    assert!(
        run.said.iter().any(|line| line.contains("; ended: its `finish` has not come back for ")),
        "{:#?}",
        run.said
    );
    run.says("sink c-count: took ", "; counted in C");
    let functions = run.said.iter().find_map(|line| line.strip_prefix("sink c-count: function: "));
    assert!(functions.is_some_and(|count| count.parse::<u64>().unwrap() >= 200), "{:#?}", run.said);
    let report = tickscope(folder.path(), &["report", "c.perfetto-trace"]);
    assert_eq!(report.code, Some(0), "{:#?}", report.said);

    let run = tickscope(folder.path(), &["plugins", "--isolate"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.out.contains("not used: ") && run.out.contains(": its process died of SIGABRT"),
        "{}",
        run.out
    );
    assert!(run.out.contains("\nodd 0.7.0 (table 1.0) "), "{}", run.out);
    let run = tickscope(folder.path(), &["plugin-host"]);
    assert_eq!(run.code, Some(1));
    run.says("tickscope: this is started by a host, ", "of no use by hand");
}

/// The processes that `parent` has begun.
fn children(parent: u32) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let stat = |process: std::fs::DirEntry| std::fs::read_to_string(process.path().join("stat")).ok();
    let of_parent = |stat: &String| {
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        fields.get(2).is_some_and(|number| *number == parent.to_string())
    };
    let number = |stat: String| stat.split(' ').next().unwrap_or_default().to_owned();
    all.filter_map(stat).filter(of_parent).map(number).collect()
}

#[test]
fn an_isolated_plugin_goes_with_a_killed_tickscope() {
    let folder = prepared();
    std::fs::write(folder.path().join("endless.lua"), "while true do end").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["lua", "--isolate", "--sink", "odd=spin open", "--sink", "c-count", "endless.lua"]);
    command.current_dir(folder.path()).env("TICKSCOPE_PLUGINS", folder.path());
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + TIME_LIMIT;
    let named = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sink "))
    };
    let mut plugins = Vec::new();
    while plugins.iter().filter(|pid| named(pid)).count() < 2 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
        plugins = children(child.id());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(plugins.len(), 2, "both plugins have a process");
    let runs = |pid: &&String| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    while plugins.iter().any(|pid| runs(&pid)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(plugins.iter().filter(runs).count(), 0);
}

#[test]
fn a_server_with_plugins_is_played_to_its_end() {
    let folder = prepared();
    let resource = folder.path().join("server/resources/shop");
    std::fs::create_dir_all(&resource).unwrap();
    std::fs::write(
        resource.join("fxmanifest.lua"),
        "fx_version 'cerulean' game 'gta5' server_script 'main.lua'",
    )
    .unwrap();
    let script = "CreateThread(function() for i = 1, 20 do Wait(0) TriggerEvent('shop:open') end end)
        AddEventHandler('shop:open', function() end)";
    std::fs::write(resource.join("main.lua"), script).unwrap();
    let run = tickscope(
        folder.path(),
        &[
            "run",
            "server",
            "--virtual-time",
            "--ticks",
            "40",
            "-o",
            "s.perfetto-trace",
            "--format",
            "json",
            "--sink",
            "c-count",
            "--sink",
            "odd=fail tick",
            "--sink",
            "odd=hang finish",
        ],
    );
    assert_eq!(run.code, Some(1), "{:#?}", run.said);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["ticks"].as_u64(), Some(40), "{report}");
    run.says("sink c-count: tick: 40", "");
    run.says("sink c-count: event: ", "");
    run.says("sink odd: is not used any more, for its `tick` failed: tick is not to its taste", "");
    assert!(run.said.iter().any(|line| line.contains("left behind: its `finish` has not come back for ")));
}

#[test]
fn a_program_that_nobody_changed_is_recorded_into_a_plugin() {
    if !installed("lua5.4") {
        return;
    }
    let folder = prepared();
    let run = tickscope(
        folder.path(),
        &[
            "record",
            "--depth",
            "trace",
            "-o",
            "r.perfetto-trace",
            "--sink",
            "c-count",
            "--",
            "lua5.4",
            "program.lua",
        ],
    );
    assert_eq!((run.code, &*run.out), (Some(0), "done\n"), "{:#?}", run.said);
    run.says("sink c-count: opened for lua5.4 with {\"loud\":false}", "");
    let functions = run.said.iter().find_map(|line| line.strip_prefix("sink c-count: function: "));
    assert!(functions.is_some_and(|count| count.parse::<u64>().unwrap() >= 200), "{:#?}", run.said);
}

#[test]
fn a_process_is_recorded_while_the_sink_of_another_that_has_ended_hangs() {
    if !installed("lua5.4") {
        return;
    }
    // The sink of the first process ends when that of the second was opened, and the second begins when it waits for that.
    let script = "lua5.4 program.lua; until [ -e waits ]; do sleep 0.01; done; lua5.4 program.lua";
    let arguments =
        ["record", "-o", "r.perfetto-trace", "--sink", "odd=meet waits", "--", "sh", "-c", script];
    let mut said = Vec::new();
    // A machine that needs 2 s for that leaves a sink behind: then once more.
    for _ in 0..5 {
        let folder = prepared();
        let run = tickscope(folder.path(), &arguments);
        assert_eq!(run.out, "done\ndone\n", "{:#?}", run.said);
        if run.code == Some(0) {
            assert_eq!(
                run.said.iter().filter(|line| line.contains("; wrote ")).count(),
                2,
                "{:#?}",
                run.said
            );
            return;
        }
        said.push(run.said);
    }
    panic!("the second process was recorded when the first one's sink was given up: {said:#?}");
}

#[test]
fn a_sink_that_is_not_used_is_no_success_even_where_nothing_else_is_said() {
    let folder = prepared();
    let run = tickscope(folder.path(), &["record", "--sink", "none", "--", "true"]);
    assert_eq!(run.code, Some(1), "{:#?}", run.said);
    run.says("tickscope: a sink is not used: there is no sink \"none\"", "");
    run.says("tickscope: nothing was recorded: ", "");
    std::fs::write(folder.path().join("exit.lua"), "io.write('out') os.exit(0)").unwrap();
    std::fs::write(folder.path().join("five.lua"), "io.write('out') os.exit(5)").unwrap();
    for (script, code) in [("exit.lua", 1), ("five.lua", 5)] {
        let run = tickscope(folder.path(), &["lua", "--sink", "none", script]);
        assert_eq!((run.code, &*run.out), (Some(code), "out"), "{:#?}", run.said);
    }
    let run = tickscope(folder.path(), &["lua", "--sink", "c-count", "exit.lua"]);
    assert_eq!((run.code, &*run.out), (Some(0), "out"), "{:#?}", run.said);
}

#[test]
fn collected_posts_go_to_plugins() {
    let folder = prepared();
    let run = tickscope(
        folder.path(),
        &[
            "collect",
            "--listen",
            "127.0.0.1:0",
            "--token-file",
            "token",
            "--for",
            "10ms",
            "--sink",
            "c-count",
        ],
    );
    assert_eq!(run.code, Some(0), "{:#?}", run.said);
    run.says("sink c-count: took 0 samples; counted in C", "");
}

#[test]
fn plugins_are_listed() {
    let folder = prepared();
    let hidden = folder.path().join("more");
    std::fs::create_dir(&hidden).unwrap();
    built::c(&hidden, "c_count", &[]);
    std::fs::write(hidden.join("libbad.so"), "bad").unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["plugins", "--format", "json", "--test"])
        .env("TICKSCOPE_PLUGINS", format!("{}:{}", folder.path().display(), hidden.display()))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let list: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(list["abi"], "1.0");
    let of = |plugin: &Value| (plugin["name"].clone(), plugin["usable"].clone());
    let plugins: Vec<_> = list["plugins"].as_array().unwrap().iter().map(of).collect();
    let good = |name: &str| (Value::from(name), Value::from(true));
    assert_eq!(plugins, [good("c-count"), good("odd"), (Value::Null, Value::from(false)), good("c-count")]);
    let first = folder.path().join("libc_count.so").display().to_string();
    assert_eq!(list["plugins"][3]["hidden_by"], Value::from(first));
    assert_eq!(list["plugins"][1]["options"][0]["name"], "do");

    let run = tickscope(folder.path(), &["plugins", "libodd.so"]);
    let expected = "odd 0.7.0 (table 1.0) libodd.so\n  Writes down what it gets, or misbehaves.\n  \
                    has ticks, flush, finish, health\n  \
                    option do (string) [\"\"] How to misbehave, and in which call.\n  \
                    option file (string) Where to write what came.\n  option limit (integer)\n";
    assert_eq!((run.code, &*run.out), (Some(0), expected), "{:#?}", run.said);
    let run = tickscope(folder.path(), &["plugins", "--test", "--options", "limit=0", "libodd.so"]);
    assert_eq!(run.code, Some(1));
    let expected =
        "fails the test: cannot be tested with these options (--options): options of odd: limit: expected 1";
    assert!(run.out.contains(expected), "{}", run.out);
    let run = tickscope(folder.path(), &["plugins", "--test", "--options", "limit=2", "libodd.so"]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    // What it writes by itself goes nowhere.
    let temporary = tempfile::tempdir().unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    for isolation in [&[][..], &["--isolate"]] {
        let arguments = ["plugins", "--test", "--options", "file=odd.txt", "libodd.so"];
        let run = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .args([&arguments, isolation].concat())
            .current_dir(folder.path())
            .env("TMPDIR", temporary.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("takes all that a recording may hold"), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    let named = tickscope(folder.path(), &["plugins", "c-count"]);
    assert_eq!(named.code, Some(0), "{}", named.out);
    assert!(named.out.starts_with("c-count "), "{}", named.out);
    let named = tickscope(folder.path(), &["plugins", "count"]);
    let place = folder.path().display();
    let none = format!(
        "not used: count: there is no sink \"count\"; looked for libcount.so and libtickscope_count.so in {place}; `tickscope plugins` lists what there is\n"
    );
    assert_eq!((named.code, named.out), (Some(1), none));
    let run = tickscope(&hidden, &["plugins", "libbad.so", "nowhere.so"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.starts_with("not used: libbad.so: it is no shared library"), "{}", run.out);
    std::fs::remove_file(hidden.join("libbad.so")).unwrap();
    std::fs::remove_file(hidden.join("libc_count.so")).unwrap();
    let run = tickscope(&hidden, &["plugins"]);
    assert_eq!((run.code, run.out), (Some(0), format!("no plugins in {}\n", hidden.display())));
}
