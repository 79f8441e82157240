//! Late ticks of a capture and what `tickscope watch --format json` saw meanwhile, on one time line.
//!
//! A capture knows when it began by the wall clock, `watch` when it read a line: within a fifth of a second or so of when
//! it was written. FXServer warns of a late tick when that is over.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use tickscope_analysis::{Blame, LateTick, Report};
use tickscope_core::Metadata;

use crate::present::text;

/// What was written so long after the end of a late tick, or so shortly before, is near it.
const NEAR_S: (f64, f64) = (2.0, 0.5);
/// What `watch` saw so long before the capture or behind is not told.
const AROUND_S: f64 = 10.0;
/// Ticks above this are late on FXServer.
const LATE_MS: u64 = 50;

/// Something that happened.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    /// Seconds since 1970 UTC: of a late tick its end, of anything else when it was read.
    pub(crate) at: f64,
    /// `capture`, `log` or `perf`.
    pub(crate) source: &'static str,
    /// In words.
    pub(crate) what: String,
    /// The late tick that it is, or that it stands near to.
    pub(crate) tick: Option<u64>,
}

/// The late ticks of a report and what stands in `path`, in the order of time.
pub(crate) fn read(path: &Path, report: &Report, metadata: &Metadata) -> Result<Vec<Moment>> {
    if metadata.start_unix_ns == 0 {
        bail!("the capture does not say when it was made, so nothing can be lined up with it");
    }
    let seconds = |ns: u64| metadata.unix_ns(ns) as f64 / 1e9;
    let range = (seconds(report.first_ns) - AROUND_S, seconds(report.last_ns) + AROUND_S);
    let late: Vec<Late> = report
        .late_ticks
        .iter()
        .map(|tick| Late { tick, end_s: seconds(tick.begin_ns + tick.duration_ns) })
        .collect();
    let mut moments: Vec<Moment> = late
        .iter()
        .map(|late| Moment {
            at: late.end_s,
            source: "capture",
            what: late.words(),
            tick: Some(late.tick.tick),
        })
        .collect();
    let mut seen = Seen { late: &late, moments: &mut moments, range, perf: None };
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut file = BufReader::new(file);
    let (mut line, mut number) = (String::new(), 0);
    while file.read_line(&mut line).with_context(|| format!("cannot read {}", path.display()))? > 0 {
        number += 1;
        match serde_json::from_str::<Value>(&line) {
            Ok(value) if value["at"].is_f64() && value["kind"].is_string() => seen.take(&value),
            // `watch` may be writing it yet, or was killed
            _ if !line.ends_with('\n') => {}
            _ => bail!("{}: line {number} is none of `tickscope watch --format json`", path.display()),
        }
        line.clear();
    }
    moments.sort_by(|a, b| a.at.total_cmp(&b.at));
    Ok(moments)
}

struct Late<'a> {
    tick: &'a LateTick,
    end_s: f64,
}

impl Late<'_> {
    fn words(&self) -> String {
        let took = text::time(self.tick.duration_ns);
        if self.tick.blame == Blame::Machine {
            return format!("tick {}, {took}: the machine's", self.tick.tick);
        }
        let culprits =
            self.tick.chains.iter().filter_map(|chain| chain.causes.iter().rfind(|cause| cause.culprit));
        let mut named: Vec<String> =
            culprits.map(|cause| format!("{}: {}", cause.symbol.resource, text::cause(cause))).collect();
        named.dedup();
        if named.is_empty() {
            named.push("many small pieces".into());
        }
        format!("tick {}, {took}: {}", self.tick.tick, named.join("; "))
    }
}

struct Seen<'a> {
    late: &'a [Late<'a>],
    moments: &'a mut Vec<Moment>,
    range: (f64, f64),
    /// Ticks of the server's thread at the last look: when, how many, how many of them late, seconds of all.
    perf: Option<(f64, u64, u64, f64)>,
}

