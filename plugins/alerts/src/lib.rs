//! A sink plugin of Tickscope: tells people when a server is slow, and when it is well again.
//!
//! ```console
//! $ tickscope run ~/server --sink alerts
//! $ tickscope run ~/server --sink alerts='{"channels": [{"kind": "discord", "url": "env:DISCORD_URL"}]}'
//! ```
//!
//! Each second of the recording, every rule measures the server or each resource over the last seconds: late ticks, the longest
//! tick, time, memory, errors, calls. A value beyond the rule's limit, for as long as the rule asks, is an alert. It is told once
//! where it is bad enough: on the console, in a file, to webhooks, Slack, Discord, PagerDuty, by mail. When the value has been
//! well on the other side of the limit for a while, that is told as well.
//!
//! # Guarantees
//! The recording does not wait for any of these. Time is the recording's, so the same recording gives the same alerts. What is
//! sent is bounded: the same alert once in the cool-down, so many a minute for each channel; what was held back is counted.
//! However many resources there are, so many are told apart as the option `resources` says.
//!
//! # Refuses
//! Rules without a limit, channels without what they need, a password over an unencrypted connection to another machine: before
//! the recording starts, in one line. Keys, passwords and addresses of webhooks are in no line.
//!
//! # Deliberately absent
//! Looking at a server from outside: while it hangs there are no samples of it, and no time passes here; the long tick is told
//! when it ends, or when the recording does. Learning what is usual: limits are numbers.

mod channels;
mod engine;
mod mail;
mod rules;
#[cfg(test)]
mod tests;
mod text;
mod window;

use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Error, Flow, Health, Host, Metadata, Names, Sample, Sink, export_sink};
use tickscope_counts::{Clock, Recording};

use channels::Channels;
use engine::{Engine, Notice};
use rules::{Rule, Severity};
use text::{Teller, duration, time};
use window::{SECOND_NS, Window, amount};

/// Seconds without a sample that are looked at one by one. Beyond it, nothing is open any more that could change.
const MAX_SECONDS: usize = 10_000;
/// How long ticks may be later than all else: `tickscope collect` holds them back for 70 s.
const BEHIND_NS: u64 = 120 * SECOND_NS;
/// Alerts that are shown at the end.
const SHOWN: usize = 10;
/// Of the time there is at the end, what the way back to the host may take.
const MARGIN: Duration = Duration::from_millis(100);

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    server: String,
    console: String,
    log: String,
    rules: Vec<rules::Given>,
    channels: Vec<channels::Given>,
    cooldown_s: f64,
    hysteresis_percent: f64,
    resources: usize,
}

/// The sink.
struct Alerts {
    host: Host,
    watcher: Watcher,
    channels: Channels,
    server: String,
    pid: u32,
    clock: Clock,
}

/// Samples in, notices out.
struct Watcher {
    window: Window,
    engine: Engine,
    /// When the second that is counted is over.
    next_ns: u64,
    /// The newest time.
    last_ns: u64,
    /// Where ticks run, once there was one.
    ring: Option<u32>,
}

/// A second that is over, and what is to be told of it.
struct Second {
    end_ns: u64,
    notices: Vec<Notice>,
}

impl Watcher {
    fn new(recording: Recording, resources: usize, engine: Engine, start_ns: u64) -> Self {
        let window = Window::new(recording, resources, engine.rules());
        let next_ns = start_ns.saturating_add(SECOND_NS);
        Self { window, engine, next_ns, last_ns: start_ns, ring: None }
    }

    /// Takes a sample: the seconds that are over by then, and what is to be told of each. Once there are ticks, the thread that
    /// they run on says what time it is, and others are behind: beside ticks that come late, as `tickscope collect` has them,
    /// what else happens comes at once.
    fn sample(&mut self, sample: &Sample<'_>, names: &Names) -> Vec<Second> {
        if self.window.is_tick(sample, names) && self.ring.replace(sample.ring).is_none() {
            self.restart(sample.time_ns);
        }
        let behind_ns = if self.ring.is_none_or(|ring| ring == sample.ring) { 0 } else { BEHIND_NS };
        let seconds = self.advance(sample.time_ns.saturating_sub(behind_ns));
        self.window.sample(sample, names);
        seconds
    }

    /// The first tick is of a second that is over by all else that came.
    fn restart(&mut self, time_ns: u64) {
        let begin_ns = self.next_ns.saturating_sub(SECOND_NS);
        if time_ns < begin_ns {
            self.next_ns -= (begin_ns - time_ns).div_ceil(SECOND_NS) * SECOND_NS;
            self.last_ns = time_ns;
            self.window.restart();
        }
    }

    /// Time has come to `time_ns`: the seconds that are over.
    fn advance(&mut self, time_ns: u64) -> Vec<Second> {
        let mut seconds = Vec::new();
        while self.next_ns <= time_ns {
            if seconds.len() == MAX_SECONDS {
                self.next_ns = time_ns.saturating_add(SECOND_NS);
                break;
            }
            self.window.read(self.next_ns.saturating_sub(self.last_ns) / SECOND_NS);
            let notices = self.engine.look(&self.window, self.next_ns);
            seconds.push(Second { end_ns: self.next_ns, notices });
            self.next_ns = self.next_ns.saturating_add(SECOND_NS);
        }
        self.last_ns = self.last_ns.max(time_ns);
        seconds
    }

