//! Those it is for: `promtool`, and a Prometheus that scrapes it and answers what the dashboard asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use serde_json::Value;
use tickscope_core::Sink;

use crate::{LIMIT, Served, ask, wait};

/// A program of Debian's package `prometheus`: in the path, or where `cargo xtask test --install` unpacks it.
fn program(name: &str) -> Option<PathBuf> {
    let unpacked = concat!(env!("CARGO_TARGET_TMPDIR"), "/../oracles/debian/prometheus/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([unpacked.into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: {name} is not installed: `cargo xtask test --install`, or Debian's prometheus");
    }
    found
}

/// Ends the process with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = program("promtool") else { return };
    let served = Served::start("127.0.0.1:0");
    let (_, text) = served.scrape("");
    let check = |text: &str| {
        let mut command = Command::new(&promtool);
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Ended(command.spawn().unwrap());
        // It reads all before it says anything.
        child.0.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let status = wait("answer of promtool", || child.0.try_wait().unwrap());
        let mut said = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    };
    assert_eq!(check(&text), (Some(0), String::new()), "{text}");
    // It would have said something.
    assert_eq!(check(&text.replace("running_seconds", "running_ms")).0, Some(3));
}

#[test]
fn a_prometheus_scrapes_it_and_answers_what_the_dashboard_asks() {
    let Some(prometheus) = program("prometheus") else { return };
    let mut served = Served::start("127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let scrapes = format!(
        "scrape_configs:\n  - job_name: tickscope\n    scrape_interval: 500ms\n    scrape_timeout: 500ms\n    \
         static_configs:\n      - targets: [{:?}]\n",
        served.address
    );
    std::fs::write(&config, scrapes).unwrap();
    let mut command = Command::new(prometheus);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg("--web.listen-address=127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Ended(command.spawn().unwrap());
    let (send, lines) = channel();
    let log = BufReader::new(server.0.stderr.take().unwrap());
    // Reads to the end, so that the server never waits for it.
    std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
    let address = loop {
        let line = lines.recv_timeout(LIMIT).expect("it says where it listens");
        if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
            break address.to_owned();
        }
    };
    let query = |query: &str| -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        // 1.0: no chunks.
        let request = format!("GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n");
        let (head, body) = ask(&address, &request);
        // It is not ready yet.
        if head.contains(" 503 ") {
            return Vec::new();
        }
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {body}");
        answer["data"]["result"].as_array().unwrap().clone()
    };
    let value = |text: &str| query(text).first().map(|found| found["value"][1].as_str().unwrap().to_owned());
    wait("scrape", || value("up").filter(|up| up == "1"));
    served.feed(2);
    // Two scrapes at least after it grew, so that there are rates.
    let samples = served.example.samples.len() * 2;
    let grown = format!("count_over_time((tickscope_samples_total == {samples})[1m:500ms])");
    wait("second scrape", || value(&grown).filter(|count| count.parse::<f64>().unwrap() >= 2.0));
    assert_eq!(value("tickscope_late_ticks_total").unwrap(), "2");
    assert_eq!(value(r#"tickscope_resource_errors_total{resource="odd;one"}"#).unwrap(), "2");
    // It asked for OpenMetrics, and took units from there.
    let request = "GET /api/v1/metadata?metric=tickscope_tick_duration_seconds HTTP/1.0\r\n\r\n";
    let metadata: Value = serde_json::from_str(&ask(&address, request).1).unwrap();
    let told = &metadata["data"]["tickscope_tick_duration_seconds"][0];
    assert_eq!((&told["type"], &told["unit"]), (&"histogram".into(), &"seconds".into()), "{metadata}");

    let dashboard: Value = serde_json::from_str(include_str!("../../dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let filled = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
            let found = query(&filled);
            // The example has no heap.
            let some = !found.is_empty() || expression.contains("heap_bytes");
            assert!(some, "{}: {filled} finds nothing", panel["title"]);
        }
    }
    served.sinks.finish().unwrap();
}
