//! Late ticks where functions are seen in stack samples only.

use proptest::prelude::*;
use tickscope_analysis::Options;
use tickscope_core::{CategoryId, Depth, SwitchReason, SymbolId};

use crate::stream::{MS, Stream, check_chains};

#[test]
fn samples_name_the_function_below_an_exact_boundary() {
    let mut s = Stream::new(Depth::Sample);
    let thread = s.lua("r:@r.lua:1@r.lua:1");
    let (main, merge) = (s.lua("r:main@r.lua:1"), s.lua("r:merge@r.lua:8"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.sampled(&[main], 10 * MS).sampled(&[main, merge], 190 * MS);
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 200/0 ×1",
            "resource r: 200/0",
            "thread r:@r.lua:1 200/0 ×1",
            "function r:main@r.lua:1 ~200/10",
            "!function r:merge@r.lua:8 ~190/190",
        ]],
    );
    let report = s.report();
    let row = |name: &str| report.symbols.iter().find(|row| &*row.symbol.name == name).unwrap().clone();
    let (merge, thread) = (row("merge"), row("@r.lua:1"));
    assert_eq!(
        (merge.count, merge.self_ns, merge.total_ns, merge.estimated),
        (None, 190 * MS, 190 * MS, true)
    );
    assert_eq!((thread.count, thread.self_ns, thread.total_ns), (Some(1), 0, 200 * MS));
    assert_eq!(report.resources[0].cpu_ns, 200 * MS, "functions take their time from the boundary, once");
}

#[test]
fn a_native_is_exact_and_hangs_below_the_function_sampled_after_it() {
    let mut s = Stream::new(Depth::Sample);
    let event = s.lua("r:save@r.lua:1");
    let (main, save) = (s.lua("r:main@r.lua:1"), s.lua("r:save_all@r.lua:8"));
    let write = s.native("r:SaveResourceFile");
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| {
            s.sampled(&[main], 2 * MS);
            for _ in 0..3 {
                s.native_call(write, 60 * MS).run(1_000).stack(&[main, save]);
            }
            s.sampled(&[main], 2 * MS);
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 184/0 ×1",
            "resource r: 184/0",
            "event r:save@r.lua:1 184/0 ×1",
            "function r:main@r.lua:1 ~184/4",
            "!function r:save_all@r.lua:8 ~180/0",
            "native r:SaveResourceFile 180/180 ×3",
        ]],
    );
}

#[test]
fn a_sampled_event_storm_keeps_exact_calls_below_the_sampled_trigger() {
    let mut s = Stream::new(Depth::Sample);
    let (timer, event) = (s.lua("chat:@f.lua:1@f.lua:1"), s.lua("log:chat:line@log.lua:1"));
    let (main, flood) = (s.lua("chat:main@f.lua:1"), s.lua("chat:flood@f.lua:2"));
    let (trigger, handler) = (s.native("chat:TriggerEvent"), s.lua("log:on_line@log.lua:1"));
    s.tick(|s| {
        s.boundary(CategoryId::TIMER, timer, |s| {
            for call in 0..5_000 {
                s.run(5_000);
                if call % 20 == 3 {
                    s.stack(&[main, flood]);
                }
                s.span(CategoryId::NATIVE, trigger, |s| {
                    s.run(5_000).boundary(CategoryId::EVENT, event, |s| {
                        s.run(20_000);
                        if call % 20 == 11 {
                            s.stack(&[main, flood, event, handler]);
                        }
                        s.run(20_000);
                    });
                });
            }
        });
    });
    let report = s.report();
    let chains = crate::stream::chains(&report, 1);
    assert_eq!(chains.len(), 1);
    let lines: Vec<&str> = chains[0].iter().map(String::as_str).collect();
    assert_eq!(
        lines[..6],
        [
            "tick :tick 250/0 ×1",
            "resource chat: 250/0",
            "timer chat:@f.lua:1 250/0 ×1",
            "function chat:main@f.lua:1 ~249/0",
            "!function chat:flood@f.lua:2 ~249/24",
            "native chat:TriggerEvent 225/25 ×5000",
        ]
    );
    assert_eq!(lines[6], "event log:chat:line@log.lua:1 200/0 ×5000");
    assert!(lines[7].starts_with("function log:on_line@log.lua:1 ~199"), "{}", lines[7]);
}

#[test]
fn a_callee_whose_samples_come_and_go_is_the_cost_of_the_loop() {
    let mut s = Stream::new(Depth::Sample);
    let thread = s.lua("r:@r.lua:1@r.lua:1");
    let (scan, distance) = (s.lua("r:scan@r.lua:2"), s.lua("r:distance@r.lua:9"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            // Two of three samples fall into the callee, in no order.
            let mut seed = 12_345u32;
            for _ in 0..200 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let inside = !(seed >> 16).is_multiple_of(3);
                let stack = [scan, distance];
                s.run(MS).stack(if inside { &stack } else { &stack[..1] });
            }
        });
    });
    let report = s.report();
    assert_eq!(&*report.late_ticks[0].chains[0].culprit().unwrap().symbol.name, "scan");
    assert_eq!(report.late_ticks[0].chains.len(), 1);
}

