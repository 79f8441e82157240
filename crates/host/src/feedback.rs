//! What a recording gives back to the scripts that are recorded: samples, and exports of what was recorded so far.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tickscope_citizen::{ExportFormat, Feedback, Given, GivenSample};
use tickscope_core::{
    ArgValue, Batch, Begin, CategoryId, End, Event, Flow, Outcome, Sample, Sink, SinkError, SpanId, drain,
};
use tickscope_export::perfetto::{Reader, part_path};
use tickscope_export::{Format, Options};
use tickscope_session::PumpHandle;

/// How long a tick waits for the collector.
const SETTLE: Duration = Duration::from_secs(5);

/// Samples kept for a listener until it takes them.
const MAX_KEPT: usize = 1_000;

/// Open spans that are followed; of more none are given.
const MAX_OPEN: usize = 1 << 16;

/// Part of a recording; clones are the same.
#[derive(Clone)]
pub(crate) struct Echo(Arc<Shared>);

struct Shared {
    capture: PathBuf,
    began: SystemTime,
    /// Once the collector runs.
    pump: OnceLock<PumpHandle>,
    /// Somebody listens.
    listened: AtomicBool,
    /// Leave out what differs from run to run: garbage collection and sampled stacks.
    repeatable: bool,
    keeping: Mutex<Keeping>,
}

/// What is kept for listeners.
#[derive(Default)]
struct Keeping {
    listeners: BTreeMap<u64, Listener>,
    open: HashMap<SpanId, Open>,
    /// Number of the span that began last.
    spans: u64,
    tick: u64,
    categories: HashMap<CategoryId, Arc<str>>,
}

#[derive(Default)]
struct Listener {
    /// The last span that had begun before it listened.
    since: u64,
    given: Given,
}

/// A span that a listener may be given once it ends.
struct Open {
    number: u64,
    parent: u64,
    category: CategoryId,
    tick: u64,
}

impl Echo {
    /// `repeatable`: two runs are to be the same run.
    pub(crate) fn new(capture: PathBuf, repeatable: bool) -> Self {
        Self(Arc::new(Shared {
            capture,
            began: SystemTime::now(),
            pump: OnceLock::new(),
            listened: AtomicBool::new(false),
            repeatable,
            keeping: Mutex::default(),
        }))
    }

    /// The collector runs.
    pub(crate) fn follows(&self, pump: PumpHandle) {
        let _ = self.0.pump.set(pump); // a recording has one
    }

    fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of the capture that is being written: with a limit of their size there are several.
    fn current_capture(&self) -> PathBuf {
        let is_new = |path: &Path| {
            let modified = path.metadata().and_then(|data| data.modified());
            modified.is_ok_and(|modified| modified >= self.0.began)
        };
        let later = (1..).map(|part| part_path(&self.0.capture, part)).take_while(|path| is_new(path));
        later.last().unwrap_or_else(|| self.0.capture.clone())
    }
}

impl Feedback for Echo {
    fn settle(&self) -> bool {
        self.0.pump.get().is_some_and(|pump| pump.settle(SETTLE))
    }

    fn listen(&self, listener: u64) {
        let mut keeping = self.keeping();
        let since = keeping.spans;
        keeping.listeners.insert(listener, Listener { since, given: Given::default() });
        drop(keeping);
        self.0.listened.store(true, Ordering::Relaxed);
    }

    fn forget(&self, listener: u64) {
        let mut keeping = self.keeping();
        keeping.listeners.remove(&listener);
        if keeping.listeners.is_empty() {
            self.0.listened.store(false, Ordering::Relaxed);
            keeping.open.clear();
        }
    }

    fn take(&self, listener: u64) -> Given {
        self.keeping()
            .listeners
            .get_mut(&listener)
            .map(|found| std::mem::take(&mut found.given))
            .unwrap_or_default()
    }

