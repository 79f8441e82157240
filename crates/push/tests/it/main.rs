//! Against real servers that do what servers do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use server::{Act, Server};
use tickscope_push::{Header, Lanes, News, Post, Pusher, Report, Settings, Target};

/// For anything to happen that a test waits for.
const LIMIT: Duration = Duration::from_secs(30);
const OK: Act = Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

/// Waits that a test can wait for.
fn settings() -> Settings {
    let (first_wait, longest_wait) = (Duration::from_millis(1), Duration::from_millis(20));
    Settings { name: "test".into(), first_wait, longest_wait, request_limit: LIMIT, ..Settings::default() }
}

fn post(address: &str, body: &str) -> Post {
    let to = Target::new(&format!("http://{address}/secret?key=secret")).unwrap();
    let headers =
        vec![Header::new("Content-Type", "text/plain").unwrap(), Header::new("X-Key", "secret").unwrap()];
    Post { to, headers, body: body.into() }
}

/// Posts one body to a server that does `acts`, one for each request, and tells how that went.
#[track_caller]
fn push(settings: Settings, acts: Vec<Act>) -> (Report, Vec<server::Asked>) {
    let server = Server::start(acts);
    let pusher = Pusher::start(settings).unwrap();
    assert!(pusher.post(post(server.address(), "hello")));
    let report = pusher.finish(LIMIT);
    check_sum(&report, 1);
    let hidden = report.error.as_deref().unwrap_or_default();
    assert!(!hidden.contains("secret"), "{hidden}");
    (report, server.asked())
}

/// Nothing is lost without being counted.
#[track_caller]
fn check_sum(report: &Report, posted: u64) {
    assert_eq!(report.sent + report.lost + report.waiting as u64, posted, "{report:?}");
}

/// Waits until `look` finds something, but not for ever.
#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "no {what} in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn posts_arrive_in_order_with_their_headers() {
    let server = Server::start(vec![OK, OK, OK]);
    let pusher = Pusher::start(settings()).unwrap();
    for body in ["one", "two", "three"] {
        assert!(pusher.post(post(server.address(), body)));
    }
    let report = pusher.finish(LIMIT);
    assert_eq!(report, Report { sent: 3, bytes: 11, ..Report::default() });
    let asked = server.asked();
    let bodies: Vec<&[u8]> = asked.iter().map(|asked| &*asked.body).collect();
    assert_eq!(bodies, [b"one".as_slice(), b"two", b"three"]);
    for asked in &asked {
        assert!(asked.head.starts_with("POST /secret?key=secret HTTP/1.1\r\n"), "{}", asked.head);
        let head = asked.head.to_lowercase();
        for line in ["content-type: text/plain", "x-key: secret", "user-agent: tickscope/0.1.0"] {
            assert!(head.lines().any(|found| found == line), "no {line} in {head}");
        }
        assert!(!head.contains("content-encoding"), "{head}");
    }
}

#[test]
fn bodies_are_compressed_once_however_often_they_are_sent() {
    let busy = Act::Answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let (report, asked) = push(Settings { gzip: true, ..settings() }, vec![busy, OK]);
    assert_eq!((report.sent, report.retried), (1, 1));
    assert_eq!(asked[0].body, asked[1].body);
    assert!(asked[1].head.to_lowercase().contains("\r\ncontent-encoding: gzip\r\n"), "{}", asked[1].head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*asked[1].body).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(report.bytes, asked[1].body.len() as u64);
}

#[test]
fn what_fails_for_now_is_tried_again() {
    let acts = [
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n",
    ];
    let acts = acts.map(Act::Answer).into_iter().chain([Act::Close, Act::Answer("HTTP/1.1 20"), OK]);
    let (report, asked) = push(settings(), acts.collect());
    assert_eq!((report.sent, report.retried, report.lost, report.failing), (1, 6, 0, false));
    assert!(asked.iter().all(|asked| asked.body == b"hello") && asked.len() == 7, "{asked:?}");
    let error = report.error.unwrap();
    assert!(error.ends_with(" closed the connection before it answered"), "{error}");
}

