//! The library, loaded, against the host's rules, and what it posts.

use std::net::TcpListener;
use std::time::Duration;

use tickscope_core::{Sink, conformance};
use tickscope_plugin::End;
use tickscope_trial::{LIMIT, Receiver, Reply, wait};

use crate::{is_memory, later, posted, server, trial, unpacked};

#[test]
fn it_conforms() {
    let server = server(200);
    trial().conforms(&format!("http://{}", server.address()));
    assert!(!server.got().is_empty());
}

#[test]
fn time_and_memory_are_posted_with_names_and_labels() {
    let options = r#", "service": "city live", "labels": {"server": "eu-1", "slot": 3}, "headers": {"X-Scope-OrgID": "one"}"#;
    let (asked, outcome, _) = posted(options, 1);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let target = "/ingest?name=city_live%7Bserver%3Deu-1%2Cslot%3D3%7D&from=1790000000&until=1790000001&format=pprof\
                &spyName=tickscope";
    for asked in &asked {
        assert_eq!(asked.target, target);
        assert_eq!(asked.header("X-Scope-OrgID").as_deref(), Some("one"));
        assert_eq!(asked.header("Content-Type").as_deref(), Some("application/octet-stream"));
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
    let times: Vec<&str> = asked.iter().filter_map(|asked| asked.target.split('&').nth(1)).collect();
    assert_eq!(times, ["from=1790000000", "from=1790000000", "from=1790000020", "from=1790000020"]);
    assert!(asked[0].target.starts_with("/ingest?name=examples__quoted_%7B%7D&"), "{}", asked[0].target);
}

#[test]
fn resources_beyond_the_limit_share_a_label() {
    let (asked, ..) = posted(r#", "resources": 1"#, 1);
    let time = unpacked(&asked[0].body);
    assert!(time.contains("other") && time.contains("banking"), "{time:?}");
    // They are in names of functions still.
    assert!(!time.contains("\u{5}shops") && time.contains("@shops"), "{time:?}");
    // That is where a label would be.
    assert!(unpacked(&posted("", 1).0[0].body).contains("\u{5}shops"));
}

#[test]
fn nobody_waits_for_a_server_that_is_away() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = std::time::Instant::now();
    let outcome = trial().within(Duration::from_secs(2)).record_example(&format!("http://{closed}"));
    assert!(start.elapsed() < LIMIT);
    assert_eq!(outcome.end, End::Finished);
    let health = outcome.health.as_ref().unwrap();
    assert_eq!((health.written, health.lost, health.degraded), (0, 2, true));
    assert!(health.message.contains(&format!("cannot reach http://{closed}")), "{health:?}");
}

#[test]
fn a_server_that_refuses_is_told() {
    let server = server(422);
    let health = trial().record_example(&format!("http://{}", server.address())).health.unwrap();
    assert_eq!((health.written, health.lost), (0, 2));
    assert!(health.message.contains("422"), "{health:?}");
}

#[test]
fn a_server_that_refuses_one_of_two_profiles_gets_the_other_and_that_is_told_once() {
    let server = Receiver::answering(|got| {
        let status = if is_memory(got) { 422 } else { 200 };
        Reply { status, headers: Vec::new(), body: Vec::new() }
    });
    let trial = trial();
    let mut sink = trial.direct(&format!("http://{}", server.address()));
    let mut example = conformance::example();
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    for windows in 1..=4 {
        later(&mut example);
        sink.batch(&example.as_batch()).unwrap();
        let arrived = |memory: bool| server.got().iter().filter(|got| is_memory(got) == memory).count();
        wait("both profiles", || {
            // Whichever was answered last, what is told is the same.
            sink.flush().unwrap();
            (arrived(false) >= windows && arrived(true) >= windows).then_some(())
        });
    }
    let why = format!("http://{} answered 422 Unprocessable Entity", server.address());
    let warning = format!("pyroscope: Warning: profiles of memory do not arrive: {why}");
    wait("warning", || {
        sink.flush().unwrap();
        (!trial.said().is_empty()).then_some(())
    });
    sink.finish().unwrap();
    assert_eq!(trial.said(), [warning]);
    let health = sink.health.clone().unwrap();
    assert_eq!(health.message, format!("profiles of memory: {why}"));
    assert!(health.degraded && health.written >= 4 && health.lost >= 4, "{health:?}");
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
        (r#"{"headers": {"Host": "x"}}"#, "headers: Host: the header \"Host\" follows from what is sent"),
        (r#"{"headers": {"a": "env:TICKSCOPE_NOT_THERE"}}"#, "TICKSCOPE_NOT_THERE"),
    ];
    for (options, expected) in cases {
        let outcome = trial().record_example(options);
        let End::Failed { call: "open", reason } = &outcome.end else { panic!("{options}: {outcome:?}") };
        assert!(reason.contains(expected) && reason.lines().count() == 1, "{options}: {reason}");
    }
}
