//! What the resource posts, and that a server does the same whatever becomes of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Answers posts with bytes, one connection after the other, and keeps their bodies.
struct Answering {
    address: String,
    bodies: Arc<Mutex<Vec<String>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// `None` closes the connection.
type Answer = fn(usize) -> Option<&'static str>;

impl Answering {
    fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (bodies, stop) =
            (Arc::<Mutex<Vec<String>>>::default(), Arc::<std::sync::atomic::AtomicBool>::default());
        let (kept, stopped) = (bodies.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(std::sync::atomic::Ordering::Acquire) {
                    return;
                }
                let mut stream = stream.unwrap();
                let number = kept.lock().unwrap().len();
                let body = request(&mut stream);
                if let Some(answer) = answer(number) {
                    let _ = stream.write_all(answer.as_bytes()); // they may have gone
                }
                kept.lock().unwrap().push(body);
            }
        });
        Self { address, bodies, stop, thread: Some(thread) }
    }

    fn end(mut self) -> Vec<String> {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        drop(TcpStream::connect(self.address.trim_start_matches("http://")));
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.bodies.lock().unwrap())
    }
}

/// Reads a request; its body, when its head is that of a post.
fn request(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        head.push_str(&std::mem::take(&mut line));
    }
    let head = head.to_lowercase();
    assert!(head.starts_with("post /posts "), "{head}");
    assert!(head.contains("authorization: bearer 0123456789abcdef\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A probed server that posts there.
fn posting(files: &[(&str, &str)], address: &str) -> World {
    let mut world = probed(files);
    for (name, value) in [("collector", address), ("token", "0123456789abcdef")] {
        world.config.convars.push((format!("tickscope_{name}"), value.into()));
    }
    let cfg = world.folder.path().join("server.cfg");
    let text = fs::read_to_string(&cfg).unwrap();
    fs::write(cfg, text + "\ntickscope dump 5\n").unwrap();
    world
}

/// What the server says is the same with a collector that answers so, and how many posts that got.
#[track_caller]
fn check_answer(answer: Answer) -> usize {
    let files = [("server.cfg", "ensure nasty"), ("nasty/main.lua", NASTY)];
    let plain = World::new(&files).run(260);
    let answering = Answering::new(answer);
    let ran = posting(&files, &answering.address).run(260);
    assert_eq!(said(&ran), said(&plain));
    answering.end().len()
}

#[test]
fn a_server_is_the_same_whatever_the_collector_answers() {
    let gives: [(Answer, std::ops::RangeInclusive<usize>); 6] = [
        (|_| Some(TAKEN), 3..=4),
        // once, and again after half a minute
        (|_| Some("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"), 1..=1),
        (|_| Some("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"), 1..=4),
        // after 1, 2, 4, 8 seconds
        (|_| Some("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"), 3..=5),
        (|_| Some("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), 3..=5),
        (|_| None, 3..=12),
    ];
    for (at, (answer, expected)) in gives.into_iter().enumerate() {
        let posts = check_answer(answer);
        assert!(expected.contains(&posts), "answer {at}: {posts} posts, expected {expected:?}");
    }
}

#[test]
fn a_server_is_the_same_when_the_collector_is_slow_or_speaks_something_else() {
    check_answer(|_| {
        std::thread::sleep(Duration::from_millis(300)); // no wait for something: it is what is tested
        Some(TAKEN)
    });
    check_answer(|_| Some("* OK IMAP4rev1 ready\r\n"));
}

#[test]
fn who_is_away_gets_little_and_it_is_said_what_was_dropped() {
    // a port that was free a moment ago
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let files = [
        (
            "a/main.lua",
            "CreateThread(function() Wait(150000) ExecuteCommand('tickscope status') ExecuteCommand('tickscope dump') end)",
        ),
        ("server.cfg", "add_ace resource.a command.tickscope allow\nensure a"),
    ];
    let ran = posting(&files, &address).run(3_010);
    let status = ran.lines.iter().find(|line| line.contains("posts taken")).expect("the status is said");
    assert!(status.contains(&format!("{address}: 0 posts taken, 5 tried again; dropped: ")), "{status}");
    assert!(status.ends_with("; it is away"), "{status}");
    assert!(
        ran.lines.iter().any(|line| line.contains("takes no posts; try again when it does")),
        "{:?}",
        ran.lines
    );
    let told = ran.lines.iter().filter(|line| line.contains("takes no post: ")).count();
    assert_eq!(told, 1, "once, not each time: {:?}", ran.lines);
}

#[test]
fn a_collector_that_comes_back_gets_what_it_missed() {
    let answering = Answering::new(|number| {
        Some(if number < 3 { "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n" } else { TAKEN })
    });
    let files = [
        (
            "a/main.lua",
            "AddEventHandler('paid', function() end)
         CreateThread(function() while true do TriggerEvent('paid', 1) Wait(100) end end)
         CreateThread(function() Wait(12000) ExecuteCommand('tickscope dump 3') end)
         CreateThread(function() Wait(14000) ExecuteCommand('tickscope status') end)",
        ),
        ("server.cfg", "add_ace resource.a command.tickscope allow\nensure a"),
    ];
    let ran = posting(&files, &answering.address).run(300);
    let bodies = answering.end();
    let number = |body: &String| body.lines().nth(1).unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(bodies.iter().take(5).map(number).collect::<Vec<_>>(), ["1", "1", "1", "1", "2"]);
    let status = ran.lines.iter().find(|line| line.contains("posts taken")).expect("the status is said");
    assert!(status.contains(", 3 tried again; dropped: 0 posts, 0 late ticks"), "{status}");
    let flight = bodies.iter().rfind(|body| body.contains("\nflight ")).unwrap();
    for part in
        ["\nof a 0\n", " event paid @a/main.lua:1\n", " thread @a/main.lua:2\n", "\nlanded\n", "\nticks "]
    {
        assert!(flight.contains(part), "{part:?} is not in {flight}");
    }
    let round = bodies.iter().find(|body| body.contains("\nperiod ")).unwrap();
    assert!(round.contains("\nheap ") && round.ends_with("\nover\n"), "{round}");
    for body in &bodies {
        assert!(body.starts_with("tickscope 1\nfrom ") && body.is_ascii(), "{body}");
    }
}

#[test]
fn without_a_collector_nothing_is_posted_and_it_is_said() {
    let mut world = probed(&[
        ("server.cfg", "ensure a\ntickscope status\ntickscope dump"),
        ("a/main.lua", "print('runs')"),
    ]);
    let ran = world.run(150);
    assert!(
        ran.lines.iter().any(|line| line.contains("nothing is posted: tickscope_collector is not set")),
        "{:?}",
        ran.lines
    );
    assert!(
        ran.lines.iter().any(|line| line.contains("set tickscope_collector and tickscope_token")),
        "{:?}",
        ran.lines
    );
    world = probed(&[("server.cfg", "ensure a"), ("a/main.lua", "print('runs')")]);
    world.config.convars.push(("tickscope_collector".into(), "http://127.0.0.1:1/".into()));
    let ran = world.run(150);
    let said = ran.lines.iter().filter(|line| line.contains("tickscope_token is not set")).count();
    assert_eq!(said, 1, "{:?}", ran.lines);
}

#[test]
fn one_resource_can_be_left_out() {
    let ran = probed(&[
        ("server.cfg", "add_ace resource.a command.tickscope allow\nensure a\nensure b"),
        (
            "a/main.lua",
            "CreateThread(function()
                 Wait(0)
                 ExecuteCommand('tickscope depth off b')
                 ExecuteCommand('tickscope depth')
                 ExecuteCommand('tickscope depth boundary b')
                 ExecuteCommand('tickscope depth')
             end)",
        ),
        ("b/main.lua", ""),
    ])
    .run(10);
    let said: Vec<_> =
        ran.lines.iter().filter_map(|line| line.strip_prefix("tickscope: tickscope: ")).collect();
    assert_eq!(said, ["b is disarmed", "a: boundary", "b: off", "b is armed", "a: boundary", "b: boundary"]);
}
