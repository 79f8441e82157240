//! Perfetto's trace processor over our captures, and its figures against ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lua::DEPTHS;
use super::{captures, engine, install};
use crate::process;
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    if install::trace_processor().is_none() || process::find("node").is_none() {
        tally.skip("perfetto", "the trace processor or node is not installed");
        return Ok(());
    }
    for depth in DEPTHS {
        let capture = captures::capture(depth);
        ensure!(capture.is_file(), "there is no {}; run the stage `captures`", capture.display());
        tally.judge(&format!("perfetto: {depth} is sound"), engine::sound(&capture));
        let chrome = captures::converted(depth, "chrome.json");
        tally.judge(&format!("perfetto: {depth} as Chrome JSON is sound"), engine::sound(&chrome));
        tally.judge(&format!("perfetto: {depth}: spans by category are ours"), spans(depth));
    }
    Ok(())
}

/// Count and total nanoseconds.
type Sum = (u64, u64);

/// Spans and their time by category and name, by SQL and from our JSON lines.
fn spans(depth: &str) -> Result<()> {
    let theirs = by_sql(depth)?;
    let ours = by_lines(depth)?;
    ensure!(!ours.is_empty(), "the JSON lines have no span");
    for (key, our) in &ours {
        let their = theirs.get(key).copied().unwrap_or_default();
        ensure!(*our == their, "{key:?}: we say {our:?} (count, ns), the trace processor {their:?}");
    }
    for key in theirs.keys() {
        ensure!(ours.contains_key(key), "{key:?} is in the trace processor's table only");
    }
    Ok(())
}

fn by_sql(depth: &str) -> Result<BTreeMap<(String, String), Sum>> {
    let query = "select category, name, count(*), sum(dur) from slice \
                 where category is not null and category != 'coroutine' group by category, name";
    let answers = engine::ask(&captures::capture(depth), &[query])?;
    answers[0]
        .iter()
        .map(|row| {
            let text = |at: usize| row[at].as_str().map(str::to_owned).context("a column that is no text");
            let number = |at: usize| row[at].as_u64().context("a column that is no number");
            Ok(((text(0)?, text(1)?), (number(2)?, number(3)?)))
        })
        .collect()
}

fn by_lines(depth: &str) -> Result<BTreeMap<(String, String), Sum>> {
    let path = captures::converted(depth, "jsonl");
    let file = File::open(&path).with_context(|| format!("there is no {}", path.display()))?;
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line: Value = serde_json::from_str(&line?)
            .with_context(|| format!("{}:{}: not JSON", path.display(), number + 1))?;
        if let Some((category, name, dur)) = span_of(&line) {
            let sum = sums.entry((category, name)).or_default();
            *sum = (sum.0 + 1, sum.1 + dur);
        }
    }
    Ok(sums)
}

/// Category, name and length of the span or instant that a line holds.
fn span_of(line: &Value) -> Option<(String, String, u64)> {
    let text = |key: &str| line[key].as_str().map(str::to_owned);
    let dur = match line["type"].as_str()? {
        "span" => line["dur_ns"].as_u64()?,
        "instant" => 0,
        _ => return None,
    };
    Some((text("category")?, text("name")?, dur))
}
