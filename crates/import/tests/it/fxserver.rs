//! What FXServer's profiler writes, in each of its three shapes, written here as its source defines them.

use serde_json::{Value, json};
use tickscope_core::CategoryId;

use super::{account, import, outline, report};

/// A thing that FXServer's profiler notes: what, when in microseconds, where, why, bytes.
type Noted = (i64, i64, &'static str, &'static str, i64);

const BEGIN_TICK: i64 = 0;
const ENTER_RESOURCE: i64 = 1;
const EXIT_RESOURCE: i64 = 2;
const ENTER_SCOPE: i64 = 3;
const EXIT_SCOPE: i64 = 4;
const END_TICK: i64 = 5;

/// Two ticks; the second is late, for one handler of `shop`.
const TWO_TICKS: &[Noted] = &[
    // Left, but entered before the recording began.
    (EXIT_RESOURCE, 3, "", "", 0),
    (BEGIN_TICK, 10, "", "", 0),
    (ENTER_SCOPE, 11, "Resource Tick", "", 0),
    (ENTER_RESOURCE, 12, "chat", "tick", 0),
    (ENTER_SCOPE, 13, "thread @chat/sv_chat.lua[30..44]", "", 50_000),
    (EXIT_SCOPE, 400, "", "", 50_600),
    (EXIT_RESOURCE, 410, "", "", 0),
    (EXIT_SCOPE, 420, "", "", 0),
    (END_TICK, 421, "", "", 0),
    (BEGIN_TICK, 50_010, "", "", 0),
    (ENTER_SCOPE, 50_011, "Resource Tick", "", 0),
    (ENTER_RESOURCE, 50_020, "shop", "event:shop:buy", 0),
    (ENTER_SCOPE, 50_021, "event shop:buy [@shop/server.lua[7..90]]", "", 0),
    (ENTER_SCOPE, 50_030, "save all", "", 0),
    (EXIT_SCOPE, 260_000, "", "", 0),
    (EXIT_SCOPE, 260_010, "", "", 0),
    (EXIT_RESOURCE, 260_020, "", "", 0),
    (EXIT_SCOPE, 260_030, "", "", 0),
    (END_TICK, 260_031, "", "", 0),
];

/// As msgpack: `who` as the profiler's of 2022 and later, or without.
fn msgpack(noted: &[Noted], with_threads: bool) -> Vec<u8> {
    use rmp::encode::*;
    let mut out = Vec::new();
    write_map_len(&mut out, if with_threads { 3 } else { 2 }).unwrap();
    write_str(&mut out, "ticks").unwrap();
    write_array_len(&mut out, 1).unwrap();
    write_uint(&mut out, 1).unwrap();
    write_str(&mut out, "events").unwrap();
    write_array_len(&mut out, noted.len() as u32).unwrap();
    for (what, when, place, why, much) in noted {
        let who = if matches!(*what, BEGIN_TICK | END_TICK) { 1 } else { 2 };
        if with_threads {
            write_array_len(&mut out, 6).unwrap();
            write_sint(&mut out, who).unwrap();
            write_sint(&mut out, *what).unwrap();
            write_uint(&mut out, *when as u64).unwrap();
        } else {
            write_array_len(&mut out, 4).unwrap();
            write_uint(&mut out, *when as u64).unwrap();
            write_sint(&mut out, *what).unwrap();
        }
        write_str(&mut out, place).unwrap();
        write_str(&mut out, why).unwrap();
        if with_threads {
            write_sint(&mut out, *much).unwrap();
        }
    }
    if with_threads {
        write_str(&mut out, "threads").unwrap();
        write_array_len(&mut out, 1).unwrap();
        write_array_len(&mut out, 2).unwrap();
        write_sint(&mut out, 2).unwrap();
        write_str(&mut out, "CrRendererMain").unwrap();
    }
    out
}

/// As what is meant for a browser's tools.
fn json_of(noted: &[Noted]) -> Vec<u8> {
    let mut events: Vec<Value> = [("process_name", 1, "Browser"), ("thread_name", 1, "CrBrowserMain"), ("thread_name", 2, "CrRendererMain")]
        .map(|(what, tid, name)| {
            json!({"cat": "__metadata", "name": what, "ph": "M", "ts": 0, "pid": 1, "tid": tid, "args": {"name": name}})
        })
        .into();
    events.push(json!({
        "cat": "disabled-by-default-devtools.timeline", "name": "TracingStartedInBrowser", "ph": "I", "ts": 0, "pid": 1, "tid": 1,
        "args": {"data": {"frameTreeNodeId": 1, "persistentIds": true,
            "frames": [{"frame": "FADE", "url": "https://cfx.re/", "name": "CitizenFX", "processId": 1}]}}
    }));
    let frame = |name: &str, when: i64| {
        json!({"cat": "disabled-by-default-devtools.timeline.frame", "name": name, "s": "t", "ph": "I", "ts": when, "pid": 1, "tid": 1,
            "args": {"layerTreeId": null}})
    };
    let mut open: Vec<String> = Vec::new();
    for (what, when, place, why, much) in noted {
        let timing = |name: &str, ph: &str| json!({"cat": "blink.user_timing", "name": name, "ph": ph, "ts": when, "pid": 1, "tid": 2});
        match *what {
            BEGIN_TICK => events.push(frame("BeginFrame", *when)),
            ENTER_RESOURCE | ENTER_SCOPE => {
                open.push(if *what == ENTER_RESOURCE { format!("{why} ({place})") } else { (*place).into() });
                events.push(timing(open.last().unwrap(), "B"));
            }
            EXIT_RESOURCE | EXIT_SCOPE => events.push(timing(&open.pop().unwrap_or_default(), "E")),
            _ => {
                events.push(frame("ActivateLayerTree", *when));
                events.push(frame("DrawFrame", *when));
                events.push(json!({"cat": "disabled-by-default-devtools.screenshot", "name": "Screenshot", "id": 0, "ph": "O",
                    "ts": when, "pid": 1, "tid": 1, "args": {"snapshot": "/9j/4AAQSkZJRg"}}));
            }
        }
        if *much != 0 {
            events.push(json!({"cat": "disabled-by-default-devtools.timeline", "name": "UpdateCounters", "s": "t", "ph": "I",
                "ts": when, "pid": 1, "tid": 2, "args": {"data": {"jsHeapSizeUsed": much}}}));
        }
    }
    serde_json::to_vec(&json!({ "traceEvents": events })).unwrap()
}

