//! `tickscope watch` on a server that answers as FXServer does, and logs that grow, are cut and make place for others.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::record::installed;
use crate::terminal::drawn;

/// Answers each request with what `answer` makes of its head and its number.
fn server(answer: impl Fn(&str, u64) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let asked = Arc::new(AtomicU64::new(0));
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).unwrap() > 2 {}
            let answer = answer(&head, asked.fetch_add(1, Ordering::Relaxed));
            // Who asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// 20 ticks a second of 4 ms each.
fn perf(seconds: u64) -> String {
    let (count, sum) = (1_000 + seconds * 20, 4.0 + seconds as f64 * 0.08);
    format!(
        "# TYPE tickTime histogram\ntickTime_count{{name=\"svMain\"}} {count}\ntickTime_sum{{name=\"svMain\"}} {sum}\n\
         tickTime_bucket{{name=\"svMain\",le=\"0.005\"}} {count}\ntickTime_bucket{{name=\"svMain\",le=\"+Inf\"}} {count}\n"
    )
}

struct Watching {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
        command.arg("watch").args(args).args(["--format", "json", "--every", "1s"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next document of that kind.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let line = self.lines.next().expect("it goes on").unwrap();
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["kind"] == kind {
                return value;
            }
        }
    }

    /// Ends it as Ctrl-C does: the summary, and what it said beside.
    fn end(mut self) -> (Value, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let summary = self.next("summary");
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(self.child.wait().unwrap().success(), "{errors}");
        (summary, errors)
    }
}

fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn hitch(ms: u64) -> String {
    format!("[           citizen] server thread hitch warning: timer interval of {ms} milliseconds")
}

#[test]
fn a_server_and_its_log_are_lined_up() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("server.log");
    append(&log, &hitch(999)); // before watching began
    let url = server(|_, asked| http("200 OK", &perf(asked)));
    let log_arg = log.to_str().unwrap();
    let mut watching = Watching::start(&["--server", &url, "--log", log_arg, "--metrics", "127.0.0.1:0"]);
    watching.next("ticks");
    append(
        &log,
        "\u{1b}[33m[      script:oxmysql] [WARNING] bank took 396.620105ms to execute a query!\u{1b}[0m",
    );
    append(&log, &hitch(412));
    assert_eq!(watching.next("slow_query")["resource"], "bank");
    assert_eq!(watching.next("hitch")["ms"], 412);
    // Cut, as by a panel that empties it; then moved away, as by logrotate.
    fs::write(&log, "").unwrap();
    append(&log, &hitch(200));
    assert_eq!(watching.next("hitch")["ms"], 200);
    fs::rename(&log, dir.path().join("server.log.1")).unwrap();
    append(&log, "[     script:shop] SCRIPT ERROR: @shop/server.lua:12: no");
    assert_eq!(watching.next("script_error")["resource"], "shop");
    watching.next("ticks");
    let (summary, errors) = watching.end();
    assert_eq!(summary["hitches"][0]["count"], 2);
    assert_eq!(summary["hitches"][0]["max_ms"], 412);
    let near: Vec<&Value> = summary["near"].as_array().unwrap().iter().map(|near| &near["what"]).collect();
    assert!(near.contains(&&Value::from("a slow query of bank")), "{near:?}");
    assert_eq!(summary["errors"]["shop"], 1);
    let ticks = &summary["threads"]["svMain"];
    assert!(ticks["count"].as_u64().unwrap() >= 20 && ticks["count"].as_u64().unwrap() % 20 == 0, "{ticks}");
    assert!((ticks["mean_s"].as_f64().unwrap() - 0.004).abs() < 1e-6, "{ticks}");
    assert!(errors.contains("is another file now"), "{errors}");
}

#[test]
fn counts_are_served_for_prometheus() {
    let mut watching = Watching::start(&["--log", "-", "--metrics", "127.0.0.1:0"]);
    let mut errors = BufReader::new(watching.child.stderr.take().unwrap());
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    let address = said.trim().rsplit("http://").next().unwrap().split('/').next().unwrap().to_owned();
    let stdin = watching.child.stdin.as_mut().unwrap();
    writeln!(stdin, "{}\n[ script:a\"b] SCRIPT ERROR: @a\"b/x.lua:1: no", hitch(1_500)).unwrap();
    watching.next("script_error");
    let scrape = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // One that says nothing does not stop the next.
    drop(TcpStream::connect(&address).unwrap());
    let answer = scrape("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "fxserver_hitches_total{thread=\"server\"} 1",
        "fxserver_hitch_seconds_total{thread=\"server\"} 1.5",
        "fxserver_script_errors_total{resource=\"a\\\"b\"} 1",
        "fxserver_hung_total 0",
    ] {
        assert!(answer.lines().any(|found| found == line), "{line} is not in {answer}");
    }
    drop(watching.child.stdin.take());
    assert_eq!(watching.next("summary")["hitches"][0]["count"], 1, "the end of standard input ends it");
    assert!(watching.child.wait().unwrap().success());
}

#[test]
fn a_server_that_answers_badly_is_told_of_once_and_what_to_do() {
    for (status, body, says) in [
        ("200 OK", "<!DOCTYPE html><html></html>", "a web page"),
        ("401 Unauthorized", "", "--password-file"),
        ("404 Not Found", "", "is this an FXServer"),
        ("429 Too Many Requests", "", "--every"),
        ("200 OK", "up 1\n", "not the /perf/ of an FXServer"),
    ] {
        let url =
            server(move |_, asked| if asked < 2 { http(status, body) } else { http("200 OK", &perf(asked)) });
        let mut watching = Watching::start(&["--server", &url]);
        watching.next("ticks");
        let (_, errors) = watching.end();
        assert_eq!(errors.matches(says).count(), 1, "{errors}");
        assert!(errors.contains("answers again"), "{errors}");
    }
}

#[test]
fn name_and_password_are_sent_and_nothing_to_watch_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "open sesame\n").unwrap();
    let url = server(|head, asked| {
        // Of "admin:open sesame".
        let known = head.to_ascii_lowercase().contains("authorization: basic ")
            && head.contains("YWRtaW46b3BlbiBzZXNhbWU=");
        if known { http("200 OK", &perf(asked)) } else { http("401 Unauthorized", "") }
    });
    let mut watching = Watching::start(&[
        "--server",
        &url,
        "--user",
        "admin",
        "--password-file",
        password.to_str().unwrap(),
    ]);
    watching.next("ticks");
    watching.end();
    for (args, says) in [
        (&[][..], "nothing to watch"),
        (&["--server", "127.0.0.1:30120"], "has no scheme"),
        (&["--log", "/no/such/log"], "cannot read the log /no/such/log"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope")).arg("watch").args(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(says), "{errors}");
    }
}

