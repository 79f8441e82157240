//! `Profiler` for scripts: spans, whose functions are recorded, what scripts report.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

use tickscope_citizen::{ExportFormat, Feedback, FeedbackHandle, Given, GivenSample};
use tickscope_core::{ArgValue, CategoryId, Depth, Event, Outcome, RecordingSink, SymbolRef};

use crate::world::{Transcript, World, check, check_world};

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

/// Hands out spans of its own making, and writes exports of one line.
#[derive(Clone, Default)]
struct Canned {
    listeners: Arc<Mutex<Vec<u64>>>,
    taken: Arc<Mutex<u64>>,
}

impl Feedback for Canned {
    fn settle(&self) -> bool {
        true
    }

    fn listen(&self, listener: u64) {
        self.listeners.lock().unwrap().push(listener);
    }

    fn forget(&self, listener: u64) {
        self.listeners.lock().unwrap().retain(|other| *other != listener);
    }

    fn take(&self, _: u64) -> Given {
        let mut taken = self.taken.lock().unwrap();
        *taken += 1;
        let sample = GivenSample {
            symbol: SymbolRef {
                resource: "a",
                name: "work",
                file: "main.lua",
                line: 7,
                ..SymbolRef::default()
            }
            .into(),
            category: "function".into(),
            span: *taken,
            parent: 9,
            track: 4,
            begin_ns: 1_234_567,
            end_ns: 2_000_000,
            ticks: (*taken, *taken + 1),
            outcome: Outcome::Ok,
        };
        Given { samples: vec![sample], dropped: 3 }
    }

    fn export(&self, format: ExportFormat, mut to: File) -> Result<(), String> {
        if format == ExportFormat::Csv {
            return Err("no more room".into());
        }
        writeln!(to, "{format:?}").map_err(|error| error.to_string())
    }
}

fn with_feedback(files: &[(&str, &str)]) -> (World, Canned) {
    let (mut world, canned) = (World::new(files), Canned::default());
    world.config.feedback = Some(FeedbackHandle::new(canned.clone()));
    (world, canned)
}

#[test]
fn a_callback_is_given_batches_at_its_interval_until_it_is_taken_back() {
    let script = "
        local batches = 0
        print(Profiler.SetLuaCallback(function(samples)
            batches = batches + 1
            local one = samples[1]
            print(GetGameTimer(), #samples, samples.dropped, one.function_name, one.resource_name, one.category,
                one.file, one.line, one.start_us, one.end_us, one.tick, one.thread_id, one.span_id,
                one.parent_span_id, one.outcome)
            if batches == 2 then Profiler.SetFlushInterval(150) end
            if batches == 3 then print(Profiler.SetLuaCallback(nil)) end
        end))";
    let (world, canned) = with_feedback(&[("a/main.lua", script)]);
    let ran = world.run(20);
    assert_eq!(
        ran.lines,
        [
            "a: true",
            "a: 50\t1\t3\twork\ta\tfunction\tmain.lua\t7\t50000\t100000\t2\t4\t1\t9\tok",
            "a: 100\t1\t3\twork\ta\tfunction\tmain.lua\t7\t100000\t150000\t3\t4\t2\t9\tok",
            // the next one was due by the interval before
            "a: 150\t1\t3\twork\ta\tfunction\tmain.lua\t7\t150000\t200000\t4\t4\t3\t9\tok",
            "a: true",
        ]
    );
    assert!(canned.listeners.lock().unwrap().is_empty());
}

#[test]
fn real_time_is_told_where_scripts_may_measure() {
    let script = "Profiler.SetLuaCallback(function(samples)
        print(samples[1].start_us, samples[1].end_us)
        Profiler.SetLuaCallback(nil)
    end)";
    let (mut world, _) = with_feedback(&[("a/main.lua", script)]);
    world.config.real_nanotime = true;
    assert_eq!(world.run(3).lines, ["a: 1234\t2000"]);
}

#[test]
fn the_interval_is_that_of_the_resource() {
    let script =
        "Profiler.SetFlushInterval(200) Profiler.SetLuaCallback(function() print(GetGameTimer()) end)";
    let other = "Profiler.SetFlushInterval(1000) Profiler.SetLuaCallback(function() print('b') end)";
    let (world, _) = with_feedback(&[("a/main.lua", script), ("b/main.lua", other)]);
    assert_eq!(world.run(10).lines, ["a: 50", "b: b", "a: 250", "a: 450"]);
}

