//! The library, loaded, against the host's rules; the console and the file.

use serde_json::{Value, json};
use tickscope_core::{
    ArgRange, CategoryId, CounterValue, End, Event, Metadata, Outcome, RecordingSink, RingId, Scope, Sink,
    SymbolId,
};
use tickscope_trial::Server;

use crate::{city, hitch, play, play_made, trial};

#[test]
fn it_conforms() {
    let trial = trial();
    trial.conforms("");
    assert_eq!(trial.said(), Vec::<String>::new());
}

#[test]
fn alerts_begin_and_end_by_the_recordings_clock() {
    let rules = json!([
        {"measure": "late_ticks_per_minute", "above": 30, "severity": "critical", "clear_s": 2},
        {"name": "long", "measure": "tick_ms", "above": 70, "clear_s": 2},
    ]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("alerts.jsonl");
    let played = play(&hitch(), &json!({"rules": rules, "log": log.to_str().unwrap()}));
    // 4 of them late in each second from 5 to 8, so 8 in the second that ends at 7; none within 10 s of 18.
    assert_eq!(
        played.said,
        [
            "Warning: long: a tick took 75 ms, allowed is at most 70, since 18:04:11 UTC; bank ran 74 ms of it",
            "Error: CRITICAL late-ticks-per-minute: 48 late ticks a minute, allowed are at most 30, since 18:04:12 UTC; bank ran most, 97 % of the time",
            "Info: resolved late-ticks-per-minute: well again after 12 s: 0 late ticks a minute, allowed are at most 30; at worst it was 72",
            "Info: resolved long: well again after 14 s: a tick took 20 ms, allowed is at most 70; at worst it was 75",
            "Info: 2 alerts: 1 critical, 1 warning; 2 over, after 13 s on average",
            "Info: late-ticks-per-minute (critical): 1 times, over after 12 s on average",
            "Info: long (warning): 1 times, over after 14 s on average",
            "Info: 18:04:12 UTC late-ticks-per-minute, for 12 s, at worst 72",
            "Info: 18:04:11 UTC long, for 14 s, at worst 75",
        ]
    );
    let lines = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[1],
        json!({
            "state": "firing",
            "severity": "critical",
            "server": "city",
            "pid": 4711,
            "rule": "late-ticks-per-minute",
            "resource": null,
            "measure": "late_ticks_per_minute",
            "value": 48.0,
            "above": 30.0,
            "worst": 48.0,
            "since": "2026-11-26T18:04:12.000Z",
            "fired": "2026-11-26T18:04:12.000Z",
            "time": "2026-11-26T18:04:12.000Z",
            "alert": 2,
            "key": "tickscope/city/4711/late-ticks-per-minute/",
            "text": "48 late ticks a minute, allowed are at most 30, since 18:04:12 UTC; bank ran most, 97 % of the time",
        })
    );
    let resolved = &lines[2];
    assert_eq!(
        (&resolved["state"], &resolved["open_s"], &resolved["worst"]),
        (&json!("resolved"), &json!(12.0), &json!(72.0))
    );
    assert_eq!((played.health.written, played.health.lost), (4, 0));

    // It is appended to.
    play(&hitch(), &json!({"rules": rules, "log": log.to_str().unwrap(), "console": "off"}));
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 8);
}

#[test]
fn a_log_on_a_full_disk_is_told_and_the_console_goes_on() {
    let rules = json!([{"measure": "tick_ms", "above": 60}]);
    let played = play(&hitch(), &json!({"rules": rules, "log": "/dev/full"}));
    assert!(played.said[0].contains("tick-ms"), "{:?}", played.said);
    let health = played.health;
    let why = "cannot write: No space left on device (os error 28)";
    assert_eq!((health.written, health.message), (0, format!("log: {} lost: {why}", health.lost)));
    assert!(health.degraded && health.lost > 0);
}