#[test]
fn a_terminal_shows_what_is_known_until_q() {
    if !installed("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("server.log");
    append(&log, &hitch(412));
    append(&log, "[      script:oxmysql] [WARNING] bank took 396.620105ms to execute a query!");
    let url = server(|_, asked| http("200 OK", &perf(asked)));
    let words = ["watch", "--server", &url, "--every", "1s", "--from-start", "--log", log.to_str().unwrap()];
    let drawn = drawn(&[("svMain", "q")], &words);
    // the last page is there when the screen is left
    let (_, left) = drawn.rsplit_once("\x1b[?1049l").unwrap();
    assert!(left.contains("1 hitches of the server thread: median 412 ms"), "{left}");
}

/// A tick of 400 ms, and what FXServer and oxmysql would say of it.
const HITCHES: &str = "CreateThread(function()
    Wait(1000)
    local to = os.nanotime() + 400000000
    while os.nanotime() < to do end
    Wait(0)
    print('server thread hitch warning: timer interval of 400 milliseconds')
    print('bank took 390.5ms to execute a query!')
end)";

#[test]
fn a_capture_and_the_log_are_on_one_time_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(path("server/shop")).unwrap();
    fs::write(path("server/shop/fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'").unwrap();
    fs::write(path("server/shop/main.lua"), HITCHES).unwrap();
    let (log, seen, capture) = (path("server.log"), path("watch.jsonl"), path("live.perfetto-trace"));
    fs::write(&log, "").unwrap();
    // one tick of each second takes more than 50 ms
    let url = server(|_, asked| {
        let count = 100 + asked * 20;
        let body = format!(
            "tickTime_count{{name=\"svMain\"}} {count}\ntickTime_sum{{name=\"svMain\"}} 0.5\n\
             tickTime_bucket{{name=\"svMain\",le=\"0.05\"}} {}\ntickTime_bucket{{name=\"svMain\",le=\"+Inf\"}} {count}\n",
            count - asked
        );
        http("200 OK", &body)
    });
    let mut watch = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["watch", "--server", &url, "--every", "1s", "--format", "json", "--from-start", "--log", &log])
        .stdout(fs::File::create(&seen).unwrap())
        .spawn()
        .unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args([
            "run",
            &path("server"),
            "--ticks",
            "60",
            "--depth",
            "boundary",
            "--format",
            "json",
            "-o",
            &capture,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .status()
        .unwrap();
    assert!(run.success(), "{}", fs::read_to_string(&log).unwrap());
    let until = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(&seen).unwrap().contains("slow_query") {
        assert!(Instant::now() < until, "{}", fs::read_to_string(&seen).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap().success());
    assert!(watch.wait().unwrap().success());

    let report = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
        let output = command.args(["report", &capture, "--with"]).args(more).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (_, json, errors) = report(&[&seen, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{errors}"));
    let moments = json["timeline"].as_array().unwrap();
    let find = |what: &str| {
        let found = moments.iter().find(|moment| moment["what"].as_str().unwrap().contains(what));
        found.unwrap_or_else(|| panic!("no {what} in {moments:#?}"))
    };
    // On a machine that is busy with other work the verdict is that, and rightly.
    let late = moments.iter().find(|moment| moment["source"] == "capture").unwrap();
    let verdict = late["what"].as_str().unwrap();
    assert!(
        ["shop: thread @shop/main.lua:1", "the machine's"].iter().any(|of| verdict.contains(of)),
        "{late}"
    );
    let hitch = find("hitch of the server thread, 400 ms");
    assert_eq!((&hitch["tick"], &hitch["source"]), (&late["tick"], &Value::from("log")), "{moments:#?}");
    assert!(find("slow query of bank, 390 ms")["tick"].is_u64(), "{moments:#?}");
    assert_eq!(find("1 of 20 ticks above 50 ms")["source"], "perf");
    let times: Vec<f64> = moments.iter().map(|moment| moment["at"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && late["at"].as_f64() <= hitch["at"].as_f64(), "{moments:#?}");

    let (_, text, _) = report(&[&seen]);
    let line = format!("log: hitch of the server thread, 400 ms (near tick {})", late["tick"]);
    assert!(text.contains("On one time line (UTC)\n") && text.contains(&line), "{text}");
    // cut while it was written, and something else
    fs::write(&seen, format!("{}{{\"at\":17", fs::read_to_string(&seen).unwrap())).unwrap();
    assert!(report(&[&seen]).0);
    let (fine, _, errors) = report(&[&log]);
    assert!(!fine && errors.contains("line 1 is none of `tickscope watch --format json`"), "{errors}");
}
