//! What is seen, in words or as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tickscope_watch::log::Said;
use tickscope_watch::perf::Histogram;
use tickscope_watch::{Hitches, Summary};

use super::screen::Screen;
use crate::cli::FormatArg;
use crate::present::style::Style;
use crate::present::tell;

/// A tick of FXServer's main loop that takes longer is late.
const TICK_S: f64 = 0.05;
/// Kinds of lines that are told of.
const NEAR: usize = 8;

pub(super) struct Show {
    json: bool,
    style: Style,
    /// On a terminal.
    screen: Option<Screen>,
    /// Ticks of the server's thread when they were looked at last.
    last: Option<Histogram>,
}

impl Show {
    pub(super) fn new(format: FormatArg) -> Self {
        let json = format == FormatArg::Json;
        let screen = if !json && io::stdout().is_terminal() { Screen::new() } else { None };
        let style = if screen.is_some() { Style::default() } else { Style::stdout() };
        Self { json, style, screen, last: None }
    }

    /// Something to tell about watching itself.
    pub(super) fn note(&mut self, text: String) {
        match &mut self.screen {
            Some(screen) => screen.say(text),
            None => tell!("tickscope: {text}"),
        }
    }

    /// Draws what is known by now, where that is shown all the time.
    pub(super) fn draw(&mut self, at: f64, summary: &Summary, asked: bool) -> Result<()> {
        let page = page(summary, asked, self.style, at);
        self.screen.as_mut().map_or(Ok(()), |screen| screen.draw(&page))
    }

    /// Whether it is shown all the time.
    pub(super) fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    /// Whether somebody left the screen.
    pub(super) fn is_left(&self) -> Result<bool> {
        self.screen.as_ref().map_or(Ok(false), Screen::is_left)
    }

    /// Gives the terminal back: what comes now is printed.
    pub(super) fn close(&mut self) {
        self.screen = None;
        self.style = Style::stdout();
    }

    fn put(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
    }

    fn json(&self, at: f64, kind: &str, mut value: Value) -> Result<()> {
        value["at"] = json!((at * 1e3).round() / 1e3);
        value["kind"] = json!(kind);
        self.put(&value.to_string())
    }

    /// What a line of the log said.
    pub(super) fn said(&mut self, at: f64, said: &Said<'_>) -> Result<()> {
        if self.json {
            let (kind, value) = match said {
                Said::Hitch { thread, ms } => ("hitch", json!({ "thread": thread, "ms": ms })),
                Said::Hung { thread, seconds } => ("hung", json!({ "thread": thread, "seconds": seconds })),
                Said::ScriptError { resource, message } => {
                    ("script_error", json!({ "resource": resource, "message": message }))
                }
                Said::Started(resource) => ("started", json!({ "resource": resource })),
                Said::Stopping(resource) => ("stopping", json!({ "resource": resource })),
                Said::SlowQuery { resource, ms } => ("slow_query", json!({ "resource": resource, "ms": ms })),
                _ => return Ok(()),
            };
            return self.json(at, kind, value);
        }
        let style = self.style;
        let text = match said {
            Said::Hitch { thread, ms } => format!("{} of the {thread} thread: {ms} ms", style.red("hitch")),
            Said::Hung { thread, seconds } => format!("{}: {thread}, for {seconds} s", style.red("hung")),
            Said::ScriptError { resource, message } => format!("script error of {resource}: {message}"),
            Said::Started(resource) => format!("started {resource}"),
            Said::Stopping(resource) => format!("stopping {resource}"),
            Said::SlowQuery { resource, ms } => format!("slow query of {resource}: {ms:.0} ms"),
            _ => return Ok(()),
        };
        let line = format!("{} {text}", style.dim(clock(at)));
        match &mut self.screen {
            Some(screen) => screen.say(line),
            None => self.put(&line)?,
        }
        Ok(())
    }

    /// What `/perf/` answered: for programs, each time. People see the sum at the end.
    pub(super) fn ticks(&mut self, at: f64, threads: &BTreeMap<String, Histogram>) -> Result<()> {
        if let Some(screen) = &mut self.screen
            && let Some(ticks) = threads.get("svMain")
            && let Some(last) = self.last.replace(ticks.clone())
        {
            screen.ticks(ticks.since(&last).mean());
        }
        if !self.json {
            return Ok(());
        }
        let threads: serde_json::Map<String, Value> =
            threads.iter().map(|(name, ticks)| (name.clone(), told(ticks))).collect();
        self.json(at, "ticks", json!({ "threads": threads }))
    }

