//! Hitches, log lines and tick times, lined up in time.

use std::collections::{BTreeMap, VecDeque};

use crate::log::{self, Said};
use crate::perf::Histogram;

/// What stands so close before a hitch's line, or behind it, is near it.
const NEAR_NS: u64 = 2_000_000_000;
/// Lines that are remembered for the next hitch, and hitches that wait for lines.
const KEPT: usize = 256;
/// Kinds of lines, and resources with errors, that are told apart.
const KINDS: usize = 1_000;
const OTHERS: &str = "something of other resources";
/// Hitches whose times are remembered, for each thread.
const HITCHES: usize = 10_000;
/// How many gaps between hitches make a rhythm, and how much they may differ from their median.
const GAPS: usize = 4;
const SPREAD: f64 = 0.15;
/// How long before and after a restart ticks are compared.
const AROUND_NS: u64 = 120_000_000_000;
/// How many ticks have to be on each side.
const TICKS: u64 = 200;
/// A mean that changed by less than this share, and by less than so many seconds, did not change.
const CHANGED: (f64, f64) = (0.2, 0.000_5);

/// Times are nanoseconds of any clock that does not run backwards.
#[derive(Debug, Default)]
pub struct Watch {
    threads: BTreeMap<String, Thread>,
    hitches: BTreeMap<String, Moments>,
    lately: VecDeque<(u64, String)>,
    waiting: VecDeque<(u64, u64)>,
    near: BTreeMap<String, Near>,
    /// Starts whose time behind is not over, and what became of the others.
    started: VecDeque<Started>,
    last_start: u64,
    restarts: VecDeque<Restart>,
    errors: BTreeMap<String, u64>,
    hung: u64,
    first_ns: Option<u64>,
    last_ns: u64,
}

/// A start of a resource, and the time around it in which no other resource started.
#[derive(Debug)]
struct Started {
    resource: String,
    from: u64,
    at: u64,
    to: u64,
}

#[derive(Debug, Default)]
struct Thread {
    last: Option<Histogram>,
    total: Histogram,
    /// Ticks between two looks, and when the second was.
    lately: VecDeque<(u64, Histogram)>,
}

#[derive(Debug, Default)]
struct Moments {
    count: u64,
    sum_ms: u64,
    max_ms: u64,
    lately: VecDeque<(u64, u64)>,
}

/// What is known by now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// From the first thing seen to the last.
    pub watched_ns: u64,
    /// Tick times by thread, since watching began.
    pub threads: Vec<Threads>,
    /// Hitches by thread, the most first.
    pub hitches: Vec<Hitches>,
    /// What stands near hitches in the log, the most often first.
    pub near: Vec<Near>,
    /// Resources whose start changed how long ticks take.
    pub restarts: Vec<Restart>,
    /// Script errors by resource, the most first.
    pub errors: Vec<(String, u64)>,
    /// How often the watchdog found a thread hung.
    pub hung: u64,
}

/// Ticks of one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Threads {
    /// `svMain` runs scripts.
    pub name: String,
    /// Its ticks.
    pub ticks: Histogram,
}

/// Hitches of one thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Hitches {
    /// `server`, `network` or `sync`.
    pub thread: String,
    /// How many.
    pub count: u64,
    /// Median, 95th of a hundred, longest, in milliseconds; the first two of the last 10,000.
    pub median_ms: u64,
    /// See above.
    pub p95_ms: u64,
    /// See above.
    pub max_ms: u64,
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
    /// Seconds from one to the next, where they come in a rhythm.
    pub period_s: Option<f64>,
}

/// A kind of line that stands near hitches.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// In words, with the resource.
    pub what: String,
    /// Near how many hitches.
    pub hitches: u64,
    /// How often it was said in all.
    pub lines: u64,
}

/// A start of a resource, and the mean time of a tick of `svMain` in the two minutes before and behind, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// Which resource.
    pub resource: String,
    /// Before.
    pub before: f64,
    /// Behind.
    pub after: f64,
}

impl Watch {
    fn seen(&mut self, at_ns: u64) -> u64 {
        self.first_ns.get_or_insert(at_ns);
        self.last_ns = self.last_ns.max(at_ns);
        self.last_ns
    }

    /// Takes an answer of `/perf/`, read at `at_ns`. What the server did before the first is not counted.
    pub fn perf(&mut self, at_ns: u64, threads: &BTreeMap<String, Histogram>) {
        let now = self.seen(at_ns);
        for (name, histogram) in threads {
            let thread = self.threads.entry(name.clone()).or_default();
            if let Some(last) = &thread.last {
                let since = histogram.since(last);
                thread.total.add(&since);
                thread.lately.push_back((now, since));
                while thread.lately.front().is_some_and(|(at, _)| now - at > 2 * AROUND_NS)
                    && thread.lately.len() > KEPT
                {
                    thread.lately.pop_front();
                }
            }
            thread.last = Some(histogram.clone());
        }
        while self.started.front().is_some_and(|started| started.to <= now)
            && let Some(started) = self.started.pop_front()
        {
            self.restarts.extend(self.restart(&started));
            forget_beyond(&mut self.restarts, KEPT);
        }
    }

