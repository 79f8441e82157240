//! Figures of symbols, resources, ticks and accounts.

use tickscope_analysis::{Options, Throughput};
use tickscope_core::{Account, CategoryId, Depth, Outcome, SwitchReason, TrackKind};

use crate::stream::{MS, Stream};

#[test]
fn a_symbol_has_its_durations_and_a_suspended_span_only_its_running_time() {
    let mut s = Stream::new(Depth::Trace);
    let (thread, work) = (s.lua("a:t@a.lua:1"), s.lua("a:work@a.lua:2"));
    for millis in 1..=100 {
        s.boundary(CategoryId::THREAD, thread, |s| {
            s.call(work, |s| {
                s.run(millis * MS);
            });
        });
    }
    let report = s.report();
    let row = report.symbols.iter().find(|row| &*row.symbol.name == "work").unwrap();
    assert_eq!((row.count, row.min_ns, row.max_ns), (Some(100), Some(MS), Some(100 * MS)));
    let near = |value: Option<u64>, exact: u64| value.unwrap().abs_diff(exact * MS) <= exact * MS / 32;
    assert!(near(row.p50_ns, 50) && near(row.p95_ns, 95) && near(row.p99_ns, 99), "{row:?}");
    assert_eq!(row.kind, "function");
}

#[test]
fn equal_names_in_two_resources_stay_apart() {
    let mut s = Stream::new(Depth::Trace);
    let (a, b) = (s.lua("a:pay@m.lua:1"), s.lua("b:pay@m.lua:1"));
    s.boundary(CategoryId::EVENT, a, |s| {
        s.run(5).boundary(CategoryId::EXPORT, b, |s| {
            s.run(7);
        });
    });
    let report = s.report();
    let cpu: Vec<_> =
        report.resources.iter().map(|row| (&*row.name, row.cpu_ns, row.events, row.exports)).collect();
    assert_eq!(cpu, [("b", 7, 0, 1), ("a", 5, 1, 0)]);
    assert_eq!(report.symbols.len(), 2);
}

#[test]
fn bytes_are_the_allocators_own() {
    let mut s = Stream::new(Depth::Trace);
    let (event, outer, inner) = (s.lua("a:e@a.lua:1"), s.lua("a:outer@a.lua:2"), s.lua("b:inner@b.lua:3"));
    let main = s.main;
    let track = s.coroutine("a");
    s.begin(CategoryId::EVENT, event).resume(track).begin(CategoryId::FUNCTION, outer);
    s.begin(CategoryId::FUNCTION, inner).end_on(track, Outcome::Ok, 30, &[]);
    // The function goes on in a second slice, of whose bytes it is the owner too.
    s.suspend(SwitchReason::Yield).end_on(main, Outcome::Ok, 60, &[]);
    s.begin(CategoryId::EVENT, event).resume(track).end_on(track, Outcome::Ok, 100, &[]);
    s.suspend(SwitchReason::Return).end_on(main, Outcome::Ok, 50, &[]);
    let report = s.report();
    let bytes = |name: &str| report.symbols.iter().find(|row| &*row.symbol.name == name).unwrap().allocated;
    assert_eq!((bytes("e"), bytes("outer"), bytes("inner")), (10, 70, 30));
    let resources: Vec<_> = report.resources.iter().map(|row| (&*row.name, row.allocated)).collect();
    assert_eq!(resources, [("a", 80), ("b", 30)]);
}

#[test]
fn a_span_that_cannot_tell_how_much_takes_nothing_from_others() {
    let mut s = Stream::new(Depth::Boundary);
    let (event, native) = (s.lua("a:e@a.lua:1"), s.lua("b:n@b.lua:1"));
    let main = s.main;
    s.begin(CategoryId::EVENT, event);
    for _ in 0..3 {
        s.begin(CategoryId::NATIVE, native).end_on(main, Outcome::Ok, 3 << 30, &[]);
    }
    s.end_on(main, Outcome::Ok, u32::MAX, &[]);
    let report = s.report();
    let bytes = |name: &str| report.symbols.iter().find(|row| &*row.symbol.name == name).unwrap().allocated;
    assert_eq!((bytes("e"), bytes("n")), (0, 9 << 30));
}

