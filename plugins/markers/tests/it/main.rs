//! The plugin as hosts load it, beside a library that stands for the tools' and writes down how it is called.
//!
//! Tools are named by the environment, so each case is a process of its own: this program again, as the test `child`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tickscope_core::{Batch, Flow, Sink, conformance};
use tickscope_trial::Trial;

/// Options for a child.
const OPTIONS: &str = "MARKERS_OPTIONS";
const TWICE: &str = "MARKERS_TWICE";
const TOOLS: [&str; 2] = ["INTEL_LIBITTNOTIFY64", "NVTX_INJECTION64_PATH"];

/// What a child says: lines of the sink, then how it went.
#[test]
fn child() {
    let Ok(options) = std::env::var(OPTIONS) else { return };
    let trial = Trial::new("tickscope-markers");
    let example = conformance::example();
    // Another one of this process.
    let mut before = std::env::var_os(TWICE).map(|_| trial.direct(&options));
    if let Some(before) = &mut before {
        before.open(&example.metadata).unwrap();
        before.batch(&example.as_batch()).unwrap();
    }
    let mut sink = trial.direct(&options);
    sink.open(&example.metadata).unwrap();
    let whole = example.as_batch();
    let mut flow = Flow::Continue;
    for samples in whole.samples.chunks(7) {
        if flow == Flow::Continue {
            flow = sink.batch(&Batch { samples, ..whole }).unwrap();
        }
    }
    sink.finish().unwrap();
    let health = sink.health.unwrap();
    for line in trial.said() {
        // Behind the name and the level.
        println!("said: {}", line.splitn(3, ": ").last().unwrap());
    }
    println!("said: {flow:?} {} {} {}", health.written, health.lost, health.message);
}

/// The recorder, compiled into `folder`.
fn recorder(folder: &Path) -> PathBuf {
    let library = folder.join("librecorder.so");
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorder.c"));
    let output = command
        .arg("-ldl")
        .arg("-o")
        .arg(&library)
        .output()
        .expect("a C compiler is needed to build Tickscope");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// What a child with these options and variables said, and what was recorded.
fn run(folder: &Path, options: &serde_json::Value, variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let log = folder.join("calls.txt");
    let _ = std::fs::remove_file(&log);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(OPTIONS, options.to_string()).env("RECORDER", &log);
    for tool in TOOLS {
        command.env_remove(tool);
    }
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let said = text.lines().filter_map(|line| Some(line.split_once("said: ")?.1.to_owned())).collect();
    let calls = std::fs::read_to_string(&log).unwrap_or_default();
    (said, calls.lines().map(str::to_owned).collect())
}

#[test]
fn without_a_tool_it_says_so_and_lets_samples_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (said, calls) = run(folder.path(), &json!({ "tracy": "/nowhere/libTracyClient.so" }), &[]);
    assert_eq!(
        said,
        [
            "no tool to show spans in: itt: INTEL_LIBITTNOTIFY64 is not set, as VTune does; nvtx: NVTX_INJECTION64_PATH \
             is not set, as Nsight does; tracy: /nowhere/libTracyClient.so is not there",
            "Continue 0 0 there was no tool to show spans in",
        ]
    );
    assert_eq!(calls, Vec::<String>::new());
}

#[test]
fn what_is_no_tool_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    let text = text.to_str().unwrap();
    let (said, _) = run(folder.path(), &json!({ "tracy": text }), &TOOLS.map(|tool| (tool, text)));
    let expected = format!(
        "no tool to show spans in: itt: INTEL_LIBITTNOTIFY64 names {text}, which is no collector; nvtx: \
         NVTX_INJECTION64_PATH names {text}, which does not load; tracy: {text} is not there"
    );
    assert_eq!(said[0], expected);
}

#[test]
fn vtune_is_given_tasks_with_the_times_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let library = library.to_str().unwrap();
    let (said, calls) = run(folder.path(), &json!({ "tools": ["itt"] }), &[(TOOLS[0], library)]);
    assert_eq!(said, ["spans go to itt", "Continue 7 0 "]);
    let odd = "odd;one: a\"b\\c";
    let text = calls.join("\n");
    // Ids of spans begin with their ring.
    let number = |word: &str| word.parse().map_or(word.into(), |id: u64| (id & ((1 << 44) - 1)).to_string());
    let calls: Vec<String> =
        calls.iter().map(|call| call.split(' ').map(number).collect::<Vec<String>>().join(" ")).collect();
    for line in [
        "itt clock 1000000000 1",
        "itt group tickscope 0",
        "itt track main 0 1",
        "itt on main",
        "itt begin tickscope 1 1000 1 0 tick",
        "itt begin tickscope 1 1020 3 1 banking: bank:pay",
        "itt on shared 1",
        "itt begin tickscope 1 1040 4 0 banking: Account.pay",
        "itt begin tickscope 1 1041 5 4 shops: Account.pay",
        "itt end 1050 5",
        "itt begin tickscope 1 1051 6 4 banking: GET_PLAYER_PED",
        "itt end 5000 1",
    ] {
        assert!(calls.iter().any(|call| call == line), "no {line}\n{text}");
    }
    assert!(calls.iter().any(|call| call.starts_with("itt begin ") && call.contains(odd)), "{text}");
    let count = |kind: &str| calls.iter().filter(|call| call.starts_with(kind)).count();
    assert_eq!((count("itt begin "), count("itt end ")), (7, 7), "{text}");
}

