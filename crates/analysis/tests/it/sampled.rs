//! Late ticks where functions are seen in stack samples only.

use tickscope_core::{CategoryId, Depth};

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
