//! Random well-formed programs against a reference that is slow and obvious.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tickscope_analysis::Options;
use tickscope_core::{CategoryId, Depth, Event, Sample, SwitchReason, SymbolId, TrackId};

use crate::stream::Stream;

/// What a random program does next; what is not possible is left out.
#[derive(Clone, Copy, Debug)]
enum Step {
    Run(u64),
    Call(u8),
    Return,
    Tick,
    Resume(u8),
    Yield,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..1_000).prop_map(Step::Run),
        4 => (0u8..6).prop_map(Step::Call),
        3 => Just(Step::Return),
        1 => Just(Step::Tick),
        2 => (0u8..4).prop_map(Step::Resume),
        2 => Just(Step::Yield),
    ];
    proptest::collection::vec(step, 0..150)
}

/// Plays the steps: functions in four coroutines that are resumed from anywhere, and yield anywhere.
fn play(steps: &[Step]) -> Stream {
    let mut s = Stream::new(Depth::Trace);
    s.out.metadata.budget_ns = 300;
    let functions: Vec<SymbolId> = (0..6).map(|f| s.lua(&format!("r{}:f{f}@m.lua:{f}", f % 3))).collect();
    let coroutines: Vec<TrackId> = (0..4).map(|_| s.coroutine("r0")).collect();
    let main = s.main;
    let mut chain = vec![main];
    let mut open: BTreeMap<TrackId, usize> = BTreeMap::new();
    let mut in_tick = false;
    for step in steps {
        let current = chain[chain.len() - 1];
        let depth = open.get(&current).copied().unwrap_or(0);
        match *step {
            Step::Run(nanos) => drop(s.run(nanos)),
            Step::Call(f) => {
                s.begin(CategoryId::FUNCTION, functions[usize::from(f)]);
                *open.entry(current).or_default() += 1;
            }
            Step::Return if depth > 0 => {
                s.end();
                open.insert(current, depth - 1);
            }
            Step::Tick if current == main && depth == 0 && !in_tick => {
                s.begin_tick();
                open.insert(main, 1);
                in_tick = true;
            }
            Step::Resume(index) if !chain.contains(&coroutines[usize::from(index)]) => {
                s.resume(coroutines[usize::from(index)]);
                chain.push(coroutines[usize::from(index)]);
            }
            Step::Yield if chain.len() > 1 => {
                s.suspend(SwitchReason::Yield);
                chain.pop();
            }
            _ => {}
        }
        in_tick &= open.get(&main).is_some_and(|depth| *depth > 0);
    }
    while chain.len() > 1 {
        s.suspend(SwitchReason::Yield);
        chain.pop();
    }
    s.cut();
    s
}

