//! `Profiler` for scripts: spans, whose functions are recorded, what scripts report.

use std::collections::{BTreeSet, HashMap};

use tickscope_core::{ArgValue, CategoryId, Depth, Event, Outcome, RecordingSink};

use crate::world::{World, check, check_world};

/// The scopes of a recording, indented, with their arguments, and how they ended where not well.
fn spans(sink: &RecordingSink) -> Vec<String> {
    let (batch, names) = (sink.as_batch(), &sink.dictionary);
    let (mut lines, mut tracks) = (Vec::new(), HashMap::<_, Vec<_>>::new());
    for sample in batch.samples {
        let open = tracks.entry(sample.track).or_default();
        match sample.event {
            Event::Begin(begin) if begin.category == CategoryId::SCOPE => {
                let symbol = names.symbol(begin.symbol);
                let args = batch.args(begin.args).iter().map(|arg| match arg.value {
                    ArgValue::Text { .. } => format!(" {}={:?}", names.key(arg.key), batch.text(arg.value)),
                    other => format!(" {}={other:?}", names.key(arg.key)),
                });
                let args: String = args.collect();
                lines.push(format!("{}{} [{}]{args}", "  ".repeat(open.len()), symbol.name, symbol.resource));
                open.push(begin.span);
            }
            Event::End(end) if open.contains(&end.span) => {
                assert_eq!(open.pop(), Some(end.span), "they nest");
                if end.outcome != Outcome::Ok {
                    lines.push(format!("{}({})", "  ".repeat(open.len()), end.outcome.name()));
                }
            }
            _ => {}
        }
    }
    assert!(tracks.values().all(Vec::is_empty), "every span ends");
    lines
}

#[track_caller]
fn check_spans(script: &str, ticks: u64, expected: &[&str], printed: &[&str]) {
    for depth in [Depth::Boundary, Depth::Sample, Depth::Trace] {
        let mut world = World::new(&[("a/main.lua", script)]);
        world.config.depth = depth;
        let (sink, ran) = world.record(ticks);
        assert_eq!(spans(&sink), expected, "{script} at {depth:?}");
        assert_eq!(ran.lines, printed, "{script} at {depth:?}");
    }
}

#[test]
fn spans_nest_carry_values_and_outlive_a_wait() {
    check_spans(
        "CreateThread(function()
           Profiler.Begin('query', { rows = 12, table = 'users', slow = true, ms = 0.5 })
           Profiler.Begin('parse')
           Wait(0)
           Profiler.End('parse')
           Profiler.End('query')
         end)
         CreateThread(function() Profiler.Begin('other') Wait(50) Profiler.End('other') end)",
        4,
        &["query [a] ms=Float(0.5) rows=Int(12) slow=Bool(true) table=\"users\"", "  parse [a]", "other [a]"],
        &[],
    );
}

#[test]
fn the_end_of_an_outer_span_ends_what_is_inside() {
    check_spans(
        "CreateThread(function()
           Profiler.Begin('outer') Profiler.Begin('middle') Profiler.Begin('inner')
           Profiler.End('middle')
           Profiler.Begin('again') Profiler.End('again')
           Profiler.End('outer')
         end)",
        1,
        &["outer [a]", "  middle [a]", "    inner [a]", "    (unwound)", "  again [a]"],
        &[],
    );
    check_spans(
        "CreateThread(function()
           Profiler.Begin('same') Profiler.Begin('same')
           Profiler.End('same') Profiler.End('same')
         end)",
        1,
        &["same [a]", "  same [a]"],
        &[],
    );
}

#[test]
fn an_end_without_a_begin_is_told_once_for_each_place_and_does_nothing() {
    check_spans(
        "CreateThread(function()
           Profiler.Begin('mine')
           CreateThreadNow(function() Profiler.End('mine') end)
           for _ = 1, 3 do
             Profiler.End('nothing')
           end
           Profiler.End('nothing')
           Profiler.End('mine')
         end)",
        1,
        &["mine [a]"],
        &[
            "a: main.lua:3: Profiler.End('mine'): nothing of that name is open in this coroutine; begin it first, or end it once",
            "a: main.lua:5: Profiler.End('nothing'): nothing of that name is open in this coroutine; begin it first, or end it once",
            "a: main.lua:7: Profiler.End('nothing'): nothing of that name is open in this coroutine; begin it first, or end it once",
        ],
    );
}

#[test]
fn what_is_open_ends_with_its_coroutine() {
    check_spans(
        "CreateThread(function() Profiler.Begin('left') Profiler.Begin('open') end)
         CreateThread(function() pcall(function() Profiler.Begin('kept') error('x') end) Profiler.End('kept') end)",
        2,
        &["left [a]", "  open [a]", "  (unwound)", "(unwound)", "kept [a]"],
        &[],
    );
    let (sink, ran) = World::new(&[(
        "a/main.lua",
        "CreateThread(function() Profiler.Begin('work') Wait(60000) end)
         CreateThread(function() Profiler.Begin('failed') error('no') end)",
    )])
    .record(2);
    assert_eq!(spans(&sink), ["work [a]", "failed [a]", "(unwound)", "(unwound)"], "{:?}", ran.lines);
}

