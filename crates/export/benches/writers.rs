//! What a span costs in each format, beside serde_json's derived Chrome JSON of the same spans; and what reading a
//! capture back costs beside serde_json reading that JSON.
//!
//! Before the clock starts, both sides are read back and their spans compared.
#![allow(missing_docs, reason = "criterion's macros make the functions")]

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Dictionary, End, Event, Flow, Metadata, Outcome, RingId, Runtime,
    Sample, Sink, SinkError, SpanId, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind, drain,
};
use tickscope_export::{Format, Options, open, perfetto};

const SPANS: u64 = 200_000;

/// A complete event as a program would derive it.
#[derive(Debug, Serialize, Deserialize)]
struct Complete<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    cat: std::borrow::Cow<'a, str>,
    ph: char,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u32,
}

fn spans() -> (Dictionary, Vec<Sample>) {
    let mut dictionary = Dictionary::default();
    for number in 0..200u32 {
        let name = format!("function_number_{number:03}");
        let symbol = SymbolRef {
            runtime: Runtime::Lua,
            resource: "banking",
            name: &name,
            file: "main.lua",
            line: number,
        };
        dictionary.push_symbol(Symbol::from(symbol));
    }
    let track = dictionary.push_track(Track {
        kind: TrackKind::Thread,
        parent: TrackId::PROCESS,
        os_id: 100,
        name: "main".into(),
        resource: "".into(),
    });
    let ring = RingId(1);
    let mut samples = Vec::new();
    let mut open: Vec<(SpanId, u64, SymbolId)> = Vec::new();
    let mut now = 1_000_000;
    for number in 0..SPANS {
        now += 137;
        let Some(span) = SpanId::new(ring, number * 2) else { continue };
        let symbol = SymbolId((number * 7 % 200) as u32 + 1);
        let parent = open.last().map(|open| open.0);
        let (category, args) = (CategoryId::FUNCTION, ArgRange::NONE);
        let begin = Begin { span, parent, symbol, category, link: None, args };
        samples.push(Sample { time_ns: now, ring, track, event: Event::Begin(begin) });
        open.push((span, now, symbol));
        let keep = if number + 1 == SPANS { 0 } else { (number % 8) as usize };
        while open.len() > keep {
            let Some((span, begin_ns, symbol)) = open.pop() else { break };
            now += 91;
            let end = End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes: 0, args };
            samples.push(Sample { time_ns: now, ring, track, event: Event::End(end) });
        }
    }
    (dictionary, samples)
}

/// Adds up what it is given: the least a consumer does.
#[derive(Default)]
struct Sum {
    spans: u64,
    nanos: u64,
}

impl Sink for Sum {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::End(end) = sample.event {
                self.spans += 1;
                self.nanos += sample.time_ns - end.begin_ns;
            }
        }
        Ok(Flow::Continue)
    }
}

fn events<'a>(dictionary: &'a Dictionary, samples: &'a [Sample]) -> impl Iterator<Item = Complete<'a>> {
    samples.iter().filter_map(|sample| match sample.event {
        Event::End(end) => Some(Complete {
            name: dictionary.symbol(end.symbol).name.as_ref().into(),
            cat: "function".into(),
            ph: 'X',
            ts: end.begin_ns as f64 / 1e3,
            dur: (sample.time_ns - end.begin_ns) as f64 / 1e3,
            pid: 1,
            tid: 100,
        }),
        _ => None,
    })
}

fn serde_write(dictionary: &Dictionary, samples: &[Sample], out: &mut Vec<u8>) -> serde_json::Result<()> {
    for event in events(dictionary, samples) {
        out.extend_from_slice(b",\n");
        serde_json::to_writer(&mut *out, &event)?;
    }
    Ok(())
}

/// The peer as it would write a file: into a buffer that is used again. Returns the bytes made.
fn serde_stream(
    dictionary: &Dictionary,
    samples: &[Sample],
    buffer: &mut Vec<u8>,
) -> serde_json::Result<u64> {
    let mut bytes = 0;
    for event in events(dictionary, samples) {
        buffer.extend_from_slice(b",\n");
        serde_json::to_writer(&mut *buffer, &event)?;
        if buffer.len() >= 64 << 10 {
            bytes += buffer.len() as u64;
            buffer.clear();
        }
    }
    Ok(bytes)
}

/// Takes bytes as a file would, but for the disk.
#[derive(Default)]
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn write(
    format: Format,
    options: &Options,
    batch: &Batch<'_>,
    out: impl Write + Send,
) -> Result<(), SinkError> {
    let mut sink = open(format, out, options);
    sink.open(&Metadata::default())?;
    sink.batch(batch)?;
    sink.finish()
}

fn bench(criterion: &mut Criterion) {
    let (dictionary, samples) = spans();
    let batch = Batch { samples: &samples, args: &[], text: "", dictionary: &dictionary };
    let mut json = Vec::new();
    serde_write(&dictionary, &samples, &mut json).expect("serde_json writes to memory");
    (json[0], json[1]) = (b'[', b' ');
    json.push(b']');
    let mut capture = Vec::new();
    write(Format::Perfetto, &Options::default(), &batch, &mut capture).expect("memory takes everything");

    let mut ours = Sum::default();
    let mut reader = perfetto::Reader::new("bench", &capture[..]).expect("a capture");
    drain(&mut reader, &mut ours).expect("a whole capture");
    let theirs: Vec<Complete<'_>> = serde_json::from_slice(&json).expect("an array of events");
    let nanos = theirs.iter().map(|event| (event.dur * 1e3).round() as u64).sum::<u64>();
    assert_eq!((ours.spans, ours.nanos), (theirs.len() as u64, nanos), "the two sides hold different spans");
    let mut chrome = Vec::new();
    write(Format::Chrome, &Options::default(), &batch, &mut chrome).expect("memory takes everything");
    let chrome: Vec<serde_json::Value> = serde_json::from_slice(&chrome).expect("strict JSON");
    assert_eq!(chrome.iter().filter(|event| event["ph"] == "X").count(), theirs.len());

    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(SPANS)).sample_size(20);
    group.bench_function("serde_json", |bencher| {
        let mut buffer = Vec::with_capacity(128 << 10);
        bencher
            .iter(|| black_box(serde_stream(&dictionary, &samples, &mut buffer).expect("writing to memory")));
    });
    let without_args = Options { without_args: true, ..Options::default() };
    let ours = Format::ALL.map(|format| (format.name(), format, Options::default()));
    let ours = ours.into_iter().chain([("chrome without args", Format::Chrome, without_args)]);
    for (name, format, options) in ours {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut count = Count::default();
                write(format, &options, &batch, &mut count).expect("a counter takes everything");
                black_box(count.0)
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(SPANS)).sample_size(20);
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            let events: Vec<Complete<'_>> = serde_json::from_slice(&json).expect("an array of events");
            black_box(events.iter().map(|event| event.dur).sum::<f64>())
        });
    });
    group.bench_function("capture", |bencher| {
        bencher.iter(|| {
            let mut sum = Sum::default();
            let mut reader = perfetto::Reader::new("bench", &capture[..]).expect("a capture");
            drain(&mut reader, &mut sum).expect("a whole capture");
            black_box(sum.nanos)
        });
    });
    group.finish();
    println!(
        "bytes a span: capture {}, serde_json {}",
        capture.len() as u64 / SPANS,
        json.len() as u64 / SPANS
    );
}

criterion_group!(benches, bench);
criterion_main!(benches);