    /// Takes a line of the console, read at `at_ns`. What it says, if it is something of interest.
    pub fn line<'a>(&mut self, at_ns: u64, line: &'a str) -> Option<Said<'a>> {
        let said = log::read(line)?;
        let now = self.seen(at_ns);
        let what = match &said {
            Said::Hitch { thread, ms } => {
                self.hitch(now, thread, *ms);
                return Some(said);
            }
            Said::Hung { .. } => {
                self.hung += 1;
                return Some(said);
            }
            Said::ScriptError { resource, .. } => {
                let known = self.errors.len() < KINDS || self.errors.contains_key(*resource);
                *self
                    .errors
                    .entry(if known { (*resource).to_owned() } else { OTHERS.into() })
                    .or_default() += 1;
                format!("a script error of {resource}")
            }
            Said::Started(resource) => {
                // What another start changed is that one's.
                if let Some(last) = self.started.back_mut() {
                    last.to = last.to.min(now);
                }
                let (from, to) = (self.last_start.max(now.saturating_sub(AROUND_NS)), now + AROUND_NS);
                self.last_start = now;
                self.started.push_back(Started { resource: (*resource).to_owned(), from, at: now, to });
                forget_beyond(&mut self.started, KEPT);
                format!("{resource} started")
            }
            Said::Stopping(resource) => format!("{resource} stopped"),
            Said::SlowQuery { resource, .. } => format!("a slow query of {resource}"),
        };
        let known = self.near.len() < KINDS || self.near.contains_key(&what);
        let what = if known { what } else { OTHERS.to_owned() };
        let near = self.near.entry(what.clone());
        let near = near.or_insert_with(|| Near { what: what.clone(), hitches: 0, lines: 0 });
        near.lines += 1;
        // A query's line comes when its tick is over: behind the hitch's.
        near.hitches += self.waiting.iter().filter(|(at, _)| now - at <= NEAR_NS).count() as u64;
        self.lately.push_back((now, what));
        forget_beyond(&mut self.lately, KEPT);
        Some(said)
    }

    fn hitch(&mut self, now: u64, thread: &str, ms: u64) {
        let hitches = self.hitches.entry(thread.to_owned()).or_default();
        hitches.count += 1;
        hitches.sum_ms += ms;
        hitches.max_ms = hitches.max_ms.max(ms);
        hitches.lately.push_back((now, ms));
        forget_beyond(&mut hitches.lately, HITCHES);
        if thread != "server" {
            return;
        }
        let begin = now.saturating_sub(ms.saturating_mul(1_000_000)).saturating_sub(NEAR_NS);
        let mut kinds: Vec<&str> =
            self.lately.iter().filter(|(at, _)| *at >= begin).map(|(_, what)| what.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            if let Some(near) = self.near.get_mut(kind) {
                near.hitches += 1;
            }
        }
        self.waiting.push_back((now, ms));
        forget_beyond(&mut self.waiting, KEPT);
    }

    /// What is known by now.
    pub fn summary(&self) -> Summary {
        let mut hitches: Vec<Hitches> = self.hitches.iter().map(|(thread, of)| of.told(thread)).collect();
        hitches.sort_by_key(|of| std::cmp::Reverse(of.count));
        let mut near: Vec<Near> = self.near.values().filter(|near| near.hitches > 0).cloned().collect();
        near.sort_by_key(|near| std::cmp::Reverse(near.hitches));
        let mut errors: Vec<(String, u64)> =
            self.errors.iter().map(|(resource, count)| (resource.clone(), *count)).collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Summary {
            watched_ns: self.last_ns - self.first_ns.unwrap_or(self.last_ns),
            threads: self
                .threads
                .iter()
                .map(|(name, thread)| Threads { name: name.clone(), ticks: thread.total.clone() })
                .collect(),
            hitches,
            near,
            restarts: self
                .restarts
                .iter()
                .cloned()
                .chain(self.started.iter().filter_map(|started| self.restart(started)))
                .collect(),
            errors,
            hung: self.hung,
        }
    }

    fn restart(&self, started: &Started) -> Option<Restart> {
        let main = self.threads.get("svMain")?;
        let sum = |from: u64, to: u64| {
            let mut sum = Histogram::default();
            main.lately
                .iter()
                .filter(|(when, _)| (from..to).contains(when))
                .for_each(|(_, ticks)| sum.add(ticks));
            sum
        };
        let (before, after) = (sum(started.from, started.at), sum(started.at, started.to));
        if before.count < TICKS || after.count < TICKS {
            return None;
        }
        let (before, after) = (before.mean(), after.mean());
        let change = (after - before).abs();
        let changed = change >= before * CHANGED.0 && change >= CHANGED.1;
        changed.then(|| Restart { resource: started.resource.clone(), before, after })
    }
}

