//! Perfetto's trace processor over our captures, and its figures against ours.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lua::DEPTHS;
use super::{captures, engine, install};
use crate::cargo::cargo;
use crate::metadata;
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
    tally.judge("perfetto: the tasks of a pool, and what caused them", tasks());
    Ok(())
}

/// Who causes whom in the example `tasks` of the crate `tickscope`, its waits included.
const CAUSES: &[(&str, &str)] = &[
    ("tick", "tasks::restock"),
    ("tasks::restock", "tasks::price"),
    ("tick", "tasks::announce"),
    ("tasks::announce", "tasks::announce"),
    ("tick", "tasks::save"),
    ("tasks::save", "tasks::save"),
];

/// The capture of a pool's tasks is sound, and its arrows lead from the spans that spawned to the tasks.
fn tasks() -> Result<()> {
    let capture = metadata::target_dir().join("tasks.perfetto-trace");
    let example = ["run", "-q", "-p", "tickscope", "--features", "scheduler", "--example", "tasks", "--"];
    process::show(cargo(example).arg(&capture))?;
    engine::sound(&capture)?;
    // The points that arrows lead from are instants; what they lie in is the cause.
    let query = "select distinct cause.name, effect.name from flow \
                 join slice point on flow.slice_out = point.id join slice cause on point.parent_id = cause.id \
                 join slice effect on flow.slice_in = effect.id where effect.category = 'task'";
    let answers = engine::ask(&capture, &[query])?;
    for (cause, effect) in CAUSES {
        let found = answers[0].iter().any(|row| row[0] == *cause && row[1] == *effect);
        ensure!(found, "no arrow leads from {cause} to {effect}: {:?}", answers[0]);
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
    let mut lines = Lines::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line: Value = serde_json::from_str(&line?)
            .with_context(|| format!("{}:{}: not JSON", path.display(), number + 1))?;
        lines.take(&line).with_context(|| format!("{}:{}: {line}", path.display(), number + 1))?;
    }
    ensure!(lines.open.is_empty(), "{} spans of the JSON lines have no end", lines.open.len());
    Ok(lines.sums)
}

/// Begins and ends, matched by span id.
#[derive(Default)]
struct Lines {
    open: HashMap<String, (String, String)>,
    sums: BTreeMap<(String, String), Sum>,
}

impl Lines {
    fn take(&mut self, line: &Value) -> Result<()> {
        let text =
            |key: &str| line[key].as_str().map(str::to_owned).with_context(|| format!("no text `{key}`"));
        let number = |key: &str| {
            let value = &line[key];
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.with_context(|| format!("no number `{key}`"))
        };
        match line["type"].as_str().context("no `type`")? {
            "begin" => {
                self.open.insert(text("span")?, (text("category")?, text("name")?));
            }
            // The last line has this type too, and says how many samples there were.
            "end" if line["samples"].is_number() => {}
            "end" => {
                let key = self.open.remove(&text("span")?).context("the end of a span that did not begin")?;
                self.add(key, number("duration_ns")?);
            }
            "instant" => self.add((text("category")?, text("name")?), 0),
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, key: (String, String), dur: u64) {
        let sum = self.sums.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1 + dur);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_matched_by_span() {
        let mut lines = Lines::default();
        for text in [
            r#"{"type":"metadata","schema":1}"#,
            r#"{"type":"begin","span":"0x1","category":"event","name":"a"}"#,
            r#"{"type":"begin","span":"0x2","category":"native","name":"b"}"#,
            r#"{"type":"end","span":"0x2","duration_ns":5}"#,
            r#"{"type":"end","span":"0x1","duration_ns":"9"}"#,
            r#"{"type":"instant","category":"error","name":"e"}"#,
            r#"{"type":"end","samples":5}"#,
        ] {
            lines.take(&serde_json::from_str(text).unwrap()).unwrap();
        }
        let key = |category: &str, name: &str| (category.to_owned(), name.to_owned());
        assert_eq!(lines.sums[&key("event", "a")], (1, 9));
        assert_eq!(lines.sums[&key("native", "b")], (1, 5));
        assert_eq!(lines.sums[&key("error", "e")], (1, 0));
        assert!(lines.open.is_empty());
        assert!(lines.take(&serde_json::from_str(r#"{"type":"end","span":"0x7"}"#).unwrap()).is_err());
    }
}
