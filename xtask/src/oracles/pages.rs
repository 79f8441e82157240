//! Pages in headless Chromium: Speedscope's own over our profile, and our flame graph.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lua::DEPTHS;
use super::{captures, folder, install, runner};
use crate::process;
use crate::tally::Tally;

/// What is missing for pages, in words.
fn missing() -> Option<&'static str> {
    if process::find("chromium").is_none() {
        return Some("chromium is not installed");
    }
    process::find("node").is_none().then_some("node is not installed")
}

pub fn speedscope(tally: &mut Tally) -> Result<()> {
    let absent = missing().or(install::speedscope().is_none().then_some("speedscope is not installed"));
    if let Some(why) = absent {
        tally.skip("speedscope", why);
        return Ok(());
    }
    for depth in DEPTHS {
        for ending in ["speedscope.json", "chrome.json", "folded"] {
            let result = speedscope_opens(depth, ending);
            tally.judge(&format!("speedscope shows {depth}.{ending}"), result);
        }
    }
    Ok(())
}

fn speedscope_opens(depth: &str, ending: &str) -> Result<()> {
    let release = install::speedscope().context("speedscope is not installed")?;
    let profile = captures::converted(depth, ending);
    ensure!(profile.is_file(), "there is no {}; run the stage `captures`", profile.display());
    let answer = page("speedscope.mjs", &[release, profile], &format!("speedscope-{depth}-{ending}"))?;
    let errors = answer["errors"].as_array().context("no `errors`")?;
    ensure!(errors.is_empty(), "the page complains: {}", answer["errors"]);
    let shown = answer["shown"].as_str().context("no `shown`")?;
    ensure!(answer["rows"].as_u64().is_some_and(|rows| rows > 3), "no table is shown, but: {shown}");
    ensure!(!shown.contains("(unnamed)") && !shown.contains("undefined"), "a row has no name: {shown}");
    // What the page shows of a long table is its heaviest part.
    let known = known_names(depth)?;
    let named = shown.lines().filter(|line| known.iter().any(|name| line.contains(name.as_str()))).count();
    ensure!(named >= 3, "{named} rows name a function of the report: {shown}");
    Ok(())
}

/// Names of the functions in the run's report.
fn known_names(depth: &str) -> Result<BTreeSet<String>> {
    let report = captures::report(depth)?;
    let symbols = report["symbols"].as_array().context("the report has no `symbols`")?;
    let names = symbols.iter().filter_map(|symbol| symbol["function"].as_str());
    Ok(names.filter(|name| name.len() > 3).map(str::to_owned).collect())
}

pub fn flame_graph(tally: &mut Tally) -> Result<()> {
    if let Some(why) = missing() {
        tally.skip("flame graph", why);
        return Ok(());
    }
    for depth in DEPTHS {
        tally.judge(&format!("flame graph of {depth}: zoom and search"), flame_graph_works(depth));
    }
    Ok(())
}

fn flame_graph_works(depth: &str) -> Result<()> {
    let svg = captures::converted(depth, "svg");
    ensure!(svg.is_file(), "there is no {}; run the stage `captures`", svg.display());
    let answer = page("flame-graph.mjs", &[svg], &format!("flame-graph-{depth}"))?;
    ensure!(
        answer["errors"].as_array().is_some_and(Vec::is_empty),
        "the page complains: {}",
        answer["errors"]
    );
    let number = |key: &str| answer[key].as_f64().with_context(|| format!("no number `{key}` in {answer}"));
    ensure!(number("frames")? >= 3.0, "{} frames only", answer["frames"]);
    ensure!(
        number("zoomedWidth")? > number("widthBefore")?,
        "a click does not widen the frame: {} to {}",
        answer["widthBefore"],
        answer["zoomedWidth"]
    );
    ensure!(number("widthAfter")? == number("widthBefore")?, "zooming out does not restore the frame");
    ensure!(number("matched")? >= 1.0, "a search for `{}` marks nothing", answer["term"]);
    ensure!(
        number("matchedAbsent")? == 0.0,
        "a search for what is not there marks {}",
        answer["matchedAbsent"]
    );
    ensure!(answer["tooltip"].as_str().is_some_and(|text| !text.is_empty()), "no tooltip");
    Ok(())
}

/// Runs a runner of ours; its last argument is where screenshots go, its answer is JSON.
fn page(name: &str, arguments: &[PathBuf], shot: &str) -> Result<Value> {
    let shots = folder().join("screenshots");
    fs::create_dir_all(&shots)?;
    let mut command = process::limited("node", Duration::from_secs(180));
    command.arg(runner(name)).args(arguments).arg(shots.join(format!("{shot}.png")));
    let output = process::capture(&mut command)?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name} did not answer with JSON"))
}
