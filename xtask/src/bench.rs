//! The benches: those of our crates, those in `comparison/` with peers beside us in one run, and a whole server.

mod hundred;

use anyhow::Result;
use clap::Args;

use crate::cargo::cargo;
use crate::metadata;
use crate::process;

#[derive(Args)]
pub struct Options {
    /// Only this bench; all of them otherwise.
    #[arg(long)]
    bench: Vec<String>,
    /// What criterion takes, behind `--`: a filter, `--quick`, ….
    #[arg(last = true)]
    criterion: Vec<String>,
}

/// Benches in `comparison/`.
const COMPARISON: &[&str] = &["pair", "ring", "pool", "fiber"];

/// Benches of our own crates: each names its floor or its peer itself.
const OWN: &[(&str, &str)] = &[
    ("tickscope", "pair"),
    ("tickscope-hooks", "calls"),
    ("tickscope-citizen", "crossings"),
    ("tickscope-citizen", "probe"),
    ("tickscope-export", "writers"),
    ("tickscope-plugin", "crossing"),
    ("tickscope-plugin", "ten"),
    ("tickscope-analysis", "samples_per_second"),
];

/// The bench of a whole server.
const HUNDRED: &str = "hundred";

/// The bench of real servers with Lua inside, recorded and not.
const SERVERS: &str = "servers";
const ROUNDS: usize = 5;

pub fn run(options: &Options) -> Result<()> {
    let wanted = |bench: &str| options.bench.is_empty() || options.bench.iter().any(|name| name == bench);
    for (package, bench) in OWN.iter().filter(|(_, bench)| wanted(bench)) {
        let mut command = cargo(["bench", "--package", package, "--bench", bench, "--"]);
        process::show(command.args(&options.criterion))?;
    }
    for bench in COMPARISON.iter().filter(|bench| wanted(bench)) {
        let mut command = cargo(["bench", "--locked", "--bench", bench, "--manifest-path"]);
        command.arg(metadata::root().join("comparison/Cargo.toml")).arg("--").args(&options.criterion);
        command.env("CARGO_TARGET_DIR", metadata::target_dir().join("comparison"));
        process::show(&mut command)?;
    }
    if wanted(HUNDRED) {
        hundred::run()?;
    }
    if wanted(SERVERS) {
        process::show(&mut cargo(["build", "--release", "--package", "tickscope-cli"]))?;
        crate::oracles::record::throughput(ROUNDS, &["boundary", "sample"])?;
    }
    Ok(())
}
