//! The fuzz targets, some seconds each, on the compiler at hand.
//!
//! `fuzz/` has the layout of cargo-fuzz, which may be used instead; here the same switches are given to cargo directly,
//! so that nothing has to be installed. What a run finds stays in `fuzz/artifacts/`, what it learned in `fuzz/corpus/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::cargo;
use crate::metadata;
use crate::process;
use crate::tally::Tally;

#[derive(Args)]
pub struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Targets by name; all of them otherwise.
    targets: Vec<String>,
}

pub fn run(options: &Options, tally: &mut Tally) -> Result<()> {
    let folder = metadata::root().join("fuzz");
    let mut targets: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets")).context("cannot list the fuzz targets")? {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    targets.sort();
    for wanted in &options.targets {
        ensure!(targets.contains(wanted), "no fuzz target {wanted}; there are: {}", targets.join(", "));
    }
    let host = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        tally.skip("fuzz", format_args!("the switches are known for {host} only"));
        return Ok(());
    }
    for target in &targets {
        if options.targets.is_empty() || options.targets.contains(target) {
            let result = fuzz(&folder, target, host, options.seconds);
            tally.judge(&format!("fuzz {target}, {} s", options.seconds), result);
        }
    }
    Ok(())
}

fn fuzz(folder: &Path, target: &str, host: &str, seconds: u64) -> Result<()> {
    let out = metadata::target_dir().join("fuzz");
    let mut build =
        cargo(["build", "--release", "--locked", "--target", host, "--bin", target, "--manifest-path"]);
    build
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &out)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS.join(" "));
    process::show(&mut build)?;
    let (corpus, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut run = Command::new(out.join(host).join("release").join(target));
    run.arg(&corpus);
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        run.arg(seeds);
    }
    run.arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    let output = process::output(&mut run)?;
    let text = String::from_utf8_lossy(&output.stderr);
    for line in text.lines().filter(|line| line.starts_with("stat::") || line.contains("DONE")) {
        println!("{line}");
    }
    let tail: Vec<&str> = text.lines().rev().take(30).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    ensure!(output.status.success(), "{target} found something\n{}", tail.join("\n"));
    Ok(())
}

/// What cargo-fuzz gives the compiler: coverage counters and comparisons for libFuzzer, the address sanitizer, and
/// overflow and debug assertions in an optimised build.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
    "-Cunsafe-allow-abi-mismatch=sanitizer",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "--cfg=fuzzing",
];