    fn export(&self, format: ExportFormat, to: File) -> Result<(), String> {
        if !self.settle() {
            return Err("the collector did not come to an end".into());
        }
        let format = match format {
            ExportFormat::Speedscope => Format::Speedscope,
            ExportFormat::FlameGraph => Format::Svg,
            ExportFormat::Csv => Format::Csv,
        };
        let capture = self.current_capture();
        let mut reader = Reader::open(&capture).map_err(|error| describe(&error))?;
        let mut sink = tickscope_export::open(format, BufWriter::new(to), &Options::default());
        drain(&mut reader, &mut sink).map_err(|error| describe(&error))
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", describe(cause)),
        None => error.to_string(),
    }
}

impl Sink for Echo {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if self.0.listened.load(Ordering::Relaxed) {
            let mut keeping = self.keeping();
            for sample in batch.samples {
                keeping.sample(sample, batch, self.0.repeatable);
            }
        } else {
            // Who begins to listen in the middle of a tick is told which it is.
            let mut ticks = batch.samples.iter().filter_map(|sample| match &sample.event {
                Event::Begin(begin) if begin.category == CategoryId::TICK => Some(begin),
                _ => None,
            });
            if let Some(begin) = ticks.next_back() {
                self.keeping().tick_begins(begin, batch);
            }
        }
        Ok(Flow::Continue)
    }
}

impl Keeping {
    fn sample(&mut self, sample: &Sample, batch: &Batch<'_>, repeatable: bool) {
        match &sample.event {
            Event::Begin(begin) => self.begin(begin, batch, repeatable),
            Event::End(end) => self.end(sample, end, batch),
            Event::Stack { stack, weight } if weight.time_ns > 0 && !repeatable => {
                let Some(innermost) = batch.dictionary.frames(*stack).next() else { return };
                let symbol = batch.dictionary.symbol(innermost.symbol);
                let tick = self.tick;
                self.keep(u64::MAX, || GivenSample {
                    symbol: symbol.clone(),
                    category: "stack".into(),
                    span: 0,
                    parent: 0,
                    track: sample.track.0,
                    begin_ns: sample.time_ns.saturating_sub(weight.time_ns),
                    end_ns: sample.time_ns,
                    ticks: (tick, tick),
                    outcome: Outcome::Ok,
                });
            }
            _ => {}
        }
    }

    fn begin(&mut self, begin: &Begin, batch: &Batch<'_>, repeatable: bool) {
        match begin.category {
            // a callback is not told of itself
            CategoryId::PROFILER => return,
            CategoryId::GC if repeatable => return,
            CategoryId::TICK => self.tick_begins(begin, batch),
            _ => {}
        }
        self.spans += 1;
        if self.open.len() < MAX_OPEN {
            let parent = begin.parent.and_then(|parent| self.open.get(&parent)).map_or(0, |open| open.number);
            let open = Open { number: self.spans, parent, category: begin.category, tick: self.tick };
            self.open.insert(begin.span, open);
        }
    }

    fn tick_begins(&mut self, begin: &Begin, batch: &Batch<'_>) {
        let number = batch.args(begin.args).iter().find_map(|arg| match arg.value {
            ArgValue::Uint(number) => Some(number),
            _ => None,
        });
        self.tick = number.unwrap_or(self.tick + 1);
    }

    fn end(&mut self, sample: &Sample, end: &End, batch: &Batch<'_>) {
        let Some(Open { number, parent, category, tick }) = self.open.remove(&end.span) else { return };
        let name = || Arc::from(&*batch.dictionary.category(category).name);
        let category = Arc::clone(self.categories.entry(category).or_insert_with(name));
        let ticks = (tick, self.tick);
        self.keep(number, || GivenSample {
            symbol: batch.dictionary.symbol(end.symbol).clone(),
            category: Arc::clone(&category),
            span: number,
            parent,
            track: sample.track.0,
            begin_ns: end.begin_ns,
            end_ns: sample.time_ns,
            ticks,
            outcome: end.outcome,
        });
    }

    /// Keeps a sample for those who listened when its span began; `u64::MAX` is for all.
    fn keep(&mut self, number: u64, sample: impl Fn() -> GivenSample) {
        for Listener { since, given } in self.listeners.values_mut() {
            if number <= *since {
                continue;
            }
            if given.samples.len() < MAX_KEPT {
                given.samples.push(sample());
            } else {
                given.dropped += 1;
            }
        }
    }
}
