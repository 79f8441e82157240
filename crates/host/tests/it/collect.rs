//! `tickscope collect`: a server runs with the resource installed and posts over HTTP to the real command; its capture tells
//! what the embedded profiler's own capture of the same run does.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::deterministic::copy;

const TIME_LIMIT: Duration = Duration::from_secs(60);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// `tickscope collect`, which listens.
struct Collecting {
    child: Child,
    lines: Receiver<String>,
    said: String,
    address: String,
    capture: PathBuf,
}

impl Collecting {
    fn start(folder: &Path) -> Self {
        let token = folder.join("token");
        fs::write(&token, format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let capture = folder.join("live.perfetto-trace");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .args(["collect", "--listen", "127.0.0.1:0", "--token-file"])
            .arg(&token)
            .arg("-o")
            .arg(&capture)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let (sender, lines) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let _ = sender.send(line); // nobody waits for it any more
            }
        });
        let mut collecting = Self { child, lines, said: String::new(), address: String::new(), capture };
        let line = collecting.wait_for("takes posts at http://");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        collecting.address = address.expect("an address").to_owned();
        collecting
    }

    /// The next line that has `text` in it.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + TIME_LIMIT;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let Ok(line) = line else { panic!("{text:?} was not said: {}", self.said) };
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal and waits for the end; all that was said.
    #[track_caller]
    fn end(mut self, signal: &str) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let until = Instant::now() + TIME_LIMIT;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not end: {}", self.said);
            std::thread::sleep(Duration::from_millis(10));
        }
        while let Ok(line) = self.lines.recv_timeout(TIME_LIMIT) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        std::mem::take(&mut self.said)
    }

    /// The status and the text that a request gets.
    fn request(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer");
        (status, answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
    }

    fn post(&self, body: &str) -> (u16, String) {
        self.request(&format!("POST /posts HTTP/1.1\r\nAuthorization: Bearer {TOKEN}"), body)
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended, unless the test failed
        let _ = self.child.wait();
    }
}

#[track_caller]
fn report(capture: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["report", "--format", "json"])
        .arg(capture)
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A late tick of 360 ms, explained.
fn late_post(run: &str, number: u64) -> String {
    format!(
        "tickscope 1\nfrom {run} {number}\nclock 410000000 1764147600\nlate 100\nlost 0 1\nticks 812 0 50000000 360000000\n\
         flight 0 410000000\nof shops 0\nname 2 event shops:open @shops/server/main.lua:88\nslices\n52000000\n350000000\n\
         458754\n0\nlanded\nheap 5000000 shops\nover\n"
    )
}

/// A late tick, and who is to blame for how many of its milliseconds.
#[derive(Debug)]
struct Late {
    tick: u64,
    ms: f64,
    culprits: Vec<(String, f64)>,
}

impl Late {
    /// The innermost of those who took more than half of the tick. Others are late where the machine is slow, and then a
    /// caller may have a part of its own in what its callee is blamed for.
    fn clearly(&self) -> Option<&(String, f64)> {
        let most = self.culprits.iter().filter(|(_, ms)| *ms > 200.0 && *ms > self.ms / 2.0);
        most.min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// What a report says of late ticks.
fn blamed(report: &Value) -> Vec<Late> {
    let late = report["late_ticks"].as_array().expect("a list");
    let who = |cause: &Value| {
        let name = format!("{} {} {}:{}", cause["resource"], cause["function"], cause["file"], cause["line"]);
        (name, cause["total_ms"].as_f64().unwrap())
    };
    let one = |tick: &Value| {
        let causes = tick["causes"].as_array().expect("a list").iter();
        let culprits =
            causes.filter(|cause| cause["culprit"] == true && cause["resource"].is_string()).map(who);
        Late {
            tick: tick["tick"].as_u64().unwrap(),
            ms: tick["ms"].as_f64().unwrap(),
            culprits: culprits.collect(),
        }
    };
    late.iter().map(one).collect()
}

/// Each fault comes at least once in the first 192 of them; what is late in the last is not posted any more.
const TICKS: u64 = 280;
const ALL: u64 = 192;

#[test]
fn the_city_is_explained_as_the_embedded_profiler_explains_it() {
    let folder = TempDir::new().unwrap();
    let city = folder.path().join("city");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/city"), &city);
    let mut resources = Vec::new();
    for group in fs::read_dir(&city).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let names =
            fs::read_dir(group).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        resources.extend(names);
    }
    let installed = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("install")
        .arg(&city)
        .args(&resources)
        .output()
        .expect("the command runs");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));

    let mut collecting = Collecting::start(folder.path());
    let own = folder.path().join("own.perfetto-trace");
    let mut run = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    run.arg("run").arg(&city).args(["--virtual-time", "--real-nanotime", "--tick-limit", "0"]);
    run.args(["--ticks", &TICKS.to_string(), "--depth", "boundary", "--format", "json", "-o"]).arg(&own);
    run.arg("--set").arg(format!("tickscope_collector=http://{}", collecting.address));
    run.arg("--set").arg(format!("tickscope_token={TOKEN}")).stdin(Stdio::null());
    let alone = crate::city::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = run.output().unwrap();
    drop(alone);
    let console = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{console}");
    collecting.wait_for("posts come from 127.0.0.1");
    let capture = collecting.capture.clone();
    let summary = collecting.end("-INT");
    assert!(summary.contains("slices in "), "{summary}");

    let (own, live) = (blamed(&report(&own)), blamed(&report(&capture)));
    let told = format!("{live:#?}\n{own:#?}\n{summary}\n{console}");
    let mut seen = Vec::new();
    for (tick, name, ms) in
        live.iter().filter_map(|late| late.clearly().map(|(name, ms)| (late.tick, name, ms)))
    {
        let close = |other: &(String, f64)| other.0 == *name && (other.1 - ms).abs() < 0.3 * other.1 + 20.0;
        // a tick of the resource's is from its wake to the next: the rest of one and the start of another
        let there = own.iter().any(|own| own.tick.abs_diff(tick) <= 3 && own.culprits.iter().any(close));
        assert!(there, "tick {tick}: the embedded profiler does not blame {name} for {ms} ms: {told}");
        seen.push(name);
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() >= 3, "{told}");
    for late in own.iter().filter(|late| late.tick <= ALL) {
        let Some((name, _)) = late.clearly() else { continue };
        assert!(seen.contains(&name), "tick {}: {name} is not blamed in the live capture: {told}", late.tick);
    }
}

