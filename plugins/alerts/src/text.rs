//! Alerts in words, and as the bodies that services take.

use serde_json::{Value, json};
use tickscope_counts::{Clock, Utc};

use crate::engine::{Notice, State};
use crate::rules::{Limit, Measure, Rule, Severity};
use crate::window::amount;

/// Characters of a text that a service takes.
const MAX_SUMMARY: usize = 1_000;

/// As 2026-11-26T18:04:05.123Z: ISO 8601, in UTC.
fn iso(clock: Clock, time_ns: u64) -> String {
    let Utc { date: (year, month, day), time: (hour, minute, second), ns } = Utc::of(clock.unix_ns(time_ns));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ns / 1_000_000)
}

/// As 18:04:05 UTC.
pub fn time(clock: Clock, time_ns: u64) -> String {
    let (hour, minute, second) = Utc::of(clock.unix_ns(time_ns)).time;
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}

/// How long, for people: 4.2 s, 3 min 20 s, 2 h 5 min.
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    if seconds < 60.0 {
        return format!("{} s", amount(seconds));
    }
    let seconds = seconds.round() as u64;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// What all notices of a recording share.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    /// By place.
    pub rules: &'a [Rule],
    /// What the user calls the server.
    pub server: &'a str,
    /// The process that is recorded; 0 where it is none of this machine.
    pub pid: u32,
    /// For times.
    pub clock: Clock,
}

impl<'a> Teller<'a> {
    /// The notice with all of it.
    pub fn told<'n>(self, notice: &'n Notice) -> Told<'n>
    where
        'a: 'n,
    {
        let Self { rules, server, pid, clock } = self;
        Told { notice, rule: &rules[notice.rule], server, pid, clock }
    }
}

/// A notice, with all that is needed to tell it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What is told.
    pub notice: &'a Notice,
    /// Its rule.
    pub rule: &'a Rule,
    /// What the user calls the server.
    pub server: &'a str,
    /// The process that is recorded, or 0.
    pub pid: u32,
    /// For times.
    pub clock: Clock,
}