#[test]
fn tracy_is_given_zones_with_the_times_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let options = json!({ "tools": ["tracy"], "tracy": library.to_str().unwrap() });
    let (said, calls) = run(folder.path(), &options, &[]);
    assert_eq!(said, ["spans go to tracy", "Continue 7 0 "]);
    let begin = [
        "tracy context 0 1 1.0 7",
        "tracy name 0 main",
        "tracy begin 0 tick :0",
        "tracy time 0 1000 1",
        "tracy begin 0 banking: bank:pay server/main.lua:12",
        "tracy time 0 1020 1",
        "tracy context 1 1 1.0 7",
        "tracy name 1 shared 1",
        "tracy begin 1 banking: Account.pay server/main.lua:40",
        "tracy time 1 1040 1",
        "tracy begin 1 shops: Account.pay server/main.lua:40",
        "tracy time 1 1041 1",
        "tracy end 1",
        "tracy time 1 1050 1",
    ];
    assert_eq!(calls[..begin.len()], begin, "{calls:#?}");
    let count = |kind: &str| calls.iter().filter(|call| call.starts_with(kind)).count();
    assert_eq!((count("tracy begin "), count("tracy end "), count("tracy time ")), (7, 7, 14), "{calls:#?}");

    // Tracy's client keeps what nobody fetches: nothing is given to it.
    let (said, calls) = run(folder.path(), &options, &[("RECORDER_ALONE", "1")]);
    assert_eq!(said, ["spans go to tracy", "Continue 7 0 nobody was connected to Tracy"]);
    assert_eq!(calls, Vec::<String>::new());
}

#[test]
fn sinks_of_one_process_have_rows_and_ids_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let library = library.to_str().unwrap();
    let options = json!({ "tools": ["itt", "tracy"], "tracy": library });
    let (_, calls) = run(folder.path(), &options, &[(TOOLS[0], library), (TWICE, "1")]);
    let of = |kind: &str| calls.iter().filter(|call| call.starts_with(kind)).collect::<Vec<_>>();
    let mut contexts: Vec<&str> = of("tracy context ").iter().map(|call| &call[14..16]).collect();
    assert!(contexts.len() >= 4, "{calls:#?}");
    contexts.sort_unstable();
    contexts.dedup();
    assert_eq!(contexts.len(), of("tracy context ").len(), "{calls:#?}");
    // The first is number 0, which is not shown.
    assert_eq!((of("itt begin ").len(), of("itt sink 1").len()), (14, 7), "{calls:#?}");
}

#[test]
fn nsight_is_given_marks_that_say_how_long() {
    let folder = tempfile::tempdir().unwrap();
    let library = recorder(folder.path());
    let variables = [(TOOLS[1], library.to_str().unwrap())];
    let (said, calls) = run(folder.path(), &json!({ "tools": ["nvtx"] }), &variables);
    assert_eq!(said, ["spans go to nvtx", "Continue 7 0 "]);
    // The tick alone is a tick, and took longer than its budget of 2 us.
    assert_eq!(calls, ["nvtx domain tickscope", "nvtx mark 1 1 3 0.004000 1 tick: 0.004 ms"]);
    let (_, calls) = run(folder.path(), &json!({ "tools": ["nvtx"], "mark_ms": 0 }), &variables);
    let marks: Vec<&String> = calls.iter().filter(|call| call.starts_with("nvtx mark 1 1 3 ")).collect();
    assert_eq!(marks.len(), 7, "{calls:#?}");
    assert_eq!(*marks[0], "nvtx mark 1 1 3 0.000009 0 shops: Account.pay: 0.000 ms");
}

/// What the plugin does in place of NVIDIA's header, the header does alike.
#[test]
fn nvidias_header_makes_the_same_calls() {
    let Some(python) = tickscope_trial::python("nvidia.cu13") else { return };
    let ask =
        Command::new(python).args(["-c", "import nvidia.cu13; print(nvidia.cu13.__path__[0])"]).output();
    let include = Path::new(std::str::from_utf8(&ask.unwrap().stdout).unwrap().trim()).join("include");
    let folder = tempfile::tempdir().unwrap();
    let (library, program) = (recorder(folder.path()), folder.path().join("nvidia"));
    let mut compile = Command::new("cc");
    compile
        .arg("-isystem")
        .arg(include)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nvidia.c"));
    let output = compile.arg("-ldl").arg("-o").arg(&program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = folder.path().join("nvidia.txt");
    let status = Command::new(&program).env("RECORDER", &log).env(TOOLS[1], &library).status().unwrap();
    assert!(status.success());
    let theirs = std::fs::read_to_string(&log).unwrap();
    let (_, ours) =
        run(folder.path(), &json!({ "tools": ["nvtx"] }), &[(TOOLS[1], library.to_str().unwrap())]);
    assert_eq!(ours, theirs.lines().collect::<Vec<_>>());
}

#[test]
fn it_conforms_beside_each_tool() {
    let Ok(library) = std::env::var("MARKERS_CONFORM") else {
        let folder = tempfile::tempdir().unwrap();
        let library = recorder(folder.path());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "it_conforms_beside_each_tool"]).env("MARKERS_CONFORM", &library);
        command.env("RECORDER", folder.path().join("calls.txt")).envs(TOOLS.map(|tool| (tool, &library)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        // And without any.
        Trial::new("tickscope-markers").conforms(r#"{"tools": []}"#);
        return;
    };
    Trial::new("tickscope-markers").conforms(&json!({ "tracy": library }).to_string());
}
