//! `tickscope record --io`: what scripts wait for.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::native::events;
use crate::record::{conserved, installed, record, report, same};

const ASKS: &str = r#"
local socket = require "socket"
local connection = assert(socket.connect("127.0.0.1", tonumber(arg[1])))
local function ask(what)
  connection:send(what .. "\n")
  return connection:receive("*l")
end
for i = 1, 20 do assert(ask("at once") == "at once") end
print((ask("slowly")))
"#;

/// Answers each line with itself; late when it says so.
fn peer() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { break };
                if line == "slowly" {
                    std::thread::sleep(Duration::from_millis(300));
                }
                if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn a_slow_peer_is_named() {
    let has_socket = || {
        Command::new("lua5.4")
            .args(["-e", "require 'socket'"])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    if !installed("lua5.4") || !has_socket() {
        println!("skipped: lua-socket is not installed");
        return;
    }
    let port = peer();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("asks.lua"), ASKS).unwrap();
    let words = ["lua5.4", "asks.lua", &port.to_string()];
    let plain = Command::new("lua5.4").args(&words[1..]).current_dir(folder.path()).output().unwrap();
    let output = record(folder.path(), &["--io", "--depth", "trace"], &words).output().unwrap();
    same(&output, &plain);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "slowly\n");
    let capture = folder.path().join("run.perfetto-trace");
    let report = report(&capture);
    conserved(&report, 0);

    // The report: the most waiting was for that peer.
    let most = report["symbols"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|symbol| symbol["kind"] == "io")
        .max_by_key(|symbol| symbol["self_ms"].as_f64().unwrap() as u64)
        .unwrap();
    assert!(most["function"].as_str().unwrap().ends_with(&format!(" 127.0.0.1:{port}")), "{most}");
    assert!(most["self_ms"].as_f64().unwrap() >= 299.0, "{most}");

    // The longest wait stands inside of the function that waited.
    let events = events(&capture);
    let ends = events.iter().filter(|event| event["type"] == "end" && event["name"] == most["function"]);
    let long = ends.max_by_key(|end| end["duration_ns"].as_u64()).unwrap();
    let mut chain = Vec::new();
    let mut at = long["span"].clone();
    while let Some(begin) = events.iter().find(|event| event["type"] == "begin" && event["span"] == at) {
        chain.push(begin["name"].as_str().unwrap().to_owned());
        at = begin["parent"].clone();
        if at == Value::Null {
            break;
        }
    }
    assert!(chain.iter().any(|name| name == "ask"), "{chain:?}");
}

#[test]
fn bytes_files_and_failures_are_told() {
    if !installed("python3") {
        return;
    }
    // Spans of the program are enough: no Lua is needed. A pipe that is read late, and a file that is flushed.
    const PROGRAM: &str = r#"
import ctypes, os, sys, threading, time
library = ctypes.CDLL(None)
library.tickscope_name.restype = library.tickscope_begin.restype = ctypes.c_uint64
span = library.tickscope_begin(ctypes.c_uint64(library.tickscope_name(b"request")))
out, into = os.pipe()
threading.Timer(0.05, lambda: os.write(into, b"12345")).start()
assert os.read(out, 100) == b"12345"
with open("data", "wb") as file:
    file.write(b"x" * 3000000)
    file.flush()
    os.fsync(file.fileno())
library.tickscope_end(ctypes.c_uint64(span))
"#;
    let folder = tempfile::tempdir().unwrap();
    let output = record(folder.path(), &["--io"], &["python3", "-c", PROGRAM]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&folder.path().join("run.perfetto-trace"));
    let of = |name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["type"] == "begin" && event["name"] == name).collect()
    };
    assert_eq!(of("read pipe")[0]["args"]["bytes"], 5);
    assert!(of("read pipe")[0]["category"] == "io");
    assert!(
        events.iter().any(|event| event["name"] == "write" && event["args"]["bytes"] == 3_000_000),
        "{events:?}"
    );
}

#[test]
fn handlers_of_signals_may_write() {
    if !installed("cc") {
        return;
    }
    const PROGRAM: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "tickscope.h"
static int ends[2];
static volatile sig_atomic_t came;
static void handler(int signal) { (void)signal; came++; if (write(ends[1], "x", 1)) {} }
int main(void) {
    char bytes[4096];
    long total = 0;
    if (pipe(ends)) return 1;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &often, NULL);
    const TickscopeName *name = tickscope_name("work");
    while (total < 2000) {
        uint64_t span = tickscope_begin(name);
        for (int i = 0; i < 100; i++) tickscope_end(tickscope_begin(name));
        total += read(ends[0], bytes, 1);
        tickscope_end(span);
    }
    printf("%ld\n", total);
    return 0;
}
"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.c"), PROGRAM).unwrap();
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/include");
    let built = Command::new("cc")
        .args(["-O1", "-D_GNU_SOURCE", "-I", include, "-o", "a", "a.c"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let output = record(folder.path(), &["--io"], &["./a"]).output().unwrap();
    assert_eq!((String::from_utf8_lossy(&output.stdout).as_ref(), output.status.code()), ("2000\n", Some(0)));
    let report = report(&folder.path().join("run.perfetto-trace"));
    assert!(report["symbols"].as_array().unwrap().iter().any(|symbol| symbol["function"] == "work"));
}
