//! A program with Lua and Mono inside, whose calls cross from one to the other and back: `examples/crossing`. It prints
//! the tree of its calls, and that is what was recorded.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::native::events;
use crate::record::{conserved, installed, record, report, same};

/// Where Debian has the headers of what the program is built with.
const HEADERS: [&str; 2] = ["/usr/include/lua5.4", "/usr/include/mono-2.0"];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/crossing")
}

/// A folder with a program; false, said by name, where something to build it with is missing.
fn can_be_built() -> bool {
    let missing = HEADERS.into_iter().find(|headers| !Path::new(headers).is_dir());
    if let Some(headers) = missing {
        println!("skipped: there is no {headers}");
    }
    missing.is_none() && installed("mcs") && installed("cc")
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Compiles C of the example into `output`.
fn compile(folder: &Path, output: &str, words: &[&str]) {
    let mut compiler = Command::new("cc");
    compiler.current_dir(example()).args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    compiler.args(HEADERS.map(|headers| format!("-I{headers}")));
    run(compiler.args(words).arg("-o").arg(folder.join(output)));
}

/// The example, built with Mono inside and without.
fn build(folder: &Path) {
    let program = ["-rdynamic", "crossing.c", "tree.c", "-llua5.4", "-lpthread", "-ldl"];
    compile(folder, "crossing", &[&program[..], &["managed.c", "-lmonosgen-2.0"]].concat());
    compile(folder, "crossing-late", &program);
    compile(folder, "managed.so", &["-shared", "-fPIC", "managed.c", "-lmonosgen-2.0"]);
    let mut compiler = Command::new("mcs");
    compiler.arg("-target:library").arg(format!("-out:{}", folder.join("crossing.dll").display()));
    run(compiler.arg(example().join("crossing.cs")));
    std::fs::copy(example().join("crossing.lua"), folder.join("crossing.lua")).unwrap();
}

/// The calls of one thread, in the order in which they began: how deep each stands, what it is, and whether it returned.
type Tree = Vec<(usize, String, bool)>;
/// The trees of threads, by name.
type Forest = BTreeMap<String, Tree>;

/// Which calls are in the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// All.
    Functions,
    /// Those that come from outside of a runtime.
    Entries,
}

/// The trees that the program printed.
fn printed(output: &Output, calls: Calls) -> Forest {
    let mut forest = Forest::new();
    let mut tree = &mut Tree::new();
    // Whether each of the open calls is in the tree.
    let mut open = Vec::new();
    for line in text(&output.stdout).lines() {
        if let Some(name) = line.strip_prefix("thread ") {
            tree = forest.entry(name.to_owned()).or_default();
            continue;
        }
        let call = line.trim_start();
        open.truncate((line.len() - call.len()) / 2 - 1);
        let (entry, call) = call.strip_prefix("> ").map_or((false, call), |call| (true, call));
        let wanted = calls == Calls::Functions || entry;
        if wanted {
            // An entry of a coroutine that goes on is one more.
            let call = if calls == Calls::Entries { call.trim_start_matches("again ") } else { call };
            let (call, returned) = call.strip_suffix(" !").map_or((call, true), |call| (call, false));
            let returned = self::returned(returned, call, calls);
            tree.push((open.iter().filter(|wanted| **wanted).count(), call.to_owned(), returned));
        }
        open.push(wanted);
    }
    forest
}

/// What an invocation of C# threw is not known at the boundary: Mono tells that it is over.
fn returned(returned: bool, call: &str, calls: Calls) -> bool {
    returned || (calls == Calls::Entries && call.starts_with("c# "))
}

/// What the program calls of Lua's and its own to keep its tree: `Crossing.Tree` and these.
const UNTOLD: [&str; 11] = [
    "enter",
    "leave",
    "caught",
    "suspend",
    "again",
    "error",
    "pcall",
    "coroutine.create",
    "coroutine.resume",
    "coroutine.status",
    "coroutine.yield",
];

/// What a recorded span is called in the print; `None` when it is not to be there.
fn name(event: &Value, calls: Calls) -> Option<String> {
    let category = if calls == Calls::Functions { "function" } else { "entry" };
    let name = event["name"].as_str().unwrap();
    let language = match event["runtime"].as_str().unwrap() {
        "Lua" => "lua",
        "C#" => "c#",
        "Native" => "c",
        other => panic!("{other}: {event}"),
    };
    let untold = language == "c"
        && (UNTOLD.contains(&name) || name.starts_with("luaopen_") || name.starts_with("Crossing.Tree:"));
    (event["category"] == category && !untold).then(|| format!("{language} {name}"))
}

/// A thread of the recording, while it is read.
#[derive(Default)]
struct Thread {
    name: String,
    tree: Tree,
    /// The track that runs, and those that wait for it.
    tracks: Vec<u64>,
    /// Length of the tree when the track last changed, until something begins.
    changed: Option<usize>,
}

