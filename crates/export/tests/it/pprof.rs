//! Profiles of `pprof`, read by a decoder of our own and by Go's tool.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use tickscope_core::{
    ArgRange, Begin, CategoryId, End, Event, Outcome, RecordingSink, RingId, Sample, Sink, SpanId, StackId,
    StackNode, Symbol, SymbolRef, TrackId, Weight, conformance,
};
use tickscope_export::paths::Paths;
use tickscope_export::pprof::{About, Profile, ValueType};
use tickscope_export::{Format, Options, folded};

use crate::formats::bytes;

/// A field of a message: its number, and what it holds.
#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The fields of a message, by number. A profile has no other wire types than two.
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Field>> {
    let mut found = BTreeMap::<u64, Vec<Field>>::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (text, rest) = bytes.split_at(len);
                bytes = rest;
                Field::Bytes(text.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.entry(key >> 3).or_default().push(field);
    }
    found
}

/// A decoded message.
#[derive(Debug)]
struct Message(BTreeMap<u64, Vec<Field>>);

impl Message {
    fn number(&self, field: u64) -> u64 {
        match self.0.get(&field).and_then(|all| all.last()) {
            Some(Field::Number(number)) => *number,
            None => 0,
            other => panic!("{other:?}"),
        }
    }

    fn numbers(&self, field: u64) -> Vec<u64> {
        let mut out = Vec::new();
        for value in self.0.get(&field).into_iter().flatten() {
            match value {
                Field::Number(number) => out.push(*number),
                Field::Bytes(packed) => {
                    let mut rest = &packed[..];
                    while !rest.is_empty() {
                        out.push(varint(&mut rest));
                    }
                }
            }
        }
        out
    }

    fn messages(&self, field: u64) -> Vec<Message> {
        self.texts(field).iter().map(|bytes| Message(fields(bytes))).collect()
    }

    fn texts(&self, field: u64) -> Vec<Vec<u8>> {
        let all = self.0.get(&field).into_iter().flatten();
        all.map(|value| if let Field::Bytes(bytes) = value { bytes.clone() } else { panic!("a number") })
            .collect()
    }
}

/// Frames as `name file:line`, innermost first; values; labels.
type Sampled = (Vec<String>, Vec<u64>, Vec<(String, String)>);

/// What a profile says, with every reference looked up, and looked at.
#[derive(Debug, Default)]
struct Decoded {
    types: Vec<(String, String)>,
    samples: Vec<Sampled>,
    program: String,
    begin_unix_ns: u64,
    duration_ns: u64,
    comments: Vec<String>,
    first: String,
}

#[track_caller]
fn decode(gzip: &[u8]) -> Decoded {
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut raw).unwrap();
    let profile = Message(fields(&raw));
    let strings: Vec<String> =
        profile.texts(6).into_iter().map(|text| String::from_utf8(text).unwrap()).collect();
    assert_eq!(strings[0], "");
    let text = |number: u64| strings[number as usize].clone();
    let mut functions = BTreeMap::new();
    for function in profile.messages(5) {
        assert!(function.number(1) > 0);
        let (file, line) = (text(function.number(4)), function.number(5));
        let shown = format!("{} {file}:{line}", text(function.number(2)));
        assert!(functions.insert(function.number(1), (shown, line)).is_none(), "a number is used twice");
    }
    let mappings = profile.messages(3);
    assert_eq!(mappings.len(), 1);
    let has: Vec<u64> = (7..=10).map(|has| mappings[0].number(has)).collect();
    assert_eq!((mappings[0].number(1), has), (1, vec![1; 4]));
    let mut locations = BTreeMap::new();
    for location in profile.messages(4) {
        assert_eq!(location.number(2), 1, "it is in the mapping");
        let lines = location.messages(4);
        assert_eq!(lines.len(), 1);
        let (shown, line) = &functions[&lines[0].number(1)];
        assert_eq!(lines[0].number(2), *line);
        assert!(locations.insert(location.number(1), shown.clone()).is_none(), "a number is used twice");
    }
    let types: Vec<_> =
        profile.messages(1).iter().map(|kind| (text(kind.number(1)), text(kind.number(2)))).collect();
    let samples = profile.messages(2).into_iter().map(|sample| {
        let path = sample.numbers(1).iter().map(|location| locations[location].clone()).collect::<Vec<_>>();
        assert!(!path.is_empty());
        let values = sample.numbers(2);
        assert_eq!(values.len(), types.len());
        let label = |label: &Message| (text(label.number(1)), text(label.number(2)));
        let labels = sample.messages(3).iter().map(label).collect::<Vec<_>>();
        assert!(labels.iter().all(|(name, value)| !name.starts_with("pprof::") && !value.is_empty()));
        (path, values, labels)
    });
    Decoded {
        samples: samples.collect(),
        program: text(mappings[0].number(5)),
        begin_unix_ns: profile.number(9),
        duration_ns: profile.number(10),
        comments: profile.numbers(13).into_iter().map(text).collect(),
        first: text(profile.number(14)),
        types,
    }
}