    pub(super) fn summary(&self, at: f64, summary: &Summary, asked: bool) -> Result<()> {
        if self.json {
            let hitches: Vec<Value> = summary.hitches.iter().map(hitches).collect();
            let threads: serde_json::Map<String, Value> =
                summary.threads.iter().map(|thread| (thread.name.clone(), told(&thread.ticks))).collect();
            let near: Vec<Value> = summary
                .near
                .iter()
                .map(|near| json!({ "what": near.what, "hitches": near.hitches, "lines": near.lines }))
                .collect();
            let restarts: Vec<Value> = summary
                .restarts
                .iter()
                .map(|of| json!({ "resource": of.resource, "mean_before_s": of.before, "mean_after_s": of.after }))
                .collect();
            let errors: serde_json::Map<String, Value> =
                summary.errors.iter().map(|(resource, count)| (resource.clone(), json!(count))).collect();
            let value = json!({
                "watched_s": summary.watched_ns as f64 / 1e9, "threads": threads, "hitches": hitches, "near": near,
                "restarts": restarts, "errors": errors, "hung": summary.hung,
            });
            return self.json(at, "summary", value);
        }
        self.put(&page(summary, asked, self.style, at))
    }
}

fn told(ticks: &Histogram) -> Value {
    let bound = |share| Some(ticks.bound(share)).filter(|bound| bound.is_finite());
    json!({
        "count": ticks.count, "mean_s": ticks.mean(), "p50_s": bound(0.5), "p95_s": bound(0.95),
        "late": ticks.longer_than(TICK_S),
    })
}

fn hitches(of: &Hitches) -> Value {
    json!({
        "thread": of.thread, "count": of.count, "median_ms": of.median_ms, "p95_ms": of.p95_ms, "max_ms": of.max_ms,
        "period_s": of.period_s,
    })
}

fn page(summary: &Summary, asked: bool, style: Style, at: f64) -> String {
    let watched = summary.watched_ns as f64 / 1e9;
    let mut out = vec![style.bold(format!("Watched for {}, until {}", length(watched), clock(at)))];
    for thread in summary.threads.iter().filter(|thread| thread.ticks.count > 0) {
        let ticks = &thread.ticks;
        let p95 = match ticks.bound(0.95) {
            bound if bound.is_finite() => format!("95 % within {:.0} ms", bound * 1e3),
            _ => "95 % within no bound that is known".into(),
        };
        out.push(format!(
            "  {:<10} {} ticks, {:.1} ms on average, {p95}, {} above 50 ms",
            thread.name,
            ticks.count,
            ticks.mean() * 1e3,
            ticks.longer_than(TICK_S)
        ));
    }
    if summary.hitches.is_empty() {
        out.push("  no hitch in the log".into());
    }
    for of in &summary.hitches {
        let rate = match of.count {
            1 => String::new(),
            count if watched > 0.0 => format!(", one in {}", length(watched / count as f64)),
            _ => String::new(),
        };
        let rhythm = of.period_s.map_or(String::new(), |period| {
            format!("; they come every {}: look for what does something that often", length(period))
        });
        out.push(format!(
            "  {} hitches of the {} thread: median {} ms, 95 % within {} ms, {} ms at most{rate}{rhythm}",
            of.count, of.thread, of.median_ms, of.p95_ms, of.max_ms
        ));
    }
    for near in summary.near.iter().take(NEAR) {
        out.push(format!(
            "  near {} of them: {} ({} times in all); which caused which is not known",
            near.hitches, near.what, near.lines
        ));
    }
    for of in &summary.restarts {
        out.push(format!(
            "  when {} started, a tick went from {:.1} ms to {:.1} ms",
            of.resource,
            of.before * 1e3,
            of.after * 1e3
        ));
    }
    for (resource, count) in summary.errors.iter().take(NEAR) {
        let resource = if resource.is_empty() { "an unnamed resource" } else { resource };
        out.push(format!("  {count} script errors of {resource}"));
    }
    if summary.hung > 0 {
        out.push(format!("  the watchdog found a thread hung {} times", summary.hung));
    }
    if !asked {
        out.push("  how long ticks take is not known without --server".into());
    }
    out.push(
        "  Which resource makes a tick late, FXServer does not say. To know it: `tickscope install` puts a"
            .into(),
    );
    out.push("  resource on the server that does; or".into());
    out.push("  `profiler record 500`, `profiler save profile.bin` on the server, then `tickscope import profile.bin`;".into());
    out.push("  or play a copy of the server's folder: `tickscope run`.".into());
    out.join("\n")
}

fn length(seconds: f64) -> String {
    match seconds {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// The time of day, UTC.
fn clock(at: f64) -> String {
    let seconds = at as u64 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
