//! Several queues of one program, none of which waits for another.

use std::io;
use std::time::{Duration, Instant};

use crate::pusher::{Pusher, Report, Settings};
use crate::target::Post;

/// What changed since it was asked the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What is called so does not arrive, and why.
    Fails(&'static str, String),
    /// It arrives again.
    Works(&'static str),
}

enum State {
    Runs(Pusher),
    Over(Report),
}

struct Lane {
    name: &'static str,
    state: State,
    told: bool,
}

impl Lane {
    fn report(&self) -> Report {
        match &self.state {
            State::Runs(pusher) => pusher.report(),
            State::Over(report) => report.clone(),
        }
    }
}

/// A [`Pusher`] for each kind of thing that is sent: of what a receiver refuses, puts off or lets hang, it holds up no other.
///
/// ```
/// use std::time::Duration;
/// use tickscope_push::{Lanes, News, Post, Settings, Target};
///
/// let mut lanes = Lanes::start(&["traces", "metrics"], Settings::default())?;
/// let to = Target::new("http://127.0.0.1:9/v1/metrics")?; // nobody listens there
/// lanes.post(1, Post { to, headers: Vec::new(), body: Vec::new() });
/// lanes.finish(Duration::from_secs(2));
/// assert!(matches!(&lanes.news()[..], [News::Fails("metrics", _)]));
/// println!("{:?}", lanes.trouble()); // metrics: cannot reach http://127.0.0.1:9: Connection refused
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lanes {
    list: Vec<Lane>,
}

impl Lanes {
    /// One for each name, which a user is told: of several things, as "traces". They share what the settings allow to wait.
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn start(names: &[&'static str], settings: Settings) -> io::Result<Self> {
        let of = names.len().max(1);
        let lane = |name: &&'static str| {
            let pusher = Pusher::start(Settings {
                name: format!("{} {name}", settings.name),
                queue_posts: (settings.queue_posts / of).max(1),
                queue_bytes: settings.queue_bytes / of,
                ..settings.clone()
            })?;
            Ok(Lane { name, state: State::Runs(pusher), told: false })
        };
        Ok(Self { list: names.iter().map(lane).collect::<io::Result<_>>()? })
    }

    /// Queues a post in the lane at that place; whether there was room. Never waits.
    pub fn post(&self, lane: usize, post: Post) -> bool {
        match self.list.get(lane).map(|lane| &lane.state) {
            Some(State::Runs(pusher)) => pusher.post(post),
            _ => false,
        }
    }

    /// How it goes, all lanes together.
    pub fn report(&self) -> Report {
        let mut all = Report::default();
        for report in self.list.iter().map(Lane::report) {
            all.sent += report.sent;
            all.bytes += report.bytes;
            all.remarked += report.remarked;
            all.retried += report.retried;
            all.lost += report.lost;
            all.waiting += report.waiting;
            all.failing |= report.failing;
        }
        all.error = self.trouble();
        all
    }

    /// Which lanes fail, or work again: each is told once.
    pub fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for lane in &mut self.list {
            let report = lane.report();
            match (report.failing, lane.told) {
                (true, false) => news.push(News::Fails(lane.name, report.error.unwrap_or_default())),
                (false, true) => news.push(News::Works(lane.name)),
                _ => {}
            }
            lane.told = report.failing;
        }
        news
    }

    /// What is wrong, and with which lanes: those that fail, lost something, or whose receiver had something to say. `None` when
    /// all is well.
    pub fn trouble(&self) -> Option<String> {
        let bad = |report: &Report| report.failing || report.lost > 0 || report.remarked > 0;
        let reports = self.list.iter().map(|lane| (lane.name, lane.report()));
        let bad: Vec<(&str, String)> = reports
            .filter(|(_, report)| bad(report))
            .map(|(name, report)| (name, report.error.unwrap_or_default()))
            .collect();
        let (_, first) = bad.first()?;
        if bad.len() == self.list.len() && bad.iter().all(|(_, why)| why == first) {
            return Some(first.clone());
        }
        Some(bad.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "))
    }

    /// Sends what waits, all lanes at once, for as long as `within`. What is not sent by then is lost.
    pub fn finish(&mut self, within: Duration) {
        let begin = Instant::now();
        for lane in &self.list {
            if let State::Runs(pusher) = &lane.state {
                pusher.end(within);
            }
        }
        for lane in &mut self.list {
            let over = State::Over(Report::default());
            lane.state = match std::mem::replace(&mut lane.state, over) {
                State::Runs(pusher) => State::Over(pusher.finish(within.saturating_sub(begin.elapsed()))),
                over => over,
            };
        }
    }
}