#[test]
fn a_callee_of_many_short_timers_is_named_itself() {
    let mut s = Stream::new(Depth::Sample);
    let (timer, pay) = (s.lua("r:@r.lua:1@r.lua:1"), s.lua("r:pay@r.lua:9"));
    s.tick(|s| {
        // Each timer calls it once, and some samples fall beside it: that it comes and goes is the timers' doing.
        let mut seed = 12_345u32;
        for _ in 0..400 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let inside = !(seed >> 16).is_multiple_of(8);
            s.boundary(CategoryId::TIMER, timer, |s| {
                let stack = [timer, pay];
                s.run(MS).stack(if inside { &stack } else { &stack[..1] });
            });
        }
    });
    let report = s.report();
    assert_eq!(&*report.late_ticks[0].chains[0].culprit().unwrap().symbol.name, "pay");
    assert_eq!(report.late_ticks[0].chains.len(), 1);
}

#[test]
fn a_callee_that_takes_long_each_time_is_named_itself() {
    let mut s = Stream::new(Depth::Sample);
    let thread = s.lua("r:@r.lua:1@r.lua:1");
    let (each, slow) = (s.lua("r:each@r.lua:2"), s.lua("r:slow@r.lua:9"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            for _ in 0..4 {
                s.sampled(&[each], 2 * MS).sampled(&[each, slow], 40 * MS);
            }
        });
    });
    let report = s.report();
    assert_eq!(&*report.late_ticks[0].chains[0].culprit().unwrap().symbol.name, "slow");
}

#[test]
fn collection_is_the_cost_of_the_function_that_makes_garbage() {
    let mut s = Stream::new(Depth::Sample);
    let (event, build) = (s.lua("r:e@r.lua:1"), s.lua("r:build@r.lua:4"));
    let gc = s.lua("r:collect (inferred)");
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| {
            for _ in 0..20 {
                s.sampled(&[build], 4 * MS).span(CategoryId::GC, gc, |s| {
                    s.run(6 * MS);
                });
            }
            s.sampled(&[build], MS);
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 201/0 ×1",
            "resource r: 201/0",
            "event r:e@r.lua:1 201/0 ×1",
            "!function r:build@r.lua:4 ~201/81",
            "gc r:collect (inferred) 120/120 ×20",
        ]],
    );
    let resource = s.report().resources[0].clone();
    assert_eq!((resource.gc_inferred_ns, resource.gc_measured_ns, resource.gc_count), (120 * MS, 0, 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is sampled wherever: a node's parts never exceed it, and no time is made up.
    #[test]
    fn estimates_add_up_to_what_is_exact(steps in proptest::collection::vec((0u8..6, 0u8..4, 1u64..3_000), 0..150)) {
        let mut s = Stream::new(Depth::Sample);
        s.out.metadata.budget_ns = 1;
        let events: Vec<SymbolId> = (0..4).map(|i| s.lua(&format!("r{i}:e{i}@m.lua:{i}"))).collect();
        let functions: Vec<SymbolId> = (0..4).map(|i| s.lua(&format!("r:f{i}@m.lua:1{i}"))).collect();
        let native = s.native("r:native");
        s.begin_tick();
        // The causal stack: each boundary with the functions called in it.
        let mut open: Vec<Vec<SymbolId>> = Vec::new();
        for (step, which, nanos) in steps {
            let which = usize::from(which);
            let depth = open.len();
            match (step, open.last_mut()) {
                // No event within itself: recursion is one node, whose parts overlap.
                (0, _) if depth < events.len() => {
                    let (track, event) = (s.coroutine("r"), events[depth]);
                    s.begin(CategoryId::EVENT, event).resume(track);
                    open.push(vec![event]);
                }
                (1, Some(_)) => {
                    s.suspend(SwitchReason::Return).end();
                    open.pop();
                }
                (2, Some(stack)) => stack.push(functions[which]),
                (3, Some(stack)) => stack.truncate(1 + which),
                (4, Some(_)) => drop(s.native_call(native, nanos)),
                _ => drop(s.run(nanos)),
            }
            if !open.is_empty() && step > 2 {
                s.stack(&open.concat());
            }
        }
        while open.pop().is_some() {
            s.suspend(SwitchReason::Return).end();
        }
        s.run(1).end();
        let report = s.report_with(Options { tree_nodes: usize::MAX, ..Options::default() });
        prop_assert_eq!(report.irregular, 0);
        for late in &report.late_ticks {
            prop_assert_eq!(late.tree[0].total_ns, late.duration_ns);
            prop_assert!(late.tree.iter().map(|node| node.self_ns).sum::<u64>() <= late.duration_ns);
            for (index, node) in late.tree.iter().enumerate() {
                let below = late.tree[index + 1..].iter().take_while(|below| below.depth > node.depth);
                let parts: u64 = below.filter(|below| below.depth == node.depth + 1).map(|below| below.total_ns).sum();
                prop_assert!(node.self_ns + parts <= node.total_ns, "{node:?} has parts of {parts}");
            }
        }
        let covered: u64 = report.resources.iter().map(|row| row.cpu_ns).sum();
        prop_assert_eq!(report.symbols.iter().map(|row| row.self_ns).sum::<u64>(), covered);
    }
}
