//! The queue, and the thread that empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::attempt::{Answer, Outcome, agent, gzip, send};
use crate::target::Post;

/// No wait is longer, whoever asks for it.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How to post.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the thread: up to 15 bytes are shown by the system.
    pub name: String,
    /// What posts, for the header `User-Agent`.
    pub user_agent: String,
    /// Posts that wait or are on their way, at most.
    pub queue_posts: usize,
    /// Bytes of their bodies, at most.
    pub queue_bytes: usize,
    /// How long one request may take, the answer included.
    pub request_limit: Duration,
    /// How long after it was queued a post is still worth sending: a day at most.
    pub keep: Duration,
    /// From a request that failed to the next, the first time; then twice as long each time. A random part of its second
    /// half is left out.
    pub first_wait: Duration,
    /// The longest of these waits. The receiver may ask for a longer one, up to a day.
    pub longest_wait: Duration,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// What is to be said of an answer, if anything. It is told as an error: of one with a status of 2xx beside its being
    /// sent, of others behind the status. It must not repeat what is secret.
    pub read: Option<fn(&Answer<'_>) -> Option<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "push".into(),
            user_agent: concat!("tickscope/", env!("CARGO_PKG_VERSION")).into(),
            queue_posts: 256,
            queue_bytes: 16 << 20,
            request_limit: Duration::from_secs(10),
            keep: Duration::from_secs(300),
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            gzip: false,
            read: None,
        }
    }
}

/// How it goes. Of what was given to [`Pusher::post`], as much is sent or lost or waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Posts that were taken.
    pub sent: u64,
    /// Bytes of their bodies, as they went over the wire.
    pub bytes: u64,
    /// Of these posts, those about whose answer [`Settings::read`] had something to say.
    pub remarked: u64,
    /// Requests that failed and may be made again.
    pub retried: u64,
    /// Posts that were refused, were too old, found no room or no time.
    pub lost: u64,
    /// Posts that wait or are on their way.
    pub waiting: usize,
    /// The newest request failed. Posts to several targets are better given to [`Lanes`](crate::Lanes), which tell of which.
    pub failing: bool,
    /// What was wrong the last time that something was.
    pub error: Option<String>,
}

struct Queued {
    post: Post,
    size: usize,
    since: Instant,
    gzipped: bool,
}

struct State {
    queue: VecDeque<Queued>,
    /// Of the queue and of what is on its way.
    bytes: usize,
    /// One is on its way.
    busy: bool,
    report: Report,
    /// Requests that failed one after the other.
    failures: u32,
    not_before: Instant,
    /// The receiver said so.
    asked: bool,
    /// No more is taken, and nothing is sent after it.
    until: Option<Instant>,
    /// It is over, and the report does not change.
    closed: bool,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    changed: Condvar,
}

/// Posts from a thread of its own. When it is dropped, what waits is lost; [`finish`](Self::finish) gives it time.
pub struct Pusher {
    shared: Arc<Shared>,
}

