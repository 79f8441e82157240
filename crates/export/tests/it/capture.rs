//! Captures: round trip, cuts, damage, rotation, old files.

use proptest::prelude::*;
use tickscope_core::{
    Batch, Event, Metadata, Outcome, Progress, RecordingSink, Sink, Source, SourceError, conformance, drain,
};
use tickscope_export::perfetto::{Options, Reader, RotatingWriter, StackFormat, Writer};

use crate::resolved::lines;
use crate::streams::{choices, play};

fn encode(recording: &RecordingSink, batch: usize, options: Options) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, options);
    writer.open(&recording.metadata).unwrap();
    let whole = recording.as_batch();
    for samples in whole.samples.chunks(batch) {
        writer.batch(&Batch { samples, ..whole }).unwrap();
    }
    for tick in &recording.ticks {
        writer.tick(*tick).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    out
}

/// Gives out one byte more than half of what is asked for: packets straddle reads.
struct Dribble<'a>(&'a [u8]);

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = (out.len() / 2 + 1).min(977);
        let n = self.0.len().min(most);
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn decode(bytes: &[u8]) -> Result<(RecordingSink, bool), SourceError> {
    let mut reader = Reader::new("test", Dribble(bytes))?;
    let mut out = RecordingSink::default();
    drain(&mut reader, &mut out)?;
    Ok((out, reader.truncated()))
}

#[track_caller]
fn check_round_trip(recording: &RecordingSink, batch: usize, options: Options) {
    let (again, truncated) = decode(&encode(recording, batch, options)).unwrap();
    let (before, after) = (lines(recording), lines(&again));
    for (at, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before, after, "sample {at}");
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(
        (again.metadata, again.ticks, truncated),
        (recording.metadata.clone(), recording.ticks.clone(), false)
    );
}

#[test]
fn the_writers_conform() {
    conformance::check(|| Writer::new(Vec::new(), Options::default()));
    conformance::check(|| Writer::new(Vec::new(), Options { stacks: StackFormat::PerfSample }));
    conformance::check(|| {
        RotatingWriter::new(1, Options::default(), |_| Ok((Vec::new(), "part".into()))).unwrap()
    });
}

#[test]
fn the_example_comes_back() {
    check_round_trip(&conformance::example(), usize::MAX, Options::default());
    check_round_trip(&conformance::example(), 1, Options { stacks: StackFormat::PerfSample });
}

#[test]
fn names_come_again_after_megabytes() {
    let mut long = conformance::example();
    let (first, shift) = (long.samples.clone(), 10_000);
    for round in 1..6_000u64 {
        long.samples.extend(first.iter().map(|sample| {
            let mut sample = *sample;
            sample.time_ns += round * shift;
            if let Event::End(end) = &mut sample.event {
                end.begin_ns += round * shift;
            }
            sample
        }));
    }
    check_round_trip(&long, 1_000, Options::default());
    let bytes = encode(&long, 1_000, Options::default());
    assert!(bytes.len() > 5 << 20, "{} bytes are too few to start a new generation", bytes.len());
    let name = b"Account.pay";
    let names = bytes.windows(name.len()).filter(|window| window == name).count();
    assert!((4..100).contains(&names), "{names} times");
}

#[test]
fn a_track_named_later_is_renamed() {
    let mut recording = conformance::example();
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, Options::default());
    writer.open(&recording.metadata).unwrap();
    let half = recording.samples.len() / 2;
    let whole = recording.as_batch();
    writer.batch(&Batch { samples: &whole.samples[..half], ..whole }).unwrap();
    let main = recording.samples[0].track;
    let named =
        tickscope_core::Track { name: "the main one".into(), ..recording.dictionary.track(main).clone() };
    recording.dictionary.set_track(main, named);
    let whole = recording.as_batch();
    writer.batch(&Batch { samples: &whole.samples[half..], ..whole }).unwrap();
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(lines(&decode(&out).unwrap().0), lines(&recording));
}