#[test]
fn a_request_that_takes_too_long_is_given_up_and_tried_again() {
    let settings = Settings { request_limit: Duration::from_secs(1), ..settings() };
    let (report, asked) = push(settings, vec![Act::Hang, OK]);
    assert_eq!((report.sent, report.retried, asked.len()), (1, 1, 2));
    let error = report.error.unwrap();
    assert!(error.ends_with(" did not answer within 1.0s"), "{error}");
}

#[test]
fn what_is_refused_is_lost_and_the_next_is_sent() {
    for (status, hint) in [
        ("400 Bad Request", ""),
        ("401 Unauthorized", "; is what authorizes it right?"),
        ("404 Not Found", "; is the path of the address right?"),
        ("500 Internal Server Error", ""),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::start(vec![Act::Answer(answer.leak()), OK]);
        let pusher = Pusher::start(settings()).unwrap();
        assert!(pusher.post(post(server.address(), "a")) && pusher.post(post(server.address(), "b")));
        let report = pusher.finish(LIMIT);
        assert_eq!((report.sent, report.lost, report.retried), (1, 1, 0), "{status}");
        let place = format!("http://{}", server.address());
        assert_eq!(report.error.unwrap(), format!("{place} answered {status}{hint}"));
    }
}

#[test]
fn redirects_are_not_followed() {
    let other = Server::start(vec![OK]);
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        other.address()
    );
    let (report, asked) = push(settings(), vec![Act::Answer(answer.leak())]);
    assert_eq!((report.lost, asked.len(), other.asked().len()), (1, 1, 0));
    let error = report.error.unwrap();
    assert!(
        error.ends_with(" answered 307 Temporary Redirect; give the address that it leads to"),
        "{error}"
    );
}

#[test]
fn the_head_tells_what_became_of_a_post_whatever_the_body_does() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let (report, asked) = push(settings(), vec![Act::Answer(answer)]);
        assert_eq!((report.sent, report.retried, asked.len()), (1, 0, 1), "{answer}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000));
    assert_eq!(push(settings(), vec![Act::Answer(long.leak())]).0.sent, 1);
}

#[test]
fn what_does_not_speak_http_is_named() {
    let (report, asked) = push(settings(), vec![Act::Answer("SSH-2.0-OpenSSH_9.2\r\n"), OK]);
    assert_eq!((report.sent, report.retried, asked.len()), (1, 1, 2));
    let error = report.error.unwrap();
    assert!(error.ends_with(" answered with something that is not HTTP/1.1"), "{error}");
}

#[test]
fn a_place_where_nobody_listens_is_tried_until_the_end() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let pusher = Pusher::start(settings()).unwrap();
    assert!(pusher.post(post(&address, "hello")));
    wait("third retry", || (pusher.report().retried >= 3).then_some(()));
    let report = pusher.report();
    assert_eq!((report.waiting, report.failing), (1, true));
    let report = pusher.finish(Duration::from_millis(50));
    check_sum(&report, 1);
    assert_eq!((report.sent, report.lost, report.waiting), (0, 1, 0));
    let error = report.error.unwrap();
    assert_eq!(error, format!("cannot reach http://{address}: Connection refused (os error 111)"));
}

