//! The library, loaded, against the host's rules, and over HTTP.

use std::net::{TcpListener, TcpStream};

use tickscope_core::Sink;
use tickscope_plugin::End;

use crate::{Served, ask, trial};

#[test]
fn it_conforms() {
    trial().conforms("127.0.0.1:0");
}

#[test]
fn a_recording_is_scraped_while_it_runs() {
    let mut served = Served::start("127.0.0.1:0");
    let (head, text) = served.scrape("text/plain");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    for line in [
        r#"tickscope_recording_info{version="0.1.0",producer="conformance",subject="examples \"quoted\"",depth="sample"} 1"#,
        "tickscope_tick_budget_seconds 0.000002000",
        "tickscope_ticks_total 1",
        "tickscope_late_ticks_total 1",
        "tickscope_tick_duration_seconds_sum 0.000004000",
        r#"tickscope_resource_errors_total{resource="odd;one"} 1"#,
        r#"tickscope_resource_calls_total{resource="banking",kind="event"} 1"#,
        r#"tickscope_resource_calls_total{resource="banking",kind="native"} 1"#,
        "tickscope_events_lost_total 3",
        "tickscope_samples_missed_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line}\n{text}");
    }
    let (head, open) = served.scrape("application/openmetrics-text; version=1.0.0");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(open.ends_with("# EOF\n"), "{open}");

    let refused = [
        ("GET / HTTP/1.1\r\n\r\n", "404 "),
        ("GET /metrics/x HTTP/1.1\r\n\r\n", "404 "),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 "),
        ("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "413 "),
        ("no request\r\n\r\n", "400 "),
    ];
    for (request, status) in refused {
        let (head, _) = ask(&served.address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {head}");
    }
    let (head, body) = ask(&served.address, "HEAD /metrics?x=1 HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}\n{body}");

    served.sinks.finish().unwrap();
    let outcome = &served.sinks.outcomes()[0];
    assert_eq!(outcome.end, End::Finished);
    let health = outcome.health.as_ref().unwrap();
    assert!(health.written >= 4 && health.bytes > text.len() as u64, "{health:?}");
    assert!(TcpStream::connect(&served.address).is_err(), "it listens after the end");
}

#[test]
fn resources_beyond_the_limit_share_a_label() {
    let served = Served::start(r#"{"listen": "127.0.0.1:0", "resources": 1}"#);
    let (_, text) = served.scrape("");
    let known = |line: &str| {
        line.contains(r#""(host)""#) || line.contains(r#""banking""#) || line.contains(r#""other""#)
    };
    let odd: Vec<&str> = text.lines().filter(|line| line.contains("resource=") && !known(line)).collect();
    assert_eq!(odd, Vec::<&str>::new());
    assert!(text.contains(r#"tickscope_resource_errors_total{resource="other"} 1"#), "{text}");
}

#[test]
fn an_address_that_cannot_be_had_is_one_line_and_the_recording_goes_on() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let cases = [
        (&*taken, format!("cannot listen on {taken}: Address already in use (os error 98); name another with listen=ADDRESS:PORT")),
        ("9464", "listen: expected an address and a port, as 127.0.0.1:9464, found \"9464\"".to_owned()),
        ("192.0.2.1:9464", "cannot listen on 192.0.2.1:9464: Cannot assign requested address (os error 99); name another with listen=ADDRESS:PORT".to_owned()),
    ];
    for (listen, reason) in cases {
        let trial = trial();
        let outcome = trial.record_example(listen);
        assert_eq!(outcome.end, End::Failed { call: "open", reason: reason.clone() });
        assert_eq!(
            trial.said(),
            [format!("prometheus: Error: is not used any more, for its `open` failed: {reason}")]
        );
    }
}
