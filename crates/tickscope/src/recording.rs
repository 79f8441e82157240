//! Recordings: started, switched, stopped.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tickscope_core::{
    Admission, Batch, Categories, CategoryId, Flow, Metadata, RootSampler, SamplingConfig, Sink, SinkError,
    Stopwatch, TrackId,
};
use tickscope_export::perfetto;
use tickscope_session::{Collector, Config, Finished, Pump, PumpConfig, Session, ThreadRecorder};

use crate::attachment::{self, EPOCH};
use crate::error::Error;
use crate::overhead::{OverheadReport, Sampled, Watch};
use crate::source::{DataSource, Given, Sources, set_up};

type AnySink = Box<dyn Sink + Send>;

static NUMBERS: AtomicU32 = AtomicU32::new(1);
static DEFAULT: Mutex<Option<Arc<Inner>>> = Mutex::new(None);
static LIVE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// The recording that the macros use where none was chosen.
pub(crate) fn default() -> Option<Arc<Inner>> {
    lock(&DEFAULT).clone()
}

/// A category got its name: recordings that have an opinion about it apply it.
pub(crate) fn apply_rules_to(id: CategoryId) {
    for inner in lock(&LIVE).iter().filter_map(Weak::upgrade) {
        inner.apply_rules(|known| known == id);
    }
}

/// Threads look again what to record into.
fn changed() {
    EPOCH.fetch_add(1, Ordering::Release); // pairs with the Acquire in `attachment::with_current`
}

/// Nothing that can panic runs under the locks of this crate, so what they hold is sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which trace a root belongs to, and who decides about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trace {
    /// None that anybody else knows.
    New,
    /// The one of that number, alike in every process.
    Number(u64),
    /// One of several processes, of which the first has decided.
    Decided(bool),
}

/// What the threads of a recording share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) number: u32,
    pub(crate) session: Session,
    /// Spans and moments that were not recorded because their root was not.
    pub(crate) skipped: AtomicU64,
    /// What capturing backtraces cost.
    pub(crate) backtraces: Mutex<Stopwatch>,
    enabled: AtomicBool,
    stopped: AtomicBool,
    rules: Mutex<Vec<(String, bool)>>,
    sampler: Option<Mutex<RootSampler>>,
    traces: AtomicU64,
    roots: [AtomicU64; 3],
    started: Instant,
    watch: Mutex<Watch>,
    /// How often the collector has looked at every ring.
    rounds: AtomicU64,
    tracks: Mutex<HashMap<&'static str, VecDeque<(u64, TrackId)>>>,
}

