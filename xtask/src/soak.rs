//! The long runs, and the small dose of them that every merge gets.
//!
//! A crate takes part by a test target called `soak` that looks at `TICKSCOPE_SOAK` (`small` or `full`). Long virtual
//! servers and kills are run here, with the release build.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cargo::{cargo, run_tests};
use crate::features;
use crate::metadata;
use crate::oracles::tickscope;
use crate::process;
use crate::tally::Tally;
use crate::{dist, publish};

#[derive(Args)]
pub struct Options {
    /// How much.
    #[arg(long, value_enum, default_value = "full")]
    dose: Dose,
    /// Only these parts. [default: all; with the small dose crates and servers]
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The commit or tag that public functions are compared with. [default: each crate's last release]
    #[arg(long, value_name = "REV")]
    since: Option<String>,
}

impl Options {
    /// What `cargo xtask test` runs.
    pub fn small() -> Self {
        Self { dose: Dose::Small, only: Vec::new(), since: None }
    }

    fn wants(&self, part: Part) -> bool {
        let small = matches!(part, Part::Crates | Part::Servers);
        self.only.contains(&part) || self.only.is_empty() && (small || self.dose == Dose::Full)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The crates' own targets.
    Crates,
    /// Kills while programs are recorded, a thousand times attached and left.
    Kills,
    /// Long servers, kills of servers.
    Servers,
    /// Each crate with none of its features, the default ones, all.
    Features,
    /// A release built twice.
    Dist,
    /// Crates packaged.
    Packages,
    /// Public functions compared with those of the last release, or of `--since`.
    Semver,
    /// Licences, sources and doubles in the dependency tree.
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dose {
    /// Minutes.
    Small,
    /// Hours.
    Full,
}

pub fn run(options: &Options, tally: &mut Tally) -> Result<()> {
    let full = options.dose == Dose::Full;
    if options.wants(Part::Crates) {
        crates(full, tally)?;
    }
    if options.wants(Part::Kills) {
        // In `cargo xtask test` they are among the tests of the command, with fewer rounds.
        let mut command = cargo(["test", "--release", "--package", "tickscope-cli", "--test", "it", "--"]);
        command.args(["--nocapture", "kills::", "attach::"]).env("TICKSCOPE_SOAK", "full");
        run_tests("soak: kills, and a thousand times attached and left", &mut command, tally)?;
    }
    if options.wants(Part::Features) {
        features::run(tally)?;
    }
    if options.wants(Part::Deny) {
        publish::deny(tally)?;
    }
    if options.wants(Part::Semver) {
        publish::semver(options.since.as_deref(), tally)?;
    }
    if options.wants(Part::Packages) {
        publish::packages(tally)?;
    }
    if options.wants(Part::Dist) {
        dist::twice::run(tally);
    }
    if options.wants(Part::Servers) { servers(full, tally) } else { Ok(()) }
}

fn crates(full: bool, tally: &mut Tally) -> Result<()> {
    for package in metadata::members()? {
        if package.tests.iter().any(|test| test == "soak") {
            let mut command = cargo(["test", "--release", "--test", "soak", "--package", &package.name]);
            command.args(["--", "--nocapture"]).env("TICKSCOPE_SOAK", if full { "full" } else { "small" });
            run_tests(&format!("soak {}", package.name), &mut command, tally)?;
        }
    }
    Ok(())
}

fn servers(full: bool, tally: &mut Tally) -> Result<()> {
    ensure!(tickscope().is_file(), "there is no release build; run `cargo xtask test --only release`");
    let city = metadata::root().join("examples/city");
    let out = metadata::target_dir().join("soak");
    fs::create_dir_all(&out)?;
    let ticks = if full { 200_000 } else { 2_000 };
    tally.judge(&format!("soak: {ticks} virtual ticks in bounded memory"), long_server(&city, &out, ticks));
    // Its caches and heaps are warm after some twenty.
    let minutes = if full { 8 * 60 } else { 90 };
    tally.judge(
        &format!("soak: {minutes} minutes of a roleplay server with {PLAYERS} players, memory flat"),
        roleplay(&out, minutes),
    );
    for kill in 0..if full { 200 } else { 3 } {
        // Spread over the first seconds of a run, the start included.
        let after = Duration::from_millis(300 + (kill * 977) % 4000);
        tally.judge(&format!("soak: killed after {} ms, the capture opens", after.as_millis()), {
            killed(&city, &out, after)
        });
    }
    Ok(())
}

/// Players of the roleplay server.
const PLAYERS: u32 = 64;
/// How much the memory of the host may grow in the second half of a run.
const GROWTH_KB: u64 = 16 << 10;

/// Hours of a framework-sized server with people on it, its tables in the embedded database. Once caches are warm the
/// host's memory stays where it is: the median of the last quarter is compared with that of the second.
fn roleplay(out: &Path, minutes: u64) -> Result<()> {
    let server = out.join("roleplay");
    if server.exists() {
        fs::remove_dir_all(&server)?;
    }
    copy(&metadata::root().join("examples/roleplay"), &server)?;
    let errors = out.join("roleplay.txt");
    let ticks = minutes * 60 * 20;
    let mut command = Command::new(tickscope());
    command.arg("run").arg(&server).args(["--virtual-time", "--seed", "7", "--depth", "boundary"]);
    command.args(["--format", "json", "--players", &PLAYERS.to_string(), "--ticks", &ticks.to_string()]);
    // all of it would be tens of gigabytes
    command.args(["--on-hitch", "1s", "-o"]).arg(out.join("roleplay.perfetto-trace"));
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(fs::File::create(out.join("roleplay.json"))?)
        .stderr(fs::File::create(&errors)?)
        .spawn()
        .context("cannot start the release build")?;
    let status = format!("/proc/{}/status", child.id());
    let mut resident = Vec::new();
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let now = fs::read_to_string(&status).unwrap_or_default();
        let kb =
            now.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        resident.extend::<Option<u64>>(kb);
        std::thread::sleep(Duration::from_millis(100));
    };
    let took = started.elapsed();
    let said = fs::read_to_string(&errors)?;
    ensure!(ended.success(), "it ended with {ended}:\n{said}");
    ensure!(!said.contains("error:"), "a resource had an error:\n{said}");
    ensure!(resident.len() >= 16, "only {} looks at its memory", resident.len());
    let quarter = resident.len() / 4;
    let median = |quarters: usize| {
        let mut part = resident[quarters * quarter..(quarters + 1) * quarter].to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let (early, late) = (median(1), median(3));
    println!(
        "{ticks} ticks in {:.1} s ({:.0} a second); resident memory {early} kB, then {late} kB",
        took.as_secs_f64(),
        ticks as f64 / took.as_secs_f64(),
    );
    ensure!(
        late <= early + GROWTH_KB,
        "resident memory grew from {early} kB to {late} kB in half of {minutes} minutes"
    );
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// A long run with files rotated by size. Its memory must not grow with its length.
fn long_server(city: &Path, out: &Path, ticks: u64) -> Result<()> {
    let peak = |ticks: u64| -> Result<u64> {
        let folder = out.join("long");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let log = out.join("time.txt");
        let mut command = Command::new("/usr/bin/env");
        command.args(["bash", "-c", "\"$@\" & pid=$!; peak=0; while kill -0 $pid 2>/dev/null; do \
             now=$(awk '/^VmHWM/ {print $2}' /proc/$pid/status 2>/dev/null); peak=${now:-$peak}; sleep 0.1; done; \
             wait $pid; code=$?; echo \"$peak\" > \"$SOAK_LOG\"; exit $code", "sh"]);
        command.arg(tickscope()).arg("run").arg(city).args(["--virtual-time", "--format", "json", "--ticks"]);
        command
            .arg(ticks.to_string())
            .args(["--max-size", "64MiB", "-o"])
            .arg(folder.join("long.perfetto-trace"));
        command.env("SOAK_LOG", &log);
        let output = process::capture(&mut command)?;
        let report: Value = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
        ensure!(report["ticks"] == ticks, "{} ticks instead of {ticks}", report["ticks"]);
        fs::read_to_string(&log)?.trim().parse().context("no peak memory")
    };
    let (short, long) = (peak(ticks / 4)?, peak(ticks)?);
    println!("peak memory: {short} kB for {} ticks, {long} kB for {ticks}", ticks / 4);
    ensure!(long < short * 2, "peak memory grew from {short} kB to {long} kB with four times the ticks");
    Ok(())
}

/// `kill -9` in the middle of a run: what lies on the disk must open.
fn killed(city: &Path, out: &Path, after: Duration) -> Result<()> {
    let capture = out.join("killed.perfetto-trace");
    if capture.exists() {
        fs::remove_file(&capture)?;
    }
    let mut command = Command::new(tickscope());
    command.arg("run").arg(city).arg("-o").arg(&capture);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the release build")?;
    std::thread::sleep(after);
    child.kill()?;
    child.wait()?;
    if !capture.exists() {
        ensure!(after < Duration::from_secs(1), "there is no capture");
        return Ok(());
    }
    let mut command = process::limited(tickscope(), Duration::from_secs(120));
    command.args(["report", "--format", "json"]).arg(&capture);
    let output = process::capture(&mut command)?;
    let _: Value = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
    Ok(())
}
