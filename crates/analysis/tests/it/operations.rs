//! Slow operations: what waited, for how long, started by whom.

use tickscope_analysis::Report;
use tickscope_core::{CategoryId, Depth, Outcome, SwitchReason};

use crate::stream::{MS, Stream};

/// A thread that does `waits` in order, each (category, ms), with 2 ms of work before each, and returns.
fn thread_that(waits: &[(CategoryId, u64)]) -> Stream {
    let mut s = Stream::new(Depth::Boundary);
    let (thread, load) = (s.lua("housing:@h.lua:1@h.lua:1"), s.lua("housing:load_all@h.lua:14"));
    let track = s.coroutine("housing");
    for (category, wait) in waits {
        s.tick(|s| {
            s.slice(CategoryId::THREAD, thread, track, SwitchReason::Yield, |s| {
                s.run(2 * MS);
            });
        });
        s.wait(*category, track, load, wait * MS);
    }
    s.tick(|s| {
        s.slice(CategoryId::THREAD, thread, track, SwitchReason::Return, |s| {
            s.run(MS);
        });
    });
    s
}

#[track_caller]
fn check(waits: &[(CategoryId, u64)], expected: &[(u64, u64, u64)]) -> Report {
    let report = thread_that(waits).report();
    let rows: Vec<_> =
        report.slow_operations.iter().map(|row| (row.count, row.awaits, row.awaited_ns / MS)).collect();
    assert_eq!(rows, expected);
    assert_eq!(report.irregular, 0);
    report
}

#[test]
fn awaits_add_up_to_one_slow_operation_and_no_late_tick() {
    let report = check(&[(CategoryId::AWAIT, 8); 96], &[(1, 96, 768)]);
    let slow = &report.slow_operations[0];
    assert_eq!((&*slow.kind, &*slow.symbol.name, &*slow.waited_in.name), ("thread", "@h.lua:1", "load_all"));
    assert_eq!((slow.waited_in.line, slow.worst_tick, slow.open), (14, 1, false));
    assert_eq!((slow.total_ns, slow.on_cpu_ns), ((96 * 10 + 1) * MS, (96 * 2 + 1) * MS));
    assert_eq!(report.ticks.late, 0);
}

#[test]
fn a_chosen_sleep_is_not_slow_and_cuts() {
    check(&[(CategoryId::SLEEP, 10_000)], &[]);
    check(&[(CategoryId::AWAIT, 300), (CategoryId::SLEEP, 1), (CategoryId::AWAIT, 300)], &[]);
    check(&[(CategoryId::AWAIT, 600), (CategoryId::SLEEP, 1), (CategoryId::AWAIT, 700)], &[(2, 2, 1_300)]);
}

#[test]
fn waits_in_virtual_time_count_by_the_servers_clock() {
    let mut s = Stream::new(Depth::Boundary);
    let (thread, load) = (s.lua("housing:@h.lua:1@h.lua:1"), s.lua("housing:load_all@h.lua:14"));
    let track = s.coroutine("housing");
    for _ in 0..60 {
        s.tick(|s| {
            s.slice(CategoryId::THREAD, thread, track, SwitchReason::Yield, |s| {
                s.run(MS);
            });
        });
        s.begin_on(track, CategoryId::AWAIT, load, None, &[]);
        s.run(MS / 10).end_on(track, Outcome::Ok, 0, &[("waited_ns", 50 * MS)]);
    }
    let report = s.report();
    let slow = &report.slow_operations[0];
    assert_eq!((&*slow.waited_in.name, slow.awaits, slow.awaited_ns), ("load_all", 60, 3_000 * MS));
    assert_eq!((slow.on_cpu_ns, slow.total_ns), (60 * MS, 3_060 * MS));
}

#[test]
fn work_that_waits_less_than_it_runs_is_not_slow() {
    let mut s = Stream::new(Depth::Boundary);
    let (thread, load) = (s.lua("a:t@a.lua:1"), s.lua("a:load@a.lua:2"));
    let track = s.coroutine("a");
    s.tick(|s| {
        s.slice(CategoryId::THREAD, thread, track, SwitchReason::Yield, |s| {
            s.run(700 * MS);
        });
    });
    s.wait(CategoryId::AWAIT, track, load, 600 * MS);
    assert_eq!(s.report().slow_operations, []);
}

