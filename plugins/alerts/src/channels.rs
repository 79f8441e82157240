//! Where alerts are told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tickscope_abi::{Error, Health, Host};
use tickscope_counts::Records;
use tickscope_push::{Answer, Header, Limit, Post, Pusher, Report, Settings, Target, secret};

use crate::engine::{Notice, State};
use crate::mail::{self, Mail, Mailer, Security};
use crate::rules::Severity;
use crate::text::{Teller, Told};

/// PagerDuty's own address.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Alerts that wait for room in a channel.
const MAX_WAITING: usize = 1_000;

/// A channel as a user writes it.
#[derive(Debug, Deserialize)]
pub struct Given {
    kind: Kind,
    #[serde(default = "warning")]
    min: Severity,
    #[serde(default = "ten")]
    per_minute: u32,
    #[serde(default)]
    url: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    headers: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    server: String,
    security: Option<Security>,
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: Vec<String>,
}

impl Given {
    /// An option that does nothing for channels of this kind.
    fn idle(&self) -> Option<&'static str> {
        let mail = self.kind == Kind::Email;
        let given = [
            ("url", mail && !self.url.is_empty()),
            ("headers", mail && !self.headers.is_empty()),
            ("key", self.kind != Kind::Pagerduty && !self.key.is_empty()),
            ("server", !mail && !self.server.is_empty()),
            ("security", !mail && self.security.is_some()),
            ("user", !mail && !self.user.is_empty()),
            ("password", !mail && !self.password.is_empty()),
            ("from", !mail && !self.from.is_empty()),
            ("to", !mail && !self.to.is_empty()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

fn warning() -> Severity {
    Severity::Warning
}

fn ten() -> u32 {
    10
}

/// Kinds of channels.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Webhook,
    Slack,
    Discord,
    Pagerduty,
    Email,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Pagerduty => "pagerduty",
            Self::Email => "email",
        }
    }
}

enum Way {
    Console(Host),
    Log {
        file: Records<File>,
        report: Report,
    },
    Http {
        kind: Kind,
        to: Target,
        headers: Vec<Header>,
        key: String,
        pusher: Pusher,
    },
    Mail(Mailer),
    /// It is over.
    Done(Report),
}

struct Channel {
    name: String,
    min: Severity,
    limit: Limit,
    way: Way,
    /// Open alerts that are not told yet, for there are too many in a minute: the worst first, then the oldest.
    waiting: BTreeMap<(Reverse<Severity>, u64), Notice>,
    /// Those that were over, or too many, before there was room.
    held_back: u64,
    /// Open alerts that were told.
    told: HashSet<u64>,
    /// The user was told that it does not work.
    warned: bool,
}

/// All channels.
#[derive(Default)]
pub struct Channels {
    list: Vec<Channel>,
}

impl Channels {
    /// Shows what is as bad as `min` to the user.
    pub fn console(&mut self, host: Host, min: Severity, per_minute: u32) {
        self.add("console".into(), min, per_minute, Way::Console(host));
    }

    /// Writes lines of JSON to the end of a file.
    pub fn log(&mut self, path: &str) -> Result<(), Error> {
        let open = File::options().create(true).append(true).open(path);
        let file = open.map_err(|error| Error::new(format!("log: cannot write {path}: {error}")))?;
        self.add(
            "log".into(),
            Severity::Info,
            u32::MAX,
            Way::Log { file: Records::new(file), report: Report::default() },
        );
        Ok(())
    }

