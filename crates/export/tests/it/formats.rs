//! Every text format: conformance, what the example looks like, and validity whatever the stream holds.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value;
use tickscope_core::{Batch, Event, RecordingSink, Sink, conformance};
use tickscope_export::paths::Paths;
use tickscope_export::{Format, Options, folded, open};

use crate::pprof;
use crate::streams::{choices, play};

fn written(recording: &RecordingSink, format: Format, options: &Options) -> String {
    String::from_utf8(bytes(recording, format, options)).unwrap()
}

/// The recording in that format, given in small batches.
pub fn bytes(recording: &RecordingSink, format: Format, options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = open(format, &mut out, options);
    sink.open(&recording.metadata).unwrap();
    let whole = recording.as_batch();
    for samples in whole.samples.chunks(9) {
        sink.batch(&Batch { samples, ..whole }).unwrap();
    }
    for tick in &recording.ticks {
        sink.tick(*tick).unwrap();
    }
    sink.finish().unwrap();
    drop(sink);
    out
}

fn example(format: Format) -> String {
    written(&conformance::example(), format, &Options::default())
}

#[test]
fn every_format_conforms() {
    for format in Format::ALL {
        conformance::check(|| open(format, Vec::new(), &Options::default()));
    }
}

#[test]
fn names_and_files_lead_to_formats() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        assert_eq!(Format::of_file(&format!("dir.d/x.{}", format.extension())), Some(format));
    }
    let error = "gif".parse::<Format>().unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r#"no format is called "gif"; expected one of perfetto, chrome, speedscope, folded, svg, csv, jsonl, pprof"#);
}

#[test]
fn chrome_golden() {
    insta::assert_snapshot!(example(Format::Chrome));
}

#[test]
fn chrome_golden_without_args() {
    let options = Options { without_args: true, ..Options::default() };
    let json = written(&conformance::example(), Format::Chrome, &options);
    let events: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert!(events.iter().filter(|event| event["ph"] == "X").all(|event| event.get("args").is_none()));
}

#[test]
fn speedscope_golden() {
    insta::assert_snapshot!(example(Format::Speedscope));
}

#[test]
fn folded_golden() {
    insta::assert_snapshot!(example(Format::Folded));
}

#[test]
fn csv_golden() {
    insta::assert_snapshot!(example(Format::Csv).replace("\r\n", "\n"));
}

#[test]
fn jsonl_golden() {
    insta::assert_snapshot!(example(Format::Jsonl));
}

#[test]
fn svg_golden() {
    let svg = example(Format::Svg);
    let (frames, _) = svg.split_once("<script>").unwrap();
    let (_, frames) = frames.split_once("</style>").unwrap();
    insta::assert_snapshot!(frames);
}

/// What a strict reader of Chrome's format relies on.
#[track_caller]
fn check_chrome(recording: &RecordingSink) {
    let json = written(recording, Format::Chrome, &Options::default());
    let events: Vec<Value> = serde_json::from_str(&json).unwrap();
    let mut rows: HashMap<(u64, u64), Vec<(u64, u64)>> = HashMap::new();
    let mut spans = 0;
    for event in &events {
        assert!(event["pid"].as_u64() > Some(0) && event["ph"].is_string());
        if event["ph"] == "X" {
            spans += usize::from(event["args"].get("reason").is_none()); // only run slices have one
            assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()));
            let nanos = |key: &str| (event[key].as_f64().unwrap() * 1_000.0).round() as u64;
            let row = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
            assert_ne!(row.1, 0);
            rows.entry(row).or_default().push((nanos("ts"), nanos("ts") + nanos("dur")));
        }
    }
    for spans in rows.values_mut() {
        spans.sort_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
        let mut open: Vec<u64> = Vec::new();
        for (from, to) in spans {
            while open.last().is_some_and(|end| *end <= *from) {
                open.pop();
            }
            assert!(open.last().is_none_or(|end| *end >= *to), "{from}..{to} crosses {open:?}");
            open.push(*to);
        }
    }
    let begins = recording.samples.iter().filter(|sample| matches!(sample.event, Event::Begin(_)));
    assert_eq!(spans, begins.count());
}

/// Balance, order and references of a Speedscope file; the weights of its first profile of call paths.
#[track_caller]
fn check_speedscope(recording: &RecordingSink) -> u64 {
    let json = written(recording, Format::Speedscope, &Options::default());
    let file: Value = serde_json::from_str(&json).unwrap();
    let frames = file["shared"]["frames"].as_array().unwrap().len() as u64;
    let mut all = 0;
    let profiles = file["profiles"].as_array().unwrap();
    assert!(!profiles.is_empty());
    for profile in profiles {
        if profile["type"] == "evented" {
            let mut stack = Vec::new();
            let mut now = profile["startValue"].as_u64().unwrap();
            for event in profile["events"].as_array().unwrap() {
                let (frame, at) = (event["frame"].as_u64().unwrap(), event["at"].as_u64().unwrap());
                assert!(frame < frames && at >= now);
                now = at;
                match event["type"].as_str() {
                    Some("O") => stack.push(frame),
                    _ => assert_eq!(stack.pop(), Some(frame)),
                }
            }
            assert!(stack.is_empty() && profile["endValue"].as_u64() >= Some(now));
        } else {
            let samples = profile["samples"].as_array().unwrap();
            let weights = profile["weights"].as_array().unwrap();
            assert_eq!(samples.len(), weights.len());
            if profile["name"] == "all call paths" {
                all = weights.iter().map(|weight| weight.as_u64().unwrap()).sum();
            }
        }
    }
    all
}

