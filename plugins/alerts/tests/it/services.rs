//! What services over HTTP are sent.

use serde_json::{Value, json};
use tickscope_core::{RecordingSink, Sink};
use tickscope_trial::{Got, Receiver, wait};

use crate::{city, hitch, play_until, trial};

fn bodies(got: &[Got]) -> Vec<Value> {
    got.iter().map(|got| serde_json::from_slice(&got.body).unwrap()).collect()
}

fn long_tick(severity: &str) -> Value {
    json!([{"name": "long", "measure": "tick_ms", "above": 70, "clear_s": 2, "severity": severity}])
}

#[test]
fn a_webhook_gets_everything() {
    let receiver = Receiver::start(204, "text/plain", b"");
    let url = format!("http://{}/hooks/secret?a=b", receiver.address());
    let channel = json!({"kind": "webhook", "url": url, "headers": {"X-Key": "env:CARGO_PKG_NAME"}});
    let played = play_until(
        &hitch(),
        &json!({"rules": long_tick("warning"), "channels": [channel], "server": "main city"}),
        |_| receiver.got().len() == 2,
    );
    let got = receiver.got();
    assert_eq!(got[0].target, "/hooks/secret?a=b");
    assert_eq!(got[0].header("x-key").as_deref(), Some("tickscope-alerts"));
    assert_eq!(got[0].header("content-type").as_deref(), Some("application/json"));
    let bodies = bodies(&got);
    let states: Vec<&Value> = bodies.iter().map(|body| &body["state"]).collect();
    assert_eq!(states, ["firing", "resolved"]);
    assert_eq!((&bodies[0]["server"], &bodies[0]["key"]), (&json!("main city"), &bodies[1]["key"]));
    assert_eq!((played.health.written, played.health.lost), (2, 0));
}

#[test]
fn slack_and_discord_get_messages_without_mentions() {
    let receiver = Receiver::start(200, "text/plain", b"ok");
    let url = format!("http://{}/x", receiver.address());
    let mut server = city();
    let buy = server.symbol("<!shop>", "buy");
    server.ticks(20, 250, 40, buy);
    let rules = json!([{"name": "busy", "measure": "ms_per_tick", "above": 30, "severity": "critical"}]);
    let channel = |kind: &str| json!({"kind": kind, "url": url});
    for (sent, kind) in [(1, "slack"), (2, "discord")] {
        let options = json!({"rules": rules, "channels": [channel(kind)]});
        play_until(&server, &options, |_| receiver.got().len() == sent);
    }
    let body = "<!shop> runs 39 ms of each tick, allowed is at most 30, since 18:04:06 UTC";
    let escaped = body.replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(
        bodies(&receiver.got()),
        [
            json!({
                "text": format!("CRITICAL busy on city (pid 4711): {escaped}"),
                "attachments": [{
                    "color": "#d44a3a",
                    "title": "CRITICAL busy on city (pid 4711)",
                    "text": escaped,
                    "fallback": format!("CRITICAL busy: {escaped}"),
                    "ts": 1_795_716_246,
                }],
            }),
            json!({
                "username": "Tickscope",
                "allowed_mentions": {"parse": []},
                "embeds": [{
                    "title": "CRITICAL busy on city (pid 4711)",
                    "description": body,
                    "color": 0xd4_4a_3a,
                    "timestamp": "2026-11-26T18:04:06.000Z",
                }],
            }),
        ]
    );
}

#[test]
fn pagerduty_is_told_of_the_end_by_the_same_key() {
    for (severity, theirs) in
        [("info", "info"), ("warning", "warning"), ("critical", "error"), ("emergency", "critical")]
    {
        let receiver = Receiver::start(202, "application/json", b"{}");
        let url = format!("http://{}/v2/enqueue", receiver.address());
        let channel = json!({"kind": "pagerduty", "url": url, "key": "0123456789abcdef0123456789abcdef", "min": "info"});
        let options = json!({"rules": long_tick(severity), "channels": [channel]});
        play_until(&hitch(), &options, |_| receiver.got().len() == 2);
        let mut bodies = bodies(&receiver.got());
        let details = bodies[0]["payload"]["custom_details"].take();
        assert_eq!(details["severity"], severity);
        assert_eq!(
            bodies,
            [
                json!({
                    "routing_key": "0123456789abcdef0123456789abcdef",
                    "event_action": "trigger",
                    "dedup_key": "tickscope/city/4711/long/",
                    "payload": {
                        "summary": "long on city (pid 4711): a tick took 75 ms, allowed is at most 70, since 18:04:11 UTC; bank ran 74 ms of it",
                        "source": "city",
                        "severity": theirs,
                        "timestamp": "2026-11-26T18:04:11.000Z",
                        "class": "long",
                        "custom_details": null,
                    },
                }),
                json!({
                    "routing_key": "0123456789abcdef0123456789abcdef",
                    "event_action": "resolve",
                    "dedup_key": "tickscope/city/4711/long/",
                }),
            ]
        );
    }
}