#[test]
fn errors_heaps_and_accounts_are_counted() {
    let mut s = Stream::new(Depth::Boundary);
    let event = s.lua("a:e@a.lua:1");
    let main = s.main;
    s.begin(CategoryId::EVENT, event).error(event).error(event).end_on(main, Outcome::Error, 0, &[]);
    s.heap("a", 900).heap("a", 2_000).heap("a", 1_500);
    let account = Account { attempted: 9, committed: 7, delivered: 7, dropped: 2, ..Account::default() };
    s.account(Account { attempted: 5, committed: 5, delivered: 5, ..Account::default() }).account(account);
    let report = s.report();
    let resource = &report.resources[0];
    assert_eq!(
        (resource.errors, resource.heap_first_bytes, resource.heap_bytes, resource.heap_peak_bytes),
        (2, Some(900), Some(1_500), Some(2_000))
    );
    assert_eq!(report.symbols[0].errors, 1);
    assert_eq!((report.accounts.total, report.accounts.holds), (account, true), "the newest of a ring");
    s.account(Account { delivered: 3, ..account });
    assert!(!s.report().accounts.holds);
}

#[test]
fn declared_work_gives_rates() {
    let mut s = Stream::new(Depth::Trace);
    let multiply = s.lua("m:multiply@m.lua:1");
    let main = s.main;
    s.begin_on(main, CategoryId::FUNCTION, multiply, None, &[("flops", 2_000_000_000)]);
    s.run(1_000_000_000).end_on(main, Outcome::Ok, 0, &[("bytes", 500), ("operations", 10)]);
    s.call(multiply, |s| {
        s.run(9);
    });
    let row = s.report().symbols.remove(0);
    let expected = Throughput {
        spans: 1,
        time_ns: 1_000_000_000,
        operations: Some(10),
        flops: Some(2_000_000_000),
        bytes: Some(500),
    };
    assert_eq!((row.count, row.throughput), (Some(2), Some(expected)));
    assert_eq!(expected.flops_per_second(), Some(2e9));
}

#[test]
fn asynchronous_spans_count_wall_time_and_no_cpu() {
    let mut s = Stream::new(Depth::Trace);
    let (download, part, busy) =
        (s.lua("n:download@n.lua:1"), s.lua("n:part@n.lua:2"), s.lua("n:busy@n.lua:3"));
    let track = s.track(TrackKind::Async, "n");
    s.begin_on(track, CategoryId::IO, download, None, &[]);
    s.run(10).begin_on(track, CategoryId::IO, part, None, &[]);
    s.call(busy, |s| {
        s.run(30);
    });
    s.end_on(track, Outcome::Ok, 0, &[]).run(5).end_on(track, Outcome::Ok, 0, &[]);
    let report = s.report();
    let row = |name: &str| {
        let row = report.symbols.iter().find(|row| &*row.symbol.name == name).unwrap();
        (row.self_ns, row.total_ns)
    };
    assert_eq!((row("download"), row("part"), row("busy")), ((15, 45), (30, 30), (30, 30)));
    assert_eq!((report.resources[0].cpu_ns, report.irregular), (30, 0));
}

#[test]
fn the_tick_table_lists_the_worst() {
    let mut s = Stream::new(Depth::Boundary);
    for millis in [10, 70, 20, 90, 60, 70] {
        s.tick(|s| {
            s.run(millis * MS);
        });
    }
    let table = s.report_with(Options { worst_ticks: 3, ..Options::default() }).ticks;
    assert_eq!((table.count, table.late, table.min_ns, table.max_ns), (6, 4, 10 * MS, 90 * MS));
    let worst: Vec<_> = table.worst.iter().map(|worst| (worst.tick, worst.duration_ns / MS)).collect();
    assert_eq!(worst, [(4, 90), (2, 70), (6, 70)]);
}

#[test]
fn without_a_budget_no_tick_is_late() {
    let mut s = Stream::new(Depth::Boundary);
    s.out.metadata.budget_ns = 0;
    s.tick(|s| {
        s.run(5_000 * MS);
    });
    let report = s.report();
    assert_eq!((report.ticks.count, report.ticks.late, report.late_ticks.len()), (1, 0, 0));
}

#[test]
fn a_program_of_samples_alone_has_estimates() {
    let mut s = Stream::new(Depth::Sample);
    let (main, work) = (s.lua("p:main@p.lua:1"), s.lua("p:work@p.lua:5"));
    s.run(MS).sampled(&[main], 2 * MS).sampled(&[main, work, work], 5 * MS);
    let report = s.report();
    let rows: Vec<_> = report
        .symbols
        .iter()
        .map(|row| (&*row.symbol.name, row.count, row.self_ns / MS, row.total_ns / MS, row.estimated))
        .collect();
    assert_eq!(rows, [("work", None, 5, 5, true), ("main", None, 2, 7, true)]);
    assert_eq!((report.resources[0].cpu_ns / MS, report.resources[0].estimated), (7, true));
}