impl Inner {
    pub(crate) fn is_recording(&self) -> bool {
        self.enabled.load(Ordering::Relaxed) && !self.is_stopped()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn is_sampling(&self) -> bool {
        self.sampler.is_some()
    }

    /// Share of roots that are kept now.
    pub(crate) fn rate(&self) -> f64 {
        self.sampler.as_ref().map_or(1.0, |sampler| lock(sampler).rate())
    }

    /// Decides about a root, and counts the decision.
    pub(crate) fn admit_root(&self, critical: bool, trace: Trace) -> bool {
        let Some(sampler) = &self.sampler else { return true };
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let number = match trace {
            Trace::New | Trace::Decided(_) => self.traces.fetch_add(1, Ordering::Relaxed),
            Trace::Number(number) => number,
        };
        let admission = match trace {
            Trace::Decided(keep) if !critical => lock(sampler).admit_decided(keep, now_ns),
            _ => lock(sampler).admit(number, critical, now_ns),
        };
        self.roots[admission as usize].fetch_add(1, Ordering::Relaxed);
        admission == Admission::Keep
    }

    fn sampled(&self) -> Option<Sampled> {
        let sampler = self.sampler.as_ref()?;
        let roots = |admission: Admission| self.roots[admission as usize].load(Ordering::Relaxed);
        Some(Sampled {
            kept: roots(Admission::Keep),
            sampled_out: roots(Admission::SampledOut),
            limited: roots(Admission::Limited),
            skipped: self.skipped.load(Ordering::Relaxed),
            rate: lock(sampler).rate(),
        })
    }

    fn apply_rules(&self, concerns: impl Fn(CategoryId) -> bool) {
        let rules = lock(&self.rules);
        for (index, category) in Categories::global().list().iter().enumerate() {
            let id = CategoryId(index as u16);
            let last = rules.iter().rev().find(|(pattern, _)| category.matches(pattern));
            if let Some((_, on)) = last.filter(|_| concerns(id)) {
                self.session.categories().set(id, *on);
            }
        }
    }

    /// Called by the collector's thread some ten times a second.
    fn observe(&self, collector: &Collector) {
        self.rounds.fetch_add(1, Ordering::Release); // pairs with the Acquire in `take_track`
        let mut watch = lock(&self.watch);
        watch.update(collector.account(), collector.overhead(), self.started.elapsed());
        if let Some(sampler) = &self.sampler {
            lock(sampler).observe_overhead(watch.recent_share());
        }
    }

    /// A track for an asynchronous operation. The arena is bounded, so tracks of operations that are over are used
    /// again: once the collector has looked at all rings twice, nothing of the old operation is still to come.
    pub(crate) fn take_track(&self, name: &'static str) -> Option<TrackId> {
        let now = self.rounds.load(Ordering::Acquire); // pairs with the Release in `observe`
        let mut tracks = lock(&self.tracks);
        let free = tracks.get_mut(name)?;
        let (round, track) = *free.front()?;
        if now < round + 3 {
            return None;
        }
        free.pop_front();
        Some(track)
    }

    pub(crate) fn give_track(&self, name: &'static str, track: TrackId) {
        let round = self.rounds.load(Ordering::Acquire);
        lock(&self.tracks).entry(name).or_default().push_back((round, track));
    }

    fn report(&self) -> OverheadReport {
        let watch = lock(&self.watch);
        watch.report(self.started.elapsed(), self.sampled(), lock(&self.backtraces).clone())
    }
}

/// Sets up a [`Recording`]. Everything has a default.
///
/// ```
/// use tickscope::{MemorySink, Recording, span};
/// let memory = MemorySink::default();
/// let recording = Recording::builder().subject("example").filter("*,-debug").sink("memory", memory.clone()).start()?;
/// { let _span = span!("work"); }
/// let summary = recording.stop();
/// assert_eq!(summary.account.delivered, 2);
/// # Ok::<(), tickscope::Error>(())
/// ```
#[must_use = "a recording begins with `start`"]
pub struct Builder {
    config: Config,
    sampling: Option<SamplingConfig>,
    rules: Vec<(String, bool)>,
    sinks: Vec<(String, AnySink)>,
    sources: Vec<Given>,
    file: Option<(PathBuf, Option<u64>)>,
    flush_every: Duration,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sinks: Vec<&String> = self.sinks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("sampling", &self.sampling)
            .field("rules", &self.rules)
            .field("sinks", &sinks)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Builder {
    fn new() -> Self {
        let mut config = Config::default();
        config.metadata.producer = concat!("tickscope ", env!("CARGO_PKG_VERSION")).to_owned();
        config.metadata.subject = std::env::current_exe()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        Self {
            config,
            sampling: None,
            rules: Vec::new(),
            sinks: Vec::new(),
            sources: Vec::new(),
            file: None,
            flush_every: PumpConfig::default().flush_every,
        }
    }

    /// What is recorded; the name of the executable unless given.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.config.metadata.subject = subject.into();
        self
    }

    /// Adds a free fact to the recording's metadata: a version, a machine.
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.metadata.facts.push((name.into(), value.into()));
        self
    }

    /// How long one turn of the program's main loop may take; spans of [`CategoryId::TICK`] are its turns.
    pub fn tick_budget(mut self, budget: Duration) -> Self {
        self.config.metadata.budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Keeps only some roots, each with all below it; see [`SamplingConfig`]. Each root then takes a lock for a
    /// moment. Off unless asked for.
    pub fn sampling(mut self, sampling: SamplingConfig) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// For servers under normal load: [`SamplingConfig::PRODUCTION`], without categories called `debug` or `debug.…`.
    pub fn production(self) -> Self {
        self.sampling(SamplingConfig::PRODUCTION).filter("*,-debug,-debug.*")
    }

    /// For very busy servers: [`SamplingConfig::HIGH_THROUGHPUT`], without categories called `debug` or `debug.…`.
    pub fn high_throughput(self) -> Self {
        self.sampling(SamplingConfig::HIGH_THROUGHPUT).filter("*,-debug,-debug.*")
    }

    /// Everything as long as that costs little: [`SamplingConfig::LIGHTWEIGHT`].
    pub fn lightweight(self) -> Self {
        self.sampling(SamplingConfig::LIGHTWEIGHT)
    }

    /// Chooses categories: patterns between commas, `*` for any characters, a `-` in front for "not"; the last one that
    /// matches decides. Categories that match none are on. Also meant for environment variables:
    /// `filter(&std::env::var("TRACE").unwrap_or_default())`.
    pub fn filter(mut self, patterns: &str) -> Self {
        self.rules.extend(patterns.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(
            |pattern| match pattern.strip_prefix('-') {
                Some(off) => (off.to_owned(), false),
                None => (pattern.to_owned(), true),
            },
        ));
        self
    }

    /// Size of each thread's ring: a power of two from 8 KiB to 1 GiB; 4 MiB unless given.
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.config.ring_bytes = bytes;
        self
    }