/// What reading `bytes[..cut]` must give, given the samples of the whole.
#[track_caller]
fn check_cut(bytes: &[u8], whole: &[String], cut: usize) {
    let (read, truncated) = decode(&bytes[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
    assert_eq!(truncated, cut < bytes.len(), "cut at {cut}");
    let lines = lines(&read);
    // A stream may have truncated spans of its own: what the reader added is what stands after the stream's prefix.
    let whole_part = lines.iter().zip(whole).take_while(|(read, whole)| read == whole).count();
    let added = &read.samples[whole_part..];
    assert!(
        added
            .iter()
            .all(|sample| matches!(sample.event, Event::End(end) if end.outcome == Outcome::Truncated)),
        "cut at {cut}"
    );
    let mut open = std::collections::HashSet::new();
    for sample in &read.samples {
        match sample.event {
            Event::Begin(begin) => assert!(open.insert(begin.span)),
            Event::End(end) => assert!(open.remove(&end.span)),
            _ => {}
        }
    }
    assert!(open.is_empty(), "cut at {cut}: {open:?} left open");
    let last = read.samples.iter().map(|sample| sample.time_ns).max();
    assert!(added.iter().all(|sample| Some(sample.time_ns) == last), "cut at {cut}");
}

/// Where the first packet ends: the head, without which a capture is none.
fn head_len(bytes: &[u8]) -> usize {
    assert!(bytes[0] == 0x0a && bytes[2] < 0x80, "a head between 128 and 16383 bytes");
    3 + (usize::from(bytes[1] & 0x7f) | usize::from(bytes[2]) << 7)
}

#[test]
fn a_cut_at_any_byte_gives_the_prefix() {
    let mut example = conformance::example();
    example.metadata.facts.push(("long".into(), "x".repeat(100)));
    let bytes = encode(&example, usize::MAX, Options::default());
    let whole = lines(&decode(&bytes).unwrap().0);
    let head = head_len(&bytes);
    let mut counts = Vec::new();
    for cut in 0..=bytes.len() {
        if cut < head {
            let error = decode(&bytes[..cut]).unwrap_err().to_string();
            assert!(error.starts_with("test: the file "), "{error}");
        } else {
            check_cut(&bytes, &whole, cut);
            counts.push(decode(&bytes[..cut]).unwrap().0.samples.len());
        }
    }
    assert_eq!((counts.first(), counts.last()), (Some(&0), Some(&whole.len())));
}

#[test]
fn what_is_no_capture_is_refused_in_words() {
    let message = |bytes: &[u8]| Reader::new("x.trace", bytes).map(drop).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            message(b""),
            message(b"{\"traceEvents\":[]}"),
            message(b"[{\"ph\":\"X\"}]"),
            message(b"\x1f\x8b\x08\x00\x00\x00\x00"),
            message(b"\x0a\x05hello"),
            message(b"\x0a\x02\x50\x01"), // a sequence id, as any Perfetto trace
            message(b"\x0a\xff\xff\xff\xff\x7f"),
            message(b"\xff\xff"),
            message(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ]
        .join("\n")
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let mut example = conformance::example();
    example.metadata.schema = 9;
    let error = decode(&encode(&example, 10, Options::default())).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"test: schema 9 of a newer Tickscope (conformance) at byte 0; expected schema 1 or older; read it with the version that wrote it");
}

#[test]
fn damage_in_the_middle_keeps_what_stands_before() {
    let example = conformance::example();
    let mut bytes = encode(&example, 10, Options::default());
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xff);
    let mut reader = Reader::new("damaged", &bytes[..]).unwrap();
    let mut sink = RecordingSink::default();
    let error = loop {
        match reader.poll(&mut sink) {
            Ok(Progress::End) => panic!("the damage was not noticed"),
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("damaged: ") && error.contains(" at byte "), "{error}");
    let (before, after) = (lines(&example), lines(&sink));
    assert!(after.len() > 3, "{after:#?}");
    assert_eq!(before[..after.len() - 1], after[..after.len() - 1]);
    assert!(matches!(reader.poll(&mut sink), Ok(Progress::End)));
}

#[test]
fn the_first_version_stays_readable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/v1.perfetto-trace");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, encode(&conformance::example(), usize::MAX, Options::default())).unwrap();
    }
    let mut reader = Reader::open(path).unwrap();
    let mut sink = RecordingSink::default();
    drain(&mut reader, &mut sink).unwrap();
    assert_eq!(lines(&sink), lines(&conformance::example()));
    assert_eq!(sink.metadata, conformance::example().metadata);
}

