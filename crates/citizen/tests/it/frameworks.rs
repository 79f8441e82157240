//! Small resources in the styles of the frameworks that real servers are made of: each uses the host the way that
//! framework does.

mod base;
mod esx;
mod natives;
mod ox_inventory;
mod ox_lib;
mod qb;
mod qbox;
mod vrp;

use tickscope_citizen::{NoRecorder, PlayerSpec, Server};

use crate::world::{Transcript, World};

/// A player with the identifiers that frameworks look for.
fn player(name: &str) -> PlayerSpec {
    PlayerSpec::new(name)
        .identifier(format!("license:{}", "a1".repeat(20)))
        .identifier(format!("license2:{}", "b2".repeat(20)))
        .identifier("discord:123456789012345678")
}

/// Runs the resources in `files`, does `play`, and looks at everything that was printed.
#[track_caller]
fn play(files: &[(&str, &str)], play: impl FnOnce(&mut Server<NoRecorder>), expected: &[&str]) {
    let transcript = Transcript::default();
    let mut server = World::new(files).start(&transcript).unwrap();
    play(&mut server);
    server.stop();
    assert_eq!(transcript.lines.take(), expected, "in {files:?}");
}

/// The names of the events that were sent to a player's client.
fn heard(server: &mut Server<NoRecorder>, source: u32) -> Vec<String> {
    server.take_client_events(source).into_iter().map(|event| event.name.to_string()).collect()
}

/// So many ticks.
fn ticks(server: &mut Server<NoRecorder>, count: u64) {
    for _ in 0..count {
        server.tick();
    }
}
