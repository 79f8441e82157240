//! Captures of the city at every depth, by the release build, and their conversions: what the other oracles look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lua::{DEPTHS, conserved};
use super::{folder, tickscope};
use crate::metadata;
use crate::process;
use crate::tally::Tally;

/// Formats and the endings of their files.
const FORMATS: &[(&str, &str)] = &[
    ("jsonl", "jsonl"),
    ("chrome", "chrome.json"),
    ("speedscope", "speedscope.json"),
    ("folded", "folded"),
    ("svg", "svg"),
    ("csv", "csv"),
    ("pprof", "pb.gz"),
];

/// The capture of that depth.
pub fn capture(depth: &str) -> PathBuf {
    folder().join("city").join(format!("{depth}.perfetto-trace"))
}

/// A conversion of it.
pub fn converted(depth: &str, ending: &str) -> PathBuf {
    capture(depth).with_extension(ending)
}

/// The report that the run itself printed.
pub fn report(depth: &str) -> Result<Value> {
    let path = capture(depth).with_extension("report.json");
    let text = fs::read(&path).with_context(|| format!("there is no {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

pub fn run(tally: &mut Tally) -> Result<()> {
    let city = metadata::root().join("examples/city");
    ensure!(tickscope().is_file(), "there is no release build; run `cargo xtask test --only release`");
    ensure!(city.is_dir(), "there is no examples/city");
    fs::create_dir_all(folder().join("city"))?;
    for depth in DEPTHS {
        tally.judge(&format!("city at depth {depth}: every event accounted for"), record(&city, depth));
        tally.judge(&format!("city at depth {depth}: the capture's report is the run's"), same_report(depth));
        for (format, ending) in FORMATS {
            let result = convert(&capture(depth), format, &converted(depth, ending));
            tally.judge(&format!("city at depth {depth}: converts to {format}"), result);
        }
        let name = format!("city at depth {depth}: go tool pprof finds the time of the folded stacks");
        match process::find("go") {
            None => tally.skip(&name, "Debian's golang-go is not installed"),
            Some(_) => tally.judge(&name, pprof(depth)),
        }
    }
    Ok(())
}

/// The tool's total is that of the folded stacks.
fn pprof(depth: &str) -> Result<()> {
    let folded = fs::read_to_string(converted(depth, "folded"))?;
    let times = folded.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    let total = format!("{}ns total", times.sum::<u64>());
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-unit=ns", "-top"]);
    command.arg(converted(depth, "pb.gz")).env("GOCACHE", folder().join("go"));
    let output = process::capture(&mut command)?;
    let top = String::from_utf8_lossy(&output.stdout);
    ensure!(top.contains(&total), "no {total:?} in {top}");
    ensure!(top.contains(" @"), "no function of a resource in {top}");
    Ok(())
}

/// A traced tick of the city is a quarter of a million calls: a few of them fill a file that pages can still open.
fn ticks(depth: &str) -> u64 {
    if depth == "trace" { 12 } else { 200 }
}

fn record(city: &Path, depth: &str) -> Result<()> {
    let capture = capture(depth);
    let mut command = process::limited(tickscope(), Duration::from_secs(600));
    command.arg("run").arg(city);
    let ticks = ticks(depth);
    command.args(["--ticks", &ticks.to_string(), "--virtual-time", "--seed", "1", "--format", "json"]);
    command.args(["--depth", depth]);
    command.arg("-o").arg(&capture);
    let output = process::capture(&mut command)?;
    fs::write(capture.with_extension("report.json"), &output.stdout)?;
    let report = report(depth)?;
    ensure!(report["ticks"] == ticks, "{} ticks instead of {ticks}", report["ticks"]);
    conserved(&report)?;
    // Tracing every call of a server that never sleeps can outrun a collector that shares two cores with it.
    let dropped = &report["dropped"];
    ensure!(depth == "trace" || *dropped == 0, "{dropped} events were dropped");
    Ok(())
}

/// A report read back from the capture is the run's own, byte for byte but for where the capture lies.
fn same_report(depth: &str) -> Result<()> {
    // The copy has another path, so a report that merely remembers the run's cannot pass.
    let copy = capture(depth).with_extension("copy.perfetto-trace");
    fs::copy(capture(depth), &copy)?;
    let mut command = process::limited(tickscope(), Duration::from_secs(300));
    command.args(["report", "--format", "json"]).arg(&copy);
    let again = String::from_utf8(process::capture(&mut command)?.stdout)?;
    let live = fs::read_to_string(capture(depth).with_extension("report.json"))?;
    let (live, again) = (without_path(&live), without_path(&again));
    if live != again {
        let place = live.bytes().zip(again.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| {
            let bytes = &text.as_bytes()[place.saturating_sub(60)..(place + 60).min(text.len())];
            String::from_utf8_lossy(bytes).into_owned()
        };
        anyhow::bail!(
            "they part at byte {place}: live `…{}…`, read back `…{}…`",
            around(&live),
            around(&again)
        );
    }
    fs::remove_file(&copy)?;
    Ok(())
}

/// The text with the values of `"capture"` taken out, a string or a list of them.
fn without_path(report: &str) -> String {
    let Some((before, after)) = report.split_once("\"capture\":") else { return report.to_owned() };
    let value = after.trim_start();
    let close = if value.starts_with('[') { ']' } else { '"' };
    let rest = value.char_indices().skip(1).find(|(_, c)| *c == close).map_or("", |(at, _)| &value[at + 1..]);
    format!("{before}{rest}")
}

fn convert(capture: &Path, format: &str, target: &Path) -> Result<()> {
    let mut command = process::limited(tickscope(), Duration::from_secs(300));
    command.arg("convert").arg(capture).args(["--to", format, "-o"]).arg(target);
    process::capture(&mut command)?;
    ensure!(fs::metadata(target)?.len() > 0, "{} is empty", target.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_is_taken_out() {
        assert_eq!(without_path("{\"a\": 1, \"capture\": \"x/y\", \"b\": 2}"), "{\"a\": 1, , \"b\": 2}");
        assert_eq!(without_path("{\"capture\": [\"x\", \"y\"], \"b\": 2}"), "{, \"b\": 2}");
        assert_eq!(without_path("{}"), "{}");
    }
}
