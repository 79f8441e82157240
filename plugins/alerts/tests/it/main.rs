//! The plugin as hosts load it, and those it tells.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mail;
mod plugin;
mod services;

use std::time::Duration;

use serde_json::Value;
use tickscope_core::{RecordingSink, Sink};
use tickscope_plugin::Health;
use tickscope_trial::{Server, Trial, wait};

/// Seconds of the tests are those from 18:04:05 UTC on.
const START_UNIX_S: u64 = 1_795_716_245;

fn trial() -> Trial {
    // Some channels of the tests lead nowhere, and take all the time there is.
    Trial::new("tickscope-alerts").within(Duration::from_secs(5))
}

/// A server, and nothing that happened.
fn city() -> Server {
    let mut server = Server::new();
    server.metadata.subject = "/srv/city".into();
    server.metadata.start_unix_ns = START_UNIX_S * 1_000_000_000;
    server
}

/// What the plugin said, and how it was at the end.
struct Played {
    said: Vec<String>,
    health: Health,
}

fn play(server: &Server, options: &Value) -> Played {
    play_until(server, options, |_| true)
}

/// Ends the recording once `ready`, which is given what was said, has come true: at the end there is not much time.
#[track_caller]
fn play_until(server: &Server, options: &Value, ready: impl Fn(&[String]) -> bool) -> Played {
    let mut made = RecordingSink::default();
    server.play(&mut made).unwrap();
    play_made(&made, options, ready)
}

#[track_caller]
fn play_made(made: &RecordingSink, options: &Value, ready: impl Fn(&[String]) -> bool) -> Played {
    let trial = trial();
    let mut sink = trial.direct(&options.to_string());
    sink.open(&made.metadata).unwrap();
    sink.batch(&made.as_batch()).unwrap();
    let said = || -> Vec<String> {
        trial.said().iter().map(|line| line.strip_prefix("alerts: ").unwrap().to_owned()).collect()
    };
    wait("notice", || {
        sink.flush().unwrap();
        ready(&said()).then_some(())
    });
    sink.finish().unwrap();
    Played { said: said(), health: sink.health.unwrap() }
}

/// 5 s of ticks of 20 ms, 3 s of 75 ms, 15 s of 20 ms, four in each.
fn hitch() -> Server {
    let mut server = city();
    let pay = server.symbol("bank", "pay");
    server.ticks(20, 250, 20, pay);
    server.ticks(12, 250, 75, pay);
    server.ticks(60, 250, 20, pay);
    server
}