#[test]
fn rotated_files_open_alone_and_hold_everything() {
    let choices: Vec<_> = (0..40_000u64)
        .map(|n| {
            let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            ((noise % 15) as u8, (noise >> 8) as u16, (noise >> 24) as u16, noise % 900)
        })
        .collect();
    let recording = play(&choices);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("city.perfetto-trace");
    {
        let mut writer =
            tickscope_export::perfetto::create(&path, Some(300 << 10), Options::default()).unwrap();
        writer.open(&recording.metadata).unwrap();
        let whole = recording.as_batch();
        for samples in whole.samples.chunks(500) {
            writer.batch(&Batch { samples, ..whole }).unwrap();
        }
        writer.finish().unwrap();
    }
    let mut parts = 0;
    let (mut begins, mut ends) = (0, 0);
    loop {
        let part = tickscope_export::perfetto::part_path(&path, parts);
        let size = std::fs::metadata(&part).unwrap().len();
        assert!(size < 400 << 10, "part {parts} has {size} bytes");
        let mut reader = Reader::open(&part).unwrap();
        let mut sink = RecordingSink::default();
        drain(&mut reader, &mut sink).unwrap();
        assert!(!reader.truncated());
        assert_eq!((reader.part(), &sink.metadata), (parts, &recording.metadata));
        let continued = |range| {
            sink.as_batch().args(range).iter().any(|arg| sink.dictionary.key(arg.key) == "continued_since_ns")
        };
        for sample in &sink.samples {
            match sample.event {
                Event::Begin(begin) => begins += usize::from(!continued(begin.args)),
                Event::End(end) => ends += usize::from(end.outcome != Outcome::Truncated),
                _ => {}
            }
        }
        parts += 1;
        if !reader.continues() {
            break;
        }
    }
    assert!(parts >= 3, "{parts} parts");
    let count =
        |want: fn(&Event) -> bool| recording.samples.iter().filter(|sample| want(&sample.event)).count();
    assert_eq!(begins, count(|event| matches!(event, Event::Begin(_))));
    assert_eq!(ends, count(|event| matches!(event, Event::End(end) if end.outcome != Outcome::Truncated)));
}

#[test]
fn a_writer_that_fails_is_named() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full, Options::default()).named("city.perfetto-trace");
    let error = writer.open(&Metadata::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write city.perfetto-trace");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_comes_back(choices in choices(300), batch in 1usize..50, compatible in any::<bool>()) {
        let stacks = if compatible { StackFormat::PerfSample } else { StackFormat::StackSample };
        check_round_trip(&play(&choices), batch, Options { stacks });
    }

    #[test]
    fn any_stream_may_be_cut(choices in choices(60), at in any::<prop::sample::Index>()) {
        let bytes = encode(&play(&choices), 7, Options::default());
        let whole = lines(&decode(&bytes).unwrap().0);
        let head = 2 + usize::from(bytes[1]);
        prop_assert!(bytes[1] < 0x80);
        check_cut(&bytes, &whole, head + at.index(bytes.len() - head + 1));
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn damage_never_panics(
        choices in choices(40),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = encode(&play(&choices), 7, Options::default());
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&bytes);
    }
}
