//! Late ticks as the report of a run explains them, and as the resource `tickscope` told them on the server's console.

use serde_json::Value;

/// What the server starts by itself.
const HANDLERS: [&str; 7] = ["thread", "timer", "event", "export", "command", "state_bag", "http"];

/// A tick that scripts made late, by a report.
#[derive(Clone, Debug)]
pub struct Late {
    pub ms: f64,
    /// The resource of the function that is to blame.
    pub culprit: String,
    /// The thread, handler or export it is in: `resource @resource/file.lua:12`.
    pub handler: String,
}

/// A late tick that the probe told.
#[derive(Debug)]
pub struct Told {
    pub ms: f64,
    /// As above, of the first that is named.
    pub handler: String,
}

pub fn reported(report: &str) -> Vec<Late> {
    let report: Value = serde_json::from_str(report).expect("a report");
    let ticks = report["late_ticks"].as_array().expect("a list of late ticks");
    let by_script = ticks.iter().filter(|tick| tick["blame"] == "script");
    by_script
        .map(|tick| {
            let causes = tick["causes"].as_array().expect("causes");
            let culprit = causes.iter().position(|cause| cause["culprit"] == true).expect("a culprit");
            let is_handler = |cause: &&Value| HANDLERS.contains(&cause["kind"].as_str().unwrap_or_default());
            let handler = causes[..=culprit].iter().rev().find(is_handler).expect("somebody started it");
            let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
            let resource = text(handler, "resource");
            Late {
                ms: tick["ms"].as_f64().expect("a time"),
                culprit: text(&causes[culprit], "resource"),
                handler: format!("{resource} @{resource}/{}:{}", text(handler, "file"), handler["line"]),
            }
        })
        .collect()
}

pub fn told(console: &str) -> Vec<Told> {
    let lines: Vec<&str> =
        console.lines().filter_map(|line| line.split_once("[tickscope] ")).map(|(_, said)| said).collect();
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(took) = line.strip_prefix("late tick, ") else { continue };
        let ms = took.split(' ').next().and_then(|ms| ms.parse().ok()).expect("how long it took");
        // `  shops  event shops:open @shops/server/main.lua:88  380 ms itself, 1 slice`
        let mut first = lines[at + 1].trim_start().split("  ");
        let (resource, name) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        all.push(Told { ms, handler: format!("{resource} {}", name.rsplit(' ').next().unwrap_or_default()) });
    }
    all
}

/// The late ticks of `seen` that nothing in `told` explains by the same handler, in the same order, with a time that
/// is about the same: the one counts from wake to wake, the other from begin to end.
pub fn unexplained(seen: &[Late], told: &[Told]) -> Vec<Late> {
    let mut rest = told.iter();
    seen.iter()
        .filter(|late| {
            let mut ahead = rest.clone();
            let found = ahead.any(|told| {
                told.handler == late.handler && told.ms > late.ms * 0.7 && told.ms < late.ms * 1.5 + 50.0
            });
            if found {
                rest = ahead;
            }
            !found
        })
        .cloned()
        .collect()
}