    /// It is over: what is to be told of the second that was not whole.
    fn last(&mut self) -> Second {
        self.window.read(0);
        Second { end_ns: self.last_ns, notices: self.engine.last(&self.window, self.last_ns) }
    }
}

impl Sink for Alerts {
    const NAME: &'static str = "alerts";
    const ABOUT: &'static str = "Tells people when a server is slow, and when it is well again.";
    const SCHEMA: &'static str = include_str!("schema.json");

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let rules = rules::rules(options.rules)?;
        let mut channels = Channels::default();
        if let Some(min) = Severity::ALL.into_iter().find(|severity| severity.name() == options.console) {
            channels.console(host, min, u32::MAX);
        }
        if !options.log.is_empty() {
            channels.log(&options.log)?;
        }
        for (index, given) in options.channels.iter().enumerate() {
            channels.open(index, given)?;
        }
        let server = match &*options.server {
            "" => metadata.subject_name(),
            name => name,
        };
        let server = if server.is_empty() { "tickscope" } else { server }.to_owned();
        let start_ns = metadata.start_ns();
        let engine =
            Engine::new(rules, rules::nanoseconds(options.cooldown_s), options.hysteresis_percent / 100.0);
        Ok(Self {
            host,
            watcher: Watcher::new(Recording::of(metadata), options.resources, engine, start_ns),
            channels,
            server,
            pid: metadata.pid(),
            clock: Clock::of(metadata),
        })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        self.watcher.window.missing(batch.missed());
        for sample in batch.samples() {
            for second in self.watcher.sample(&sample, batch.names()) {
                self.tell(&second);
            }
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self, _within: Duration) -> Result<(), Error> {
        self.channels.warn(self.host);
        Ok(())
    }

    fn finish(&mut self, within: Duration) -> Result<(), Error> {
        let second = self.watcher.last();
        self.tell(&second);
        self.channels.finish(within.saturating_sub(MARGIN));
        for line in summary(&self.watcher.engine, &self.watcher.window, self.channels.held_back(), self.clock)
        {
            self.host.info(&line);
        }
        Ok(())
    }

    fn health(&self) -> Health {
        self.channels.health()
    }
}

impl Alerts {
    fn tell(&mut self, second: &Second) {
        let rules = self.watcher.engine.rules();
        let teller = Teller { rules, server: &self.server, pid: self.pid, clock: self.clock };
        self.channels.tell(&second.notices, second.end_ns, teller);
    }
}

/// What there was, for the end of a recording; nothing when there was nothing.
fn summary(engine: &Engine, window: &Window, held_back: u64, clock: Clock) -> Vec<String> {
    let history = engine.history(window);
    let fired: u64 = engine.statistics().iter().map(|statistics| statistics.fired).sum();
    if fired == 0 {
        return Vec::new();
    }
    let by_severity = Severity::ALL.into_iter().rev().filter_map(|severity| {
        let fired = engine.fired(severity);
        (fired > 0).then(|| format!("{fired} {severity}"))
    });
    let alerts = if fired == 1 { "alert" } else { "alerts" };
    let mut line = format!("{fired} {alerts}: {}", by_severity.collect::<Vec<_>>().join(", "));
    let resolved: u64 = engine.statistics().iter().map(|statistics| statistics.resolved).sum();
    let open_ns: u64 = engine.statistics().iter().map(|statistics| statistics.open_ns).sum();
    if let Some(mean_ns) = open_ns.checked_div(resolved) {
        line.push_str(&format!("; {resolved} over, after {} on average", duration(mean_ns)));
    }
    if fired > resolved {
        line.push_str(&format!("; {} still open", fired - resolved));
    }
    let cooled: u64 = engine.statistics().iter().map(|statistics| statistics.held_back).sum();
    if cooled > 0 {
        line.push_str(&format!("; {cooled} not told, for the same was told shortly before"));
    }
    if held_back > 0 {
        line.push_str(&format!("; {held_back} not told by a channel, for there were too many a minute"));
    }
    let mut lines = vec![line];
    for (rule, statistics) in engine.rules().iter().zip(engine.statistics()) {
        if let Some(mean_ns) = statistics.mean_ns() {
            let (fired, mean) = (statistics.fired, duration(mean_ns));
            lines.push(format!(
                "{} ({}): {fired} times, over after {mean} on average",
                rule.name, rule.severity
            ));
        }
    }
    let skipped = history.len().saturating_sub(SHOWN);
    for episode in &history[skipped..] {
        let rule: &Rule = &engine.rules()[episode.rule];
        let resource =
            episode.resource.as_ref().map(|resource| format!(" of {resource}")).unwrap_or_default();
        let end = match episode.resolved_ns {
            Some(resolved_ns) => format!("for {}", duration(resolved_ns.saturating_sub(episode.fired_ns))),
            None => "still open".to_owned(),
        };
        let (time, worst) = (time(clock, episode.fired_ns), amount(episode.worst));
        lines.push(format!("{time} {}{resource}, {end}, at worst {worst}", rule.name));
    }
    if skipped > 0 {
        let before = fired - (history.len() - skipped) as u64;
        lines.push(format!("and {before} before these"));
    }
    lines
}

export_sink!(Alerts);
