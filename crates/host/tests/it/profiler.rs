//! `Profiler` of scripts, through the command.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A server of one resource.
fn server(script: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let resource = folder.path().join("resources/shop");
    std::fs::create_dir_all(&resource).expect("a writable folder");
    std::fs::write(
        resource.join("fxmanifest.lua"),
        "fx_version 'cerulean' game 'gta5' server_script 'main.lua'",
    )
    .expect("a writable folder");
    std::fs::write(resource.join("main.lua"), script).expect("a writable folder");
    folder
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(folder)
        .args(["--virtual-time", "--seed", "7", "--tick-limit", "20s"])
        .args(args)
        .arg("-o")
        .arg(folder.join("run.perfetto-trace"))
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn an_anomaly_stands_in_the_report_of_the_run_and_of_its_capture() {
    let server = server(
        "CreateThread(function()
           Wait(100)
           Profiler.ReportAnomaly('slow_query', { ms = 812, table = 'users' })
         end)",
    );
    let live = run(server.path(), &["--ticks", "5", "--format", "json", "--budget", "1us"]);
    let live: Value = serde_json::from_slice(&live.stdout).expect("JSON");
    let expected = serde_json::json!([{
        "tick": 3, "kind": "slow_query", "resource": "shop", "file": "main.lua", "line": 3,
        "details": "ms=812, table=users",
    }]);
    assert_eq!(live["anomalies"], expected);
    let report = |format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .arg("report")
            .arg(server.path().join("run.perfetto-trace"))
            .args(["--format", format])
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let read: Value = serde_json::from_str(&report("json")).expect("JSON");
    assert_eq!(read["anomalies"], expected);
    // no tick is as short as its budget, so that each is late
    let text = report("text");
    let said = "tick 3, shop: anomaly slow_query main.lua:3  ms=812, table=users";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("reported in it: anomaly slow_query main.lua:3 of shop"), "{text}");
}