/// Its times are those of the folded stacks, path by path and for each resource.
#[track_caller]
pub fn check(recording: &RecordingSink, paths: &Paths) {
    let resources = paths.resources().into_iter().map(|resource| Some(resource.to_owned()));
    for resource in std::iter::once(None).chain(resources) {
        let options = Options { resource: resource.clone(), ..Options::default() };
        let decoded = decode(&bytes(recording, Format::Pprof, &options));
        assert_eq!(decoded.first, "time");
        let at =
            decoded.types.iter().position(|kind| *kind == ("time".into(), "nanoseconds".into())).unwrap();
        let mut times: Vec<u64> =
            decoded.samples.iter().map(|sample| sample.1[at]).filter(|time| *time > 0).collect();
        let mut text = Vec::new();
        folded::write(paths, resource.as_deref(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut folded: Vec<u64> =
            text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        times.sort_unstable();
        folded.sort_unstable();
        assert_eq!(times, folded);
        if let Some(resource) = resource.filter(|resource| !resource.is_empty()) {
            let label = ("resource".to_owned(), resource);
            assert!(decoded.samples.iter().all(|sample| sample.2.contains(&label)));
        }
    }
}

#[test]
fn pprof_golden() {
    let decoded = decode(&bytes(&conformance::example(), Format::Pprof, &Options::default()));
    let mut out = format!(
        "{} from {} for {} ns, {:?} first\n",
        decoded.program, decoded.begin_unix_ns, decoded.duration_ns, decoded.first
    );
    out += &format!("{:?}\n{:?}\n", decoded.types, decoded.comments);
    for (path, values, labels) in &decoded.samples {
        out += &format!("{values:?} {labels:?}\n");
        path.iter().for_each(|frame| out += &format!("    {frame:?}\n"));
    }
    insta::assert_snapshot!(out);
}

/// A tick, and an event in it whose samples claim `sampled` bytes for a function, of the 100 that it allocated: what event,
/// function and tick have then.
#[track_caller]
fn check_bytes(sampled: &[u64], expected: [u64; 3]) {
    check_told(sampled, 120, expected);
}

/// The same; the tick tells `told`.
#[track_caller]
fn check_told(sampled: &[u64], told: u32, expected: [u64; 3]) {
    let mut out = RecordingSink::default();
    let names = [("", "tick"), ("bank", "pay"), ("bank", "f")];
    let [tick, event, function] = names.map(|(resource, name)| {
        out.dictionary.push_symbol(Symbol::from(SymbolRef { resource, ..SymbolRef::host(name) }))
    });
    let parent = StackId::ROOT;
    let stack = out.dictionary.push_stack(StackNode { parent, symbol: function, line: 0 });
    let ring = RingId(1);
    let span = |number| SpanId::new(ring, number).unwrap();
    let mut push =
        |time_ns, event| out.samples.push(Sample { time_ns, ring, track: TrackId::PROCESS, event });
    let begin = |span, symbol, category| {
        Event::Begin(Begin { span, parent: None, symbol, category, link: None, args: ArgRange::NONE })
    };
    let end = |span, symbol, begin_ns, bytes| {
        Event::End(End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes, args: ArgRange::NONE })
    };
    push(10, begin(span(1), tick, CategoryId::TICK));
    push(20, begin(span(2), event, CategoryId::EVENT));
    for bytes in sampled {
        push(30, Event::Stack { stack, weight: Weight { time_ns: 1, bytes: *bytes } });
    }
    push(40, end(span(2), event, 20, 100));
    // More than a span can tell.
    if told == u32::MAX {
        for number in 3..6 {
            push(42, begin(span(number), function, CategoryId::NATIVE));
            push(43, end(span(number), function, 42, 3 << 30));
        }
    }
    push(50, end(span(1), tick, 10, told));
    let decoded = decode(&bytes(&out, Format::Pprof, &Options::default()));
    let of = |name: &str| {
        let of_path = |sample: &&Sampled| sample.0[0].starts_with(name);
        decoded.samples.iter().filter(of_path).map(|sample| sample.1[1]).sum::<u64>()
    };
    assert_eq!([of("pay"), of("f @"), of("tick")], expected);
}

#[test]
fn samples_share_the_bytes_that_their_span_allocated() {
    check_bytes(&[], [100, 0, 20]);
    check_bytes(&[30, 40], [30, 70, 20]);
    check_bytes(&[100], [0, 100, 20]);
    // The second has bytes that were allocated before the event.
    check_bytes(&[80, 220], [0, 100, 20]);
    // What a span cannot tell is nobody's, and takes nothing from those inside of it.
    check_told(&[], u32::MAX, [100, 9 << 30, 0]);
}

#[test]
fn the_same_recording_is_the_same_file() {
    let example = conformance::example();
    let once = bytes(&example, Format::Pprof, &Options::default());
    assert_eq!(once, bytes(&example, Format::Pprof, &Options::default()));
}

#[test]
fn a_profile_of_anything() {
    let kind = |name| ValueType { name, unit: "bytes" };
    let mut profile = Profile::new(Vec::new(), &[kind("one"), kind("two")]);
    let outer = profile.function("outer", "", 0);
    let inner = profile.function("inner", "f", 3);
    assert_eq!(outer, profile.function("outer", "", 0));
    for _ in 0..20_000 {
        profile.sample(&[inner, inner, outer], &[u64::MAX], &[("a", "b"), ("empty", "")]).unwrap();
    }
    let about = About { program: "p", begin_unix_ns: 5, period: Some((kind("one"), 7)), ..About::default() };
    let decoded = decode(&profile.finish("two", &about).unwrap());
    assert_eq!(decoded.samples.len(), 20_000);
    let (path, values, labels) = &decoded.samples[19_999];
    assert_eq!(*path, ["inner f:3", "inner f:3", "outer :0"]);
    assert_eq!(*values, [i64::MAX as u64, 0]);
    assert_eq!(*labels, [("a".into(), "b".into())]);
    assert_eq!((decoded.program.as_str(), decoded.begin_unix_ns, decoded.first.as_str()), ("p", 5, "two"));
}

#[test]
fn a_disk_that_is_full_is_an_error() {
    let mut sink = tickscope_export::pprof::Writer::new(std::fs::File::create("/dev/full").unwrap());
    sink.batch(&conformance::example().as_batch()).unwrap();
    assert_eq!(sink.finish().unwrap_err().to_string(), "cannot write pprof");
}

/// What Go's tool prints of a file; nothing where it is not installed.
fn tool(file: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none"]).args(args).arg(file).stdin(Stdio::null());
    // Where it keeps what it fetches: nothing is, and there may be no home.
    command.env("PPROF_TMPDIR", file.parent().unwrap()).env("GOFLAGS", "-mod=mod");
    command.env("GOCACHE", file.parent().unwrap());
    let Ok(output) = command.output() else {
        println!(
            "skipped: go tool pprof is not installed: `cargo xtask test --install`, or Debian's golang-go"
        );
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    // It warns of what it cannot look up.
    assert!(!said.to_lowercase().contains("warning") && !said.contains("Main binary"), "{said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_tool_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.pb.gz");
    let example = conformance::example();
    std::fs::write(&file, bytes(&example, Format::Pprof, &Options::default())).unwrap();
    let mut paths = Paths::default();
    paths.batch(&example.as_batch()).unwrap();
    paths.finish().unwrap();

    let Some(top) = tool(&file, &["-top", "-unit=ns", "-nodecount=100", "-nodefraction=0"]) else { return };
    let (head, rows) = top.split_once("flat%").unwrap();
    assert!(head.contains("Type: time"), "{top}");
    assert!(head.contains(&format!("{}ns total", paths.total_ns())), "{top}");
    let flat = |function: &str| {
        let row = rows.lines().find(|row| row.ends_with(function))?;
        row.split_whitespace().next().map(str::to_owned)
    };
    assert_eq!(flat("  Account.pay @shops").as_deref(), Some("9ns"), "{top}");
    // Equal names of two resources stay apart, and what looks like C++ stays whole.
    assert!(flat("  Account.pay @banking").is_some(), "{top}");
    assert!(rows.contains("<&> =1+1 @odd;one"), "{top}");

    let focused = tool(&file, &["-top", "-unit=ns", "-tagfocus=resource=shops"]).unwrap();
    assert!(focused.contains("9ns"), "{focused}");
    let allocated = tool(&file, &["-top", "-sample_index=alloc_space", "-unit=B"]).unwrap();
    assert!(allocated.contains("Type: alloc_space"), "{allocated}");
    let comments = tool(&file, &["-comments"]).unwrap();
    assert!(comments.contains("seed: 7"), "{comments}");
    let raw = tool(&file, &["-raw"]).unwrap();
    assert!(raw.contains("track:[main]"), "{raw}");
}