/// The first alert of a rule over 20 s of a server in which the bank runs 39 of 40 ms, four times in a
/// second, and allocates 4 MB once.
#[track_caller]
fn check(rule: Value, expected: &str) {
    let mut server = city();
    let (pay, buy) = (server.symbol("bank", "pay"), server.symbol("<!shop>", "buy"));
    let heap = server.symbol("bank", "lua.heap_bytes");
    server.push(Event::Counter { symbol: heap, value: CounterValue::Int(600_000_000) });
    for _ in 0..20 {
        server.ticks(2, 250, 40, pay);
        let big = server.begin(pay, CategoryId::EVENT);
        server.end(big, 4_000_000);
        let (category, scope, args) = (CategoryId::ERROR, Scope::Track, ArgRange::NONE);
        server.push(Event::Instant { symbol: buy, category, scope, args });
        server.ticks(2, 250, 40, pay);
    }
    let played = play(&server, &json!({"rules": [rule], "cooldown_s": 0}));
    let first = played.said.first().map(String::as_str).unwrap_or_default();
    assert_eq!(first, expected);
}

#[test]
fn every_measure_has_words() {
    check(
        json!({"measure": "tick_ms", "above": 39, "severity": "info"}),
        "Info: INFO tick-ms: a tick took 40 ms, allowed is at most 39, since 18:04:06 UTC; bank ran 39 ms of it",
    );
    check(
        json!({"measure": "ticks_per_s", "below": 10, "severity": "emergency"}),
        "Error: EMERGENCY ticks-per-s: 4 ticks a second, allowed are at least 10, since 18:04:15 UTC; bank ran most, 98 % of the time",
    );
    check(
        json!({"measure": "ms_per_tick", "above": 30, "for_s": 5}),
        "Warning: ms-per-tick: bank runs 39 ms of each tick, allowed is at most 30, since 18:04:06 UTC",
    );
    check(
        json!({"measure": "ms_per_s", "above": 100, "window_s": 2, "resource": "b*"}),
        "Warning: ms-per-s: bank runs 156 ms of each second, allowed is at most 100, since 18:04:07 UTC",
    );
    check(
        json!({"measure": "heap_mb", "above": 512}),
        "Warning: heap-mb: the Lua heap of bank is 600 MB, allowed is at most 512, since 18:04:06 UTC",
    );
    check(
        json!({"measure": "allocated_mb_per_s", "above": 3.5, "window_s": 1}),
        "Warning: allocated-mb-per-s: bank allocates 4 MB a second, allowed is at most 3.5, since 18:04:06 UTC",
    );
    check(
        json!({"measure": "errors_per_minute", "above": 10}),
        "Warning: errors-per-minute: <!shop> reports 11 errors a minute, allowed are at most 10, since 18:04:16 UTC",
    );
    check(
        json!({"measure": "calls_per_s", "above": 4, "window_s": 4}),
        "Warning: calls-per-s: bank is called 5 times a second, allowed is at most 4, since 18:04:09 UTC",
    );
    // The server itself only where it is meant, and a resource that is not meant, not.
    check(
        json!({"measure": "ms_per_s", "above": 3, "window_s": 1, "resource": "(host)"}),
        "Warning: ms-per-s: (host) runs 4 ms of each second, allowed is at most 3, since 18:04:06 UTC",
    );
    check(json!({"measure": "ms_per_s", "above": 3, "resource": "shop*"}), "");
    check(json!({"measure": "late_ticks_per_minute", "above": 0}), "");
}

#[test]
fn the_rules_without_rules_are_for_a_slow_server() {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(80, 250, 40, pay);
    let said = play(&server, &json!({})).said;
    assert_eq!(
        said[0],
        "Warning: busy-resource: bank runs 39 ms of each tick, allowed is at most 10, since 18:04:06 UTC"
    );
    // Nothing is wrong, nothing is said.
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(80, 250, 9, pay);
    assert_eq!(play(&server, &json!({})).said, Vec::<String>::new());
}