fn shapes() -> [(&'static str, Vec<u8>); 3] {
    [
        ("profiler save", msgpack(TWO_TICKS, true)),
        ("profiler save before 2022", msgpack(TWO_TICKS, false)),
        ("profiler saveJSON", json_of(TWO_TICKS)),
    ]
}

#[test]
fn the_late_tick_is_explained_by_resource_and_handler() {
    for (shape, bytes) in shapes() {
        let report = report(&bytes);
        assert_eq!((report.ticks.count, report.ticks.late), (2, 1), "{shape}");
        let late = &report.late_ticks[0];
        assert_eq!(late.tick, 2, "{shape}");
        let causes: Vec<(&str, &str)> = late.chains[0]
            .causes
            .iter()
            .map(|cause| (&*cause.symbol.resource, &*cause.symbol.name))
            .collect();
        assert!(causes.contains(&("shop", "shop:buy")), "{shape}: {causes:?}");
        assert_eq!(causes.last(), Some(&("shop", "save all")), "{shape}");
    }
}

#[test]
fn spans_nest_as_they_were_and_one_that_began_before_is_counted() {
    let expected = "tick(tick(@chat/sv_chat.lua()))tick(shop:buy(shop:buy(save all())))";
    for (shape, bytes) in shapes() {
        let (all, cut) = import(&bytes).unwrap();
        assert_eq!(cut, None, "{shape}");
        let outline: String = outline(&all);
        let spans = outline.replace("lua.heap_bytes=Int(50000)", "").replace("lua.heap_bytes=Int(50600)", "");
        assert_eq!(spans, expected, "{shape}");
        assert_eq!(outline.contains("Int(50600)"), shape != "profiler save before 2022", "{shape}");
        assert_eq!(account(&all).discarded, 1, "{shape}");
        let thread =
            all.dictionary.symbols().iter().find(|symbol| &*symbol.name == "@chat/sv_chat.lua").unwrap();
        assert_eq!((&*thread.resource, &*thread.file, thread.line), ("chat", "sv_chat.lua", 30), "{shape}");
        let categories: Vec<CategoryId> = all
            .samples
            .iter()
            .filter_map(|sample| match sample.event {
                tickscope_core::Event::Begin(begin) => Some(begin.category),
                _ => None,
            })
            .collect();
        assert_eq!(categories[..3], [CategoryId::TICK, CategoryId::RESOURCE, CategoryId::THREAD], "{shape}");
        assert_eq!(categories[4..6], [CategoryId::EVENT, CategoryId::EVENT], "{shape}");
    }
}

#[test]
fn what_is_never_left_ends_with_its_tick_or_with_the_recording() {
    let noted: &[Noted] = &[
        (BEGIN_TICK, 0, "", "", 0),
        (ENTER_RESOURCE, 1, "a", "tick", 0),
        (END_TICK, 2, "", "", 0),
        (BEGIN_TICK, 3, "", "", 0),
        (ENTER_RESOURCE, 4, "b", "tick", 0),
        (BEGIN_TICK, 5, "", "", 0),
        (ENTER_RESOURCE, 6, "c", "tick", 0),
    ];
    for bytes in [msgpack(noted, true), msgpack(noted, false), json_of(noted)] {
        let (all, _) = import(&bytes).unwrap();
        assert_eq!(
            outline(&all),
            "tick(tick(unwound))tick(tick(unwound)unwound)tick(tick(truncated)truncated)"
        );
    }
}

#[test]
fn times_before_the_recording_and_times_that_run_backwards_stand_still() {
    let noted: &[Noted] = &[
        (ENTER_SCOPE, -40, "early", "", 0),
        (BEGIN_TICK, 30, "", "", 0),
        (ENTER_RESOURCE, 20, "a", "tick", 0),
        (EXIT_RESOURCE, 25, "", "", 0),
        (END_TICK, 31, "", "", 0),
    ];
    let (all, _) = import(&msgpack(noted, true)).unwrap();
    let times: Vec<u64> = all.samples.iter().map(|sample| sample.time_ns / 1_000).collect();
    assert_eq!(times[..6], [0, 30, 30, 30, 30, 31]);
}

#[test]
fn a_file_that_breaks_off_gives_what_stands_before() {
    for (shape, bytes) in shapes() {
        let whole = import(&bytes).unwrap().0.samples.len();
        let mut most = 0;
        for length in 0..bytes.len() {
            // Refused while nothing can be had of it, and more and more from then on.
            if let Ok((all, cut)) = import(&bytes[..length]) {
                let got = all.samples.len();
                assert!(got <= whole && got + 8 >= most, "{shape}, {length} bytes");
                assert!(cut.is_some() || got == whole, "{shape}, {length} bytes");
                most = most.max(got);
            }
        }
        assert!(most + 8 >= whole, "{shape}");
    }
}