impl Told<'_> {
    /// The server, and which of its processes.
    fn place(&self) -> String {
        if self.pid == 0 { self.server.to_owned() } else { format!("{} (pid {})", self.server, self.pid) }
    }

    fn is_over(&self) -> bool {
        self.notice.state == State::Resolved
    }

    /// CRITICAL, or resolved.
    fn label(&self) -> String {
        if self.is_over() { "resolved".into() } else { self.rule.severity.name().to_uppercase() }
    }

    /// What was measured, with a value.
    fn sentence(&self, value: f64) -> String {
        let (value, who) = (amount(value), self.notice.resource.as_deref().unwrap_or_default());
        match self.rule.measure {
            Measure::LateTicksPerMinute => format!("{value} late ticks a minute"),
            Measure::TickMs => format!("a tick took {value} ms"),
            Measure::TicksPerS => format!("{value} ticks a second"),
            Measure::MsPerTick => format!("{who} runs {value} ms of each tick"),
            Measure::MsPerS => format!("{who} runs {value} ms of each second"),
            Measure::HeapMb => format!("the Lua heap of {who} is {value} MB"),
            Measure::AllocatedMbPerS => format!("{who} allocates {value} MB a second"),
            Measure::ErrorsPerMinute => format!("{who} reports {value} errors a minute"),
            Measure::CallsPerS => format!("{who} is called {value} times a second"),
        }
    }

    fn limit(&self) -> String {
        match self.rule.limit {
            Limit::Above(limit) => format!("at most {}", amount(limit)),
            Limit::Below(limit) => format!("at least {}", amount(limit)),
        }
    }

    /// What is so, against what limit, since when, and who made it so.
    pub fn body(&self) -> String {
        let Notice { value, worst, since_ns, fired_ns, time_ns, .. } = *self.notice;
        let now = format!(
            "{}, allowed {} {}",
            self.sentence(value),
            if self.over() { "are" } else { "is" },
            self.limit()
        );
        if self.is_over() {
            let took = duration(time_ns.saturating_sub(fired_ns));
            return format!("well again after {took}: {now}; at worst it was {}", amount(worst));
        }
        let blame = self.notice.blame.as_ref().map(|blame| format!("; {blame}")).unwrap_or_default();
        format!("{now}, since {}{blame}", time(self.clock, since_ns))
    }

    /// The plural of what is counted.
    fn over(&self) -> bool {
        matches!(
            self.rule.measure,
            Measure::LateTicksPerMinute | Measure::TicksPerS | Measure::ErrorsPerMinute
        )
    }

    /// One line, the server not named.
    pub fn line(&self) -> String {
        format!("{} {}: {}", self.label(), self.rule.name, self.body())
    }

    /// One line for a subject: what, where.
    pub fn subject(&self) -> String {
        let value = self.sentence(self.notice.value);
        cut(&format!("[{}] {}: {}: {value}", self.label(), self.place(), self.rule.name), 200).to_owned()
    }

    /// The same for as long as the process is, so that services know it again.
    pub fn key(&self) -> String {
        let resource = self.notice.resource.as_deref().unwrap_or_default();
        let [server, rule, resource] = [(self.server, 60), (&*self.rule.name, 60), (resource, 110)]
            .map(|(text, limit)| part(text, limit));
        format!("tickscope/{server}/{}/{rule}/{resource}", self.pid)
    }

    /// Everything, for files and programs.
    pub fn json(&self) -> Value {
        let Notice { alert, value, worst, since_ns, fired_ns, time_ns, .. } = *self.notice;
        let (kind, limit) = match self.rule.limit {
            Limit::Above(limit) => ("above", limit),
            Limit::Below(limit) => ("below", limit),
        };
        let mut body = json!({
            "state": if self.is_over() { "resolved" } else { "firing" },
            "severity": self.rule.severity.name(),
            "server": self.server,
            "pid": self.pid,
            "rule": self.rule.name,
            "resource": self.notice.resource,
            "measure": self.rule.measure.name(),
            "value": rounded(value),
            kind: limit,
            "worst": rounded(worst),
            "since": iso(self.clock, since_ns),
            "fired": iso(self.clock, fired_ns),
            "time": iso(self.clock, time_ns),
            "alert": alert,
            "key": self.key(),
            "text": self.body(),
        });
        if self.is_over() {
            body["open_s"] = rounded(time_ns.saturating_sub(fired_ns) as f64 / 1e9);
        }
        body
    }

    /// For an incoming webhook of Slack.
    pub fn slack(&self) -> Value {
        // Slack's three, so that a name is no mention and no link.
        let text = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let title = text(&format!("{} {} on {}", self.label(), self.rule.name, self.place()));
        json!({
            "text": cut(&format!("{title}: {}", text(&self.body())), MAX_SUMMARY),
            "attachments": [{
                "color": format!("#{:06x}", self.color()),
                "title": cut(&title, 200),
                "text": cut(&text(&self.body()), MAX_SUMMARY),
                "fallback": cut(&text(&self.line()), MAX_SUMMARY),
                "ts": self.clock.unix_ns(self.notice.time_ns) / 1_000_000_000,
            }],
        })
    }

    /// For a webhook of Discord.
    pub fn discord(&self) -> Value {
        json!({
            "username": "Tickscope",
            // Names are no mentions.
            "allowed_mentions": {"parse": []},
            "embeds": [{
                "title": cut(&format!("{} {} on {}", self.label(), self.rule.name, self.place()), 250),
                "description": cut(&self.body(), MAX_SUMMARY),
                "color": self.color(),
                "timestamp": iso(self.clock, self.notice.time_ns),
            }],
        })
    }

    /// For PagerDuty's Events API, version 2.
    pub fn pagerduty(&self, routing_key: &str) -> Value {
        if self.is_over() {
            return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": self.key()});
        }
        let severity = match self.rule.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            // PagerDuty's order is warning, error, critical.
            Severity::Critical => "error",
            Severity::Emergency => "critical",
        };
        let mut payload = json!({
            "summary": cut(&format!("{} on {}: {}", self.rule.name, self.place(), self.body()), MAX_SUMMARY),
            "source": self.server,
            "severity": severity,
            "timestamp": iso(self.clock, self.notice.time_ns),
            "class": self.rule.name,
            "custom_details": self.json(),
        });
        if let Some(resource) = &self.notice.resource {
            payload["component"] = json!(resource);
        }
        json!({"routing_key": routing_key, "event_action": "trigger", "dedup_key": self.key(), "payload": payload})
    }

    /// Of a mail.
    pub fn mail(&self) -> String {
        let Notice { since_ns, time_ns, .. } = *self.notice;
        let mut lines = vec![self.line(), String::new(), format!("server    {}", self.place())];
        if let Some(resource) = &self.notice.resource {
            lines.push(format!("resource  {resource}"));
        }
        lines.push(format!("rule      {} ({} {})", self.rule.name, self.rule.measure.name(), self.limit()));
        lines.push(format!("severity  {}", self.rule.severity));
        lines.push(format!("since     {}", iso(self.clock, since_ns)));
        lines.push(format!("told      {}", iso(self.clock, time_ns)));
        lines.join("\r\n") + "\r\n"
    }

    fn color(&self) -> u32 {
        match self.rule.severity {
            _ if self.is_over() => 0x2e_b8_86,
            Severity::Info => 0x43_9f_e0,
            Severity::Warning => 0xda_a0_38,
            Severity::Critical => 0xd4_4a_3a,
            Severity::Emergency => 0x8b_00_00,
        }
    }
}