#[test]
fn who_may_post_what() {
    let folder = TempDir::new().unwrap();
    let collecting = Collecting::start(folder.path());
    let post = late_post("a1", 1);
    let strangers =
        ["", "\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdee", "\r\nAuthorization: Basic x"];
    for header in strangers {
        let (status, _) = collecting.request(&format!("POST /posts HTTP/1.1{header}"), &post);
        assert_eq!(status, 401, "{header}");
    }
    let known = format!("HTTP/1.1\r\nAuthorization: Bearer {TOKEN}");
    assert_eq!(collecting.request(&format!("POST /else {known}"), &post).0, 404);
    assert_eq!(collecting.request(&format!("GET /posts {known}"), "").0, 405);
    assert_eq!(collecting.post(&"x".repeat((1 << 20) + 1)).0, 413);
    let (status, text) = collecting.post("tickscope 1\nnonsense\n");
    assert_eq!((status, text.as_str()), (400, "line 2: \"nonsense\"; expected `from RUN NUMBER`"));
    assert_eq!(collecting.post(post.strip_suffix("over\n").unwrap()).0, 400, "it is cut");
    assert_eq!(collecting.post(&post), (200, "Taken.".into()));
    assert_eq!(collecting.post(&post).0, 200, "again: its answer may have been lost");
    let again = "tickscope 1\nfrom b2 1\nclock 100000000 1764147700\nlate 100\nticks 1 0 100000000\nover\n";
    assert_eq!(collecting.post(again).0, 200, "the server started again");
    assert_eq!(collecting.post(&late_post("a1", 2)).0, 409, "another server");
    let hurried =
        (0..200).map(|_| collecting.request("POST /posts HTTP/1.1", "").0).filter(|status| *status == 429);
    assert!(hurried.count() > 100);
    let capture = collecting.capture.clone();
    let said = collecting.end("-INT");
    for part in [
        "3 ticks, 1 of them late, 360 ms at most; 1 slices in 2 posts",
        "  1 posts that came twice or too late\n",
        "  3 posts that could not be read or were of another run\n",
        "requests without the token\n",
        "requests that came too fast\n",
        "  3 requests that were no posts, or too large\n",
        "posts come from 127.0.0.1, which started again\n",
        "was refused: line 2: \"nonsense\"",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let report = report(&capture);
    assert_eq!(
        (&report["ticks"], &report["late"], &report["truncated"]),
        (&3.into(), &1.into(), &false.into())
    );
    let shops =
        report["resources"].as_array().unwrap().iter().find(|row| row["resource"] == "shops").unwrap();
    assert_eq!(shops["heap_bytes"], 5_000_000);
}

#[test]
fn a_collector_that_is_killed_leaves_what_came() {
    let folder = TempDir::new().unwrap();
    let collecting = Collecting::start(folder.path());
    assert_eq!(collecting.post(&late_post("a1", 1)).0, 200);
    let capture = collecting.capture.clone();
    let until = Instant::now() + TIME_LIMIT;
    while report(&capture)["late"] != 1 {
        assert!(Instant::now() < until, "a second later it is on disk");
    }
    collecting.end("-KILL");
    assert_eq!(blamed(&report(&capture))[0].culprits[0].0, "\"shops\" \"shops:open\" \"server/main.lua\":88");
}

#[track_caller]
fn check_fails(arguments: &[&str], folder: &Path, says: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("collect")
        .args(arguments)
        .args(["--for", "1s"])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(says), "{arguments:?}: {says:?} is not in {said}");
}

#[test]
fn tokens_are_kept_and_made() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    fs::write(root.join("short"), "abc").unwrap();
    check_fails(
        &["--token-file", "short"],
        root,
        "short is no token: the token has 3 characters, expected 16 to 1024",
    );
    check_fails(&["--token-file", "no/where"], root, "cannot write a token to no/where");
    check_fails(&["--token-file", "made", "-o", "no/where"], root, "cannot write the capture no/where");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_fails(
        &["--token-file", "made", "--listen", &address],
        root,
        "choose another address with --listen",
    );
    let run = |file: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .args(["collect", "--listen", "127.0.0.1:0", "--for", "10ms", "--token-file", file])
            .current_dir(root)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let made = fs::metadata(root.join("made")).unwrap();
    assert_eq!((made.len(), made.permissions().mode() & 0o777), (49, 0o600));
    let said = run("made");
    assert!(
        !said.contains("chmod") && said.contains("nothing was posted: is `set tickscope_collector`"),
        "{said}"
    );
    fs::set_permissions(root.join("made"), PermissionsExt::from_mode(0o644)).unwrap();
    assert!(run("made").contains("chmod 600 made"));
    assert_eq!(report(&root.join("live.perfetto-trace"))["ticks"], 0);
}
