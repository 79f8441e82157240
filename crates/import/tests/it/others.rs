//! Chrome traces and folded stacks of anything.

use tickscope_core::{Event, Sink, conformance, drain};
use tickscope_import::{Format, Import, Options};

use super::{account, import, outline};

fn chrome(events: &str) -> String {
    format!(r#"{{"displayTimeUnit":"ms","metadata":{{"a":[1]}},"traceEvents":[{events}]}}"#)
}

#[test]
fn whole_spans_nest_by_their_times_whatever_their_order() {
    let events = r#"
        {"ph":"X","name":"inner","ts":20,"dur":5,"pid":1,"tid":7,"args":{"rows":3,"ok":true,"of":{"x":1}}},
        {"ph":"X","name":"same","ts":10,"dur":10,"pid":1,"tid":7},
        {"ph":"X","name":"outer","ts":10,"dur":30.5,"pid":1,"tid":7,"cat":"work,more"},
        {"ph":"X","name":"longer than its outer","ts":"39","dur":90,"pid":1,"tid":7},
        {"ph":"X","name":"elsewhere","ts":11,"dur":1,"pid":1,"tid":8}"#;
    let (all, cut) = import(chrome(events).as_bytes()).unwrap();
    assert_eq!(cut, None);
    let on = |lane: u32| {
        let mut one = all.clone();
        one.samples.retain(|sample| sample.ring.0 == lane);
        outline(&one)
    };
    assert_eq!(on(1), "outer(same()inner()longer than its outer())");
    assert_eq!(on(2), "elsewhere()");
    let ends: Vec<u64> = all
        .samples
        .iter()
        .filter_map(|sample| matches!(sample.event, Event::End(_)).then_some(sample.time_ns))
        .collect();
    assert_eq!(ends.iter().max(), Some(&30_500), "times begin with the recording, in nanoseconds");
    let texts: Vec<_> = all.args.iter().map(|arg| all.dictionary.key(arg.key)).collect();
    assert_eq!(texts, ["ok", "rows"], "plain arguments are kept");
}

#[test]
fn begins_ends_instants_counters_and_own_tracks_are_taken() {
    let events = r#"
        {"ph":"M","name":"process_name","pid":4711,"args":{"name":"server"}},
        {"ph":"M","name":"thread_name","pid":4711,"tid":3,"args":{"name":"worker"}},
        {"ph":"E","name":"before","ts":1,"pid":4711,"tid":3},
        {"ph":"B","name":"a","ts":2,"pid":4711,"tid":3},
        {"ph":"i","name":"moment","ts":3,"pid":4711,"tid":3,"s":"t"},
        {"ph":"C","name":"players","ts":3,"pid":4711,"tid":3,"args":{"all":12,"afk":0.5}},
        {"ph":"C","name":"memory","ts":3,"pid":4711,"tid":3,"args":{"value":9}},
        {"ph":"b","name":"download","cat":"net","id":"0x1","ts":3,"pid":4711,"tid":3},
        {"ph":"E","ts":4,"pid":4711,"tid":3},
        {"ph":"e","name":"download","cat":"net","id":"0x1","ts":9,"pid":4711,"tid":4},
        {"ph":"s","name":"flow","id":1,"ts":4,"pid":4711,"tid":3},
        {"ph":"B","name":"open","ts":10,"pid":4711,"tid":3},
        17, null, "text", {"no":"phase"}, {"ph":"B","name":"no time"}"#;
    let (all, cut) = import(chrome(events).as_bytes()).unwrap();
    assert_eq!(cut, None);
    assert_eq!(
        outline(&all),
        "a(!momentplayers afk=Float(0.5)players all=Int(12)memory=Int(9)download())open(truncated)",
    );
    assert_eq!(account(&all).discarded, 1);
    let tracks: Vec<&str> = all.dictionary.tracks().iter().map(|track| &*track.name).collect();
    assert_eq!(tracks, ["server", "worker", "download"]);
}

#[test]
fn our_own_chrome_trace_comes_back() {
    let example = conformance::example();
    let mut json = Vec::new();
    let mut writer = tickscope_export::chrome::Writer::new(&mut json);
    writer.open(&example.metadata).unwrap();
    writer.batch(&example.as_batch()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let (all, cut) = import(&json).unwrap();
    assert_eq!(cut, None);
    let count = |all: &tickscope_core::RecordingSink, kind: fn(&Event) -> bool| {
        all.samples.iter().filter(|sample| kind(&sample.event)).count()
    };
    let begins: fn(&Event) -> bool = |event| matches!(event, Event::Begin(_));
    let ends: fn(&Event) -> bool = |event| matches!(event, Event::End(_));
    assert!(count(&all, begins) >= count(&example, begins));
    assert_eq!(count(&all, begins), count(&all, ends));
    for sample in &example.samples {
        if let Event::Begin(begin) = sample.event {
            let name = &example.dictionary.symbol(begin.symbol).name;
            let found = all.dictionary.symbols().iter().any(|symbol| symbol.name.contains(&**name));
            assert!(found, "{name}");
        }
    }
}

#[test]
fn folded_stacks_weigh_what_they_say() {
    let folded = b"# a comment\nmain;tick;pay 30\n\nmain;tick 10\nmain;a name with spaces;x 2.0\n";
    let weights = |options: &Options| {
        let mut import = Import::new("stacks", folded.to_vec(), options).unwrap();
        assert_eq!(import.format(), Format::Folded);
        let mut all = tickscope_core::RecordingSink::default();
        drain(&mut import, &mut all).unwrap();
        let weights: Vec<(usize, u64)> = all
            .samples
            .iter()
            .filter_map(|sample| match sample.event {
                Event::Stack { stack, weight } => {
                    Some((all.dictionary.frames(stack).count(), weight.time_ns))
                }
                _ => None,
            })
            .collect();
        weights
    };
    assert_eq!(weights(&Options::default()), [(3, 30), (2, 10), (3, 2)]);
    let at_100_hz = Options { samples_hz: Some(100), ..Options::default() };
    assert_eq!(weights(&at_100_hz)[1], (2, 100_000_000));
}

/// As `lmprof` writes them: see the examples in its `docs`.
const LMPROF: &str = r#"-- Generated:
return {
	header = {
		clockid = "micro",
		instrument = true,
		memory = true,
		sample = false,
		sampler_count = 0,
	},
	records = {
		{ id = "0", func = "0", parent = "0", name = "(root)", what = "C", source = "(root)", count = 1, time = 0, total_time = 90, },
		{ id = "1", func = "a1", parent = "0", name = "?", what = "main", source = "? (@shop/server/main.lua:0)", count = 1, time = 7, linedefined = 0, },
		{ id = "2", func = "b2", parent = "a1", name = "pay \"all\"", what = "Lua", source = "pay (@shop/server/main.lua:12)", count = 3, time = 38.5, lines = { 1, 2, 3 }, },
		{ id = "3", func = "c3", parent = "b2", name = "insert", what = "C", source = "insert [C]", count = 9, time = 45, linedefined = -1, },
		{ id = "4", func = "b2", parent = "b2", name = "pay", what = "Lua", source = "pay (@shop/server/main.lua:12)", count = 2, time = 1, },
	},
}
"#;

#[test]
fn reports_of_lmprof_say_who_called_whom() {
    let (all, cut) = import(LMPROF.as_bytes()).unwrap();
    assert_eq!(cut, None);
    let stacks: Vec<(Vec<String>, u64)> = all
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Stack { stack, weight } => {
                let frames = all.dictionary.frames(stack).map(|frame| {
                    let symbol = all.dictionary.symbol(frame.symbol);
                    format!("{} {}:{} of {}", symbol.name, symbol.file, symbol.line, symbol.resource)
                });
                Some((frames.collect(), weight.time_ns))
            }
            _ => None,
        })
        .collect();
    let main = "? server/main.lua:0 of shop".to_owned();
    let pay = "pay \"all\" server/main.lua:12 of shop".to_owned();
    let insert = "insert :0 of ".to_owned();
    assert_eq!(
        stacks,
        [
            (vec![main.clone(), "(root) :0 of ".into()], 7_000),
            (vec![pay.clone(), main], 38_500),
            (vec![insert, pay.clone()], 45_000),
            (vec![pay], 1_000),
        ]
    );

    let counted =
        LMPROF.replace("instrument = true", "instrument = false").replace("sample = false", "sample = true");
    let (all, _) = import(counted.as_bytes()).unwrap();
    let counts: Vec<u64> = all
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Stack { weight, .. } => Some(weight.time_ns),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 1, 3, 9, 2]);

    let ticks = LMPROF.replace("\"micro\"", "\"rdtsc\"");
    let problem = Import::new("deep.lua", ticks.into_bytes(), &Options::default()).unwrap_err().to_string();
    assert!(problem.contains("times in `rdtsc`") && problem.contains("option `micro`"), "{problem}");
}

#[test]
fn any_report_of_lmprof_is_read_or_refused() {
    for end in 0..LMPROF.len() {
        let _ = import(&LMPROF.as_bytes()[..end]);
        for byte in [b'{', b'}', b'"', b'\\', b'=', 0xff] {
            let mut bytes = LMPROF.as_bytes().to_vec();
            bytes[end] = byte;
            let _ = import(&bytes);
        }
    }
    let deep = format!("return {}{}", "{".repeat(100_000), "}".repeat(100_000));
    assert!(import(deep.as_bytes()).is_err());
}

#[test]
fn what_is_no_recording_is_refused_with_a_reason() {
    for (bytes, says) in [
        (&b""[..], "the file is empty at byte 0"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"PK\x03\x04", "zip archive"),
        (b"\x0a\x05hello", "a Perfetto trace"),
        (b"{}", "without traceEvents"),
        (b"{\"traceEvents\":3}", "no array"),
        (b"[{\"ph\":", "at byte 1"),
        (b"\x80", "msgpack without events"),
        (b"hello world", "byte 0x68"),
        (b"\xff\xfe", "byte 0xff"),
    ] {
        let error = import(bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{bytes:?}: {error}");
    }
}
