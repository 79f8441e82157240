//! Late ticks where every call is a span: which chain, which culprit, whose fault.

use tickscope_analysis::{Blame, Options};
use tickscope_core::{CategoryId, Depth, Event, Runtime, SwitchReason};

use crate::stream::{MS, Stream, chains, check_chains};

#[test]
fn a_loop_over_cheap_calls_is_blamed_and_not_what_it_calls() {
    let mut s = Stream::new(Depth::Trace);
    let thread = s.lua("shops:@main.lua:10@main.lua:10");
    let (scan, distance) = (s.lua("shops:scan@main.lua:12"), s.lua("shops:distance@main.lua:3"));
    s.tick(|s| {
        s.run(MS);
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.call(scan, |s| {
                for _ in 0..2_000 {
                    s.run(20_000).call(distance, |s| {
                        s.run(80_000);
                    });
                }
            });
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 201/1 ×1",
            "resource shops: 200/0",
            "thread shops:@main.lua:10 200/0 ×1",
            "!function shops:scan@main.lua:12 200/40 ×1",
            "function shops:distance@main.lua:3 160/160 ×2000",
        ]],
    );
}

#[test]
fn a_c_function_is_the_cost_of_its_caller() {
    let mut s = Stream::new(Depth::Trace);
    let event = s.lua("bank:bank:save@main.lua:5");
    let (save, encode) = (s.lua("bank:save@main.lua:9"), s.native("bank:json.encode"));
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| {
            s.call(save, |s| {
                s.run(2 * MS).call(encode, |s| {
                    s.run(300 * MS);
                });
            });
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 302/0 ×1",
            "resource bank: 302/0",
            "event bank:bank:save@main.lua:5 302/0 ×1",
            "!function bank:save@main.lua:9 302/2 ×1",
            "function bank:json.encode 300/300 ×1",
        ]],
    );
}

#[test]
fn an_event_storm_is_one_node_below_the_function_that_triggers_it() {
    let mut s = Stream::new(Depth::Trace);
    let timer = s.lua("chat:@flood.lua:1@flood.lua:1");
    let (flood, trigger) = (s.lua("chat:flood@flood.lua:2"), s.native("chat:TriggerEvent"));
    let (event, handler) = (s.lua("log:chat:line@log.lua:1"), s.lua("log:on_line@log.lua:1"));
    s.tick(|s| {
        s.boundary(CategoryId::TIMER, timer, |s| {
            s.call(flood, |s| {
                for _ in 0..5_000 {
                    s.span(CategoryId::NATIVE, trigger, |s| {
                        s.run(10_000).boundary(CategoryId::EVENT, event, |s| {
                            s.call(handler, |s| {
                                s.run(40_000);
                            });
                        });
                    });
                }
            });
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 250/0 ×1",
            "resource chat: 250/0",
            "timer chat:@flood.lua:1 250/0 ×1",
            "!function chat:flood@flood.lua:2 250/0 ×1",
            "native chat:TriggerEvent 250/50 ×5000",
            "event log:chat:line@log.lua:1 200/0 ×5000",
            "function log:on_line@log.lua:1 200/200 ×5000",
        ]],
    );
    let log = s.report().resources.into_iter().find(|resource| resource.name == "log").unwrap();
    assert_eq!((log.cpu_ns, log.events), (200 * MS, 5_000), "a resource's time is what runs in its VM");
}

#[test]
fn a_burst_of_timers_is_blamed_on_their_callback() {
    let mut s = Stream::new(Depth::Trace);
    let (timer, tidy) = (s.lua("jobs:@main.lua:7@main.lua:7"), s.lua("jobs:tidy@main.lua:20"));
    s.tick(|s| {
        for _ in 0..1_000 {
            s.boundary(CategoryId::TIMER, timer, |s| {
                s.call(tidy, |s| {
                    s.run(200_000);
                });
            });
        }
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 200/0 ×1",
            "resource jobs: 200/0",
            "timer jobs:@main.lua:7 200/0 ×1000",
            "!function jobs:tidy@main.lua:20 200/200 ×1000",
        ]],
    );
}