/// The trees that were recorded.
fn recorded(events: &[Value], calls: Calls) -> Forest {
    let mut threads = BTreeMap::<u64, Thread>::new();
    // The spans that are open on each track, and where each of them stands in its tree.
    let mut tracks = HashMap::<u64, Vec<(String, Option<usize>)>>::new();
    for event in events {
        let (Some(ring), Some(track)) = (event["ring"].as_u64(), event["track"]["id"].as_u64()) else {
            continue;
        };
        let thread = threads.entry(ring).or_default();
        let depth = |thread: &Thread| {
            let spans = thread.tracks.iter().filter_map(|track| tracks.get(track)).flatten();
            spans.filter(|(_, place)| place.is_some()).count()
        };
        match event["type"].as_str().unwrap() {
            "begin" => {
                if thread.tracks.is_empty() {
                    thread.name = event["track"]["name"].as_str().unwrap().to_owned();
                    thread.tracks.push(track);
                }
                assert_eq!(thread.tracks.last(), Some(&track), "{event}");
                thread.changed = None;
                let place = name(event, calls).map(|name| {
                    thread.tree.push((depth(thread), name, true));
                    thread.tree.len() - 1
                });
                let span = event["span"].as_str().unwrap().to_owned();
                tracks.entry(track).or_default().push((span, place));
            }
            "end" => {
                let (span, place) = tracks.get_mut(&track).and_then(Vec::pop).unwrap();
                assert_eq!(event["span"], span.as_str());
                if let Some(place) = place {
                    thread.tree[place].2 = returned(event["outcome"] == "ok", &thread.tree[place].1, calls);
                }
            }
            "resume" => {
                thread.changed = Some(thread.tree.len());
                let mut depth = depth(thread);
                for (_, place) in tracks.entry(track).or_default() {
                    if let Some(place) = *place {
                        let again = format!("again {}", thread.tree[place].1);
                        thread.tree.push((depth, again, true));
                        depth += 1;
                    }
                }
                thread.tracks.push(track);
            }
            "suspend" => {
                // It did nothing: it was ended, being one that nobody will resume.
                if let Some(before) = thread.changed.take() {
                    thread.tree.truncate(before);
                }
                assert_eq!(thread.tracks.pop(), Some(track), "{event}");
            }
            _ => {}
        }
    }
    let threads = threads.into_values().filter(|thread| !thread.tree.is_empty());
    threads.map(|thread| (thread.name, thread.tree)).collect()
}

#[track_caller]
fn same_trees(recorded: &Forest, printed: &Forest) {
    assert_eq!(recorded.keys().collect::<Vec<_>>(), printed.keys().collect::<Vec<_>>());
    for (thread, wanted) in printed {
        let found = &recorded[thread];
        let first = wanted.iter().zip(found).position(|(wanted, found)| wanted != found);
        let first = first.unwrap_or(wanted.len().min(found.len()));
        let around = |tree: &Tree| {
            let lines = tree.iter().enumerate().skip(first.saturating_sub(8)).take(16);
            lines
                .map(|(at, (depth, name, returned))| {
                    let (mark, died) =
                        (if at == first { '*' } else { ' ' }, if *returned { "" } else { " !" });
                    format!("{mark}{:1$}{name}{died}\n", "", 2 * depth)
                })
                .collect::<String>()
        };
        assert!(found == wanted, "{thread}: recorded\n{}printed\n{}", around(found), around(wanted));
    }
}

/// Records the program at every depth; it does what it does without.
fn at_every_depth(folder: &Path, words: &[&str]) {
    let plain = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap();
    assert!(plain.status.success(), "{}", text(&plain.stderr));
    let forest = printed(&plain, Calls::Functions);
    assert_eq!(forest.keys().collect::<Vec<_>>(), ["crossing", "of C#", "worker 1", "worker 2", "worker 3"]);
    // Lua → C → C# → C → Lua, several times.
    assert!(forest["crossing"].iter().any(|(depth, ..)| *depth > 12));
    for depth in ["boundary", "sample", "trace"] {
        let output = record(folder, &["--depth", depth], words).output().unwrap();
        println!("{words:?} at depth {depth}: {}", text(&output.stderr));
        same(&output, &plain);
        let capture = folder.join("run.perfetto-trace");
        conserved(&report(&capture), 0);
        let events = events(&capture);
        same_trees(&recorded(&events, Calls::Entries), &printed(&plain, Calls::Entries));
        if depth == "trace" {
            same_trees(&recorded(&events, Calls::Functions), &forest);
        }
    }
}

#[test]
fn the_recorded_tree_is_the_one_that_the_program_prints() {
    if !can_be_built() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    at_every_depth(folder.path(), &["./crossing", "."]);
    // Mono that a plugin brings.
    at_every_depth(folder.path(), &["./crossing-late", ".", "./managed.so"]);
}

#[test]
fn a_mono_that_has_started_is_refused() {
    if !can_be_built() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str| format!("{}/tests/data/c/{name}", env!("CARGO_MANIFEST_DIR"));
    compile(folder.path(), "late_mono", &["-rdynamic", &source("late_mono.c"), "-ldl"]);
    let library = ["-shared", "-fPIC", &source("starts_mono.c"), "-lmonosgen-2.0"];
    compile(folder.path(), "starts_mono.so", &library);
    let words = ["./late_mono", "./starts_mono.so"];
    let plain = Command::new(words[0]).arg(words[1]).current_dir(folder.path()).output().unwrap();
    assert_eq!(text(&plain.stdout), "Mono runs\n");
    let output = record(folder.path(), &[], &words).output().unwrap();
    same(&output, &plain);
    let errors = text(&output.stderr);
    assert!(errors.contains("its runtime had started before it was seen"), "{errors}");
}