/// A tick that is cut off by the end of the recording.
fn hang(server: &mut Server, pay: SymbolId, ms: u64) {
    let tick = server.symbol("", "main loop");
    let (begin_ns, outcome) = (Server::START_NS + server.now_ms * 1_000_000, Outcome::Truncated);
    let (outer, inner) = (server.begin(tick, CategoryId::TICK), server.begin(pay, CategoryId::EVENT));
    server.now_ms += ms;
    for (span, symbol) in [(inner, pay), (outer, tick)] {
        server.push(Event::End(End { span, symbol, begin_ns, outcome, bytes: 0, args: ArgRange::NONE }));
    }
}

#[test]
fn a_server_that_is_stopped_while_it_hangs_is_told() {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(20, 250, 9, pay);
    hang(&mut server, pay, 4_200);
    let said = play(&server, &json!({})).said;
    assert_eq!(
        said[0],
        "Error: CRITICAL long-tick: a tick took 4200 ms, allowed is at most 500, since 18:04:14 UTC; bank ran 4200 ms of it"
    );
}

#[test]
fn a_hang_ends_no_alert_and_no_tick_is_blamed_for_more_than_it_took() {
    let mut server = city();
    let (pay, wait) = (server.symbol("bank", "pay"), server.symbol("bank", "wait"));
    server.ticks(20, 250, 40, pay);
    // Between ticks, which is in none of them.
    let between = server.begin(wait, CategoryId::EVENT);
    server.now_ms += 900;
    server.end(between, 0);
    hang(&mut server, pay, 60_000);
    let rules = json!([
        {"measure": "ms_per_s", "above": 100, "clear_s": 0},
        {"measure": "tick_ms", "above": 1000},
        {"measure": "ticks_per_s", "below": 1},
    ]);
    let said = play(&server, &json!({"rules": rules, "cooldown_s": 0})).said;
    assert_eq!(
        said[..3],
        [
            "Warning: ms-per-s: bank runs 168 ms of each second, allowed is at most 100, since 18:04:11 UTC",
            "Warning: ticks-per-s: 0.8 ticks a second, allowed are at least 1, since 18:04:18 UTC; bank ran most, 99 % of the time",
            "Warning: tick-ms: a tick took 60000 ms, allowed is at most 1000, since 18:05:10 UTC; bank ran 60000 ms of it",
        ],
        "{said:?}"
    );
    assert!(!said.iter().any(|line| line.contains("resolved")), "{said:?}");
    // What ran in a minute is not of the window's 10 s.
    assert!(said.iter().any(|line| line.contains("ms-per-s of bank, still open, at worst 1000")), "{said:?}");
}

#[test]
fn what_comes_before_the_ticks_of_its_time_is_no_time_without_ticks() {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    let heap = server.symbol("bank", "lua.heap_bytes");
    for _ in 0..30 {
        // Ticks come when the flights that may cover them are over, heaps at once.
        server.now_ms += 70_000;
        server.push(Event::Counter { symbol: heap, value: CounterValue::Int(600_000_000) });
        server.now_ms -= 70_000;
        server.ticks(3, 250, 9, pay);
        server.ticks(1, 250, 75, pay);
    }
    let rules = json!([
        {"measure": "ticks_per_s", "below": 3},
        {"measure": "late_ticks_per_minute", "above": 61},
        {"measure": "heap_mb", "above": 512, "for_s": 10},
    ]);
    let mut made = RecordingSink::default();
    server.play(&mut made).unwrap();
    for sample in made.samples.iter_mut().filter(|sample| matches!(sample.event, Event::Counter { .. })) {
        sample.ring = RingId(99);
    }
    let said = play_made(&made, &json!({"rules": rules}), |_| true).said;
    assert_eq!(
        said[..2],
        [
            "Warning: heap-mb: the Lua heap of bank is 600 MB, allowed is at most 512, since 18:04:06 UTC",
            "Info: 1 alert: 1 warning; 1 still open"
        ]
    );
}