/// Of a key: short, and without what stands between parts. What was changed has the text's hash behind it, so that two long
/// names that begin alike are two.
fn part(text: &str, limit: usize) -> String {
    let plain = text.replace(['/', '\n'], "_");
    if plain == text && text.len() <= limit {
        return plain;
    }
    // FNV-1a, which is the same tomorrow.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{}~{hash:016x}", &plain[..plain.floor_char_boundary(limit - 17)])
}

fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(at, _)| &text[..at])
}

/// To three decimals, which is what figures are good for.
fn rounded(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let check = |unix: u64, expected: &str| {
            let clock = Clock { start_ns: 50, start_unix_ns: unix * 1_000_000_000 };
            assert_eq!(iso(clock, 50), expected);
        };
        // From `date -u -d @… +%FT%T`.
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399, "2000-02-28T23:59:59.000Z");
        check(951_782_400, "2000-02-29T00:00:00.000Z");
        check(1_709_251_199, "2024-02-29T23:59:59.000Z");
        check(1_795_716_245, "2026-11-26T18:04:05.000Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000Z");
        let clock = Clock { start_ns: 1_000, start_unix_ns: 1_795_716_245_000_000_000 };
        assert_eq!(
            (iso(clock, 123_001_000), time(clock, 1_000)),
            ("2026-11-26T18:04:05.123Z".into(), "18:04:05 UTC".into())
        );
        // Before the start, and beyond all times.
        assert_eq!(iso(clock, 0), "2026-11-26T18:04:04.999Z");
        let last = Clock { start_ns: 0, start_unix_ns: u64::MAX };
        assert!(iso(last, u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn keys_are_short_and_different() {
        assert_eq!(part("garage", 60), "garage");
        let long = "гараж".repeat(20);
        let [one, other] = ["1", "2"].map(|end| part(&format!("{long}{end}"), 110));
        assert!(one != other && one.len() <= 110 && one.starts_with("гараж"), "{one} {other}");
        // By another program.
        assert_eq!(part("a/b", 60), "a_b~e620c3190468cf61");
        assert_ne!(part("a/b", 60), part("a\nb", 60));
    }

    #[test]
    fn durations_and_amounts_are_short() {
        let check = |seconds: f64, text: &str| assert_eq!(duration((seconds * 1e9) as u64), text);
        check(0.0, "0 s");
        check(4.24, "4.2 s");
        check(59.0, "59 s");
        check(200.0, "3 min 20 s");
        check(7_500.0, "2 h 5 min");
        for (value, text) in [(412.34, "412"), (41.25, "41.2"), (4.0, "4"), (0.04, "0"), (-3.5, "-3.5")] {
            assert_eq!(amount(value), text);
        }
    }
}