#[test]
fn a_callback_that_fails_is_told_and_called_again() {
    let script = "Profiler.SetFlushInterval(100)
        Profiler.SetLuaCallback(function() error('not today') end)
        CreateThread(function() Wait(200) print('alive') end)";
    let (world, _) = with_feedback(&[("a/main.lua", script)]);
    let ran = world.run(6);
    assert_eq!(ran.outcome.error_count, 3, "{:?}", ran.lines);
    assert!(ran.lines[0].contains("main.lua:2") && ran.lines[0].contains("not today"), "{:?}", ran.lines);
    assert!(ran.lines.contains(&"a: alive".into()));
}

#[test]
fn a_callback_ends_with_its_resource() {
    let (world, canned) = with_feedback(&[
        ("a/main.lua", "Profiler.SetLuaCallback(function() print('told') end)"),
        ("b/main.lua", "CreateThread(function() Wait(50) StopResource('a') end)"),
    ]);
    let transcript = Transcript::default();
    let mut server = world.start(&transcript).unwrap();
    for _ in 0..8 {
        server.tick();
    }
    assert!(canned.listeners.lock().unwrap().is_empty());
    drop(server);
    let told = transcript.lines.take().iter().filter(|line| *line == "a: told").count();
    assert!(told <= 2, "{told}");
}

/// A callback's slices are spans of category profiler, with nothing inside; so is what it starts.
#[test]
fn what_a_callback_does_is_not_recorded() {
    let script = "
        local function secret_inner() return 1 end
        local function secret() for _ = 1, 10 do secret_inner() end return GetResourcePath('a') end
        AddEventHandler('told', function() secret() Wait(0) secret() end)
        exports('told', function() return secret() end)
        Profiler.SetFlushInterval(1000)
        Profiler.SetLuaCallback(function(samples)
            secret()
            Profiler.Begin('secret span')
            TriggerEvent('told')
            exports.b:told()
            coroutine.wrap(function() secret() coroutine.yield() end)()
            CreateThread(function() secret() Wait(0) secret() end)
            SetTimeout(10, function() secret() end)
            PerformHttpRequest('http://127.0.0.1:1/', function() secret() Wait(0) secret() answered = true end)
            Profiler.ReportAnomaly('seen')
            Wait(100)
            secret()
            Profiler.End('secret span')
        end)
        local function open() Wait(0) return 1 end
        CreateThread(function() while true do open() if answered then print('answered') answered = nil end end end)";
    let b = "local function secret_b() end exports('told', function() secret_b() Wait(0) secret_b() end)";
    let (mut world, _) = with_feedback(&[("a/main.lua", script), ("b/main.lua", b)]);
    world.config.depth = Depth::Trace;
    let (sink, ran) = world.record(10);
    assert_eq!(ran.outcome.error_count, 0, "{:?}", ran.lines);
    assert!(ran.lines.iter().any(|line| line == "a: answered"), "{:?}", ran.lines);
    let names = &sink.dictionary;
    let (mut own, mut anomalies) = (Vec::new(), 0);
    let mut open: HashMap<_, Vec<_>> = HashMap::new();
    for sample in &sink.samples {
        match sample.event {
            Event::Begin(begin) => {
                let name = &*names.symbol(begin.symbol).name;
                assert!(!name.contains("secret"), "{name} was recorded");
                let around = open.entry(sample.track).or_default();
                assert!(
                    around.iter().all(|(_, category)| *category != CategoryId::PROFILER),
                    "{name} in a callback's span"
                );
                if begin.category == CategoryId::PROFILER {
                    own.push(name.to_owned());
                }
                around.push((begin.span, begin.category));
            }
            Event::End(end) => {
                let around = open.entry(sample.track).or_default();
                assert_eq!(around.pop().map(|(span, _)| span), Some(end.span));
            }
            Event::Instant { category: CategoryId::ANOMALY, .. } => anomalies += 1,
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty), "every span ends");
    assert_eq!(anomalies, 1, "what a callback reports is recorded");
    // the callback before and after its wait; the event's handler after its; the export after its; the thread twice; the timer
    assert!(own.len() >= 7, "{own:?}");
    assert!(functions(&sink).is_empty() && sink.samples.iter().any(|sample| matches!(sample.event, Event::Begin(begin) if &*names.symbol(begin.symbol).name == "open")));
}