#[test]
fn a_server_without_tls_is_no_https() {
    let server = Server::start(vec![Act::Answer("HTTP/1.1 400 Bad Request\r\n\r\n")]);
    let pusher = Pusher::start(settings()).unwrap();
    let to = Target::new(&format!("https://{}/secret", server.address())).unwrap();
    pusher.post(Post { to, headers: Vec::new(), body: Vec::new() });
    wait("error", || (pusher.report().error.is_some()).then_some(()));
    let error = pusher.report().error.unwrap();
    assert!(error.starts_with(&format!("https://{}: ", server.address())), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn the_end_does_not_wait_for_a_server_that_hangs() {
    let server = Server::start(vec![Act::Hang]);
    let pusher = Pusher::start(settings()).unwrap();
    for body in ["a", "b", "c"] {
        pusher.post(post(server.address(), body));
    }
    wait("request", || (!server.asked().is_empty()).then_some(()));
    let report = pusher.finish(Duration::from_millis(50));
    check_sum(&report, 3);
    assert_eq!((report.lost, report.waiting), (3, 0));
    assert_eq!(report.error.as_deref(), Some("there was no time left to send what waited"));
}

#[test]
fn the_end_does_not_wait_for_a_time_that_is_behind_it() {
    let busy = Act::Answer("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n");
    // LIMIT is long enough that a test that waited for it would be seen; a second request would be answered.
    let (report, asked) = push(settings(), vec![busy, OK]);
    assert_eq!((report.sent, report.lost, report.retried, asked.len()), (0, 1, 1, 1));
    assert!(report.error.unwrap().contains(" answered 503 Service Unavailable"));
}

#[test]
fn a_wait_of_our_own_is_cut_short_at_the_end() {
    let long = Duration::from_secs(250);
    let server = Server::start(vec![Act::Close, OK]);
    let pusher = Pusher::start(Settings { first_wait: long, longest_wait: long, ..settings() }).unwrap();
    pusher.post(post(server.address(), "hello"));
    wait("retry", || (pusher.report().retried > 0).then_some(()));
    assert_eq!(pusher.finish(LIMIT).sent, 1);
}

#[test]
fn the_queue_is_bounded_and_nobody_waits_for_room() {
    let check = |bounds: Settings, bodies: &[&str], room: &[bool], error: &str| {
        let (hold, held) = std::sync::mpsc::channel();
        let mut acts = vec![Act::Hold(held)];
        acts.extend((0..bodies.len()).map(|_| OK));
        let server = Server::start(acts);
        let pusher = Pusher::start(bounds).unwrap();
        let taken: Vec<bool> = bodies.iter().map(|body| pusher.post(post(server.address(), body))).collect();
        assert_eq!(taken, room);
        let sent = room.iter().filter(|room| **room).count();
        assert_eq!(pusher.report().waiting, sent);
        hold.send(()).unwrap();
        let report = pusher.finish(LIMIT);
        check_sum(&report, bodies.len() as u64);
        assert_eq!(report.sent, sent as u64);
        assert_eq!(report.error.as_deref(), Some(error));
    };
    let posts = Settings { queue_posts: 2, ..settings() };
    let error = "no room for 1 bytes more: 2 posts of 2 bytes wait";
    check(posts, &["a", "b", "c", "d"], &[true, true, false, false], error);
    let bytes = Settings { queue_bytes: 10, ..settings() };
    let error = "no room for 5 bytes more: 1 posts of 6 bytes wait";
    check(bytes, &["123456", "12345", "1234", ""], &[true, false, true, true], error);
}

#[test]
fn what_an_answer_says_may_be_looked_at() {
    let settings = || Settings {
        read: Some(|answer| {
            let text = String::from_utf8_lossy(answer.body).into_owned();
            (answer.content_type == "text/plain").then(|| format!("it says {text:?} with {}", answer.status))
        }),
        ..settings()
    };
    let taken = Act::Answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nsome");
    let (report, _) = push(settings(), vec![taken]);
    assert_eq!((report.sent, report.remarked), (1, 1));
    assert!(report.error.unwrap().ends_with(": it says \"some\" with 200"));
    let refused =
        Act::Answer("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno");
    let (report, _) = push(settings(), vec![refused]);
    assert!(report.error.unwrap().ends_with(" answered 400 Bad Request: it says \"no\" with 400"));
    let (report, _) = push(settings(), vec![OK]);
    assert_eq!((report.remarked, report.error), (0, None));
}

#[test]
fn a_pusher_that_is_dropped_leaves_what_waits() {
    let (hold, held) = std::sync::mpsc::channel();
    let server = Server::start(vec![Act::Hold(held), OK]);
    let pusher = Pusher::start(Settings { name: "dropped".into(), ..settings() }).unwrap();
    pusher.post(post(server.address(), "a"));
    wait("request", || (!server.asked().is_empty()).then_some(()));
    pusher.post(post(server.address(), "b"));
    drop(pusher);
    hold.send(()).unwrap();
    let runs = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "dropped\n")
    };
    wait("end of the thread", || {
        (!std::fs::read_dir("/proc/self/task").unwrap().flatten().any(runs)).then_some(())
    });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_lane_that_is_put_off_refused_or_hangs_holds_up_no_other() {
    let busy = Act::Answer("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n");
    let no = Act::Answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    for (act, told) in [(busy, " answered 503"), (no, " answered 404"), (Act::Hang, "there was no time left")]
    {
        let (bad, good) = (Server::start(vec![act]), Server::start(vec![OK, OK, OK]));
        let mut lanes = Lanes::start(&["metrics", "traces"], settings()).unwrap();
        assert!(lanes.post(0, post(bad.address(), "m")));
        wait("request", || (!bad.asked().is_empty()).then_some(()));
        for sent in 1..=3 {
            assert!(lanes.post(1, post(good.address(), "t")));
            wait("answer", || (lanes.report().sent == sent).then_some(()));
        }
        assert_eq!(bad.asked().len(), 1);
        lanes.finish(Duration::from_millis(50));
        let report = lanes.report();
        assert_eq!((report.sent, report.lost, report.waiting), (3, 1, 0));
        let trouble = lanes.trouble().unwrap();
        assert!(trouble.starts_with("metrics: ") && trouble.contains(told), "{trouble}");
    }
}

#[test]
fn what_fails_is_told_once_and_stays_so_while_others_work() {
    let no = "HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 0\r\n\r\n";
    let bad = Server::start(vec![Act::Answer(no), Act::Answer(no), OK]);
    let good = Server::start(vec![OK, OK]);
    let mut lanes = Lanes::start(&["times", "memory"], settings()).unwrap();
    let mut news = Vec::new();
    for posted in 1..=2 {
        lanes.post(1, post(bad.address(), "m"));
        lanes.post(0, post(good.address(), "t"));
        wait("answers", || {
            news.extend(lanes.news());
            let report = lanes.report();
            (report.waiting == 0 && report.lost == posted).then_some(())
        });
        assert!(lanes.report().failing);
    }
    news.extend(lanes.news());
    let why = format!("http://{} answered 422 Unprocessable Entity", bad.address());
    assert_eq!(news, [News::Fails("memory", why.clone())]);
    assert_eq!(lanes.trouble(), Some(format!("memory: {why}")));
    lanes.post(1, post(bad.address(), "m"));
    wait("answer", || (lanes.report().waiting == 0).then_some(()));
    assert_eq!(lanes.news(), [News::Works("memory")]);
    lanes.finish(LIMIT);
    assert_eq!((lanes.report().failing, lanes.news()), (false, Vec::new()));
}

#[test]
fn lanes_share_what_may_wait_and_end_at_the_same_time() {
    let (one, other) = (Server::start(vec![Act::Hang]), Server::start(vec![Act::Close, OK]));
    let long = Duration::from_secs(250);
    let bounds =
        Settings { queue_posts: 4, queue_bytes: 10, first_wait: long, longest_wait: long, ..settings() };
    let mut lanes = Lanes::start(&["a", "b"], bounds).unwrap();
    let taken = ["12345", "1", ""].map(|body| lanes.post(0, post(one.address(), body)));
    assert_eq!(taken, [true, false, true]);
    assert!(lanes.post(1, post(other.address(), "12345")));
    wait("retry", || (lanes.report().retried > 0).then_some(()));
    // The first takes all of it, and the second is tried again nevertheless.
    lanes.finish(Duration::from_secs(2));
    let report = lanes.report();
    assert_eq!((report.sent, report.lost, report.waiting), (1, 3, 0));
    assert!(!lanes.post(0, post(one.address(), "late")));
}

#[test]
fn of_several_headers_with_one_name_the_last_is_sent() {
    let server = Server::start(vec![OK]);
    let pusher = Pusher::start(settings()).unwrap();
    let mut twice = post(server.address(), "hello");
    twice.headers.push(Header::new("content-type", "text/markdown").unwrap());
    assert!(pusher.post(twice));
    assert_eq!(pusher.finish(LIMIT).sent, 1);
    let head = server.asked()[0].head.to_lowercase();
    let kinds: Vec<&str> = head.lines().filter(|line| line.starts_with("content-type")).collect();
    assert_eq!(kinds, ["content-type: text/markdown"]);
}