impl Pusher {
    /// Starts the thread. It sends nothing by itself.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let name = settings.name.clone();
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            busy: false,
            report: Report::default(),
            failures: 0,
            not_before: Instant::now(),
            asked: false,
            until: None,
            closed: false,
        };
        let shared = Arc::new(Shared { settings, state: Mutex::new(state), changed: Condvar::new() });
        let working = Arc::clone(&shared);
        thread::Builder::new().name(name).spawn(move || working.work())?;
        Ok(Self { shared })
    }

    /// Queues a post; whether there was room. Never waits. Without room it is lost, and counted.
    pub fn post(&self, post: Post) -> bool {
        let settings = &self.shared.settings;
        let mut state = self.shared.lock();
        let size = post.body.len();
        state.expire(settings.keep, Instant::now());
        let full = state.waiting() >= settings.queue_posts
            || state.bytes.saturating_add(size) > settings.queue_bytes;
        if full || state.until.is_some() || state.closed {
            if full && !state.closed {
                let waiting = state.waiting();
                let bytes = state.bytes;
                let why = || format!("no room for {size} bytes more: {waiting} posts of {bytes} bytes wait");
                state.report.error.get_or_insert_with(why);
            }
            state.report.lost += 1;
            return false;
        }
        state.bytes += size;
        state.queue.push_back(Queued { post, size, since: Instant::now(), gzipped: false });
        self.shared.changed.notify_all();
        true
    }

    /// How it goes.
    pub fn report(&self) -> Report {
        let state = self.shared.lock();
        Report { waiting: state.waiting(), ..state.report.clone() }
    }

    /// Takes no more, and sends what waits for as long as `within`, as [`finish`](Self::finish) does. Does not wait for it: of
    /// several that have the same time, all are told before the first is waited for.
    pub fn end(&self, within: Duration) {
        let mut state = self.shared.lock();
        if state.until.is_none() {
            state.until = Some(later(Instant::now(), within));
            if !state.asked {
                state.not_before = Instant::now();
            }
            self.shared.changed.notify_all();
        }
    }

    /// Sends what waits, for as long as `within`, a day at most. What waits for a second attempt is tried once more at once, unless its
    /// receiver asked for time; what is not sent by then is lost. Nothing waits in the report.
    pub fn finish(self, within: Duration) -> Report {
        self.end(within);
        let mut state = self.shared.lock();
        let until = state.until.unwrap_or_else(Instant::now);
        while !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.close();
        state.report.clone()
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.shared.lock().close();
        self.shared.changed.notify_all();
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.queue.len() + usize::from(self.busy)
    }

    /// What waits and what is on its way is lost.
    fn close(&mut self) {
        if !self.closed {
            let lost = self.waiting();
            self.report.lost += lost as u64;
            if lost > 0 {
                let why = || "there was no time left to send what waited".to_owned();
                self.report.error.get_or_insert_with(why);
            }
            self.queue.clear();
            self.bytes = 0;
            self.closed = true;
        }
    }

    /// What came of a request for `queued`.
    fn take(&mut self, queued: Queued, outcome: Outcome, settings: &Settings, now: Instant) {
        self.busy = false;
        if self.closed {
            return;
        }
        let mut over = true;
        self.report.failing = !matches!(outcome, Outcome::Sent(_));
        match outcome {
            Outcome::Sent(remark) => {
                self.report.sent += 1;
                self.report.bytes += queued.post.body.len() as u64;
                self.report.remarked += u64::from(remark.is_some());
                self.report.error = remark.or_else(|| self.report.error.take());
                self.failures = 0;
            }
            Outcome::Refused(why) => {
                self.report.lost += 1;
                self.report.error = Some(why);
                self.failures = 0;
            }
            Outcome::Later { why, asked } => {
                self.report.retried += 1;
                // Cut short by the end, a request says less than the one before.
                if self.until.is_none_or(|until| now < until) || self.report.error.is_none() {
                    self.report.error = Some(why);
                }
                self.failures = self.failures.saturating_add(1);
                self.asked = asked.is_some();
                let wait = settings.wait(self.failures, fastrand::f64());
                self.not_before = later(now, asked.unwrap_or_default().max(wait));
                over = false;
            }
        }
        if over {
            self.asked = false;
            self.bytes -= queued.size;
        } else {
            self.queue.push_front(queued);
        }
    }

    /// Lets go of what is too old.
    fn expire(&mut self, keep: Duration, now: Instant) {
        while self
            .queue
            .front()
            .is_some_and(|queued| now.saturating_duration_since(queued.since) > keep.min(LONGEST))
        {
            if let Some(queued) = self.queue.pop_front() {
                self.bytes -= queued.size;
                self.report.lost += 1;
            }
        }
    }
}

/// So long after `now`, a day at most: there are times that no clock has.
fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait.min(LONGEST)).unwrap_or(now)
}

