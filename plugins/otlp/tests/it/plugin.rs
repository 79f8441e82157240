//! The library, loaded, against the host's rules, and over HTTP.

use std::time::Duration;

use prost::Message;
use tickscope_core::{Sink, conformance};
use tickscope_otlp::proto::{Data, Metrics, Traces};
use tickscope_plugin::End;
use tickscope_trial::{Receiver, Reply, wait};

use crate::{arrived, record, trial};

#[test]
fn it_conforms() {
    let receiver = Receiver::start(200, "application/x-protobuf", b"");
    let trial = trial();
    trial.conforms(&format!("http://{}", receiver.address()));
    assert_eq!(trial.said(), Vec::<String>::new());
}

#[test]
fn a_recording_arrives_as_protobuf() {
    let receiver = Receiver::start(200, "application/x-protobuf", b"");
    let options = serde_json::json!({
        "endpoint": format!("http://{}/secret", receiver.address()),
        "gzip": false,
        "headers": {"X-Key": "env:CARGO_PKG_NAME", "X-Other": "two"},
        "service": "city",
        "attributes": {"region": "eu", "slots": 64, "process.pid": 1},
        "threshold_ms": 0.000005,
    });
    let (outcome, said) = record(&options.to_string());
    assert_eq!((&outcome.end, said), (&End::Finished, Vec::new()));
    let got = arrived(&receiver);
    let targets: Vec<&str> = got.iter().map(|got| &*got.target).collect();
    assert_eq!(targets, ["/secret/v1/traces", "/secret/v1/metrics"]);
    assert_eq!(got[0].header("content-type").as_deref(), Some("application/x-protobuf"));
    assert_eq!(got[0].header("x-key").as_deref(), Some("tickscope-otlp"));
    assert_eq!(got[0].header("x-other").as_deref(), Some("two"));
    assert_eq!(got[0].header("content-encoding"), None);

    let traces = Traces::decode(&*got[0].body).unwrap();
    let resource = &traces.resource_spans[0];
    let attributes = format!("{:?}", resource.resource);
    for told in ["\"city\"", "\"eu\"", "IntValue(64)", "\"conformance\""] {
        assert!(attributes.contains(told), "no {told} in {attributes}");
    }
    assert!(!attributes.contains("4711"), "a user's attribute is the last word: {attributes}");
    let spans = &resource.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        ["tick", "event bank:pay", "native GET_PLAYER_PED", "io a\"b\\c\n;\u{1}\\xff <&> =1+1"]
    );
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    // It was cut off by the end of the recording.
    assert!(format!("{:?}", spans[3].attributes).contains("truncated"), "{:?}", spans[3]);
    assert_eq!(spans[0].start_time_unix_nano, 1_790_000_000_000_000_123 + 100);

    let metrics = Metrics::decode(&*got[1].body).unwrap();
    let metrics = &metrics.resource_metrics[0].scope_metrics[0].metrics;
    let histogram = metrics.iter().find(|metric| metric.name == "tickscope.tick.duration").unwrap();
    let Some(Data::Histogram(histogram)) = &histogram.data else { panic!("{histogram:?}") };
    assert_eq!(histogram.data_points[0].count, 1);

    let health = outcome.health.unwrap();
    assert_eq!((health.written, health.lost, health.message.as_str()), (2, 0, ""));
    assert_eq!(health.bytes, got.iter().map(|got| got.body.len() as u64).sum::<u64>());
}

#[test]
fn metrics_may_be_left_out() {
    let receiver = Receiver::start(200, "application/json", b"{}");
    let options = format!("endpoint=http://{},metrics=false,encoding=json", receiver.address());
    record(&options);
    let got = receiver.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(got[0].header("content-type").as_deref(), Some("application/json"));
}

#[test]
fn what_a_receiver_does_not_take_is_told() {
    // Field 1, a message of 10 bytes: 3 in field 1, and a text of 6 in field 2.
    let protobuf = b"\x0a\x0a\x08\x03\x12\x06no \nid";
    let json = br#"{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no \nid"}}"#;
    for (kind, body) in [("application/x-protobuf", &protobuf[..]), ("application/json", &json[..])] {
        let receiver = Receiver::start(200, kind, body);
        let (outcome, _) = record(&format!("endpoint=http://{},metrics=false", receiver.address()));
        let health = outcome.health.unwrap();
        let place = receiver.address();
        assert_eq!(
            health.message,
            format!("traces: http://{place}: it took a message but for 3 parts of it: \"no id\"")
        );
        assert!(health.degraded);
    }
    let receiver = Receiver::start(403, "text/plain", b"secret");
    let (outcome, _) = record(&format!("http://{}/secret", receiver.address()));
    let health = outcome.health.unwrap();
    let message =
        format!("http://{} answered 403 Forbidden; is what authorizes it right?", receiver.address());
    assert_eq!((health.lost, health.message), (2, message));
}

