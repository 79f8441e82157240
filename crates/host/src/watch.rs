//! `tickscope watch`: what a live FXServer says by itself, lined up in time. Nothing is installed on it.

mod fetch;
mod metrics;
mod screen;
mod show;
mod tail;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use tickscope_watch::log::plain;
use tickscope_watch::{Watch, perf};

use crate::cli;
use crate::signals;
use fetch::Server;
use show::Show;

/// How often a terminal is drawn on.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// What comes to be looked at.
enum Seen {
    /// A line of the log.
    Line(String),
    /// The log has no more: standard input ended.
    LogEnded,
    /// Something to tell about reading the log.
    Note(String),
}

pub(crate) fn run(options: &cli::Watch) -> Result<ExitCode> {
    ensure!(
        options.server.is_some() || options.log.is_some(),
        "nothing to watch: give --server http://127.0.0.1:30120, --log server.log, or both"
    );
    let server = options.server.as_deref().map(|url| Server::new(url, options)).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    signals::watch({
        let stop = stop.clone();
        move || stop.store(true, Ordering::Release)
    })?;
    let (sender, lines) = mpsc::channel();
    match &options.log {
        Some(path) => tail::follow(path, options.from_start, sender)?,
        None => drop(sender),
    }
    let watch = Arc::new(Mutex::new(Watch::default()));
    if let Some(address) = options.metrics {
        metrics::serve(address, watch.clone())?;
    }
    let mut watching =
        Watching { watch, show: Show::new(options.format), server, begin: Instant::now(), well: None };
    let until = options.time.map(|time| Instant::now() + time);
    let (mut next, mut next_summary) = (Instant::now(), Instant::now() + options.summary);
    let mut next_draw = Instant::now();
    let mut log_open = options.log.is_some();
    loop {
        let now = Instant::now();
        if stop.load(Ordering::Acquire) || until.is_some_and(|until| now >= until) {
            break;
        }
        if watching.server.is_some() && now >= next {
            watching.ask()?;
            next = now + options.every;
        }
        if watching.show.is_left()? {
            break;
        }
        if watching.show.is_live() && now >= next_draw {
            watching.draw()?;
            next_draw = now + DRAW_EVERY;
        }
        if !watching.show.is_live() && now >= next_summary {
            watching.summary()?;
            next_summary = now + options.summary;
        }
        // Ctrl-C wakes nobody.
        let wait = Duration::from_millis(100).min(next.saturating_duration_since(now));
        if !log_open {
            if watching.server.is_none() {
                break;
            }
            std::thread::sleep(wait.max(Duration::from_millis(1)));
            continue;
        }
        match lines.recv_timeout(wait.max(Duration::from_millis(1))) {
            Ok(Seen::Line(line)) => watching.line(&line)?,
            Ok(Seen::Note(note)) => watching.show.note(note),
            Ok(Seen::LogEnded) | Err(RecvTimeoutError::Disconnected) => log_open = false,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    watching.show.close();
    watching.summary()?;
    Ok(ExitCode::SUCCESS)
}

struct Watching {
    watch: Arc<Mutex<Watch>>,
    show: Show,
    server: Option<Server>,
    begin: Instant,
    /// Whether the server answered when it was asked last.
    well: Option<bool>,
}

impl Watching {
    fn now(&self) -> u64 {
        self.begin.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
    }

    fn ask(&mut self) -> Result<()> {
        let Some(server) = &self.server else { return Ok(()) };
        let answer = server.perf().and_then(|text| perf::read(&text).map_err(|error| error.to_string()));
        let now = self.now();
        match answer {
            Ok(threads) => {
                if self.well == Some(false) {
                    self.show.note(format!("{} answers again", server.url()));
                }
                self.well = Some(true);
                self.watch.lock().unwrap_or_else(PoisonError::into_inner).perf(now, &threads);
                self.show.ticks(wall(), &threads)
            }
            Err(why) => {
                // Once, until it changes: a server that is down for an hour is told of once.
                if self.well != Some(false) {
                    self.show.note(format!("{}: {why}", server.url()));
                }
                self.well = Some(false);
                Ok(())
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let (now, line) = (self.now(), plain(line));
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match watch.line(now, &line) {
            Some(said) => self.show.said(wall(), &said),
            None => Ok(()),
        }
    }

    fn draw(&mut self) -> Result<()> {
        let summary = self.watch.lock().unwrap_or_else(PoisonError::into_inner).summary();
        self.show.draw(wall(), &summary, self.server.is_some())
    }

    fn summary(&mut self) -> Result<()> {
        let summary = self.watch.lock().unwrap_or_else(PoisonError::into_inner).summary();
        self.show.summary(wall(), &summary, self.server.is_some())
    }
}

/// Seconds since 1970, UTC.
fn wall() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