#[test]
fn wrong_arguments_are_errors_where_they_are_given() {
    check(
        "local function try(f, ...) print((select(2, pcall(f, ...)))) end
         try(function() Profiler.Begin() end)
         try(function() Profiler.Begin({}) end)
         try(function() Profiler.Begin('') end)
         try(function() Profiler.Begin('x', 'y') end)
         try(function() Profiler.Begin('x', { y = {} }) end)
         try(function() Profiler.Begin('x', { 'y' }) end)
         try(function() local t = {} for i = 1, 17 do t['k' .. i] = i end Profiler.Begin('x', t) end)
         try(function() Profiler.End(nil) end)
         try(function() Profiler.EnableForResource() end)
         try(function() Profiler.EnableForResource('nobody') end)
         try(function() Profiler.DisableForResource('nobody') end)
         try(function() Profiler.ReportAnomaly() end)
         try(function() Profiler.ReportAnomaly('x', 1) end)",
        &[
            "@a/main.lua:2: bad argument #1 to 'Profiler.Begin' (string expected, got no value)",
            "@a/main.lua:3: bad argument #1 to 'Profiler.Begin' (string expected, got table)",
            "@a/main.lua:4: bad argument #1 to 'Profiler.Begin' (a name expected, got an empty string)",
            "@a/main.lua:5: bad argument #2 to 'Profiler.Begin' (table expected, got string)",
            "@a/main.lua:6: bad argument #2 to 'Profiler.Begin' (string, number or boolean expected in field 'y', got table)",
            "@a/main.lua:7: bad argument #2 to 'Profiler.Begin' (names of values expected to be strings, got integer)",
            "@a/main.lua:8: bad argument #2 to 'Profiler.Begin' (at most 16 values expected, got more)",
            "@a/main.lua:9: bad argument #1 to 'Profiler.End' (string expected, got nil)",
            "@a/main.lua:10: bad argument #1 to 'Profiler.EnableForResource' (string expected, got no value)",
            "@a/main.lua:11: bad argument #1 to 'Profiler.EnableForResource' (a resource of this server expected (a), got 'nobody')",
            "@a/main.lua:12: bad argument #1 to 'Profiler.DisableForResource' (a resource of this server expected (a), got 'nobody')",
            "@a/main.lua:13: bad argument #1 to 'Profiler.ReportAnomaly' (string expected, got no value)",
            "@a/main.lua:14: bad argument #2 to 'Profiler.ReportAnomaly' (string or table expected, got integer)",
        ],
    );
}

#[test]
fn without_a_recording_each_function_has_an_answer() {
    check(
        "Profiler.Begin('x', { y = 1 }) Profiler.End('x')
         print(Profiler.Enable())
         print(Profiler.EnableForResource('a'))
         print(Profiler.Disable())
         print(Profiler.DisableForResource('a'))
         print(Profiler.ReportAnomaly('x'))
         Profiler.End('x')",
        &[
            "false\tnothing is recorded",
            "false\tnothing is recorded",
            "true",
            "true",
            "false\tnothing is recorded",
            "main.lua:7: Profiler.End('x'): nothing of that name is open in this coroutine; begin it first, or end it once",
        ],
    );
    let world = World::new(&[("a/main.lua", "print(Profiler.Enable())")]);
    let said = "a: false\tdepth boundary records no functions; run with --depth sample or --depth trace";
    assert_eq!(world.record(1).1.lines, [said]);
}

/// The functions that spans and stacks tell of, as `resource:name`.
fn functions(sink: &RecordingSink) -> BTreeSet<String> {
    let names = &sink.dictionary;
    let name = |id| {
        let symbol = names.symbol(id);
        format!("{}:{}", symbol.resource, symbol.name)
    };
    let mut found = BTreeSet::new();
    for sample in sink.samples.iter() {
        match sample.event {
            Event::Begin(begin) if begin.category == CategoryId::FUNCTION => {
                found.insert(name(begin.symbol));
            }
            Event::Stack { stack, weight } if weight.time_ns > 0 => {
                found.extend(names.frames(stack).next().map(|node| name(node.symbol)));
            }
            _ => {}
        }
    }
    found.retain(|name| name.contains("work") || name.contains("later"));
    found
}

/// Two resources that work; the script comes first in `a`.
fn two(script: &str, depth: Depth, ticks: u64) -> BTreeSet<String> {
    let a = format!(
        "{script}
         local function work_a() local sum = 0 for i = 1, 200 do sum = sum + i end return sum end
         CreateThread(function() while true do Wait(0) for _ = 1, 300 do work_a() end end end)"
    );
    let b = "local function work_b() local sum = 0 for i = 1, 200 do sum = sum + i end return sum end
         CreateThread(function() while true do Wait(0) for _ = 1, 300 do work_b() end end end)";
    let mut world = World::new(&[("a/main.lua", &a), ("b/main.lua", b)]);
    world.config.depth = depth;
    let (sink, ran) = world.record(ticks);
    assert_eq!(ran.outcome.error_count, 0, "{:?}", ran.lines);
    functions(&sink)
}