#[test]
fn a_slow_export_is_followed_through_three_resources() {
    let mut s = Stream::new(Depth::Trace);
    let thread = s.lua("a:@a.lua:1@a.lua:1");
    let (fa, xb, fb) = (s.lua("a:run@a.lua:2"), s.lua("b:get@b.lua:1"), s.lua("b:get_fn@b.lua:1"));
    let (xc, fc) = (s.lua("c:load@c.lua:1"), s.lua("c:load_fn@c.lua:1"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.call(fa, |s| {
                s.boundary(CategoryId::EXPORT, xb, |s| {
                    s.run(3 * MS).call(fb, |s| {
                        s.boundary(CategoryId::EXPORT, xc, |s| {
                            s.call(fc, |s| {
                                s.run(220 * MS);
                            });
                        });
                    });
                });
            });
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 223/0 ×1",
            "resource a: 223/0",
            "thread a:@a.lua:1 223/0 ×1",
            "function a:run@a.lua:2 223/0 ×1",
            "export b:get@b.lua:1 223/3 ×1",
            "function b:get_fn@b.lua:1 220/0 ×1",
            "export c:load@c.lua:1 220/0 ×1",
            "!function c:load_fn@c.lua:1 220/220 ×1",
        ]],
    );
}

#[test]
fn two_causes_in_one_tick_are_both_named_and_small_work_is_not() {
    let mut s = Stream::new(Depth::Trace);
    let handler = s.lua("core:tick@core.lua:1");
    let (one, two, small) =
        (s.lua("core:one@core.lua:5"), s.lua("core:two@core.lua:9"), s.lua("core:small@core.lua:13"));
    let other = s.lua("other:@o.lua:1@o.lua:1");
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, handler, |s| {
            for (function, time) in [(one, 120 * MS), (small, 20 * MS), (two, 90 * MS)] {
                s.call(function, |s| {
                    s.run(time);
                });
            }
        });
        s.boundary(CategoryId::THREAD, other, |s| {
            s.run(5 * MS);
        });
    });
    let report = s.report();
    let culprits: Vec<_> =
        report.late_ticks[0].chains.iter().map(|chain| &*chain.culprit().unwrap().symbol.name).collect();
    assert_eq!(culprits, ["one", "two"]);
    assert_eq!(report.culprits.len(), 2);
}

#[test]
fn a_function_with_cost_of_its_own_is_named_beside_its_callee() {
    let mut s = Stream::new(Depth::Trace);
    let (thread, outer, inner) = (s.lua("r:t@r.lua:1"), s.lua("r:outer@r.lua:2"), s.lua("r:inner@r.lua:3"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.call(outer, |s| {
                s.run(150 * MS).call(inner, |s| {
                    s.run(60 * MS);
                });
            });
        });
    });
    let report = s.report();
    let culprits: Vec<_> =
        report.late_ticks[0].chains.iter().map(|chain| &*chain.culprit().unwrap().symbol.name).collect();
    assert_eq!(culprits, ["outer", "inner"]);
}

#[test]
fn recursion_shows_once() {
    let mut s = Stream::new(Depth::Trace);
    let (event, walk) = (s.lua("r:e@r.lua:1"), s.lua("r:walk@r.lua:2"));
    fn descend(s: &mut Stream, walk: tickscope_core::SymbolId, depth: u32) {
        s.call(walk, |s| {
            s.run(MS);
            if depth > 1 {
                descend(s, walk, depth - 1);
            }
        });
    }
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| descend(s, walk, 100));
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 100/0 ×1",
            "resource r: 100/0",
            "event r:e@r.lua:1 100/0 ×1",
            "!function r:walk@r.lua:2 100/100 ×100",
        ]],
    );
    let report = s.report();
    let walk = report.symbols.iter().find(|row| &*row.symbol.name == "walk").unwrap();
    assert_eq!((walk.count, walk.self_ns, walk.total_ns), (Some(100), 100 * MS, 100 * MS));
}

#[test]
fn many_small_pieces_of_a_resource_end_at_the_resource() {
    let mut s = Stream::new(Depth::Boundary);
    let threads: Vec<_> = (1..=20).map(|line| s.lua(&format!("busy:@m.lua:{line}@m.lua:{line}"))).collect();
    s.tick(|s| {
        for thread in threads {
            s.boundary(CategoryId::THREAD, thread, |s| {
                s.run(4 * MS);
            });
        }
    });
    check_chains(&s, 1, &[&["tick :tick 80/0 ×1", "resource busy: 80/0"]]);
}

#[test]
fn at_boundary_depth_the_boundary_is_the_culprit() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, write) = (s.lua("files:save@f.lua:4"), s.native("files:SaveResourceFile"));
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| {
            s.run(MS).native_call(write, 90 * MS);
        });
    });
    check_chains(
        &s,
        1,
        &[&[
            "tick :tick 91/0 ×1",
            "resource files: 91/0",
            "!event files:save@f.lua:4 91/1 ×1",
            "native files:SaveResourceFile 90/90 ×1",
        ]],
    );
}

