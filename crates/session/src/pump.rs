//! A thread that collects all the time and feeds several sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use tickscope_core::{Account, Batch, Flow, Metadata, Overhead, Progress, Sink, SinkError, Source};

use crate::Collector;

/// Shortest and longest sleep when there is nothing to collect. A ring of 4 MiB fills in 13 ms at 10 million spans a
/// second; nothing slower than that can overflow during the longest sleep.
const SLEEP: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(4));

/// How a [`Pump`] works.
pub struct PumpConfig {
    /// How often sinks are flushed: a kill loses at most this much of what was recorded. 1 ms to 60 s.
    pub flush_every: Duration,
    /// Called on the pump's thread some ten times a second: for progress lines, and to look at what hangs.
    pub observe: Option<Observer>,
}

/// See [`PumpConfig::observe`].
pub type Observer = Box<dyn FnMut(&Collector) + Send>;

impl Default for PumpConfig {
    fn default() -> Self {
        Self { flush_every: Duration::from_millis(16), observe: None }
    }
}

impl std::fmt::Debug for PumpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PumpConfig").field("flush_every", &self.flush_every).finish_non_exhaustive()
    }
}

/// What became of one sink.
#[derive(Debug)]
pub struct SinkOutcome<S> {
    /// The name it was given.
    pub name: String,
    /// The sink.
    pub sink: S,
    /// Why it gave up, if it did. The other sinks went on.
    pub error: Option<SinkError>,
}

/// What a [`Pump`] leaves behind.
#[derive(Debug)]
pub struct Finished<S> {
    /// Each sink, in the order given.
    pub sinks: Vec<SinkOutcome<S>>,
    /// Where the events went.
    pub account: Account,
    /// What collecting cost.
    pub overhead: Overhead,
}

/// A running collector thread.
#[derive(Debug)]
pub struct Pump<S> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Finished<S>>,
    asks: std::sync::mpsc::Sender<SyncSender<()>>,
}

/// Waits for a [`Pump`], from any thread but its own.
#[derive(Clone, Debug)]
pub struct PumpHandle {
    thread: Thread,
    asks: std::sync::mpsc::Sender<SyncSender<()>>,
}

impl PumpHandle {
    /// Waits until the sinks were given everything that was recorded before this call, and were flushed. `false` when that
    /// took longer than `limit`, or the pump has stopped.
    ///
    /// Costs the caller what collecting costs, and a wake-up or two.
    pub fn settle(&self, limit: Duration) -> bool {
        let (done, waits) = sync_channel(1);
        if self.asks.send(done).is_err() {
            return false;
        }
        self.thread.unpark();
        waits.recv_timeout(limit).is_ok()
    }
}

impl<S: Sink + Send + 'static> Pump<S> {
    /// Starts collecting into `sinks`, each with a name for messages.
    ///
    /// A sink that fails is left out from then on; see [`Finished::sinks`].
    pub fn start(collector: Collector, sinks: Vec<(String, S)>, config: PumpConfig) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let (asks, asked) = channel();
        let thread = std::thread::spawn(move || run(collector, FanOut::new(sinks), config, &flag, &asked));
        Self { stop, thread, asks }
    }

    /// A way to wait for it.
    pub fn handle(&self) -> PumpHandle {
        PumpHandle { thread: self.thread.thread().clone(), asks: self.asks.clone() }
    }

    /// As [`stop`](Self::stop), without waiting: where there are several, all of them end at the same time.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    /// Whether it has ended and [`stop`](Self::stop) waits for nothing: it was told to [`end`](Self::end), and its sinks are
    /// finished.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Drains what is left, finishes the sinks and ends the thread.
    pub fn stop(self) -> Finished<S> {
        self.end();
        match self.thread.join() {
            Ok(finished) => finished,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run<S: Sink>(
    mut collector: Collector,
    mut sinks: FanOut<S>,
    mut config: PumpConfig,
    stop: &AtomicBool,
    asked: &Receiver<SyncSender<()>>,
) -> Finished<S> {
    let flush_every = config.flush_every.clamp(Duration::from_millis(1), Duration::from_secs(60));
    sinks.open(collector.metadata());
    let (mut flushed, mut observed, mut sleep) = (Instant::now(), Instant::now(), SLEEP.0);
    let mut dirty = false;
    loop {
        if stop.load(Ordering::Acquire) {
            collector.close();
        }
        // What was recorded before one of these was sent is there for the look that follows.
        let asks: Vec<_> = asked.try_iter().collect();
        // The fan-out never fails: it keeps the errors of its sinks to itself.
        let progress = collector.poll(&mut sinks).unwrap_or(Progress::End);
        if progress == Progress::End {
            break;
        }
        let pushed = matches!(progress, Progress::Pushed(_));
        dirty |= pushed;
        if !asks.is_empty() {
            sinks.flush_all();
            (flushed, dirty) = (Instant::now(), false);
            for ask in asks {
                let _ = ask.send(()); // whoever asked may have given up
            }
            continue;
        }
        if dirty && flushed.elapsed() >= flush_every {
            sinks.flush_all();
            (flushed, dirty) = (Instant::now(), false);
        }
        if observed.elapsed() >= Duration::from_millis(100) {
            observed = Instant::now();
            if let Some(observe) = &mut config.observe {
                observe(&collector);
            }
        }
        // The fuller the rings, the shorter the sleep; none while they fill faster than this thread looks. Each look wakes a
        // core, some tens of microseconds in all: a program that leaves little for it is not looked at more often.
        match collector.fill() {
            fill if fill > 0.25 => continue,
            fill if fill > 0.02 => sleep = SLEEP.0,
            _ => sleep = (sleep * 2).min(SLEEP.1),
        }
        std::thread::park_timeout(sleep.min(flush_every));
    }
    sinks.finish_all();
    Finished { sinks: sinks.sinks, account: collector.account(), overhead: collector.overhead() }
}

/// Several sinks as one: each goes on when others fail.
struct FanOut<S> {
    sinks: Vec<SinkOutcome<S>>,
    done: Vec<bool>,
}

impl<S: Sink> FanOut<S> {
    fn new(sinks: Vec<(String, S)>) -> Self {
        let done = vec![false; sinks.len()];
        let sinks = sinks.into_iter().map(|(name, sink)| SinkOutcome { name, sink, error: None }).collect();
        Self { sinks, done }
    }

    fn each(&mut self, mut call: impl FnMut(&mut S) -> Result<Flow, SinkError>) {
        for (outcome, done) in self.sinks.iter_mut().zip(&mut self.done) {
            if *done || outcome.error.is_some() {
                continue;
            }
            match call(&mut outcome.sink) {
                Ok(Flow::Continue) => {}
                Ok(Flow::Stop) => *done = true,
                Err(error) => outcome.error = Some(error),
            }
        }
    }

    fn open(&mut self, metadata: &Metadata) {
        self.each(|sink| sink.open(metadata).map(|()| Flow::Continue));
    }

    fn flush_all(&mut self) {
        self.each(|sink| sink.flush().map(|()| Flow::Continue));
    }

    fn finish_all(&mut self) {
        self.done.fill(false);
        self.each(|sink| sink.finish().map(|()| Flow::Stop));
    }
}

impl<S: Sink> Sink for FanOut<S> {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.each(|sink| sink.batch(batch));
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.each(|sink| sink.tick(end_ns));
        Ok(Flow::Continue)
    }
}