#[test]
fn a_receiver_that_puts_off_or_refuses_metrics_gets_the_traces() {
    for (status, reason) in [(503, "503 Service Unavailable"), (404, "404 Not Found")] {
        let receiver = Receiver::answering(move |got| {
            let status = if got.target == "/v1/metrics" { status } else { 200 };
            let later = ("Retry-After".to_owned(), "3600".into());
            Reply { status, headers: vec![later], body: Vec::new() }
        });
        let address = receiver.address();
        let trial = trial();
        let options = format!("endpoint=http://{address},threshold_ms=0.000005,metrics_interval_s=0.1");
        let mut sink = trial.direct(&options);
        let mut example = conformance::example();
        sink.open(&example.metadata).unwrap();
        let arrived = |path: &str| receiver.got().iter().filter(|got| got.target == path).count();
        let mut before = None;
        wait("traces after metrics", || {
            sink.batch(&example.as_batch()).unwrap();
            sink.flush().unwrap();
            example.samples.iter_mut().for_each(|sample| sample.time_ns += 1_000_000_000);
            // Those that were sent before metrics were refused do not count.
            if !trial.said().is_empty() {
                before.get_or_insert_with(|| arrived("/v1/traces"));
            }
            before.filter(|before| arrived("/v1/traces") >= before + 3)
        });
        sink.finish().unwrap();
        let line = format!("http://{address} answered {reason}");
        let said = trial.said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("otlp: Warning: metrics do not arrive: {line}")), "{said:?}");
        let health = sink.health.clone().unwrap();
        assert!(health.degraded && health.lost > 0, "{health:?}");
        assert!(health.message.starts_with(&format!("metrics: {line}")), "{health:?}");
        assert_eq!(health.written, arrived("/v1/traces") as u64);
    }
}

#[test]
fn a_receiver_that_is_away_is_named_once_and_the_recording_goes_on() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let trial = trial().within(Duration::from_secs(2));
    let mut sinks = trial.sinks(&format!("http://{address}/secret"));
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    let line = wait("warning", || {
        sinks.batch(&example.as_batch()).unwrap();
        sinks.flush().unwrap();
        trial.said().first().cloned()
    });
    let reason = format!("cannot reach http://{address}: Connection refused (os error 111)");
    let expected = ["traces", "metrics"].map(|what| format!("otlp: Warning: {what} do not arrive: {reason}"));
    assert!(expected.contains(&line), "{line}");
    sinks.finish().unwrap();
    let outcome = &sinks.outcomes()[0];
    assert_eq!((&outcome.end, trial.said().len()), (&End::Finished, 1));
    let health = outcome.health.as_ref().unwrap();
    assert!(health.degraded && health.lost > 0 && health.written == 0, "{health:?}");
    assert_eq!(health.message, reason);
}

#[test]
fn options_that_cannot_be_are_one_line() {
    let cases = [
        (
            "ftp://secret/",
            "endpoint: the address does not begin with http:// or https://; expected one as http://127.0.0.1:4318/path",
        ),
        (
            r#"{"headers": {"a b": "secret"}}"#,
            "headers: a b: the header \"a b\" has a name that HTTP does not allow",
        ),
        (
            r#"{"headers": {"content-length": "5"}}"#,
            "headers: content-length: the header \"content-length\" follows from what is sent; leave it out",
        ),
        (r#"{"headers": {"a": 5}}"#, "headers: a: expected text, as \"env:TOKEN\""),
        (
            r#"{"headers": {"a": "env:TICKSCOPE_NOT_THERE"}}"#,
            "headers: a: the environment has no variable \"TICKSCOPE_NOT_THERE\" with text in it, which `env:TICKSCOPE_NOT_THERE` asks for",
        ),
        (r#"{"attributes": {"a": []}}"#, "attributes: a: expected text, a number, true or false"),
    ];
    for (options, reason) in cases {
        let (outcome, said) = record(options);
        assert_eq!(outcome.end, End::Failed { call: "open", reason: reason.to_owned() });
        assert_eq!(said.len(), 1, "{said:?}");
    }
}
