//! When an alert begins and ends, and whether it is told. The time is the recording's.

use std::collections::{HashMap, VecDeque};

use crate::rules::{Limit, Rule, Severity};
use crate::window::{Measured, SECOND_NS, Window};

/// Alerts that are over and remembered.
const MAX_HISTORY: usize = 256;

/// It begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is so.
    Firing,
    /// It is well again.
    Resolved,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The alert's number, from 1.
    pub alert: u64,
    /// Whether it begins or ends.
    pub state: State,
    /// Place of the rule.
    pub rule: usize,
    /// Whose it is.
    pub resource: Option<String>,
    /// What was measured.
    pub value: f64,
    /// The worst so far.
    pub worst: f64,
    /// Who made it so.
    pub blame: Option<String>,
    /// Since when the limit is broken.
    pub since_ns: u64,
    /// When it was an alert: once it had been so for as long as the rule asks.
    pub fired_ns: u64,
    /// Now.
    pub time_ns: u64,
}

/// An alert that was.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Place of the rule.
    pub rule: usize,
    /// Whose it was.
    pub resource: Option<String>,
    /// When it began.
    pub fired_ns: u64,
    /// When it was well again; `None` while it is not.
    pub resolved_ns: Option<u64>,
    /// The worst value.
    pub worst: f64,
    /// Whether it was told, and not held back by the cool-down.
    pub told: bool,
}

/// Sums of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Alerts that began.
    pub fired: u64,
    /// Those that are over.
    pub resolved: u64,
    /// Nanoseconds from the begin of these to their end.
    pub open_ns: u64,
    /// Those that were not told, for the same was told shortly before.
    pub held_back: u64,
}

impl Statistics {
    /// Mean time to resolve, in nanoseconds.
    pub fn mean_ns(&self) -> Option<u64> {
        self.open_ns.checked_div(self.resolved)
    }
}

#[derive(Debug)]
struct Open {
    alert: u64,
    since_ns: u64,
    fired_ns: u64,
    worst: f64,
    told: bool,
    cleared_ns: Option<u64>,
}

/// A rule for a resource, or for the server.
#[derive(Debug, Default)]
struct Watch {
    broken_ns: Option<u64>,
    open: Option<Open>,
    told_ns: Option<u64>,
    /// When it was measured the last time.
    seen_ns: Option<u64>,
}

/// All rules.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    cooldown_ns: u64,
    /// Share of a limit by which a value must be away from it.
    hysteresis: f64,
    watches: HashMap<(usize, Option<usize>), Watch>,
    alerts: u64,
    statistics: Vec<Statistics>,
    history: VecDeque<Episode>,
}