#[test]
fn an_operation_still_waiting_is_open() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, query) = (s.lua("a:e@a.lua:1"), s.lua("a:query@a.lua:2"));
    let track = s.coroutine("a");
    s.tick(|s| {
        let source = s.link_point();
        let main = s.main;
        s.begin_on(main, CategoryId::EVENT, event, Some(source), &[]);
        s.resume(track).run(MS).suspend(SwitchReason::Yield).end();
    });
    s.begin_on(track, CategoryId::AWAIT, query, None, &[]);
    s.run(900 * MS).tick(|s| {
        s.run(MS);
    });
    let live = s.report();
    s.cut();
    let done = s.report();
    for report in [&live, &done] {
        let slow = &report.slow_operations[0];
        assert!(slow.open);
        assert_eq!((slow.count, slow.awaits, slow.awaited_ns), (1, 1, 901 * MS));
        assert_eq!(&*slow.started_by.as_ref().unwrap().name, "tick");
    }
    let waiting = live.open_spans.last().unwrap();
    assert_eq!((&*waiting.kind, &*waiting.symbol.name, waiting.running), ("await", "query", false));
    let query = done.symbols.iter().find(|row| &*row.symbol.name == "query").unwrap();
    assert_eq!(
        (query.awaits, query.awaited_ns, query.self_ns),
        (1, 901 * MS, 0),
        "waiting is no running time"
    );
}

#[test]
fn repeated_operations_are_one_row() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, query) = (s.lua("a:e@a.lua:1"), s.lua("a:query@a.lua:2"));
    for wait in [600, 900, 700] {
        let track = s.coroutine("a");
        s.tick(|s| {
            s.slice(CategoryId::EVENT, event, track, SwitchReason::Yield, |_| {});
        });
        // The producer may open the await while the coroutine still runs.
        s.wait(CategoryId::AWAIT, track, query, wait * MS);
        s.tick(|s| {
            s.slice(CategoryId::EVENT, event, track, SwitchReason::Return, |_| {});
        });
    }
    let report = s.report();
    let slow = &report.slow_operations[0];
    assert_eq!((report.slow_operations.len(), slow.count, slow.awaited_ns / MS), (1, 3, 2_200));
    assert_eq!((slow.worst_ns / MS, slow.worst_tick, slow.worst_awaits), (900, 3, 1));
}

#[test]
fn an_await_opened_before_the_yield_and_closed_after_the_resume_counts_the_same() {
    let mut s = Stream::new(Depth::Trace);
    let (event, work, query) = (s.lua("a:e@a.lua:1"), s.lua("a:work@a.lua:2"), s.lua("a:query@a.lua:3"));
    let track = s.coroutine("a");
    s.tick(|s| {
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Yield, |s| {
            s.begin(CategoryId::FUNCTION, work).run(MS);
            s.begin(CategoryId::AWAIT, query);
        });
    });
    s.run(800 * MS).tick(|s| {
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Return, |s| {
            s.end().run(3 * MS).end();
        });
    });
    let report = s.report();
    assert_eq!(report.irregular, 0);
    assert_eq!((report.slow_operations.len(), report.slow_operations[0].awaited_ns), (1, 800 * MS));
    let work = report.symbols.iter().find(|row| &*row.symbol.name == "work").unwrap();
    assert_eq!((work.self_ns, work.total_ns), (4 * MS, 4 * MS));
}

#[test]
fn an_answer_that_a_late_tick_kept_is_no_slow_operation() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, query) = (s.lua("a:e@a.lua:1"), s.lua("a:query@a.lua:2"));
    let hog = s.lua("b:hog@b.lua:1");
    let track = s.coroutine("a");
    s.tick(|s| {
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Yield, |s| {
            s.begin(CategoryId::AWAIT, query);
        });
        s.boundary(CategoryId::EVENT, hog, |s| {
            s.run(1_000 * MS);
        });
    });
    s.tick(|s| {
        s.boundary(CategoryId::EVENT, hog, |s| {
            s.run(700 * MS);
        });
        assert_eq!(s.report().slow_operations, []);
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Return, |s| {
            s.end().run(MS);
        });
    });
    let report = s.report();
    assert_eq!((report.slow_operations.len(), report.ticks.late), (0, 2));
    let query = report.symbols.iter().find(|row| &*row.symbol.name == "query").unwrap();
    assert_eq!(query.awaited_ns, 100 * MS, "a budget for each of two ticks");
}

#[test]
fn a_wait_from_before_what_is_known_of_the_operation_is_not_counted() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, query) = (s.lua("a:e@a.lua:1"), s.lua("a:query@a.lua:2"));
    let track = s.coroutine("a");
    // The first slice was lost.
    s.wait(CategoryId::AWAIT, track, query, 0);
    s.begin_on(track, CategoryId::AWAIT, query, None, &[]);
    s.run(900 * MS).tick(|s| {
        s.slice(CategoryId::EVENT, event, track, SwitchReason::Return, |s| {
            s.end();
        });
    });
    assert_eq!(s.report().slow_operations, []);
}