/// Self and total time of each symbol, from the stack as it was between each two samples.
fn reference(samples: &[Sample], main: TrackId) -> BTreeMap<SymbolId, (u64, u64)> {
    let mut stacks: BTreeMap<TrackId, Vec<SymbolId>> = BTreeMap::new();
    let mut chain = vec![main];
    let mut times: BTreeMap<SymbolId, (u64, u64)> = BTreeMap::new();
    for pair in samples.windows(2) {
        let track = pair[0].track;
        match pair[0].event {
            Event::Begin(begin) => stacks.entry(track).or_default().push(begin.symbol),
            Event::End(_) => drop(stacks.entry(track).or_default().pop()),
            Event::Resume { .. } => chain.push(track),
            Event::Suspend { .. } => drop(chain.pop()),
            _ => {}
        }
        let causal: Vec<SymbolId> =
            chain.iter().filter_map(|track| stacks.get(track)).flatten().copied().collect();
        let elapsed = pair[1].time_ns - pair[0].time_ns;
        if let Some(top) = causal.last() {
            times.entry(*top).or_default().0 += elapsed;
        }
        for symbol in causal.into_iter().collect::<BTreeSet<_>>() {
            times.entry(symbol).or_default().1 += elapsed;
        }
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn times_equal_the_reference_across_coroutines(steps in steps()) {
        let s = play(&steps);
        let report = s.report();
        prop_assert_eq!(report.irregular, 0);
        let expected = reference(&s.out.samples, s.main);
        for row in &report.symbols {
            let id = s.out.dictionary.symbols().iter().position(|symbol| *symbol == row.symbol).unwrap();
            let times = expected.get(&SymbolId(id as u32)).copied().unwrap_or_default();
            prop_assert_eq!((row.self_ns, row.total_ns), times, "{}", row.symbol.name);
        }
        let covered: u64 = expected.values().map(|times| times.0).sum();
        prop_assert_eq!(report.symbols.iter().map(|row| row.self_ns).sum::<u64>(), covered);
        prop_assert_eq!(report.resources.iter().map(|row| row.cpu_ns).sum::<u64>(), covered);
        for late in &report.late_ticks {
            prop_assert_eq!(late.tree[0].total_ns, late.duration_ns);
            for chain in &late.chains {
                for pair in chain.causes.windows(2) {
                    prop_assert!(pair[0].total_ns >= pair[1].total_ns, "{chain:?}");
                }
            }
        }
    }

    #[test]
    fn batches_can_be_split_anywhere(steps in steps(), size in 1usize..20) {
        let s = play(&steps);
        let whole = s.report();
        let split = s.analyzer(Options::default(), size);
        prop_assert_eq!(&split.report(), &whole);
        prop_assert_eq!(&split.into_report(), &whole);
    }

    #[test]
    fn looking_changes_nothing(steps in steps(), at in 0usize..100) {
        let s = play(&steps);
        let mut looked = s.analyzer(Options::default(), usize::MAX);
        let before = looked.report();
        let at = at.min(s.out.samples.len());
        let mut again = tickscope_analysis::Analyzer::new(Options::default());
        let whole = s.out.as_batch();
        use tickscope_core::Sink;
        again.open(&s.out.metadata).unwrap();
        again.batch(&tickscope_core::Batch { samples: &whole.samples[..at], ..whole }).unwrap();
        again.report();
        again.batch(&tickscope_core::Batch { samples: &whole.samples[at..], ..whole }).unwrap();
        prop_assert_eq!(again.into_report(), before.clone());
        looked.finish().unwrap();
        prop_assert_eq!(looked.into_report(), before);
    }

    #[test]
    fn threads_can_be_interleaved_in_any_way(a in steps(), b in steps(), order in proptest::collection::vec(any::<bool>(), 0..300)) {
        // Two threads with tracks of their own, drained in different orders.
        let (mut first, second) = (play(&a), play(&b));
        let tracks = first.out.dictionary.tracks().len() as u32;
        for track in second.out.dictionary.tracks().iter().skip(1).cloned() {
            first.out.dictionary.push_track(track);
        }
        let moved: Vec<Sample> = second
            .out
            .samples
            .iter()
            .map(|sample| {
                let shift = |track: TrackId| TrackId(track.0 + tracks - 1);
                let mut sample = Sample { ring: tickscope_core::RingId(2), track: shift(sample.track), ..*sample };
                if let Event::Resume { host } | Event::Suspend { host, .. } = &mut sample.event {
                    *host = shift(*host);
                }
                if let Event::Begin(begin) = &mut sample.event {
                    begin.args = tickscope_core::ArgRange::NONE;
                }
                sample
            })
            .collect();
        // The ticks of the second have no number of their own then, and count from one all the same.
        let one = first.out.samples.clone();
        let mut merged = Vec::new();
        let (mut left, mut right) = (one.iter(), moved.iter());
        for pick in order {
            merged.extend(if pick { left.next() } else { right.next() });
        }
        merged.extend(left.chain(right));
        first.out.samples = one.iter().chain(&moved).copied().collect();
        let apart = first.report();
        first.out.samples = merged;
        let mixed = first.report();
        prop_assert_eq!(mixed.symbols, apart.symbols);
        prop_assert_eq!(mixed.resources, apart.resources);
        prop_assert_eq!(mixed.ticks, apart.ticks);
    }
}