impl Engine {
    /// Nothing is open.
    pub fn new(rules: Vec<Rule>, cooldown_ns: u64, hysteresis: f64) -> Self {
        let statistics = vec![Statistics::default(); rules.len()];
        let (watches, history) = (HashMap::new(), VecDeque::new());
        Self { rules, cooldown_ns, hysteresis, watches, alerts: 0, statistics, history }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Looks at what was measured; what is to be told.
    pub fn look(&mut self, window: &Window, now_ns: u64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for rule in 0..self.rules.len() {
            for measured in window.measure(&self.rules[rule]) {
                let name = measured.resource.map(|resource| window.name(resource));
                notices.extend(self.step(rule, &measured, name, now_ns));
            }
        }
        notices
    }

    /// The same for a second that was not whole, the last. In it there is less of everything, so that only what is too much
    /// already is looked at.
    pub fn last(&mut self, window: &Window, now_ns: u64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for at in 0..self.rules.len() {
            let limit = self.rules[at].limit;
            if matches!(limit, Limit::Below(_)) {
                continue;
            }
            for measured in window.measure(&self.rules[at]) {
                if limit.broken_by(measured.value) {
                    let name = measured.resource.map(|resource| window.name(resource));
                    notices.extend(self.step(at, &measured, name, now_ns));
                }
            }
        }
        notices
    }

    /// One rule for one resource.
    pub fn step(
        &mut self,
        at: usize,
        measured: &Measured,
        name: Option<&str>,
        now_ns: u64,
    ) -> Option<Notice> {
        let rule = &self.rules[at];
        let watch = self.watches.entry((at, measured.resource)).or_default();
        let notice = |open: &Open, state| Notice {
            alert: open.alert,
            state,
            rule: at,
            resource: name.map(str::to_owned),
            value: measured.value,
            worst: open.worst,
            blame: measured.blame.clone(),
            since_ns: open.since_ns,
            fired_ns: open.fired_ns,
            time_ns: now_ns,
        };
        // Seconds in which nothing could be measured are neither broken nor well.
        let seen_ns = watch.seen_ns.replace(now_ns).unwrap_or(now_ns);
        let unseen_ns = now_ns.saturating_sub(seen_ns).saturating_sub(SECOND_NS);
        let cleared_ns = watch.open.as_mut().and_then(|open| open.cleared_ns.as_mut());
        for begun_ns in watch.broken_ns.as_mut().into_iter().chain(cleared_ns) {
            *begun_ns += unseen_ns;
        }
        let Some(open) = &mut watch.open else {
            if !rule.limit.broken_by(measured.value) {
                watch.broken_ns = None;
                return None;
            }
            let since_ns = *watch.broken_ns.get_or_insert(now_ns);
            if now_ns.saturating_sub(since_ns) < rule.for_ns {
                return None;
            }
            self.alerts += 1;
            let told = watch.told_ns.is_none_or(|told_ns| now_ns.saturating_sub(told_ns) >= self.cooldown_ns);
            let (alert, worst) = (self.alerts, measured.value);
            let open = Open { alert, since_ns, fired_ns: now_ns, worst, told, cleared_ns: None };
            self.statistics[at].fired += 1;
            self.statistics[at].held_back += u64::from(!told);
            let begun = told.then(|| notice(&open, State::Firing));
            if told {
                watch.told_ns = Some(now_ns);
            }
            watch.broken_ns = None;
            watch.open = Some(open);
            return begun;
        };
        open.worst = rule.limit.worse(open.worst, measured.value);
        if !rule.limit.cleared_by(measured.value, self.hysteresis) {
            open.cleared_ns = None;
            // What is held back, and goes on after that, is told late.
            let over = watch.told_ns.is_none_or(|told_ns| now_ns.saturating_sub(told_ns) >= self.cooldown_ns);
            if !open.told && over && rule.limit.broken_by(measured.value) {
                open.told = true;
                watch.told_ns = Some(now_ns);
                self.statistics[at].held_back -= 1;
                return Some(notice(open, State::Firing));
            }
            return None;
        }
        let cleared_ns = *open.cleared_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(cleared_ns) < rule.clear_ns {
            return None;
        }
        let ended = open.told.then(|| notice(open, State::Resolved));
        let statistics = &mut self.statistics[at];
        statistics.resolved += 1;
        statistics.open_ns += now_ns.saturating_sub(open.fired_ns);
        let (fired_ns, worst, told) = (open.fired_ns, open.worst, open.told);
        let resource = name.map(str::to_owned);
        self.history.push_back(Episode {
            rule: at,
            resource,
            fired_ns,
            resolved_ns: Some(now_ns),
            worst,
            told,
        });
        if self.history.len() > MAX_HISTORY {
            self.history.pop_front();
        }
        watch.open = None;
        ended
    }

    /// Alerts that were, in the order they ended, and those that are still open, in the order they began.
    pub fn history(&self, window: &Window) -> Vec<Episode> {
        let open = self.watches.iter().filter_map(|((rule, resource), watch)| {
            let open = watch.open.as_ref()?;
            let resource = resource.map(|resource| window.name(resource).to_owned());
            let (fired_ns, worst, told) = (open.fired_ns, open.worst, open.told);
            Some(Episode { rule: *rule, resource, fired_ns, resolved_ns: None, worst, told })
        });
        let mut open: Vec<Episode> = open.collect();
        open.sort_by(|one, other| {
            (one.fired_ns, one.rule, &one.resource).cmp(&(other.fired_ns, other.rule, &other.resource))
        });
        self.history.iter().cloned().chain(open).collect()
    }

    /// Sums, by place of the rule.
    pub fn statistics(&self) -> &[Statistics] {
        &self.statistics
    }

    /// Alerts that began, by severity.
    pub fn fired(&self, severity: Severity) -> u64 {
        let of = |(rule, statistics): (&Rule, &Statistics)| {
            if rule.severity == severity { statistics.fired } else { 0 }
        };
        self.rules.iter().zip(&self.statistics).map(of).sum()
    }
}
