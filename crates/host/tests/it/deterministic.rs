//! Two runs in virtual time with one seed are the same run: two processes, their captures compared sample by sample, but
//! for times, the collector of garbage, and what the machine says of itself.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tickscope_core::{
    ArgValue, Batch, CategoryId, Dictionary, Event, Flow, Sample, Sink, SinkError, SpanId, drain,
};
use tickscope_export::perfetto::Reader;

/// Arguments that tell about the machine, or are times of the real clock.
const OF_THE_MACHINE: [&str; 4] = ["run_delay_ns", "involuntary", "queued_ns", "ran_ns"];

/// A line for each sample, by ring.
#[derive(Default)]
struct Story {
    rings: BTreeMap<u32, Vec<String>>,
    collections: HashSet<SpanId>,
    dropped: u64,
}

impl Story {
    fn tell(&mut self, batch: &Batch<'_>, sample: &Sample) -> Option<String> {
        let names: &Dictionary = batch.dictionary;
        let symbol = |id| {
            let symbol = names.symbol(id);
            format!("{} {}:{}", symbol.resource, symbol.name, symbol.line)
        };
        let args = |range: &tickscope_core::ArgRange| {
            let mut text = String::new();
            for arg in batch.args(*range) {
                let key = names.key(arg.key);
                if !OF_THE_MACHINE.contains(&key) {
                    let _ = match arg.value {
                        ArgValue::Text { .. } => write!(text, " {key}={:?}", batch.text(arg.value)),
                        other => write!(text, " {key}={other:?}"),
                    };
                }
            }
            text
        };
        let line = match &sample.event {
            Event::Begin(begin) if begin.category == CategoryId::GC => {
                self.collections.insert(begin.span);
                return None;
            }
            Event::End(end) if self.collections.remove(&end.span) => return None,
            Event::Begin(begin) => format!(
                "begin {} {} {:?}{}",
                names.category(begin.category).name,
                symbol(begin.symbol),
                begin.link.map(|link| link.kind),
                args(&begin.args)
            ),
            Event::End(end) => format!("end {} {:?}{}", symbol(end.symbol), end.outcome, args(&end.args)),
            Event::Instant { symbol: id, category, args: range, .. } => {
                format!("instant {} {}{}", names.category(*category).name, symbol(*id), args(range))
            }
            Event::Resume { host } => format!("resume from {}", names.track(*host).name),
            Event::Suspend { host, reason } => format!("suspend to {} {reason:?}", names.track(*host).name),
            Event::Stack { stack, .. } => {
                let frames: Vec<_> = names.frames(*stack).map(|node| symbol(node.symbol)).collect();
                format!("stack {}", frames.join(" < "))
            }
            Event::Gap { events } => {
                self.dropped += events;
                return None;
            }
            Event::LinkPoint { .. } => "link point".into(),
            // heaps change with the collector, accounts with the moment it looks
            Event::Counter { .. } | Event::Account(_) => return None,
        };
        Some(format!("{} | {line}", names.track(sample.track).name))
    }
}

impl Sink for Story {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Some(line) = self.tell(batch, sample) {
                self.rings.entry(sample.ring.0).or_default().push(line);
            }
        }
        Ok(Flow::Continue)
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// A copy of a server directory: what a run leaves there must not be found by the next one.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a writable folder");
    for entry in std::fs::read_dir(from).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let target = to.join(path.file_name().expect("has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a readable file and a writable folder");
        }
    }
}

fn story(directory: &Path, args: &[&str]) -> (Story, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let server = folder.path().join("server");
    copy(directory, &server);
    let capture = folder.path().join("run.perfetto-trace");
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(&server)
        .args(["--virtual-time", "--seed", "7", "--format", "json"])
        .args(args)
        .arg("-o")
        .arg(&capture)
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut story = Story::default();
    let mut reader = Reader::open(&capture).expect("a capture");
    drain(&mut reader, &mut story).expect("a whole capture");
    // what scripts print, without what the command says in the end
    let printed = errors.lines().filter(|line| line.starts_with('['));
    (story, printed.collect::<Vec<_>>().join("\n"))
}

#[track_caller]
fn check(example: &str, args: &[&str]) {
    check_directory(&examples().join(example), args);
}

/// Runs a server directory twice; answers what its scripts printed, which is the same too.
#[track_caller]
pub fn check_directory(directory: &Path, args: &[&str]) -> String {
    let ((first, printed), (second, again)) = (story(directory, args), story(directory, args));
    assert_eq!(
        (first.dropped, second.dropped),
        (0, 0),
        "nothing may be lost, or there is nothing to compare"
    );
    assert!(first.rings.values().map(Vec::len).sum::<usize>() > 1_000, "a server has something to tell");
    assert_eq!(
        first.rings.keys().collect::<Vec<_>>(),
        second.rings.keys().collect::<Vec<_>>(),
        "as many threads"
    );
    for (one, other) in first.rings.values().zip(second.rings.values()) {
        if let Some(at) = one.iter().zip(other).position(|(one, other)| one != other) {
            let from = at.saturating_sub(20);
            let show = |lines: &[String]| lines[from..(at + 5).min(lines.len())].join("\n");
            panic!("sample {at} differs:\n{}\n\nand\n\n{}", show(one), show(other));
        }
        assert_eq!(one.len(), other.len(), "one run went on for longer");
    }
    assert_eq!(printed, again, "scripts saw different things");
    printed
}

#[test]
fn the_city_is_the_same_at_depth_boundary() {
    check("city", &["--depth", "boundary", "--ticks", "400"]);
}

#[test]
fn the_roleplay_server_is_the_same_at_depth_boundary() {
    check("roleplay", &["--depth", "boundary", "--ticks", "1200", "--players", "16"]);
}

#[test]
fn the_roleplay_server_is_the_same_at_depth_trace() {
    check("roleplay", &["--depth", "trace", "--ticks", "500", "--players", "6"]);
}