#[test]
fn exports_stay_in_the_folder_of_their_resource() {
    let outside = tempfile::tempdir().unwrap();
    let script = "
        local function try(...) print(...) end
        try(Profiler.ExportSpeedscope('out/profile.json'))
        try(Profiler.ExportFlameGraph('graph.svg'))
        try(Profiler.ExportFlameGraph('leads-out.svg'))
        try(Profiler.ExportCSV('all.csv'))
        try(Profiler.ExportFlameGraph('out'))
        for _, path in ipairs { '/tmp/x.svg', '../x.svg', 'out/../../x.svg', 'link/x.svg', 'nowhere/x.svg', '.', 'a\\0b', '' } do
            try(select(2, pcall(function() Profiler.ExportFlameGraph(path) end)))
        end
        try(select(2, pcall(function() Profiler.ExportCSV() end)))";
    let (world, _) = with_feedback(&[("a/main.lua", script), ("a/out/keep", "")]);
    let folder = world.folder.path().join("a");
    std::os::unix::fs::symlink(outside.path(), folder.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("new.svg"), folder.join("leads-out.svg")).unwrap();
    let ran = world.run(1);
    let wrong = |path: &str, why: &str| {
        format!(
            "a: @a/main.lua:9: bad argument #1 to 'Profiler.ExportFlameGraph' (a path within the resource's own folder expected, got '{path}': {why})"
        )
    };
    let expected = [
        "a: true".into(),
        "a: true".into(),
        "a: true".into(),
        "a: false\tcannot write all.csv: no more room".into(),
        "a: false\tcannot write out: Is a directory (os error 21)".into(),
        wrong("/tmp/x.svg", "it is absolute"),
        wrong("../x.svg", "it leads out by '..'"),
        wrong("out/../../x.svg", "it leads out by '..'"),
        wrong("link/x.svg", "a link leads out"),
        wrong("nowhere/x.svg", "its folder is not there"),
        wrong(".", "it names no file"),
        wrong("a\0b", "it has a zero byte in it"),
        "a: @a/main.lua:9: bad argument #1 to 'Profiler.ExportFlameGraph' (a name expected, got an empty string)".into(),
        "a: @a/main.lua:11: bad argument #1 to 'Profiler.ExportCSV' (string expected, got no value)".into(),
    ];
    assert_eq!(ran.lines, expected);
    assert_eq!(std::fs::read_to_string(folder.join("out/profile.json")).unwrap(), "Speedscope\n");
    assert_eq!(std::fs::read_to_string(folder.join("graph.svg")).unwrap(), "FlameGraph\n");
    assert!(!folder.join("leads-out.svg").is_symlink(), "the link itself was replaced");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "nothing went out");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "nothing half-written is left: {left:?}");
}

#[test]
fn samples_and_exports_need_right_arguments_and_a_recording() {
    check(
        "local function try(f) print((select(2, pcall(f)))) end
         try(function() Profiler.SetFlushInterval() end)
         try(function() Profiler.SetFlushInterval('soon') end)
         try(function() Profiler.SetFlushInterval(0) end)
         try(function() Profiler.SetFlushInterval(-5) end)
         try(function() Profiler.SetFlushInterval(1001) end)
         try(function() Profiler.SetFlushInterval(0/0) end)
         try(function() Profiler.SetLuaCallback() end)
         try(function() Profiler.SetLuaCallback('f') end)
         Profiler.SetFlushInterval(32)
         print(Profiler.SetLuaCallback(function() print('never') end))
         print(Profiler.SetLuaCallback(nil))
         print(Profiler.ExportCSV('x.csv'))",
        &[
            "@a/main.lua:2: bad argument #1 to 'Profiler.SetFlushInterval' (number expected, got no value)",
            "@a/main.lua:3: bad argument #1 to 'Profiler.SetFlushInterval' (number expected, got string)",
            "@a/main.lua:4: bad argument #1 to 'Profiler.SetFlushInterval' (1 to 1000 milliseconds expected, got 0)",
            "@a/main.lua:5: bad argument #1 to 'Profiler.SetFlushInterval' (1 to 1000 milliseconds expected, got -5)",
            "@a/main.lua:6: bad argument #1 to 'Profiler.SetFlushInterval' (1 to 1000 milliseconds expected, got 1001)",
            "@a/main.lua:7: bad argument #1 to 'Profiler.SetFlushInterval' (1 to 1000 milliseconds expected, got NaN)",
            "@a/main.lua:8: bad argument #1 to 'Profiler.SetLuaCallback' (function or nil expected, got no value)",
            "@a/main.lua:9: bad argument #1 to 'Profiler.SetLuaCallback' (function or nil expected, got string)",
            "false\tnothing is recorded",
            "false\tnothing is recorded",
            "false\tnothing is recorded",
        ],
    );
}