#[track_caller]
fn check_folded(recording: &RecordingSink) {
    let mut paths = Paths::default();
    paths.open(&recording.metadata).unwrap();
    paths.batch(&recording.as_batch()).unwrap();
    paths.finish().unwrap();
    let sum = |resource: Option<&str>| -> u64 {
        let mut out = Vec::new();
        folded::write(&paths, resource, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(sum(None), paths.total_ns());
    let resources: Vec<String> = paths.resources().into_iter().map(str::to_owned).collect();
    assert_eq!(resources.iter().map(|resource| sum(Some(resource))).sum::<u64>(), paths.total_ns());
    assert_eq!(check_speedscope(recording), paths.total_ns());
    pprof::check(recording, &paths);
}

/// A small XML reader: elements nest, attributes are quoted, references are known. Gives the elements and their
/// attributes.
fn elements(xml: &str) -> Vec<(String, HashMap<String, String>)> {
    let unescape = |text: &str| {
        assert!(!text.contains('<'), "{text}");
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('&') {
            let (name, after) = after.split_once(';').expect("a reference ends");
            out.push_str(before);
            out.push_str(match name {
                "amp" => "&",
                "lt" => "<",
                "gt" => ">",
                "quot" => "\"",
                other => panic!("unknown reference {other}"),
            });
            rest = after;
        }
        out + rest
    };
    let legal = |c: char| c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}' || c == '\n' || c == '\t';
    assert!(xml.chars().all(legal));
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    let (mut open, mut out) = (Vec::<String>::new(), Vec::new());
    while let Some((text, after)) = rest.split_once('<') {
        unescape(text);
        if let Some(data) = after.strip_prefix("![CDATA[") {
            rest = data.split_once("]]>").expect("character data ends").1;
            continue;
        }
        let mut quoted = false;
        let end = after
            .char_indices()
            .find(|(_, c)| {
                quoted ^= *c == '"';
                *c == '>' && !quoted
            })
            .expect("a tag ends")
            .0;
        let (tag, behind) = (&after[..end], &after[end + 1..]);
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        let mut found = HashMap::new();
        while let Some((key, after)) = attributes.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("a value ends");
            found.insert(key.trim().to_owned(), unescape(value));
            attributes = after;
        }
        out.push((name.to_owned(), found));
        if !empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    out
}

#[track_caller]
fn check_svg(recording: &RecordingSink, options: &Options) {
    let svg = written(recording, Format::Svg, options);
    let elements = elements(&svg);
    let whole: f64 = elements[0].1["data-total"].parse().unwrap();
    let mut frame = None;
    let mut frames = 0;
    let mut rows: HashMap<String, Vec<(f64, f64)>> = HashMap::new();
    for (name, attributes) in &elements {
        if let Some(total) = attributes.get("data-t") {
            frame = Some(total.parse::<f64>().unwrap());
            frames += 1;
        }
        if name == "rect"
            && let Some(total) = frame.take()
        {
            let number = |key: &str| attributes[key].parse::<f64>().unwrap();
            let expected = (1200.0 - 24.0) * total / whole;
            assert!((number("width") - expected).abs() <= 1.0);
            rows.entry(attributes["y"].clone()).or_default().push((number("x"), number("width")));
        }
    }
    for row in rows.values_mut() {
        row.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert!(row.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0 + 0.02), "frames overlap");
    }
    assert!(frames > 0 || whole <= 1.0);
}

/// The records of a file as RFC 4180 has them.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut out, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, csv.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                record.push(std::mem::take(&mut field));
                out.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty());
    out
}

#[track_caller]
fn check_csv(recording: &RecordingSink) {
    let records = records(&written(recording, Format::Csv, &Options::default()));
    assert_eq!(records.len(), recording.samples.len() + 1);
    let column = |name: &str| records[0].iter().position(|column| column == name).unwrap();
    let batch = recording.as_batch();
    for (record, sample) in records[1..].iter().zip(&recording.samples) {
        assert_eq!(record.len(), records[0].len());
        assert_eq!(record[column("time_ns")], sample.time_ns.to_string());
        let args = &record[column("args")];
        assert!(args.is_empty() || serde_json::from_str::<Value>(args).unwrap().is_object());
        if let Event::Begin(begin) = sample.event {
            let name = &*batch.dictionary.symbol(begin.symbol).name;
            assert_eq!(record[column("name")].trim_start_matches('\''), name);
        }
        for cell in record {
            assert!(!cell.starts_with(['=', '+', '@']), "{cell}");
        }
    }
}

#[track_caller]
fn check_jsonl(recording: &RecordingSink) {
    let text = written(recording, Format::Jsonl, &Options::default());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "metadata");
    assert_eq!(lines[lines.len() - 1]["samples"], recording.samples.len());
    let samples = lines.iter().filter(|line| line.get("time_ns").is_some());
    let batch = recording.as_batch();
    for (line, sample) in samples.zip(&recording.samples) {
        assert_eq!(line["ring"], sample.ring.0);
        match sample.event {
            Event::Begin(begin) => {
                assert_eq!(line["name"], *batch.dictionary.symbol(begin.symbol).name);
                assert_eq!(line["span"], format!("{:#x}", begin.span.raw()));
            }
            Event::Stack { stack, .. } => {
                let frames = batch.dictionary.frames(stack).count();
                assert_eq!(line["frames"].as_array().unwrap().len(), frames);
            }
            _ => {}
        }
    }
}

fn check_all(recording: &RecordingSink) {
    check_chrome(recording);
    check_folded(recording);
    check_svg(recording, &Options::default());
    check_csv(recording);
    check_jsonl(recording);
}

#[test]
fn the_example_is_valid_in_every_format() {
    check_all(&conformance::example());
    check_svg(&conformance::example(), &Options { resource: Some("banking".into()), ..Options::default() });
    check_all(&RecordingSink::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_is_valid_in_every_format(choices in choices(200)) {
        check_all(&play(&choices));
    }
}
