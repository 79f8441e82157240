//! `tickscope collect`: receives what the resource `tickscope` posts from a live FXServer, and makes a capture of it.

mod gate;
mod token;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use tickscope_collect::{Collector, Counts, MAX_POST, PostError};
use tickscope_core::{Depth, Flow, Metadata, Sink};
use tickscope_export::perfetto;
use tickscope_http::{Incoming, Limits, Listener, News, Reply};

use crate::cli;
use crate::plugins;
use crate::present::tell;
use crate::present::text::time;
use crate::progress::Line;
use crate::recording::producer;
use crate::signals;
use gate::Gate;

/// How long a post may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Connections at a time: the resource has one.
const CONNECTIONS: usize = 16;
/// The capture's clock at the start: slices are older than the post that brings them.
const BEFORE: Duration = Duration::from_secs(600);
/// How often what came is put on disk.
const FLUSH: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &cli::Collect) -> Result<ExitCode> {
    let token = token::read(&options.token_file)?;
    let capture = options.output.display();
    let writer =
        perfetto::create(options.output.clone(), Some(options.max_size), perfetto::Options::default())
            .with_context(|| format!("cannot write the capture {capture}; choose another place with -o"))?;
    let chosen = plugins::choose(&options.sinks);
    let refused = chosen.refused;
    let gate = Arc::new(Gate::new(token));
    let limits = Limits { connections: CONNECTIONS, body: MAX_POST, arrival: ARRIVAL };
    let asked = gate.clone();
    let listener = Listener::bind(options.listen, limits, Some(Arc::new(move |head| asked.admit(head))))
        .with_context(|| {
            format!("cannot listen on {}; choose another address with --listen", options.listen)
        })?;
    let stop = Arc::new(AtomicBool::new(false));
    signals::watch({
        let stop = stop.clone();
        move || stop.store(true, Ordering::Release)
    })?;
    let address = listener.address();
    tell!("tickscope: takes posts at http://{address}; Ctrl-C ends it");
    if !address.ip().is_loopback() {
        tell!(
            "tickscope: other machines reach it, and what they send, the token too, can be read on its way"
        );
    }
    let mut collecting = Collecting {
        collector: Collector::new(),
        sink: plugins::Beside { capture: writer, plugins: chosen.open() },
        opened: false,
        begin: Instant::now(),
        told: None,
        runs: 0,
    };
    let until = options.time.map(|time| Instant::now() + time);
    let (mut line, mut flushed) = (Line::new(), Instant::now());
    let ended = loop {
        if stop.load(Ordering::Acquire) || until.is_some_and(|until| Instant::now() >= until) {
            break Ok(());
        }
        // Ctrl-C wakes nobody
        listener.wait(Duration::from_millis(100));
        let mut taken = Ok(());
        for news in listener.take() {
            if let News::Asked(incoming) = news
                && taken.is_ok()
            {
                taken = collecting.take(incoming, &mut line);
            }
        }
        if taken.is_ok() && flushed.elapsed() >= FLUSH {
            flushed = Instant::now();
            taken = collecting.flush();
        }
        if taken.is_err() {
            break taken;
        }
        line.draw(|| progress(&collecting.collector.counts(), &gate));
    };
    drop(listener);
    line.clear();
    let ended = ended.and_then(|()| collecting.finish());
    // Where the capture failed they have not been told yet that it is over; a second time does nothing.
    let _ = collecting.sink.plugins.finish(); // never fails
    let context = || format!("cannot write the capture {capture}; it holds what was written before");
    summary(&collecting.collector.counts(), &gate, &capture.to_string());
    let bad = refused | plugins::tell_outcomes(collecting.sink.plugins.outcomes());
    ended.with_context(context)?;
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Collecting<S> {
    collector: Collector,
    sink: S,
    opened: bool,
    begin: Instant,
    /// Why a post was refused last, which is told once.
    told: Option<String>,
    runs: u64,
}

impl<S: Sink> Collecting<S> {
    fn take(&mut self, incoming: Incoming, line: &mut Line) -> Result<()> {
        let now_ns = (BEFORE + self.begin.elapsed()).as_nanos().try_into().unwrap_or(u64::MAX);
        let reply = match self.collector.post(&incoming.asked.body, now_ns) {
            Ok(_) => Reply::plain(200, "Taken."),
            Err(error) => {
                let text = error.to_string();
                if self.told.as_ref() != Some(&text) {
                    line.clear();
                    tell!("tickscope: a post from {} was refused: {text}", incoming.address.ip());
                    self.told = Some(text.clone());
                }
                Reply::plain(status(&error), &text)
            }
        };
        let runs = self.collector.counts().runs;
        if runs != self.runs {
            self.runs = runs;
            line.clear();
            let again = if runs > 1 { ", which started again" } else { "" };
            tell!("tickscope: posts come from {}{again}", incoming.address.ip());
        }
        // what is not on disk was not taken
        let written = self.write();
        if written.is_ok() {
            let _ = incoming.reply.send(reply); // they may have gone
        }
        written
    }

    fn write(&mut self) -> Result<()> {
        if !self.opened {
            let Some(metadata) = self.collector.metadata() else { return Ok(()) };
            let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let start_unix_ns = unix.as_nanos().try_into().unwrap_or(u64::MAX);
            let metadata = Metadata { producer: producer(), start_unix_ns, ..metadata.clone() };
            self.sink.open(&metadata)?;
            self.opened = true;
        }
        match self.collector.drain(&mut self.sink)? {
            Flow::Continue => Ok(()),
            Flow::Stop => anyhow::bail!("the capture takes no more"),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.opened {
            self.sink.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.collector.finish();
        self.write()?;
        if !self.opened {
            self.sink.open(&Metadata {
                producer: producer(),
                depth: Depth::Boundary,
                ..Metadata::default()
            })?;
        }
        Ok(self.sink.finish()?)
    }
}

fn status(error: &PostError) -> u16 {
    match error {
        PostError::TooLarge { .. } => 413,
        PostError::Superseded { .. } => 409,
        _ => 400,
    }
}

fn progress(counts: &Counts, gate: &Gate) -> String {
    if counts.posts == 0 && gate.refused() == 0 {
        return "nothing was posted yet".into();
    }
    let refused = counts.refused + gate.refused();
    format!(
        "{} posts, {} ticks, {} late, longest {}, {refused} refused",
        counts.posts,
        counts.ticks,
        counts.late,
        time(counts.longest_ns)
    )
}

/// What was taken, and what was not.
fn summary(counts: &Counts, gate: &Gate, capture: &str) {
    tell!(
        "tickscope: {capture}: {} ticks, {} of them late, {} at most; {} slices in {} posts",
        counts.ticks,
        counts.late,
        time(counts.longest_ns),
        counts.slices,
        counts.posts
    );
    let lost = [
        (counts.flights_lost, "late ticks whose slices the server could not send"),
        (counts.slices_lost, "slices that were overwritten on the server before they were read"),
        (counts.ticks_missing, "ticks that no post told of"),
        (counts.missing, "posts that the server gave up"),
        (counts.again, "posts that came twice or too late"),
        (counts.refused, "posts that could not be read or were of another run"),
        (gate.strangers(), "requests without the token"),
        (gate.hurried(), "requests that came too fast"),
        (gate.others(), "requests that were no posts, or too large"),
    ];
    for (count, what) in lost.iter().filter(|(count, _)| *count > 0) {
        tell!("  {count} {what}");
    }
    if counts.posts == 0 {
        tell!(
            "  nothing was posted: is `set tickscope_collector` in server.cfg, and what says `tickscope status` in the server's console?"
        );
    }
}