#[track_caller]
fn check_blame(script_ms: u64, idle_ms: u64, run_delay_ms: u64, expected: Option<Blame>) {
    let mut s = Stream::new(Depth::Boundary);
    let thread = s.lua("r:t@r.lua:1");
    s.tick_with(&[("run_delay_ns", run_delay_ms * MS), ("involuntary", 3)], |s| {
        s.run(idle_ms * MS).boundary(CategoryId::THREAD, thread, |s| {
            s.run(script_ms * MS);
        });
    });
    let report = s.report();
    assert_eq!(report.late_ticks.first().map(|late| late.blame), expected);
    assert_eq!((report.machine.run_delay_ns, report.machine.involuntary), (run_delay_ms * MS, 3));
    if expected == Some(Blame::Machine) {
        assert_eq!(
            (report.machine.late_ticks, report.late_ticks[0].chains.len()),
            (1, 0),
            "no script is accused"
        );
    }
}

#[test]
fn the_machine_is_blamed_for_what_it_did() {
    check_blame(40, 5, 0, None);
    check_blame(50, 0, 0, None);
    check_blame(80, 0, 0, Some(Blame::Script));
    check_blame(80, 0, 40, Some(Blame::Machine)); // in time without the delay
    check_blame(80, 0, 20, Some(Blame::Script)); // late all the same
    check_blame(60, 60, 40, Some(Blame::Machine)); // a third of what ran was delay
    check_blame(30, 100, 0, Some(Blame::Machine)); // nothing of the server's ran
}

#[test]
fn the_machine_is_not_blamed_for_what_was_not_recorded() {
    let mut s = Stream::new(Depth::Trace);
    s.tick(|s| {
        let main = s.main;
        s.run(MS).push(main, Event::Gap { events: 7 });
        s.run(90 * MS);
    });
    let report = s.report();
    let late = &report.late_ticks[0];
    assert_eq!((late.blame, late.lost_events, late.chains.len()), (Blame::Script, 7, 0));
    assert_eq!((report.accounts.gaps, report.accounts.gap_events), (1, 7));
}

#[test]
fn a_piece_that_the_machine_stretched_is_not_accused() {
    let mut s = Stream::new(Depth::Boundary);
    let (slow, small) = (s.lua("a:slow@a.lua:1"), s.lua("b:small@b.lua:1"));
    s.tick_with(&[("run_delay_ns", 60 * MS)], |s| {
        for (event, time) in [(slow, 160 * MS), (small, 70 * MS)] {
            s.boundary(CategoryId::EVENT, event, |s| {
                s.run(time);
            });
        }
    });
    let report = s.report();
    let culprits: Vec<_> = report.culprits.iter().map(|culprit| &*culprit.symbol.name).collect();
    assert_eq!(culprits, ["slow"]);
}

#[test]
fn a_tick_that_never_ends_is_late_and_open() {
    let mut s = Stream::new(Depth::Trace);
    let (thread, spin) = (s.lua("bad:@b.lua:1@b.lua:1"), s.lua("bad:spin@b.lua:3"));
    let track = s.coroutine("bad");
    s.begin_tick().begin(CategoryId::THREAD, thread).resume(track).run(MS);
    s.begin(CategoryId::FUNCTION, spin).run(900 * MS);
    let helper = s.lua("bad:helper@b.lua:9");
    s.call(helper, |s| {
        s.run(1_000);
    });

    let live = s.analyzer(Options::default(), 3).report();
    s.cut();
    let done = s.report();
    for report in [live.clone(), done.clone()] {
        assert!(report.late_ticks[0].open);
        assert_eq!(
            chains(&report, 1),
            [[
                "tick :tick 901/0 ×1",
                "resource bad: 901/0",
                "thread bad:@b.lua:1 901/1 ×1",
                "!function bad:spin@b.lua:3 900/900 ×1",
            ]]
        );
        assert_eq!((report.ticks.count, report.ticks.late), (1, 1));
    }
    assert!(done.truncated && !live.truncated);
    let open: Vec<_> =
        live.open_spans.iter().map(|span| (&*span.symbol.name, span.depth, span.running)).collect();
    assert_eq!(open, [("tick", 0, true), ("@b.lua:1", 1, true), ("spin", 2, true)]);
    assert_eq!(done.open_spans, []);
    let spin = live.symbols.iter().find(|row| &*row.symbol.name == "spin").unwrap();
    assert_eq!((spin.count, spin.self_ns / MS), (Some(0), 900), "what runs is counted before it ends");
}

