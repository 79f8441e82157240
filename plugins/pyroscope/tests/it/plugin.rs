//! The library, loaded, against the host's rules, and what it posts.

use std::io::Read;
use std::net::TcpListener;

use tickscope_core::{Metadata, Sink, conformance};
use tickscope_plugin::{Direct, End, Sinks};

use crate::{LIMIT, Said, Server, chosen, posted};

fn unpacked(body: &[u8]) -> String {
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut raw).unwrap();
    String::from_utf8_lossy(&raw).into_owned()
}

#[test]
fn it_conforms() {
    let server = Server::start("200 OK");
    conformance::check(|| {
        let chosen = chosen(&format!("http://{}", server.address));
        Direct::new(chosen.plugin, chosen.options, Said::default().log())
    });
}

#[test]
fn time_and_memory_are_posted_with_names_and_labels() {
    let options = r#", "service": "city live", "labels": {"server": "eu-1", "slot": 3}, "headers": {"X-Scope-OrgID": "one"}"#;
    let (asked, outcome, _) = posted(options, 1);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let line = "POST /ingest?name=city_live%7Bserver%3Deu-1%2Cslot%3D3%7D&from=1790000000&until=1790000001&format=pprof\
                &spyName=tickscope HTTP/1.1";
    for asked in &asked {
        assert_eq!(asked.line, line);
        let has = |wanted: &str| asked.headers.iter().any(|header| header.eq_ignore_ascii_case(wanted));
        assert!(has("X-Scope-OrgID: one") && has("Content-Type: application/octet-stream"), "{asked:?}");
    }
    let time = unpacked(&asked[0].body);
    for text in ["cpu", "nanoseconds", "Account.pay @shops", "banking", "(host)"] {
        assert!(time.contains(text), "no {text} in {time:?}");
    }
    let memory = unpacked(&asked[1].body);
    assert!(memory.contains("alloc_space") && memory.contains("bytes"), "{memory:?}");
    assert_eq!(outcome.end, End::Finished);
    let health = outcome.health.unwrap();
    assert_eq!((health.written, health.lost, health.degraded), (2, 0, false));
    assert_eq!(health.bytes, asked.iter().map(|asked| asked.body.len() as u64).sum::<u64>());
}

#[test]
fn a_window_is_posted_when_it_is_over() {
    let (asked, ..) = posted("", 3);
    // The first holds what there was 20 s later too, the last the end.
    let times: Vec<&str> = asked.iter().filter_map(|asked| asked.line.split('&').nth(1)).collect();
    assert_eq!(times, ["from=1790000000", "from=1790000000", "from=1790000020", "from=1790000020"]);
    assert!(asked[0].line.starts_with("POST /ingest?name=examples__quoted_%7B%7D&"), "{}", asked[0].line);
}

#[test]
fn resources_beyond_the_limit_share_a_label() {
    let (asked, ..) = posted(r#", "resources": 1"#, 1);
    let time = unpacked(&asked[0].body);
    assert!(time.contains("other") && time.contains("banking"), "{time:?}");
    // They are in names of functions still.
    assert!(!time.contains("\u{5}shops") && time.contains("@shops"), "{time:?}");
}

#[test]
fn nobody_waits_for_a_server_that_is_away() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = Said::default();
    let mut sinks = Sinks::new(vec![chosen(&format!("http://{closed}"))], said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    sinks.batch(&example.as_batch()).unwrap();
    let start = std::time::Instant::now();
    sinks.finish().unwrap();
    assert!(start.elapsed() < LIMIT);
    let outcome = &sinks.outcomes()[0];
    assert_eq!(outcome.end, End::Finished);
    let health = outcome.health.as_ref().unwrap();
    assert_eq!((health.written, health.lost, health.degraded), (0, 2, true));
    assert!(health.message.contains(&format!("cannot reach http://{closed}")), "{health:?}");
}

#[test]
fn a_server_that_refuses_is_told() {
    let server = Server::start("422 Unprocessable Entity");
    let said = Said::default();
    let mut sinks = Sinks::new(vec![chosen(&format!("http://{}", server.address))], said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    sinks.batch(&example.as_batch()).unwrap();
    sinks.finish().unwrap();
    let health = sinks.outcomes()[0].health.clone().unwrap();
    assert_eq!((health.written, health.lost), (0, 2));
    assert!(health.message.contains("422"), "{health:?}");
}

#[test]
fn what_pyroscope_would_refuse_is_one_line_at_the_start() {
    let cases = [
        (r#"{"url": "127.0.0.1:4040"}"#, "http://"),
        (r#"{"labels": {"1st": "x"}}"#, "labels: \"1st\" is no name of a label"),
        (r#"{"labels": {"__name__": "x"}}"#, "labels: \"__name__\" is no name of a label"),
        (r#"{"labels": {"a": "b,c=d"}}"#, "labels: a: Pyroscope takes no comma and no brace in a value"),
        (r#"{"labels": {"a": ["b"]}}"#, "labels: a: expected a text or a number"),
        (r#"{"headers": {"a b": "x"}}"#, "headers: "),
        (r#"{"headers": {"a": "env:TICKSCOPE_NOT_THERE"}}"#, "TICKSCOPE_NOT_THERE"),
    ];
    for (options, expected) in cases {
        let said = Said::default();
        let mut sinks = Sinks::new(vec![chosen(options)], said.log());
        sinks.open(&Metadata::default()).unwrap();
        sinks.finish().unwrap();
        let End::Failed { call: "open", reason } = &sinks.outcomes()[0].end else {
            panic!("{options}: {:?}", sinks.outcomes())
        };
        assert!(reason.contains(expected) && reason.lines().count() == 1, "{options}: {reason}");
    }
}
