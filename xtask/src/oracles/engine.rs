//! Questions to Perfetto's trace processor.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{install, runner};
use crate::process;

/// What the trace processor must find in nothing that we write. Each answers with no row when all is well.
pub const SOUND: &[(&str, &str)] = &[
    (
        "error and data_loss statistics",
        "select name, severity, value from stats where value > 0 and severity in ('error', 'data_loss')",
    ),
    ("slices without a name", "select id, ts, dur from slice where name is null or name = '' limit 5"),
    ("slices that never end", "select id, name, ts, dur from slice where dur < 0 limit 5"),
    (
        "slices that end after their parent",
        "select child.name, parent.name, child.ts, child.dur from slice child join slice parent \
         on child.parent_id = parent.id where child.ts + child.dur > parent.ts + parent.dur limit 5",
    ),
];

/// The rows of an answer.
pub type Rows = Vec<Vec<Value>>;

/// Asks every query of one trace; one list of rows for each.
pub fn ask(trace: &Path, queries: &[&str]) -> Result<Vec<Rows>> {
    let engine = install::trace_processor().context("the trace processor is not installed")?;
    let mut command = process::limited("node", Duration::from_secs(600));
    command.arg(runner("trace-processor.mjs")).arg(engine).arg(trace);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    let mut stdin = child.stdin.take().context("node has no standard input")?;
    stdin.write_all(serde_json::to_string(queries)?.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the trace processor ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).context("cannot read the answers")?;
    ensure!(answers.len() == queries.len(), "{} answers to {} queries", answers.len(), queries.len());
    answers.iter().zip(queries).map(|(answer, query)| rows(answer, query)).collect()
}

/// Checks that a trace is sound.
pub fn sound(trace: &Path) -> Result<()> {
    let queries: Vec<&str> = SOUND.iter().map(|(_, query)| *query).collect();
    for ((what, _), rows) in SOUND.iter().zip(ask(trace, &queries)?) {
        ensure!(
            rows.is_empty(),
            "{}: {what}: {}",
            trace.display(),
            Value::from_iter(rows.into_iter().map(Value::from))
        );
    }
    Ok(())
}

fn rows(answer: &Value, query: &str) -> Result<Rows> {
    if let Some(error) = answer["error"].as_str() {
        bail!("`{query}`: {error}");
    }
    let rows = answer["rows"].as_array().context("an answer without rows")?;
    rows.iter().map(|row| Ok(row.as_array().context("a row that is no list")?.clone())).collect()
}