impl Settings {
    /// The wait after so many failures; `random` is of 0 to 1.
    fn wait(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest_wait).min(LONGEST).mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // However the thread ends, nobody waits for it.
        struct Leaving<'a>(&'a Shared);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.lock().close();
                self.0.changed.notify_all();
            }
        }
        let _leaving = Leaving(self);
        let agent = agent(&self.settings.user_agent);
        while let Some((mut queued, limit)) = self.next() {
            if self.settings.gzip && !queued.gzipped {
                match gzip(&queued.post.body) {
                    Ok(body) => queued.post.body = body,
                    Err(error) => {
                        let outcome = Outcome::Refused(format!("cannot compress a body: {error}"));
                        self.lock().take(queued, outcome, &self.settings, Instant::now());
                        continue;
                    }
                }
                queued.gzipped = true;
            }
            let outcome = send(&agent, &queued.post, queued.gzipped, limit, self.settings.read);
            self.lock().take(queued, outcome, &self.settings, Instant::now());
        }
    }

    /// The next post and how long it may take, when its time has come; none when all is over.
    fn next(&self) -> Option<(Queued, Duration)> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state.expire(self.settings.keep, now);
            let over = state.until.is_some_and(|until| until <= now.max(state.not_before));
            if state.closed || over || state.until.is_some() && state.queue.is_empty() {
                return None;
            }
            let wait = state.not_before.saturating_duration_since(now);
            if state.queue.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else if !wait.is_zero() {
                let waited = self.changed.wait_timeout(state, wait);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else if let Some(queued) = state.queue.pop_front() {
                state.busy = true;
                let left = state.until.map(|until| until.saturating_duration_since(now));
                let limit = self.settings.request_limit.min(LONGEST);
                return Some((queued, left.map_or(limit, |left| left.min(limit))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_shorter_than_half() {
        let settings = Settings {
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_millis(1_000),
            ..Settings::default()
        };
        let wait = |failures, random| settings.wait(failures, random).as_millis();
        let longest: Vec<u128> = (1..=6).map(|failures| wait(failures, 1.0)).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1_000, 1_000]);
        let shortest: Vec<u128> = (1..=6).map(|failures| wait(failures, 0.0)).collect();
        assert_eq!(shortest, [50, 100, 200, 400, 500, 500]);
        assert_eq!(wait(u32::MAX, 1.0), 1_000);
    }

    fn state(now: Instant) -> State {
        State {
            queue: VecDeque::new(),
            bytes: 5,
            busy: true,
            report: Report::default(),
            failures: 0,
            not_before: now,
            asked: false,
            until: None,
            closed: false,
        }
    }

    fn queued(since: Instant) -> Queued {
        let to = crate::Target::new("http://h/").expect("an address");
        Queued {
            post: Post { to, headers: Vec::new(), body: b"hello".to_vec() },
            size: 5,
            since,
            gzipped: false,
        }
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it_and_posts_grow_too_old() {
        let settings = Settings { keep: Duration::from_secs(100), ..Settings::default() };
        let now = Instant::now();
        let check = |asked: Option<u64>, least: u64, most: u64| {
            let mut state = state(now);
            let asked = asked.map(Duration::from_secs);
            state.take(queued(now), Outcome::Later { why: "busy".into(), asked }, &settings, now);
            let wait = state.not_before - now;
            assert!(wait >= Duration::from_millis(least) && wait <= Duration::from_millis(most), "{wait:?}");
            assert_eq!((state.waiting(), state.bytes, state.report.retried), (1, 5, 1));
            state.expire(settings.keep, now + Duration::from_secs(100));
            assert_eq!((state.waiting(), state.report.lost), (1, 0));
            state.expire(settings.keep, now + Duration::from_secs(101));
            assert_eq!((state.waiting(), state.bytes, state.report.lost), (0, 0, 1));
        };
        check(None, 250, 500);
        check(Some(0), 250, 500);
        check(Some(7), 7_000, 7_000);
        // What waits is too old by then; what comes after it waits as well.
        check(Some(3_600), 3_600_000, 3_600_000);
        check(Some(u64::MAX), 86_400_000, 86_400_000);
    }

    #[test]
    fn times_that_no_clock_has_are_a_day() {
        let (now, max) = (Instant::now(), Duration::MAX);
        let settings = Settings {
            keep: max,
            first_wait: max,
            longest_wait: max,
            request_limit: max,
            ..Settings::default()
        };
        let mut state = state(now);
        state.take(queued(now), Outcome::Later { why: "busy".into(), asked: Some(max) }, &settings, now);
        assert_eq!(state.not_before - now, LONGEST);
        state.expire(settings.keep, now + LONGEST + Duration::from_secs(1));
        assert_eq!(state.report.lost, 1);
        let pusher = Pusher::start(settings).expect("a thread");
        assert_eq!(pusher.finish(max), Report::default());
    }

    #[test]
    fn what_comes_back_after_the_end_changes_nothing() {
        let now = Instant::now();
        let mut state = state(now);
        state.close();
        assert_eq!(state.report.lost, 1);
        state.take(queued(now), Outcome::Sent(None), &Settings::default(), now);
        assert_eq!((state.report.sent, state.report.lost), (0, 1));
    }
}