#[test]
fn a_function_that_goes_on_after_a_wait_is_in_each_ticks_tree() {
    let mut s = Stream::new(Depth::Trace);
    let (thread, work) = (s.lua("r:t@r.lua:1"), s.lua("r:work@r.lua:2"));
    let track = s.coroutine("r");
    for slice in 0..3 {
        s.tick(|s| {
            let reason = if slice == 2 { SwitchReason::Return } else { SwitchReason::Yield };
            s.slice(CategoryId::THREAD, thread, track, reason, |s| {
                if slice == 0 {
                    s.begin(CategoryId::FUNCTION, work);
                }
                s.run(70 * MS);
                if slice == 2 {
                    s.end();
                }
            });
        });
        if slice < 2 {
            s.wait(CategoryId::SLEEP, track, work, 500 * MS);
        }
    }
    for tick in 1..=3 {
        check_chains(
            &s,
            tick,
            &[&[
                "tick :tick 70/0 ×1",
                "resource r: 70/0",
                "thread r:t@r.lua:1 70/0 ×1",
                "!function r:work@r.lua:2 70/70 ×1",
            ]],
        );
    }
    let work = s.report().symbols.into_iter().find(|row| &*row.symbol.name == "work").unwrap();
    assert_eq!(
        (work.count, work.self_ns, work.total_ns, work.max_ns),
        (Some(1), 210 * MS, 210 * MS, Some(210 * MS))
    );
}

#[test]
fn the_source_of_a_link_is_named() {
    let mut s = Stream::new(Depth::Boundary);
    let (thread, trigger, event) = (s.lua("a:t@a.lua:1"), s.native("a:TriggerEvent"), s.lua("b:e@b.lua:1"));
    s.tick(|s| {
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.begin(CategoryId::NATIVE, trigger);
            let source = s.link_point();
            let (track, on) = (s.coroutine("b"), s.out.samples.last().unwrap().track);
            s.begin_on(on, CategoryId::EVENT, event, Some(source), &[]);
            s.resume(track).run(80 * MS).suspend(SwitchReason::Return).end().end();
        });
    });
    let report = s.report();
    let cause = report.late_ticks[0].chains[0].culprit().unwrap();
    assert_eq!((&*cause.symbol.name, &*cause.started_by.as_ref().unwrap().name), ("e", "t"));
}

#[test]
fn a_call_graph_crosses_runtimes() {
    let mut s = Stream::new(Depth::Trace);
    let event = s.lua("r:e@r.lua:1");
    let (lua, native) = (s.lua("r:ask@r.lua:2"), s.native("r:INVOKE"));
    let managed = s.symbol(Runtime::CSharp, "net:Bank.Pay@Bank.cs:40");
    let back = s.lua("r:on_paid@r.lua:9");
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, event, |s| {
            s.call(lua, |s| {
                s.run(10 * MS).span(CategoryId::NATIVE, native, |s| {
                    s.run(MS).call(managed, |s| {
                        s.run(80 * MS).call(back, |s| {
                            s.run(5 * MS);
                        });
                    });
                });
            });
        });
    });
    let report = s.report();
    let tree: Vec<_> = report.late_ticks[0]
        .tree
        .iter()
        .map(|node| {
            (
                node.depth,
                node.symbol.runtime.name(),
                &*node.symbol.name,
                node.total_ns / MS,
                node.self_ns / MS,
            )
        })
        .collect();
    assert_eq!(
        tree,
        [
            (0, "Host", "tick", 96, 0),
            (1, "Lua", "e", 96, 0),
            (2, "Lua", "ask", 96, 10),
            (3, "Native", "INVOKE", 86, 1),
            (4, "C#", "Bank.Pay", 85, 80),
            (5, "Lua", "on_paid", 5, 5),
        ]
    );
    assert_eq!(&*report.culprits[0].symbol.name, "Bank.Pay");
}

#[test]
fn the_player_is_named_when_it_is_one() {
    let player_of = |players: &[u64]| {
        let mut s = Stream::new(Depth::Boundary);
        let (event, main) = (s.lua("b:e@b.lua:1"), s.main);
        s.tick(|s| {
            for player in players {
                s.begin_on(main, CategoryId::EVENT, event, None, &[("player", *player)]);
                let track = s.coroutine("b");
                s.resume(track).run(40 * MS).suspend(SwitchReason::Return).end();
            }
        });
        s.report().late_ticks[0].chains[0].culprit().unwrap().player
    };
    assert_eq!(player_of(&[14, 14]), Some(14));
    assert_eq!(player_of(&[14, 15]), None);
}