#[test]
fn each_channel_gets_what_is_bad_enough_for_it() {
    let levels = ["info", "warning", "critical", "emergency"];
    let rule =
        |severity: &&str| json!({"name": severity, "measure": "tick_ms", "above": 70, "severity": severity});
    let rules: Vec<Value> = levels.iter().map(rule).collect();
    for (place, min) in levels.iter().enumerate() {
        let receiver = Receiver::start(200, "text/plain", b"ok");
        let url = format!("http://{}/", receiver.address());
        let channel = json!({"kind": "webhook", "url": url, "min": min});
        let options = json!({"rules": rules, "channels": [channel], "console": min});
        let said = play_until(&hitch(), &options, |_| receiver.got().len() == 4 - place).said;
        let bodies = bodies(&receiver.got());
        let told: Vec<&str> = bodies.iter().map(|body| body["severity"].as_str().unwrap()).collect();
        // The worst first.
        let expected: Vec<&str> = levels[place..].iter().rev().copied().collect();
        assert_eq!(told, expected, "{min}");
        let shown = said.iter().filter(|line| line.contains(": a tick took 75 ms")).count();
        assert_eq!(shown, 4 - place, "{said:?}");
    }
}

#[test]
fn a_channel_is_sent_so_many_a_minute_and_the_end_of_those_it_was_told() {
    let rules: Vec<Value> = (0..10)
        .map(|number| json!({"name": format!("rule {number}"), "measure": "tick_ms", "above": 70, "clear_s": 2}))
        .collect();
    let receiver = Receiver::start(200, "text/plain", b"ok");
    let channel =
        json!({"kind": "webhook", "url": format!("http://{}/", receiver.address()), "per_minute": 3});
    let options = json!({"rules": rules, "channels": [channel]});
    let said = play_until(&hitch(), &options, |_| receiver.got().len() == 6).said;
    let bodies = bodies(&receiver.got());
    let told: Vec<String> = bodies.iter().map(|body| format!("{} {}", body["state"], body["rule"])).collect();
    let expected =
        ["firing", "resolved"].map(|state| (0..3).map(move |number| format!("{state:?} \"rule {number}\"")));
    assert_eq!(told, expected.into_iter().flatten().collect::<Vec<_>>());
    let sums = said.iter().find(|line| line.starts_with("Info: 10 alerts")).unwrap();
    assert!(sums.ends_with("; 7 not told by a channel, for there were too many a minute"), "{sums}");
}

#[test]
fn what_there_was_no_room_for_is_told_later_the_worst_first() {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(4 * 60, 250, 75, pay);
    let rule =
        |severity: &str| json!({"name": severity, "measure": "tick_ms", "above": 70, "severity": severity});
    let rules = ["info", "warning", "critical", "emergency"].map(rule);
    let receiver = Receiver::start(200, "text/plain", b"ok");
    let url = format!("http://{}/", receiver.address());
    let channel = json!({"kind": "webhook", "url": url, "per_minute": 2, "min": "info"});
    let said =
        play_until(&server, &json!({"rules": rules, "channels": [channel]}), |_| receiver.got().len() == 3);
    let told: Vec<String> =
        bodies(&receiver.got()).iter().map(|body| format!("{} {}", body["severity"], body["time"])).collect();
    assert_eq!(
        told,
        [
            "\"emergency\" \"2026-11-26T18:04:06.000Z\"",
            "\"critical\" \"2026-11-26T18:04:06.000Z\"",
            "\"warning\" \"2026-11-26T18:04:36.000Z\"",
        ]
    );
    let sums = said.said.iter().find(|line| line.starts_with("Info: 4 alerts")).unwrap();
    assert!(sums.ends_with("; 1 not told by a channel, for there were too many a minute"), "{sums}");
}

#[test]
fn a_channel_that_fails_is_named_and_the_others_go_on() {
    let receiver = Receiver::start(200, "text/plain", b"ok");
    let refuses = Receiver::start(404, "text/plain", b"no_service");
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channels = json!([
        {"kind": "discord", "url": format!("http://{address}/secret")},
        {"kind": "slack", "url": format!("http://{}/secret", refuses.address())},
        {"kind": "webhook", "url": format!("http://{}/", receiver.address())},
    ]);
    let options = json!({"rules": long_tick("warning"), "channels": channels});
    let played = play_until(&hitch(), &options, |said| {
        let named = said.iter().any(|line| line.contains("discord does not work"));
        named && receiver.got().len() == 2 && refuses.got().len() == 2
    });
    assert_eq!(receiver.got().len(), 2);
    let health = played.health;
    assert_eq!((health.written, health.lost), (2, 4));
    let expected = format!(
        "discord: 2 lost: cannot reach http://{address}: Connection refused (os error 111); slack: 2 lost: http://{} answered 404 Not Found: no_service; is the path of the address right?",
        refuses.address()
    );
    assert_eq!(health.message, expected);
}

#[test]
fn a_channel_that_fails_is_told_while_the_recording_goes_on() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = json!({"kind": "slack", "url": format!("http://{address}/secret")});
    let (trial, server) = (trial(), hitch());
    let options = json!({"rules": long_tick("warning"), "channels": [channel], "console": "off"});
    let mut sinks = trial.sinks(&options.to_string());
    let mut played = RecordingSink::default();
    server.play(&mut played).unwrap();
    sinks.open(&played.metadata).unwrap();
    sinks.batch(&played.as_batch()).unwrap();
    let line = wait("warning", || {
        sinks.flush().unwrap();
        trial.said().first().cloned()
    });
    let why = format!("cannot reach http://{address}: Connection refused (os error 111)");
    assert_eq!(line, format!("alerts: Warning: slack does not work: {why}"));
    sinks.flush().unwrap();
    sinks.finish().unwrap();
    let warnings = trial.said().iter().filter(|line| line.contains("Warning: ")).count();
    assert_eq!(warnings, 1, "{:?}", trial.said());
}
