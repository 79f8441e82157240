//! What is recorded, against the conventions in ARCHITECTURE.md.

use tickscope_citizen::PlayerSpec;
use tickscope_core::{
    CategoryId, CounterValue, Depth, Event, LinkKind, Outcome, RecordingSink, Runtime, SwitchReason, TrackId,
    TrackKind,
};

use crate::world::World;

/// A recording as text: one line per begin, end, switch, moment and counter, indented by open spans and contexts.
fn outline(sink: &RecordingSink, wanted: &[CategoryId]) -> Vec<String> {
    let (batch, names) = (sink.as_batch(), &sink.dictionary);
    let mut lines = Vec::new();
    let mut depth = 0usize;
    let mut open = std::collections::HashMap::new();
    for sample in batch.samples {
        let mut put = |depth: usize, text: String| lines.push(format!("{}{text}", "  ".repeat(depth)));
        match sample.event {
            Event::Begin(begin) => {
                if !wanted.contains(&begin.category) {
                    continue;
                }
                open.insert(begin.span, begin.category);
                let symbol = names.symbol(begin.symbol);
                let mut text = format!("{} {}", names.category(begin.category).name, symbol.name);
                if !symbol.resource.is_empty() {
                    text += &format!(" [{}]", symbol.resource);
                }
                if symbol.line > 0 {
                    text += &format!(" {}:{}", symbol.file, symbol.line);
                }
                if let Some(link) = begin.link {
                    text += &format!(" <- {}", link.kind.name());
                }
                put(depth, text);
                if !matches!(begin.category, CategoryId::AWAIT | CategoryId::SLEEP) {
                    depth += 1;
                }
            }
            Event::End(end) => {
                let Some(category) = open.remove(&end.span) else { continue };
                if matches!(category, CategoryId::AWAIT | CategoryId::SLEEP) {
                    put(depth, format!("end {}", names.category(category).name));
                } else {
                    depth -= 1;
                    if end.outcome != Outcome::Ok {
                        put(depth, format!("({})", end.outcome.name()));
                    }
                }
            }
            Event::Resume { host } => {
                assert_ne!(host, sample.track);
                assert_eq!(names.track(sample.track).kind, TrackKind::Coroutine);
                put(depth, "resume".to_string());
            }
            Event::Suspend { reason, .. } => put(depth, reason.name().to_owned()),
            Event::Instant { args, category, .. } if wanted.contains(&category) => {
                let message = batch.args(args).first().map_or("", |arg| batch.text(arg.value));
                put(depth, format!("! {message}"));
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "every span ends");
    lines
}

const BOUNDARIES: [CategoryId; 11] = [
    CategoryId::TICK,
    CategoryId::RESOURCE,
    CategoryId::THREAD,
    CategoryId::EVENT,
    CategoryId::EXPORT,
    CategoryId::TIMER,
    CategoryId::COMMAND,
    CategoryId::NATIVE,
    CategoryId::AWAIT,
    CategoryId::SLEEP,
    CategoryId::ERROR,
];

#[track_caller]
fn check(files: &[(&str, &str)], ticks: u64, expected: &str) {
    let (sink, _) = World::new(files).record(ticks);
    let lines = outline(&sink, &BOUNDARIES);
    let expected: Vec<_> =
        expected.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    assert_eq!(lines.join("\n"), expected.join("\n").trim(), "{files:?}");
}

#[test]
fn a_thread_is_a_slice_per_tick_on_a_track_of_its_own() {
    check(
        &[("a/main.lua", "CreateThread(function()\n  Wait(0)\nend)")],
        2,
        "
        resource start [a]
          resource load [a] main.lua:1 <- spawn
            resume
            native CreateThread [a]
            return
        tick tick
          thread @a/main.lua:1 [a] main.lua:1 <- spawn
            resume
            sleep function <main.lua:1> [a] main.lua:1
            yield
        tick tick
          thread @a/main.lua:1 [a] main.lua:1
            resume
            end sleep
            return
        resource stop [a]",
    );
}

#[test]
fn an_event_nests_in_the_native_that_triggered_it() {
    check(
        &[
            ("a/main.lua", "AddEventHandler('e', function() error('x') end)"),
            ("b/main.lua", "local function go()\n  TriggerEvent('e')\nend\ngo()"),
        ],
        0,
        "
        resource start [a]
          resource load [a] main.lua:1 <- spawn
            resume
            return
        resource start [b]
          resource load [b] main.lua:1 <- spawn
            resume
            native TriggerEvent [b]
              event e [a] main.lua:1 <- event
                resume
                error
              (error)
              ! x
            return
        resource stop [b]
        resource stop [a]",
    );
}

#[test]
fn an_export_that_waits_is_awaited_by_its_caller() {
    check(
        &[
            ("a/main.lua", "exports('slow', function()\n  Wait(50)\n  return 1\nend)"),
            (
                "b/main.lua",
                "local function ask()\n  return exports.a:slow()\nend\nSetTimeout(0, function()\n  ask()\nend)",
            ),
        ],
        4,
        "
        resource start [a]
          resource load [a] main.lua:1 <- spawn
            resume
            return
        resource start [b]
          resource load [b] main.lua:1 <- spawn
            resume
            native SetTimeout [b]
            return
        tick tick
          timer @b/main.lua:4 [b] main.lua:4 <- timer
            resume
            native exports.a:slow [b]
              export slow [a] main.lua:1 <- export
                resume
                sleep function <main.lua:1> [a] main.lua:1
                yield
            await ask [b] main.lua:1
            yield
        tick tick
          export slow [a] main.lua:1
            resume
            end sleep
            return
          timer @b/main.lua:4 [b] main.lua:4 <- await
            resume
            end await
            return
        tick tick
        tick tick
        resource stop [b]
        resource stop [a]",
    );
}

#[test]
fn commands_and_promises() {
    check(
        &[(
            "a/main.lua",
            "local p = promise.new()\nRegisterCommand('go', function() p:resolve(1) end)\nCreateThread(function() Citizen.Await(p) end)\nCreateThread(function() ExecuteCommand('go') end)",
        )],
        2,
        "
        resource start [a]
          resource load [a] main.lua:1 <- spawn
            resume
            native CreateThread [a]
            native CreateThread [a]
            return
        tick tick
          thread @a/main.lua:3 [a] main.lua:3 <- spawn
            resume
            await function <main.lua:3> [a] main.lua:3
            yield
          thread @a/main.lua:4 [a] main.lua:4 <- spawn
            resume
            native ExecuteCommand [a]
              command go [a] main.lua:2
                resume
                thread @a/main.lua:3 [a] main.lua:3 <- await
                  resume
                  end await
                  return
                return
            return
        tick tick
        resource stop [a]",
    );
}

#[test]
fn ticks_carry_their_number_and_what_the_machine_did() {
    let (sink, _) = World::new(&[("a/main.lua", "")]).record(3);
    let batch = sink.as_batch();
    let mut numbers = Vec::new();
    for sample in batch.samples {
        if let Event::Begin(begin) = sample.event
            && begin.category == CategoryId::TICK
        {
            let arg = batch.args(begin.args)[0];
            assert_eq!(sink.dictionary.key(arg.key), "tick");
            assert_eq!(sink.dictionary.symbol(begin.symbol).runtime, Runtime::Host);
            assert_eq!(sink.dictionary.track(sample.track).kind, TrackKind::Thread);
            numbers.push(arg.value);
        }
        if let Event::End(end) = sample.event
            && &*sink.dictionary.symbol(end.symbol).name == "tick"
        {
            let keys: Vec<_> = batch.args(end.args).iter().map(|arg| sink.dictionary.key(arg.key)).collect();
            assert_eq!(keys, ["run_delay_ns", "involuntary"]);
        }
    }
    assert_eq!(numbers, [1, 2, 3].map(tickscope_core::ArgValue::Uint));
}

#[test]
fn links_point_at_what_caused_them() {
    let (sink, _) =
        World::new(&[("a/main.lua", "AddEventHandler('e', function() end)\nTriggerEvent('e')")]).record(0);
    let mut points = std::collections::HashMap::new();
    let mut found = false;
    for sample in &sink.samples {
        match sample.event {
            Event::LinkPoint { id, span } => {
                points.insert(id, span);
            }
            Event::Begin(begin) if begin.category == CategoryId::EVENT => {
                let link = begin.link.unwrap();
                assert_eq!(link.kind, LinkKind::Event);
                let cause = points[&link.source].unwrap();
                assert_eq!(
                    Some(cause),
                    begin.parent,
                    "the native that triggered it is also what it nests in"
                );
                found = true;
            }
            _ => {}
        }
    }
    assert!(found);
}

#[test]
fn heaps_are_counted_when_they_change() {
    let files = [
        (
            "a/main.lua",
            "CreateThread(function() while true do Wait(0) Keep = {} for i = 1, 1000 do Keep[i] = {} end end end)",
        ),
        ("b/main.lua", ""),
        ("c/main.lua", "CreateThread(function() Wait(300) StopResource('b') end)"),
    ];
    let (sink, _) = World::new(&files).record(20);
    let told = |resource: &str| -> Vec<CounterValue> {
        let of = |event: &Event| match event {
            Event::Counter { symbol, value } => {
                let symbol = sink.dictionary.symbol(*symbol);
                (&*symbol.name == "lua.heap_bytes" && &*symbol.resource == resource).then_some(*value)
            }
            _ => None,
        };
        sink.samples.iter().filter_map(|sample| of(&sample.event)).collect()
    };
    assert!(told("a").len() >= 2, "{:?}", told("a"));
    let b = told("b");
    assert!(
        matches!(b[..], [CounterValue::Int(1..), CounterValue::Int(0)]),
        "a heap that stands still is counted once, and once more when it is gone: {b:?}"
    );
}

#[test]
fn tracks_are_taken_again_when_their_coroutine_is_over() {
    let files = [(
        "a/main.lua",
        "AddEventHandler('e', function() end)\nCreateThread(function() while true do Wait(0) for _ = 1, 100 do TriggerEvent('e') end end end)",
    )];
    let (sink, _) = World::new(&files).record(50);
    let coroutines =
        sink.dictionary.tracks().iter().filter(|track| track.kind == TrackKind::Coroutine).count();
    assert!(coroutines <= 4, "{coroutines} tracks for two kinds of coroutines and two files");
    let ends = sink
        .samples
        .iter()
        .filter(|s| matches!(s.event, Event::Suspend { reason: SwitchReason::Return, .. }));
    assert!(ends.count() > 4_000);
    assert!(
        sink.samples
            .iter()
            .all(|sample| sample.track != TrackId::PROCESS || !matches!(sample.event, Event::Resume { .. }))
    );
}

#[test]
fn every_depth_balances_and_counts_its_functions() {
    let files = [
        (
            "a/main.lua",
            "local function work(n) if n == 0 then return 0 end return 1 + work(n - 1) end
             CreateThread(function() for _ = 1, 5 do work(10) pcall(error, 'x') exports.b:call(work) Wait(0) end Nope() end)",
        ),
        ("b/main.lua", "exports('call', function(f) Wait(0) return f(3) end)"),
    ];
    for depth in Depth::ALL {
        let mut world = World::new(&files);
        world.config.depth = depth;
        let (sink, ran) = world.record(30);
        assert_eq!(ran.outcome.error_count, 1, "{:?}", ran.lines);
        let begins = sink.samples.iter().filter(|sample| matches!(sample.event, Event::Begin(_))).count();
        let ends = sink.samples.iter().filter(|sample| matches!(sample.event, Event::End(_))).count();
        assert_eq!(begins, ends, "{depth:?}");
        let functions = |name: &str| {
            sink.samples
                .iter()
                .filter(|sample| match sample.event {
                    Event::Begin(begin) if begin.category == CategoryId::FUNCTION => {
                        &*sink.dictionary.symbol(begin.symbol).name == name
                    }
                    _ => false,
                })
                .count()
        };
        let expected = if depth == Depth::Trace { 5 * 11 + 5 * 4 } else { 0 };
        assert_eq!(functions("work"), expected, "{depth:?}");
    }
}

#[test]
fn what_runs_for_a_player_says_so() {
    let world = World::new(&[(
        "a/main.lua",
        "RegisterNetEvent('e', function() TriggerEvent('inner') Wait(0) end) AddEventHandler('inner', function() end)
         AddStateBagChangeHandler('ready', nil, function() end)
         RegisterCommand('go', function() GlobalState.ready = true end)",
    )]);
    let (sink, _) = world.record_play(|server| {
        for _ in 0..2 {
            server.connect(PlayerSpec::new("p"));
        }
        server.trigger_net(2, "e", &[], 0);
        server.tick();
        server.set_state(1, "player:1", "ready", &[0xc3]);
        server.execute("go");
    });
    let spans: Vec<_> = sink
        .samples
        .iter()
        .filter_map(|sample| match sample.event {
            Event::Begin(begin)
                if [CategoryId::EVENT, CategoryId::STATE_BAG, CategoryId::COMMAND]
                    .contains(&begin.category) =>
            {
                let args = sink.as_batch().args(begin.args).iter();
                let args = args.map(|arg| format!(" {}={:?}", sink.dictionary.key(arg.key), arg.value));
                let name = &sink.dictionary.symbol(begin.symbol).name;
                Some(format!("{name}{}", args.collect::<String>()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        spans,
        ["e player=Uint(2)", "inner", "e player=Uint(2)", "ready player=Uint(1)", "go", "ready"]
    );
}