    /// Opens one that was given.
    pub fn open(&mut self, index: usize, given: &Given) -> Result<(), Error> {
        let kind = given.kind.name();
        let wrong =
            |problem: &dyn std::fmt::Display| Error::new(format!("channels[{index}] ({kind}): {problem}"));
        let read = |name: &str, given: &str| {
            if given.is_empty() {
                return Err(wrong(&format!("expected `{name}`")));
            }
            secret(given).map_err(|error| wrong(&error))
        };
        if let Some(name) = given.idle() {
            return Err(wrong(&format!("`{name}` means nothing here; leave it out")));
        }
        let way = match given.kind {
            Kind::Email => {
                let login = match (&*given.user, &*given.password) {
                    ("", "") => None,
                    (user, password) => Some((read("user", user)?, read("password", password)?)),
                };
                let settings = mail::Settings {
                    server: read("server", &given.server)?,
                    security: given.security.unwrap_or(Security::Starttls),
                    login,
                    from: read("from", &given.from)?,
                    to: given.to.iter().map(|to| read("to", to)).collect::<Result<_, _>>()?,
                };
                Way::Mail(Mailer::start(&settings).map_err(|error| wrong(&error))?)
            }
            kind => {
                let url = match (kind, &*given.url) {
                    (Kind::Pagerduty, "") => PAGERDUTY.to_owned(),
                    (_, url) => read("url", url)?,
                };
                let to = Target::new(&url).map_err(|error| wrong(&error))?;
                let key = if kind == Kind::Pagerduty { read("key", &given.key)? } else { String::new() };
                let mut headers = vec![Header::new("Content-Type", "application/json")?];
                for (name, value) in &given.headers {
                    let value =
                        value.as_str().ok_or_else(|| wrong(&format!("headers: {name}: expected text")))?;
                    let header = secret(value).and_then(|value| Header::new(name, &value));
                    headers.push(header.map_err(|error| wrong(&error))?);
                }
                let settings = Settings {
                    name: format!("alerts-{}", kind.name()),
                    user_agent: concat!("tickscope-alerts/", env!("CARGO_PKG_VERSION")).into(),
                    read: (kind == Kind::Slack).then_some(slack_says),
                    ..Settings::default()
                };
                Way::Http { kind, to, headers, key, pusher: Pusher::start(settings)? }
            }
        };
        self.add(given.kind.name().into(), given.min, given.per_minute, way);
        Ok(())
    }

    fn add(&mut self, name: String, min: Severity, per_minute: u32, way: Way) {
        let limit = Limit::new(per_minute);
        self.list.push(Channel {
            name,
            min,
            limit,
            way,
            waiting: BTreeMap::new(),
            held_back: 0,
            told: HashSet::new(),
            warned: false,
        });
    }

    /// Tells begins wherever they are bad enough, the worst first, and an end wherever the begin was told. What there was no
    /// room for in a minute is told when there is, if it is still so.
    pub fn tell(&mut self, notices: &[Notice], now_ns: u64, teller: Teller<'_>) {
        for channel in &mut self.list {
            for notice in notices {
                channel.take(teller.told(notice));
            }
            while let Some(entry) = channel.waiting.first_entry() {
                if !channel.limit.take(now_ns) {
                    break;
                }
                let notice = Notice { time_ns: now_ns, ..entry.remove() };
                channel.told.insert(notice.alert);
                channel.send(teller.told(&notice));
            }
        }
    }

    /// Says which channels do not work any more, or work again; each once.
    pub fn warn(&mut self, host: Host) {
        for channel in &mut self.list {
            if let Way::Log { file, report } = &mut channel.way
                && report.failing
            {
                write(file, report);
            }
            let report = channel.way.report();
            match (report.failing, channel.warned) {
                (true, false) => {
                    let why = report.error.unwrap_or_default();
                    host.warning(&format!("{} does not work: {why}", channel.name));
                }
                (false, true) => host.info(&format!("{} works again", channel.name)),
                _ => {}
            }
            channel.warned = report.failing;
        }
    }

    /// Sends what waits.
    pub fn finish(&mut self, within: Duration) {
        let until = Instant::now() + within;
        // All at once: each has the same time.
        let waiting: Vec<(usize, std::thread::JoinHandle<Report>)> = self
            .list
            .iter_mut()
            .enumerate()
            .filter_map(|(place, channel)| {
                let left = move || until.saturating_duration_since(Instant::now());
                let way = match &mut channel.way {
                    Way::Http { .. } | Way::Mail(_) => {
                        std::mem::replace(&mut channel.way, Way::Done(Report::default()))
                    }
                    _ => return None,
                };
                let end = move || match way {
                    Way::Http { pusher, .. } => pusher.finish(left()),
                    Way::Mail(mailer) => mailer.finish(until),
                    other => other.report(),
                };
                let thread = std::thread::Builder::new().name("alerts-end".into()).spawn(end);
                thread.ok().map(|thread| (place, thread))
            })
            .collect();
        for (place, thread) in waiting {
            if let Ok(report) = thread.join() {
                self.list[place].way = Way::Done(report);
            }
        }
    }

