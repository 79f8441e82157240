//! A sink on a thread of its own, behind a bounded queue: what it has no time for is left out, and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tickscope_core::{Flow, Metadata};

use crate::isolated::Leash;
use crate::opened::{Failure, Health, Level, Log, Opened};
use crate::pack::{Body, NewNames};
use crate::sinks::Chosen;

/// Samples that wait for one sink at most: 19 MB, which all sinks share where they wait for the same.
const MAX_QUEUED: usize = 1 << 18;
/// Bytes that these and their arguments hold at most.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// Ticks and flushes that wait, and small batches.
const MAX_ITEMS: usize = 1 << 14;
/// What a sink has for a flush.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// How often it is flushed at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How much nicer than the program a sink's thread is, and every thread and process that it begins: where processors are
/// scarce the program, and whoever collects from it, go first.
const NICER: i32 = 5;
/// How often one that is given nothing is looked at: a process of its own may be gone, or have something to say.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of the time for the end, what is kept for `health` and `close`.
const CLOSING: Duration = Duration::from_millis(200);

enum Item {
    Names(Arc<NewNames>),
    Batch(Arc<Body>, u64),
    Tick(u64),
}

/// How it went with one sink.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What it was called.
    pub name: String,
    /// What ended it.
    pub end: End,
    /// Samples it was given.
    pub delivered: u64,
    /// Samples it had no time for.
    pub missed: u64,
    /// Lines that it logged and that were too many to show.
    pub unsaid: u64,
    /// How it was at its end, where it tells.
    pub health: Option<Health>,
}

/// What a sink does that is in no call.
const BETWEEN: &str = "between calls";

/// Where something happened to a sink, in words: in its `batch`, or between calls.
pub fn in_call(call: &str) -> String {
    if call == BETWEEN { call.to_owned() } else { format!("in its `{call}`") }
}

/// What ended a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It runs.
    #[default]
    None,
    /// The recording's end, or that it wanted no more.
    Finished,
    /// It failed, in this call and for this reason.
    Failed {
        /// The call.
        call: &'static str,
        /// Why.
        reason: String,
    },
    /// Its process ended in this call.
    Died {
        /// The call.
        call: &'static str,
        /// How, as in "died of SIGSEGV".
        how: String,
    },
    /// It was in this call when the time was over, for so long already.
    Hung {
        /// The call.
        call: &'static str,
        /// How long.
        since: Duration,
        /// Its process was ended. One that has none of its own is still there.
        killed: bool,
    },
}

impl End {
    fn of(call: &'static str, failure: Failure) -> Self {
        match failure {
            Failure::Said(reason) => Self::Failed { call, reason },
            Failure::Died(how) => Self::Died { call, how },
        }
    }
}