impl Seen<'_> {
    fn take(&mut self, value: &Value) {
        let at = value["at"].as_f64().unwrap_or_default();
        let name = |key: &str| text::plain(value[key].as_str().unwrap_or_default()).into_owned();
        let ms = value["ms"].as_f64();
        let shown = ms.map_or_else(String::new, |ms| format!("{ms:.0} ms"));
        let (what, near) = match value["kind"].as_str().unwrap_or_default() {
            "ticks" => return self.perf(at, &value["threads"]["svMain"]),
            "hitch" if value["thread"] == "server" => {
                (format!("hitch of the server thread, {shown}"), self.near(at, ms))
            }
            "hitch" => (format!("hitch of the {} thread, {shown}", name("thread")), None),
            "slow_query" => (format!("slow query of {}, {shown}", name("resource")), self.near(at, None)),
            "script_error" => {
                (format!("script error of {}: {}", name("resource"), name("message")), self.near(at, None))
            }
            "hung" => {
                (format!("the watchdog found {} hung, for {} s", name("thread"), value["seconds"]), None)
            }
            "started" => (format!("{} started", name("resource")), self.near(at, None)),
            "stopping" => (format!("{} stopped", name("resource")), self.near(at, None)),
            _ => return,
        };
        self.add(Moment { at, source: "log", what, tick: near });
    }

    /// Tells of ticks that were late since the last look.
    fn perf(&mut self, at: f64, ticks: &Value) {
        let (Some(count), Some(mean)) = (ticks["count"].as_u64(), ticks["mean_s"].as_f64()) else { return };
        let now = (at, count, ticks["late"].as_u64().unwrap_or(0), mean * count as f64);
        let Some(before) = self.perf.replace(now) else { return };
        // It counts from 0 when the server was restarted.
        let (Some(count), Some(late)) = (now.1.checked_sub(before.1), now.2.checked_sub(before.2)) else {
            return;
        };
        if late > 0 {
            let mean_ms = (now.3 - before.3).max(0.0) * 1e3 / count.max(1) as f64;
            let what = format!(
                "{late} of {count} ticks above {LATE_MS} ms in {:.1} s, {mean_ms:.1} ms on average",
                at - before.0
            );
            self.add(Moment { at, source: "perf", what, tick: None });
        }
    }

    fn add(&mut self, moment: Moment) {
        if (self.range.0..=self.range.1).contains(&moment.at) {
            self.moments.push(moment);
        }
    }

    /// The late tick that something stands near to: the one that took most nearly `ms`, where that is known, else the
    /// one that ended last.
    fn near(&self, at: f64, ms: Option<f64>) -> Option<u64> {
        let candidates =
            self.late.iter().filter(|late| (late.end_s - NEAR_S.1..=late.end_s + NEAR_S.0).contains(&at));
        let far = |late: &&Late<'_>| match ms {
            Some(ms) => (late.tick.duration_ns as f64 / 1e6 - ms).abs(),
            None => (at - late.end_s).abs(),
        };
        candidates.min_by(|a, b| far(a).total_cmp(&far(b))).map(|late| late.tick.tick)
    }
}

/// The time line in words, the late ticks that `shown` names and what is near them; how many hitches are near none.
pub(crate) fn page(moments: &[Moment], shown: &[u64]) -> String {
    let mut out = vec![String::from("\nOn one time line (UTC)")];
    for moment in moments {
        if !moment.tick.map_or(moment.source == "perf", |tick| shown.contains(&tick)) {
            continue;
        }
        let seconds = moment.at.rem_euclid(86_400.0);
        let clock = format!(
            "{:02}:{:02}:{:06.3}",
            seconds as u64 / 3_600,
            seconds as u64 / 60 % 60,
            seconds.rem_euclid(60.0)
        );
        out.push(match (moment.source, moment.tick) {
            ("capture", _) => format!("  {clock}  {}", moment.what),
            ("log", Some(tick)) => format!("  {clock}    log: {} (near tick {tick})", moment.what),
            (source, _) => {
                format!("  {clock}    {}: {}", if source == "perf" { "/perf/" } else { source }, moment.what)
            }
        });
    }
    let alone = moments
        .iter()
        .filter(|moment| {
            moment.source == "log" && moment.tick.is_none() && moment.what.starts_with("hitch of the server")
        })
        .count();
    if alone > 0 {
        out.push(format!(
            "  {alone} hitches of the server thread have no late tick of the capture near them"
        ));
    }
    out.push("  What stands near a late tick may have to do with it, or not.\n".into());
    out.join("\n")
}