#[track_caller]
fn check_two(script: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(two(script, Depth::Trace, 3), expected, "{script}");
}

#[test]
fn functions_are_recorded_of_those_that_are_chosen() {
    check_two("", &["a:work_a", "b:work_b"]);
    check_two("Profiler.EnableForResource('a')", &["a:work_a"]);
    check_two("Profiler.EnableForResource('b')", &["b:work_b"]);
    check_two("Profiler.DisableForResource('a')", &["b:work_b"]);
    check_two("Profiler.Disable()", &[]);
    check_two("Profiler.Disable() Profiler.EnableForResource('b')", &["b:work_b"]);
    check_two("Profiler.Enable() Profiler.EnableForResource('b')", &["a:work_a", "b:work_b"]);
    check_two("Profiler.Disable() Profiler.Enable()", &["a:work_a", "b:work_b"]);
}

#[test]
fn samples_are_taken_of_those_that_are_chosen() {
    let only = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(two("Profiler.EnableForResource('a')", Depth::Sample, 600), only("a:work_a"));
    assert_eq!(two("Profiler.DisableForResource('a')", Depth::Sample, 600), only("b:work_b"));
}

#[test]
fn a_choice_holds_for_a_resource_that_starts_later() {
    let a = "Profiler.DisableForResource('b')
             CreateThread(function() Wait(0) StopResource('b') Wait(50) StartResource('b') end)";
    let b = "local function work_b() end CreateThread(function() while true do Wait(0) work_b() end end)";
    let mut world = World::new(&[("a/main.lua", a), ("b/main.lua", b)]);
    world.config.depth = Depth::Trace;
    let (sink, _) = world.record(8);
    assert_eq!(functions(&sink), BTreeSet::new());
}

/// Switches in the middle of calls, across coroutines and errors: what is recorded nests, and every span ends.
#[test]
fn a_choice_may_change_within_calls() {
    let script = "
        local function work_inner(n) if n == 3 then Profiler.Disable() end if n == 6 then error('x') end return n end
        local function work_outer(n)
            pcall(work_inner, n)
            if n % 4 == 0 then Profiler.Enable() end
            return work_inner(1)
        end
        local step = coroutine.wrap(function()
            for n = 1, 100 do work_outer(n % 8) coroutine.yield() if n % 5 == 0 then Profiler.Enable() end end
        end)
        CreateThread(function()
            for n = 1, 50 do work_outer(n % 8) step() if n % 7 == 0 then Profiler.DisableForResource('a') Wait(0) end end
            Profiler.Enable()
            work_outer(1)
        end)";
    let mut world = World::new(&[("a/main.lua", script)]);
    world.config.depth = Depth::Trace;
    let (sink, ran) = world.record(20);
    assert_eq!(ran.outcome.error_count, 0, "{:?}", ran.lines);
    let mut open: HashMap<_, Vec<_>> = HashMap::new();
    for sample in &sink.samples {
        match sample.event {
            Event::Begin(begin) => open.entry(sample.track).or_default().push(begin.span),
            Event::End(end) => assert_eq!(open.entry(sample.track).or_default().pop(), Some(end.span)),
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty));
    assert!(functions(&sink).contains("a:work_outer"));
}

#[test]
fn an_anomaly_is_a_moment_with_its_values() {
    let script = "CreateThread(function()
        print(Profiler.ReportAnomaly('slow_query', { ms = 812, table = 'users' }))
        print(Profiler.ReportAnomaly('odd', 'nobody paid'))
      end)";
    let (sink, ran) = World::new(&[("a/main.lua", script)]).record(1);
    assert_eq!(ran.lines, ["a: true", "a: true"]);
    let (batch, names) = (sink.as_batch(), &sink.dictionary);
    let found: Vec<_> = batch
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Instant { symbol, category: CategoryId::ANOMALY, args, .. } => {
                let symbol = names.symbol(symbol);
                let args = batch.args(args).iter().map(|arg| match arg.value {
                    ArgValue::Text { .. } => format!("{}={}", names.key(arg.key), batch.text(arg.value)),
                    other => format!("{}={other:?}", names.key(arg.key)),
                });
                let args: Vec<_> = args.collect();
                Some(format!("{} {}:{} {}", symbol.name, symbol.file, symbol.line, args.join(" ")))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        found,
        ["slow_query main.lua:2 ms=Int(812) table=users", "odd main.lua:3 details=nobody paid"]
    );
}

#[test]
fn two_resources_do_not_share_spans() {
    check_world(
        &[
            (
                "a/main.lua",
                "CreateThread(function() Profiler.Begin('x') exports.b:finish() Profiler.End('x') end)",
            ),
            ("b/main.lua", "exports('finish', function() Profiler.End('x') end)"),
        ],
        2,
        &[
            "b: main.lua:1: Profiler.End('x'): nothing of that name is open in this coroutine; begin it first, or end it once",
        ],
    );
}