    /// The most threads that record at one time, 1 to 1,024; 64 unless given.
    pub fn threads(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self
    }

    /// How often sinks are flushed: a kill loses at most this much. 16 ms unless given.
    pub fn flush_every(mut self, every: Duration) -> Self {
        self.flush_every = every;
        self
    }

    /// Adds a sink; `name` stands in front of its errors.
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink + Send + 'static) -> Self {
        self.sinks.push((name.into(), Box::new(sink)));
        self
    }

    /// Adds something that has figures to tell while the recording goes on, and asks it at an interval of `every`; see
    /// [`DataSource`]. `name` stands in front of its errors.
    pub fn source(
        mut self,
        name: impl Into<String>,
        every: Duration,
        source: impl DataSource + 'static,
    ) -> Self {
        self.sources.push(Given { name: name.into(), every, source: Box::new(source) });
        self
    }

    /// Writes a capture to `path`, a Perfetto trace. A file that exists is replaced.
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.file = Some((path.as_ref().to_owned(), None));
        self
    }

    /// Writes captures of about `max_bytes` each: `path`, then `name.1.extension`, `name.2.extension` …
    pub fn files(mut self, path: impl AsRef<Path>, max_bytes: u64) -> Self {
        self.file = Some((path.as_ref().to_owned(), Some(max_bytes)));
        self
    }

    /// Starts, and makes the macros of all threads record into this recording.
    ///
    /// # Errors
    /// [`Error::InProgress`] when they record into another one; the file, field, value or data source that is not usable.
    pub fn start(self) -> Result<Recording, Error> {
        if lock(&DEFAULT).is_some() {
            return Err(Error::InProgress);
        }
        let recording = self.start_apart()?;
        let mut default = lock(&DEFAULT);
        if default.is_some() {
            return Err(Error::InProgress);
        }
        *default = Some(recording.inner.clone());
        drop(default);
        changed();
        Ok(recording)
    }

    /// Starts beside others: only threads that [`Recording::on_this_thread`] tells to record into it.
    ///
    /// # Errors
    /// The file, field, value or data source that is not usable.
    pub fn start_apart(mut self) -> Result<Recording, Error> {
        let sampler = self.sampling.map(RootSampler::new).transpose()?.map(Mutex::new);
        set_up(&mut self.sources)?;
        if let Some((path, max_bytes)) = self.file.take() {
            let name = path.display().to_string();
            let capture = perfetto::create(path, max_bytes, perfetto::Options::default())?;
            self.sinks.push((name, Box::new(capture)));
        }
        let (session, collector) = Session::new(self.config)?;
        let inner = Arc::new(Inner {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            session,
            skipped: AtomicU64::new(0),
            backtraces: Mutex::default(),
            enabled: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            rules: Mutex::new(self.rules),
            sampler,
            traces: AtomicU64::new(0),
            roots: [const { AtomicU64::new(0) }; 3],
            started: Instant::now(),
            watch: Mutex::new(Watch::new(&collector)),
            rounds: AtomicU64::new(0),
            tracks: Mutex::default(),
        });
        // Before the rules are applied: a category that is named in between sees them.
        {
            let mut live = lock(&LIVE);
            live.retain(|other| other.strong_count() > 0);
            live.push(Arc::downgrade(&inner));
        }
        inner.apply_rules(|_| true);
        let observed = Arc::downgrade(&inner);
        let observe = move |collector: &Collector| {
            if let Some(inner) = observed.upgrade() {
                inner.observe(collector);
            }
        };
        let config = PumpConfig { flush_every: self.flush_every, observe: Some(Box::new(observe)) };
        self.sinks.insert(0, ("the collector".to_owned(), Box::new(Silence)));
        let pump = Pump::start(collector, self.sinks, config);
        let mut recording =
            Recording { inner: inner.clone(), sources: None, state: Mutex::new(State::Running(pump)) };
        if !self.sources.is_empty() {
            recording.sources = Some(Sources::start(self.sources, inner)?);
        }
        Ok(recording)
    }
}

/// The first sink of every recording: whatever sinks or the program's allocator record on the collector's thread is
/// left out, or each batch would make work for the next.
struct Silence;

impl Sink for Silence {
    fn open(&mut self, _: &Metadata) -> Result<(), SinkError> {
        attachment::silence();
        Ok(())
    }

    fn batch(&mut self, _: &Batch<'_>) -> Result<Flow, SinkError> {
        Ok(Flow::Stop)
    }
}

enum State {
    Running(Pump<AnySink>),
    Stopped(Arc<Summary>),
}

/// A recording in progress. Dropping it stops it and writes everything out.
pub struct Recording {
    pub(crate) inner: Arc<Inner>,
    sources: Option<Sources>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Inner { number, .. } = *self.inner;
        let state = if self.inner.is_stopped() { "stopped" } else { "running" };
        f.debug_struct("Recording").field("number", &number).field("state", &state).finish_non_exhaustive()
    }
}