impl Moments {
    fn told(&self, thread: &str) -> Hitches {
        let mut all: Vec<u64> = self.lately.iter().map(|(_, ms)| *ms).collect();
        all.sort_unstable();
        let share =
            |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1)));
        Hitches {
            thread: thread.to_owned(),
            count: self.count,
            median_ms: share(0.5).copied().unwrap_or(0),
            p95_ms: share(0.95).copied().unwrap_or(0),
            max_ms: self.max_ms,
            sum_ms: self.sum_ms,
            period_s: self.period(),
        }
    }

    /// The usual time from one to the next, if most of them keep it.
    fn period(&self) -> Option<f64> {
        let times = self.lately.iter().map(|(at, _)| *at as f64 / 1e9);
        let mut gaps: Vec<f64> = times.clone().zip(times.skip(1)).map(|(a, b)| b - a).collect();
        if gaps.len() < GAPS {
            return None;
        }
        gaps.sort_by(f64::total_cmp);
        let median = gaps[gaps.len() / 2];
        let kept = gaps.iter().filter(|gap| (*gap - median).abs() <= median * SPREAD).count();
        (median > 1.0 && kept * 5 >= gaps.len() * 4).then_some(median)
    }
}

/// Forgets the oldest beyond `most`.
fn forget_beyond<T>(all: &mut VecDeque<T>, most: usize) {
    while all.len() > most {
        all.pop_front();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn hitch(ms: u64) -> String {
        format!("[ citizen] server thread hitch warning: timer interval of {ms} milliseconds")
    }

    #[test]
    fn hitches_in_a_rhythm_are_seen_to_be_and_others_not() {
        let mut watch = Watch::default();
        for minute in 0..12 {
            watch.line(minute * 60 * SECOND + minute % 3 * SECOND, &hitch(200 + minute * 10));
        }
        let summary = watch.summary();
        let [hitches] = summary.hitches.as_slice() else { panic!("one thread") };
        assert_eq!((hitches.count, hitches.median_ms, hitches.max_ms), (12, 260, 310));
        assert!((hitches.period_s.unwrap() - 60.0).abs() < 2.0, "{hitches:?}");
        let mut watch = Watch::default();
        for at in [1, 2, 40, 90, 91, 300, 301] {
            watch.line(at * SECOND, &hitch(200));
        }
        assert_eq!(watch.summary().hitches[0].period_s, None);
    }

    #[test]
    fn what_stands_near_hitches_is_counted_before_and_behind() {
        let mut watch = Watch::default();
        for n in 0..5_u64 {
            let at = n * 100 * SECOND;
            watch.line(at, "[ script:shop] SCRIPT ERROR: @shop/a.lua:1: no");
            watch.line(at + SECOND, &hitch(400));
            watch.line(at + SECOND + 1, "[ script:oxmysql] [WARNING] bank took 390.1ms to execute a query!");
            // Far from any hitch.
            watch.line(
                at + 50 * SECOND,
                "[ script:oxmysql] [WARNING] garage took 390.1ms to execute a query!",
            );
        }
        let near: Vec<(String, u64, u64)> =
            watch.summary().near.into_iter().map(|near| (near.what, near.hitches, near.lines)).collect();
        assert_eq!(near, [("a script error of shop".into(), 5, 5), ("a slow query of bank".into(), 5, 5)]);
        assert_eq!(watch.summary().errors, [("shop".to_owned(), 5)]);
    }

    #[test]
    fn a_restart_that_changed_the_ticks_is_told() {
        let answer = |count: u64, sum: f64| {
            let buckets = vec![(0.005, count), (f64::INFINITY, count)];
            BTreeMap::from([("svMain".to_owned(), Histogram { buckets, sum, count })])
        };
        let mut watch = Watch::default();
        let (mut count, mut sum) = (50_000, 100.0);
        for second in 0..200_u64 {
            let mean = if second < 100 { 0.004 } else { 0.002 };
            (count, sum) = (count + 20, sum + 20.0 * mean);
            watch.perf(second * SECOND, &answer(count, sum));
            if second == 50 {
                watch.line(second * SECOND, "[ c-resources-core] Started resource chat");
            }
            if second == 100 {
                watch.line(second * SECOND, "[ c-resources-core] Started resource shop");
            }
        }
        let summary = watch.summary();
        let [shop] = summary.restarts.as_slice() else { panic!("{:?}", summary.restarts) };
        assert_eq!(shop.resource, "shop");
        assert!((shop.before - 0.004).abs() < 1e-4 && (shop.after - 0.002).abs() < 1e-4, "{shop:?}");
        assert_eq!(summary.threads[0].ticks.count, 199 * 20, "what was before the first look is not counted");
    }
}
