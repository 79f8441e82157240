//! The benches in `comparison/`: peers beside us in one run.

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

pub fn run(options: &Options) -> Result<()> {
    let mut command = cargo(["bench", "--manifest-path"]);
    command.arg(metadata::root().join("comparison/Cargo.toml"));
    command.env("CARGO_TARGET_DIR", metadata::target_dir().join("comparison"));
    if options.bench.is_empty() {
        command.arg("--benches");
    }
    for bench in &options.bench {
        command.args(["--bench", bench]);
    }
    command.arg("--").args(&options.criterion);
    process::show(&mut command)
}