impl Recording {
    /// Everything that can be chosen about a recording.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Records what the macros of all threads tell into a capture at `path`, until it is stopped or dropped.
    ///
    /// # Errors
    /// When the file cannot be created, or the macros record into another recording.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().file(path).start()
    }

    /// Switches recording off and on again. Spans that are open end as they would have.
    pub fn set_enabled(&self, enabled: bool) {
        if self.inner.enabled.swap(enabled, Ordering::Relaxed) != enabled {
            changed();
        }
    }

    /// Whether it records: neither switched off nor stopped.
    pub fn is_enabled(&self) -> bool {
        self.inner.is_recording()
    }

    /// Switches the categories that match `pattern` on or off, those not yet named included. `*` stands for any
    /// characters. Returns how many known ones match.
    pub fn set_categories(&self, pattern: &str, on: bool) -> usize {
        let mut rules = lock(&self.inner.rules);
        rules.retain(|(known, _)| known != pattern);
        rules.push((pattern.to_owned(), on));
        drop(rules);
        self.inner.session.categories().set_matching(pattern, on)
    }

    /// Whether a category is recorded.
    pub fn has_category(&self, category: &impl crate::AsCategory) -> bool {
        self.inner.session.categories().contains(category.id())
    }

    /// Makes the macros of the calling thread record into this recording until the answer is dropped.
    pub fn on_this_thread(&self) -> Chosen {
        attachment::choose(self.inner.clone());
        Chosen { number: self.inner.number, _not_send: std::marker::PhantomData }
    }

    /// Lends the calling thread's recorder: for what the macros do not offer. Macros within `record` record nothing.
    /// `None` after the recording was stopped.
    pub fn with_recorder<R>(&self, record: impl FnOnce(&ThreadRecorder) -> R) -> Option<R> {
        attachment::with_recording(&self.inner, |attachment| record(&attachment.recorder))
    }

    /// What recording has cost so far; some ten times a second there is news.
    pub fn overhead(&self) -> OverheadReport {
        match &*lock(&self.state) {
            State::Running(_) => self.inner.report(),
            State::Stopped(summary) => summary.overhead.clone(),
        }
    }

    /// Stops: drains what was recorded, ends open spans as truncated, and finishes the sinks. Stopping again gives
    /// the same answer again.
    pub fn stop(&self) -> Arc<Summary> {
        if let Some(sources) = &self.sources {
            sources.stop();
        }
        self.inner.stopped.store(true, Ordering::Relaxed);
        {
            let mut default = lock(&DEFAULT);
            if default.as_ref().is_some_and(|inner| inner.number == self.inner.number) {
                *default = None;
            }
        }
        changed();
        let mut state = lock(&self.state);
        if let State::Stopped(summary) = &*state {
            return summary.clone();
        }
        let empty = Arc::new(Summary::of_panic(self.inner.report()));
        let State::Running(pump) = std::mem::replace(&mut *state, State::Stopped(empty.clone())) else {
            return empty;
        };
        // A sink that panics must not take a program with it that is unwinding already.
        let summary = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pump.stop())) {
            Ok(finished) => {
                let failed = self.sources.as_ref().map(Sources::failed).unwrap_or_default();
                Arc::new(Summary::new(&self.inner, finished, failed))
            }
            Err(_) => empty,
        };
        *state = State::Stopped(summary.clone());
        summary
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop();
    }
}

/// While it lives, the macros of its thread record into the recording that gave it.
#[derive(Debug)]
#[must_use = "the choice is taken back when this is dropped"]
pub struct Chosen {
    number: u32,
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Chosen {
    fn drop(&mut self) {
        attachment::unchoose(self.number);
    }
}

/// What a recording leaves behind.
#[derive(Debug)]
pub struct Summary {
    /// Where the events went.
    pub account: tickscope_core::Account,
    /// What recording cost.
    pub overhead: OverheadReport,
    /// Data sources that panicked and sinks that gave up, each with its name and the reason. The others have everything.
    pub failed: Vec<(String, SinkError)>,
}

impl Summary {
    fn new(inner: &Inner, finished: Finished<AnySink>, mut failed: Vec<(String, SinkError)>) -> Self {
        lock(&inner.watch).update(finished.account, finished.overhead, inner.started.elapsed());
        failed.extend(finished.sinks.into_iter().filter_map(|sink| Some((sink.name, sink.error?))));
        Self { account: finished.account, overhead: inner.report(), failed }
    }

    fn of_panic(overhead: OverheadReport) -> Self {
        let failed = vec![("the collector".to_owned(), SinkError::Other("a sink panicked".to_owned()))];
        Self { account: overhead.account, overhead, failed }
    }
}
