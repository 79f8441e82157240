//! How many samples the analyzer takes a second: at depth trace with deep calls, and with coroutines switching.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tickscope_analysis::{Analyzer, Options};
use tickscope_core::{
    ArgRange, Begin, CategoryId, Depth, End, Event, Metadata, Outcome, RecordingSink, RingId, Runtime,
    Sample, Sink, SpanId, SwitchReason, SymbolRef, Track, TrackId, TrackKind,
};

/// A server's main thread: ticks of 20 event handlers, each a coroutine with `calls` calls in it, eight deep.
fn recording(ticks: u64, calls: u64) -> RecordingSink {
    let mut out = RecordingSink {
        metadata: Metadata { budget_ns: 50_000_000, depth: Depth::Trace, ..Metadata::default() },
        ..RecordingSink::default()
    };
    let mut track = |kind| {
        let (name, resource) = ("track".into(), "r".into());
        out.dictionary.push_track(Track { kind, parent: TrackId::PROCESS, os_id: 0, name, resource })
    };
    let main = track(TrackKind::Thread);
    let coroutines: Vec<TrackId> = (0..20).map(|_| track(TrackKind::Coroutine)).collect();
    let tick = out.dictionary.push_symbol(SymbolRef::host("tick").into());
    let symbols: Vec<_> = (1..=400)
        .map(|line| {
            let (name, resource) = (format!("f{line}"), format!("r{}", line % 20));
            let symbol =
                SymbolRef { runtime: Runtime::Lua, resource: &resource, name: &name, file: "m.lua", line };
            out.dictionary.push_symbol(symbol.into())
        })
        .collect();
    let (mut now, mut next) = (1_000, 0);
    let mut open: Vec<(TrackId, SpanId, tickscope_core::SymbolId, u64)> = Vec::new();
    let mut samples = Vec::new();
    let mut push = |now: &mut u64, track, event| {
        *now += 37;
        samples.push(Sample { time_ns: *now, ring: RingId(1), track, event });
    };
    let mut begin = |push: &mut dyn FnMut(TrackId, Event), open: &mut Vec<_>, track, symbol, category| {
        next += 2;
        let Some(span) = SpanId::new(RingId(1), next) else { return };
        open.push((track, span, symbol, 0));
        push(
            track,
            Event::Begin(Begin { span, parent: None, symbol, category, link: None, args: ArgRange::NONE }),
        );
    };
    let end = |push: &mut dyn FnMut(TrackId, Event), open: &mut Vec<(TrackId, SpanId, _, u64)>| {
        let Some((track, span, symbol, begin_ns)) = open.pop() else { return };
        let (outcome, args) = (Outcome::Ok, ArgRange::NONE);
        push(track, Event::End(End { span, symbol, begin_ns, outcome, bytes: 64, args }));
    };
    for _ in 0..ticks {
        let mut push = |track, event| push(&mut now, track, event);
        begin(&mut push, &mut open, main, tick, CategoryId::TICK);
        for (handler, track) in coroutines.iter().enumerate() {
            begin(&mut push, &mut open, main, symbols[handler], CategoryId::EVENT);
            push(*track, Event::Resume { host: main });
            for call in 0..calls / 8 {
                for depth in 0..8 {
                    let symbol = symbols[20 + (handler * 16 + depth + 8 * (call as usize % 2)) % 380];
                    begin(&mut push, &mut open, *track, symbol, CategoryId::FUNCTION);
                }
                (0..8).for_each(|_| end(&mut push, &mut open));
            }
            push(*track, Event::Suspend { host: main, reason: SwitchReason::Yield });
            end(&mut push, &mut open);
        }
        end(&mut push, &mut open);
    }
    out.samples = samples;
    out
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analyzer");
    for (name, ticks, calls) in [("trace", 100, 400), ("short handlers", 1_000, 8)] {
        let recording = recording(ticks, calls);
        group.throughput(Throughput::Elements(recording.samples.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    let mut analyzer = Analyzer::new(Options::default());
                    analyzer.open(&recording.metadata).expect("an analyzer opens");
                    analyzer
                },
                |analyzer| analyzer.batch(&recording.as_batch()).expect("an analyzer takes any batch"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