impl Outcome {
    /// Whether something that it should have put out is not there. Samples left out are not meant.
    pub fn is_bad(&self) -> bool {
        !matches!(self.end, End::None | End::Finished)
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    queued: usize,
    queued_bytes: usize,
    missed_now: u64,
    /// When the next flush is due, where there is something to flush; and when the last one was.
    flush_due: Option<Instant>,
    flushed: Option<Instant>,
    /// No more samples are wanted.
    closed: bool,
    /// The recording is over; the sink has until then.
    ending: Option<Instant>,
    /// Half of the time until then is for what waits, half for the sink's own end.
    hurry: Option<Instant>,
    call: Option<(&'static str, Instant)>,
    /// It hung at the end, which was told.
    given_up: bool,
    outcome: Outcome,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// For the sink's thread: there is work.
    work: Condvar,
    /// For who waits: it is over.
    over: Condvar,
    /// Its process, where it has one.
    leash: Arc<Leash>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One sink and its thread.
pub(crate) struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Opens the sink on a thread of its own.
    pub(crate) fn start(chosen: Chosen, metadata: &Metadata, log: Log) -> std::io::Result<Self> {
        let Chosen { plugin, name, options } = chosen;
        let shared = Arc::new(Shared::default());
        shared.lock().outcome.name.clone_from(&name);
        let (mine, metadata) = (shared.clone(), metadata.clone());
        let told = log.clone();
        // The system takes 15 bytes.
        let thread: String = format!("sink {name}").chars().filter(char::is_ascii).take(15).collect();
        std::thread::Builder::new().name(thread).spawn(move || {
            // Linux keeps it by thread. A system that will not lower it loses nothing.
            let _ = rustix::process::nice(NICER);
            // A process is begun on this thread, for it ends with the thread that has begun it.
            run(&mine, &told, || plugin.open(&name, &options, &metadata, log, &mine.leash));
        })?;
        Ok(Self { shared })
    }

    pub(crate) fn batch(&self, names: Option<&Arc<NewNames>>, body: &Arc<Body>) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        if let Some(names) = names {
            state.queue.push_back(Item::Names(names.clone()));
        }
        if body.len() > 0 {
            let fits = state.queued + body.len() <= MAX_QUEUED
                && state.queued_bytes + body.bytes() <= MAX_QUEUED_BYTES
                && state.queue.len() < MAX_ITEMS;
            if fits || state.queued == 0 {
                let missed = std::mem::take(&mut state.missed_now);
                state.queued += body.len();
                state.queued_bytes += body.bytes();
                state.queue.push_back(Item::Batch(body.clone(), missed));
            } else {
                state.missed_now += body.len() as u64;
                state.outcome.missed += body.len() as u64;
            }
        }
        drop(state);
        self.shared.work.notify_one();
    }

    pub(crate) fn tick(&self, end_ns: u64) {
        let mut state = self.shared.lock();
        if !state.closed && state.queue.len() < MAX_ITEMS {
            state.queue.push_back(Item::Tick(end_ns));
        }
        drop(state);
        self.shared.work.notify_one();
    }

    /// What waits is to be put out soon.
    pub(crate) fn flush(&self) {
        let mut state = self.shared.lock();
        if !state.closed && state.flush_due.is_none() {
            let now = Instant::now();
            state.flush_due = Some(state.flushed.map_or(now, |flushed| now.max(flushed + FLUSH_EVERY)));
        }
        drop(state);
        self.shared.work.notify_one();
    }

    /// The recording is over: what waits is still given, until `until`.
    pub(crate) fn end(&self, until: Instant) {
        let (mut state, now) = (self.shared.lock(), Instant::now());
        state.ending = Some(until);
        state.hurry = Some(now + until.saturating_duration_since(now) / 2);
        drop(state);
        self.shared.work.notify_one();
    }

    /// Waits until it has ended, at most until `until`.
    pub(crate) fn wait(&self, until: Instant) -> Outcome {
        let mut state = self.shared.lock();
        while state.outcome.end == End::None {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            let waited = self.shared.over.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut outcome = state.outcome.clone();
        if outcome.end == End::None {
            let (call, since) = state.call.unwrap_or((BETWEEN, Instant::now()));
            let killed = self.shared.leash.kill();
            outcome.end = End::Hung { call, since: since.elapsed(), killed };
            state.given_up = true;
            let waits = |item: &Item| if let Item::Batch(body, _) = item { body.len() as u64 } else { 0 };
            outcome.missed += state.queue.iter().map(waits).sum::<u64>();
            // What it gets when it comes back is its end.
            state.queue.clear();
            state.closed = true;
        }
        outcome
    }
}

/// The sink's thread. Says why when it fails.
fn run(shared: &Shared, log: &Log, open: impl FnOnce() -> Result<Box<dyn Opened>, Failure>) {
    let noting = |call: &'static str| shared.lock().call = Some((call, Instant::now()));
    noting("open");
    let (end, unsaid, health) = match open() {
        Err(failure) => (End::of("open", failure), 0, None),
        Ok(mut sink) => {
            let mut end = serve(shared, &mut *sink, &noting);
            noting("health");
            let health = sink.health().unwrap_or_else(|failure| {
                if end == End::Finished {
                    end = End::of("health", failure);
                }
                None
            });
            noting("close");
            let unsaid = sink.unsaid();
            if let (Err(failure), End::Finished) = (sink.close(), &end) {
                end = End::of("close", failure);
            }
            (end, unsaid, health)
        }
    };
    let mut state = shared.lock();
    let told = match &end {
        End::Failed { call, reason } => {
            Some(format!("is not used any more, for its `{call}` failed: {reason}"))
        }
        End::Died { call, how } => Some(format!("{how} {}; the recording goes on without it", in_call(call))),
        End::None | End::Finished | End::Hung { .. } => None,
    };
    if let Some(told) = told.filter(|_| !state.given_up) {
        log(&state.outcome.name, Level::Error, &told);
    }
    state.closed = true;
    state.queue.clear();
    state.outcome.unsaid = unsaid;
    state.outcome.health = health;
    state.outcome.end = end;
    drop(state);
    shared.over.notify_all();
    // How it went does not hang on when the system has cleared its process away.
    shared.leash.ended();
}

/// What a sink's thread does next.
enum Next {
    Item(Item),
    Flush,
    Look,
    End,
}

/// Gives the sink what comes, until it wants no more or there is no more, and finishes it.
fn serve(shared: &Shared, sink: &mut dyn Opened, noting: &impl Fn(&'static str)) -> End {
    loop {
        let mut state = shared.lock();
        state.call = None;
        let item = loop {
            let hurry = state.hurry.is_some_and(|from| from <= Instant::now());
            if hurry {
                for item in std::mem::take(&mut state.queue) {
                    if let Item::Batch(body, before) = item {
                        state.outcome.missed += body.len() as u64;
                        state.missed_now += body.len() as u64 + before;
                    }
                }
            }
            let now = Instant::now();
            if !hurry && state.flush_due.is_some_and(|due| due <= now) {
                (state.flush_due, state.flushed) = (None, Some(now));
                break Next::Flush;
            }
            match (state.queue.pop_front(), state.ending) {
                (Some(item), _) => break Next::Item(item),
                // What it was not given last, no batch behind tells it.
                (None, Some(_)) if state.missed_now > 0 => {
                    let missed = std::mem::take(&mut state.missed_now);
                    break Next::Item(Item::Batch(Arc::default(), missed));
                }
                (None, Some(_)) => break Next::End,
                (None, None) => {
                    let sleep = state.flush_due.map_or(LOOK_EVERY, |due| LOOK_EVERY.min(due - now));
                    let waited = shared.work.wait_timeout(state, sleep);
                    let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                    if waited.timed_out() && state.queue.is_empty() && state.ending.is_none() {
                        break Next::Look;
                    }
                }
            }
        };
        if let Next::Item(Item::Batch(body, _)) = &item {
            state.queued -= body.len();
            state.queued_bytes -= body.bytes();
            state.outcome.delivered += body.len() as u64;
        }
        let until = state.ending;
        drop(state);
        let (call, answer) = match &item {
            Next::Item(Item::Names(names)) => {
                noting("batch");
                ("batch", sink.names(names))
            }
            Next::Item(Item::Batch(body, missed)) => {
                noting("batch");
                ("batch", sink.batch(body, *missed))
            }
            Next::Item(Item::Tick(end_ns)) => {
                noting("tick");
                ("tick", sink.tick(*end_ns))
            }
            Next::Flush => {
                noting("flush");
                ("flush", sink.flush(FLUSH_WITHIN))
            }
            Next::Look => (BETWEEN, sink.look().map(|()| Flow::Continue)),
            Next::End => ("finish", Ok(Flow::Stop)),
        };
        match answer {
            Ok(Flow::Continue) => {}
            Ok(Flow::Stop) => {
                shared.lock().closed = true;
                noting("finish");
                let left =
                    until.map_or(crate::GRACE, |until| until.saturating_duration_since(Instant::now()));
                let within = left.saturating_sub(CLOSING);
                return match sink.finish(within) {
                    Ok(()) => End::Finished,
                    Err(failure) => End::of("finish", failure),
                };
            }
            Err(failure) => return End::of(call, failure),
        }
    }
}
