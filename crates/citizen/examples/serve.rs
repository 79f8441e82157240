//! Runs a server directory for some ticks, without recording: `cargo run --example serve -- DIRECTORY [TICKS]`.

use std::path::PathBuf;
use std::time::Duration;

use tickscope_citizen::{NoRecorder, Server, ServerConfig, StdConsole};
use tickscope_core::Depth;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let root = arguments.next().map(PathBuf::from).ok_or("usage: serve DIRECTORY [TICKS] [SEED]")?;
    let number =
        |text: Option<std::ffi::OsString>| text.and_then(|text| text.into_string().ok()?.parse().ok());
    let ticks: u64 = number(arguments.next()).unwrap_or(200);

    let mut config = ServerConfig::new(root);
    config.virtual_time = true;
    config.seed = number(arguments.next()).unwrap_or(0);
    config.tick_limit = Some(Duration::from_secs(10));
    config.depth = Depth::Boundary; // nothing is recorded, so nothing need be sampled
    let budget = config.tick_interval;
    let mut server = Server::start(config, NoRecorder::default(), StdConsole)?;
    for _ in 0..ticks {
        let tick = server.tick();
        if tick.took > budget {
            println!("tick {}: {} ms, {} slices", tick.number, tick.took.as_millis(), tick.slices);
        }
    }
    let outcome = server.stop();
    println!(
        "{} ticks, {} resources, {} slices, {} client events, {} errors",
        outcome.ticks, outcome.resources, outcome.slices, outcome.client_events, outcome.error_count
    );
    Ok(())
}