    /// Alerts that channels did not tell, for there were too many in a minute.
    pub fn held_back(&self) -> u64 {
        self.list.iter().map(|channel| channel.held_back + channel.waiting.len() as u64).sum()
    }

    /// What was told and lost in all.
    pub fn health(&self) -> Health {
        let mut health = Health::default();
        let mut messages = Vec::new();
        for channel in &self.list {
            let report = channel.way.report();
            health.written += report.sent;
            health.bytes += report.bytes;
            health.lost += report.lost;
            if report.lost > 0 || report.failing {
                health.degraded = true;
                let why = report.error.unwrap_or_default();
                messages.push(format!("{}: {} lost: {why}", channel.name, report.lost));
            }
        }
        health.message = messages.join("; ");
        health
    }
}

impl Channel {
    fn take(&mut self, told: Told<'_>) {
        let Told { notice, rule, .. } = told;
        let place = (Reverse(rule.severity), notice.alert);
        match notice.state {
            State::Firing if rule.severity < self.min => {}
            State::Firing => {
                self.waiting.insert(place, notice.clone());
                if self.waiting.len() > MAX_WAITING {
                    self.waiting.pop_last();
                    self.held_back += 1;
                }
            }
            State::Resolved if self.told.remove(&notice.alert) => self.send(told),
            State::Resolved => self.held_back += u64::from(self.waiting.remove(&place).is_some()),
        }
    }

    fn send(&mut self, told: Told<'_>) {
        match &mut self.way {
            Way::Console(host) => {
                let line = told.line();
                match (told.notice.state, told.rule.severity) {
                    (State::Resolved, _) | (_, Severity::Info) => host.info(&line),
                    // The host calls it a warning already.
                    (_, Severity::Warning) => host.warning(&format!("{}: {}", told.rule.name, told.body())),
                    (_, Severity::Critical | Severity::Emergency) => host.error(&line),
                }
            }
            Way::Log { file, report } => {
                let mut line = told.json().to_string();
                line.push('\n');
                file.push(line.as_bytes());
                write(file, report);
            }
            Way::Http { kind, to, headers, key, pusher } => {
                let body = match kind {
                    Kind::Slack => told.slack(),
                    Kind::Discord => told.discord(),
                    Kind::Pagerduty => told.pagerduty(key),
                    Kind::Webhook | Kind::Email => told.json(),
                };
                let (to, headers, body) = (to.clone(), headers.clone(), body.to_string().into_bytes());
                pusher.post(Post { to, headers, body });
            }
            Way::Mail(mailer) => {
                mailer.send(Mail { subject: told.subject(), body: told.mail() });
            }
            Way::Done(_) => {}
        }
    }
}

impl Way {
    fn report(&self) -> Report {
        match self {
            Self::Console(_) => Report::default(),
            Self::Log { report, .. } | Self::Done(report) => report.clone(),
            Self::Http { pusher, .. } => pusher.report(),
            Self::Mail(mailer) => mailer.report(),
        }
    }
}

/// Writes the lines that wait, which is one where the disk is not full: others that append to the file do not come between.
fn write(file: &mut Records<File>, report: &mut Report) {
    let written = file.flush();
    report.failing = written.is_err();
    if let Err(error) = written {
        report.error = Some(format!("cannot write: {error}"));
    }
    (report.sent, report.bytes, report.lost) = (file.written(), file.bytes(), file.lost());
}

/// Slack names what is wrong in a word, as `no_service`, which has nothing secret in it.
fn slack_says(answer: &Answer<'_>) -> Option<String> {
    let word = std::str::from_utf8(answer.body).ok()?.trim();
    let is_word = !word.is_empty()
        && word.len() < 64
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_word && answer.status != 200).then(|| word.to_owned())
}