#[test]
fn a_clock_that_jumps_is_borne() {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(4, 250, 75, pay);
    server.now_ms += 365 * 86_400_000;
    server.ticks(4, 250, 75, pay);
    let said = play(&server, &json!({"rules": [{"measure": "tick_ms", "above": 70}]})).said;
    assert!(said[0].starts_with("Warning: tick-ms: a tick took 75 ms"), "{said:?}");
}

#[test]
fn options_that_cannot_be_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("no/file");
    let place = place.to_str().unwrap();
    let email = |more: Value| {
        let mut channel = json!({"kind": "email", "server": "127.0.0.1", "security": "none", "from": "a@b.c", "to": ["d@e.f"]});
        channel.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"channels": [channel]})
    };
    let slack = |url: &str| json!({"channels": [{"kind": "slack", "url": url}]});
    let cases = [
        (json!({"log": place}), format!("log: cannot write {place}: No such file or directory (os error 2)")),
        (json!({"rules": [{"measure": "tick_ms"}]}), "rules[0]: expected `above` or `below`, and one of them".into()),
        (slack(""), "channels[0] (slack): expected `url`".into()),
        (
            slack("secret"),
            "channels[0] (slack): the address does not begin with http:// or https://; expected one as http://127.0.0.1:4318/path".into(),
        ),
        (
            slack("env:TICKSCOPE_NOT_THERE"),
            "channels[0] (slack): the environment has no variable \"TICKSCOPE_NOT_THERE\" with text in it, which `env:TICKSCOPE_NOT_THERE` asks for".into(),
        ),
        (json!({"channels": [{"kind": "pagerduty"}]}), "channels[0] (pagerduty): expected `key`".into()),
        (
            json!({"channels": [{"kind": "webhook", "url": "http://h/", "headers": {"A": 1}}]}),
            "channels[0] (webhook): headers: A: expected text".into(),
        ),
        (email(json!({"server": ""})), "channels[0] (email): expected `server`".into()),
        (email(json!({"server": "h:x"})), "channels[0] (email): server: expected a host, perhaps with a port, as smtp.example.com or 127.0.0.1:2525".into()),
        (
            email(json!({"to": ["env:TICKSCOPE_NOT_THERE"]})),
            "channels[0] (email): the environment has no variable \"TICKSCOPE_NOT_THERE\"".into(),
        ),
        (email(json!({"url": "secret"})), "channels[0] (email): `url` means nothing here; leave it out".into()),
        (
            json!({"channels": [{"kind": "webhook", "url": "http://h/", "user": "secret"}]}),
            "channels[0] (webhook): `user` means nothing here; leave it out".into(),
        ),
        (
            json!({"channels": [{"kind": "slack", "url": "http://h/", "key": "secret"}]}),
            "channels[0] (slack): `key` means nothing here; leave it out".into(),
        ),
        (
            json!({"channels": [{"kind": "webhook", "url": "http://h/", "headers": {"Host": "secret"}}]}),
            "channels[0] (webhook): the header \"Host\" follows from what is sent; leave it out".into(),
        ),
        (email(json!({"to": []})), "channels[0] (email): to: expected somebody who gets the mail".into()),
        (
            email(json!({"server": "smtp.example.com", "user": "u", "password": "secret"})),
            "channels[0] (email): a password would go over the network unencrypted; set security to tls or starttls".into(),
        ),
    ];
    for (options, reason) in cases {
        let mut sink = trial().direct(&options.to_string());
        let error = sink.open(&Metadata::default()).unwrap_err().to_string();
        assert!(error.contains(&reason), "{error}\nis not\n{reason}");
        assert!(!error.contains("secret"), "{error}");
    }
    let mut sink = trial().direct(&email(json!({"from": "secret"})).to_string());
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    assert!(
        error.contains("channels[0] (email): from: expected an address, as you@example.com: "),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}
