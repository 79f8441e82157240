//! Odd and hostile input, and memory that stays bounded.

use proptest::prelude::*;
use tickscope_analysis::{Analyzer, Options};
use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Depth, End, Event, Outcome, RingId, Sample, Sink, SpanId, StackId,
    SwitchReason, SymbolId, TrackId, Weight, conformance,
};

use crate::stream::{MS, Stream};

#[test]
fn the_analyzer_conforms() {
    conformance::check(|| Analyzer::new(Options::default()));
}

#[test]
fn a_million_symbols_and_paths_stay_under_the_caps() {
    let mut s = Stream::new(Depth::Trace);
    let many = 1_000_000;
    let options = Options { symbols: 1_000, paths: 500, resources: 100, ..Options::default() };
    let symbols: Vec<SymbolId> = {
        let shape = s.out.dictionary.symbol(SymbolId::OTHER).clone();
        (0..many)
            .map(|index: u32| {
                let resource = format!("r{}", index % 1_000).into();
                let name = format!("f{index}").into();
                let symbol = tickscope_core::Symbol { name, resource, ..shape.clone() };
                s.out.dictionary.push_symbol(symbol)
            })
            .collect()
    };
    s.tick(|s| {
        for symbol in symbols {
            s.call(symbol, |s| {
                s.run(100);
            });
        }
    });
    let report = s.report_with(options);
    assert_eq!(report.symbols.len(), 1_001, "a thousand, and <other>");
    assert_eq!(report.resources.len(), 99, "98, and <other>; the host, the hundredth, ran for no time");
    assert_eq!(report.overflow.symbols, u64::from(many) + 1 - 1_000);
    assert!(report.overflow.paths > 0);
    assert_eq!(
        report.symbols.iter().map(|row| row.self_ns).sum::<u64>(),
        u64::from(many) * 100,
        "nothing is lost"
    );
    assert_eq!(report.resources.iter().map(|row| row.cpu_ns).sum::<u64>(), u64::from(many) * 100);
    assert_eq!(report.symbols.iter().map(|row| row.count.unwrap()).sum::<u64>(), u64::from(many) + 1);
}

#[test]
fn too_many_open_spans_are_counted_and_the_rest_stays_right() {
    let mut s = Stream::new(Depth::Trace);
    let (thread, f) = (s.lua("a:t@a.lua:1"), s.lua("a:f@a.lua:2"));
    s.boundary(CategoryId::THREAD, thread, |s| {
        for _ in 0..100 {
            s.begin(CategoryId::FUNCTION, f).run(1);
        }
        for _ in 0..100 {
            s.end();
        }
        s.call(f, |s| {
            s.run(10);
        });
    });
    let report = s.report_with(Options { open_spans: 50, ..Options::default() });
    assert_eq!((report.overflow.spans, report.irregular), (51, 0));
    let row = report.symbols.iter().find(|row| &*row.symbol.name == "f").unwrap();
    assert_eq!((row.count, row.total_ns), (Some(50), 110));
}

#[test]
fn forgotten_coroutines_make_room_and_their_waits_are_kept() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, query) = (s.lua("a:e@a.lua:1"), s.lua("a:query@a.lua:2"));
    for _ in 0..500 {
        let track = s.coroutine("a");
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Yield, |s| {
            s.run(MS);
        });
        s.begin_on(track, CategoryId::AWAIT, query, None, &[]);
    }
    s.run(1_000 * MS).tick(|_| {});
    let report = s.report_with(Options { tracks: 100, slow_operation_ns: MS, ..Options::default() });
    assert!(report.overflow.tracks >= 400);
    assert_eq!(report.slow_operations[0].count, 500);
    assert_eq!(report.irregular, 0);
}

#[test]
fn late_ticks_beyond_the_cap_are_the_short_ones() {
    let mut s = Stream::new(Depth::Boundary);
    for millis in [60, 90, 70, 80] {
        s.tick(|s| {
            s.run(millis * MS);
        });
    }
    let report = s.report_with(Options { late_ticks: 2, ..Options::default() });
    let kept: Vec<_> = report.late_ticks.iter().map(|late| late.tick).collect();
    assert_eq!((kept, report.ticks.late, report.overflow.late_ticks), (vec![2, 4], 4, 2));
}

fn event() -> impl Strategy<Value = Event> {
    let span = || (0u64..6).prop_map(|raw| SpanId::from_raw(raw + 1).unwrap());
    let symbol = || prop_oneof![9 => 0u32..8, 1 => any::<u32>()].prop_map(SymbolId);
    let track = || prop_oneof![9 => 0u32..6, 1 => any::<u32>()].prop_map(TrackId);
    let args = || {
        prop_oneof![
            Just(ArgRange::NONE),
            (any::<u32>(), any::<u32>()).prop_map(|(start, len)| ArgRange { start, len })
        ]
    };
    prop_oneof![
        (span(), symbol(), 0u16..20, args()).prop_map(|(span, symbol, category, args)| {
            let category = CategoryId(category);
            Event::Begin(Begin { span, parent: None, symbol, category, link: None, args })
        }),
        (span(), symbol(), any::<u64>(), any::<u32>(), args()).prop_map(
            |(span, symbol, begin_ns, bytes, args)| {
                let outcome = Outcome::ALL[bytes as usize % 4];
                Event::End(End { span, symbol, begin_ns, outcome, bytes, args })
            }
        ),
        track().prop_map(|host| Event::Resume { host }),
        (track(), 0usize..3)
            .prop_map(|(host, reason)| Event::Suspend { host, reason: SwitchReason::ALL[reason] }),
        (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(stack, time_ns, bytes)| Event::Stack {
            stack: StackId(stack % 6),
            weight: Weight { time_ns, bytes }
        }),
        span().prop_map(|id| Event::LinkPoint { id, span: None }),
        any::<u64>().prop_map(|events| Event::Gap { events }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn garbage_never_panics(
        garbage in proptest::collection::vec((prop_oneof![9 => 0u64..1_000_000_000, 1 => any::<u64>()], 0u32..4, 0u32..6, event()), 0..200),
        depth in 0usize..3,
    ) {
        let mut example = conformance::example();
        example.metadata.depth = Depth::ALL[depth];
        let samples: Vec<Sample> = garbage
            .into_iter()
            .map(|(time_ns, ring, track, event)| Sample { time_ns, ring: RingId(ring), track: TrackId(track), event })
            .collect();
        let options = Options { tracks: 16, threads: 2, open_spans: 20, paths: 16, symbols: 4, resources: 2, ..Options::default() };
        let mut analyzer = Analyzer::new(options);
        analyzer.open(&example.metadata).unwrap();
        for samples in samples.chunks(16) {
            analyzer.batch(&Batch { samples, ..example.as_batch() }).unwrap();
            analyzer.report();
        }
        prop_assert_eq!(analyzer.into_report().samples, samples.len() as u64);
    }
}
