//! A session: what all its threads share.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tickscope_core::{
    Account, Calibration, CategoryId, CategorySet, ClockInfo, DepthSwitch, Interner, KeyId, Metadata,
    Outcome, Progress, Recorder, RingId, Sink, Source, SourceError, StackId, StackNode, Stopwatch, SymbolId,
    SymbolRef, Ticks, Track, TrackId, TrackKind,
};
use tickscope_ring::{MAX_EVENT_SLOTS, Policy};

use crate::arena::{self, Arena};
use crate::clock::{Clock, realtime_ns};
use crate::mapping::{MAX_RINGS, Mapping, Shape, state};
use crate::{Collector, ThreadRecorder};

/// Sizes and facts of a session. Change what differs: `Config { ring_bytes: 32 << 20, ..Config::default() }`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Size of one thread's ring: a power of two from 8 KiB to 1 GiB. The default of 4 MiB holds 131,000 spans.
    pub ring_bytes: usize,
    /// The most threads that record at one time, 1 to 1,024. Memory is used by those that do.
    pub threads: usize,
    /// Room for names, tracks and stacks, 64 KiB to 1 GiB; what does not fit becomes `<other>` and is counted.
    pub arena_bytes: usize,
    /// What a full ring does.
    pub policy: Policy,
    /// What is known of the recording. Start, process and clock are filled in.
    pub metadata: Metadata,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ring_bytes: 4 << 20,
            threads: 64,
            arena_bytes: 64 << 20,
            policy: Policy::Drop,
            metadata: Metadata::default(),
        }
    }
}

/// Why a session cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size is out of range.
    #[error("{field} is {value}; expected {expected}")]
    Range {
        /// The field of [`Config`].
        field: &'static str,
        /// Its value.
        value: usize,
        /// What it may be.
        expected: &'static str,
    },
    /// The memory could not be had.
    #[error("cannot map the session's memory")]
    Memory(#[source] std::io::Error),
}

impl Config {
    fn shape(&self) -> Result<Shape, ConfigError> {
        let check = |ok: bool, field, value, expected| {
            if ok { Ok(()) } else { Err(ConfigError::Range { field, value, expected }) }
        };
        let ring = self.ring_bytes;
        let in_range = (8 << 10..=1 << 30).contains(&ring) && ring.is_power_of_two();
        check(in_range, "ring_bytes", ring, "a power of two from 8 KiB to 1 GiB")?;
        check((1..=MAX_RINGS).contains(&self.threads), "threads", self.threads, "1 to 1024")?;
        let arena = self.arena_bytes;
        check((64 << 10..=1 << 30).contains(&arena), "arena_bytes", arena, "64 KiB to 1 GiB")?;
        debug_assert!(ring / 16 > MAX_EVENT_SLOTS);
        let shape = Shape {
            arena_bytes: arena.next_multiple_of(8),
            ring_slots: ring / 16,
            rings: self.threads,
            policy: self.policy,
        };
        debug_assert!(shape.is_sound());
        Ok(shape)
    }
}

/// What the threads of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) clock: Clock,
    /// The clock at the session's start: records count from here.
    pub(crate) base: Ticks,
    pub(crate) ticks_per_micro: u64,
    pub(crate) categories: CategorySet,
    arena: Arena,
    symbols: Interner<Box<[u8]>, u32>,
    keys: Interner<Box<[u8]>, u32>,
    stacks: Interner<[u8; 12], u32>,
    registry: Mutex<()>,
    interning: Mutex<Stopwatch>,
}

impl Shared {
    fn over(mapping: Arc<Mapping>, clock: Clock, ticks_per_micro: u64) -> Arc<Self> {
        Arc::new(Self {
            arena: Arena::new(mapping.clone()),
            ticks_per_micro,
            base: clock.start().ticks,
            clock,
            categories: CategorySet::all(),
            symbols: Interner::default(),
            keys: Interner::default(),
            stacks: Interner::default(),
            registry: Mutex::new(()),
            interning: Mutex::default(),
            mapping,
        })
    }

    /// What a collector in another process needs of the session in `mapping`.
    pub(crate) fn of_another(mapping: Arc<Mapping>) -> (Arc<Self>, Calibration) {
        let header = mapping.header();
        let (base_ticks, base_ns) =
            (header.base_ticks.load(Ordering::Relaxed), header.base_ns.load(Ordering::Relaxed));
        let tsc = header.tsc.load(Ordering::Relaxed) != 0;
        let (clock, calibration) = Clock::of_another(tsc, Ticks(base_ticks), base_ns);
        let shared = Self::over(mapping, clock, calibration.ticks_per_micro());
        (shared, Calibration::rebased(calibration, Ticks(base_ticks), base_ns))
    }

    pub(crate) fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        let mut definition = Vec::with_capacity(64);
        arena::encode_symbol(symbol, &mut definition);
        SymbolId(self.define(&self.symbols, arena::SYMBOL, &definition, 0))
    }

    pub(crate) fn intern_key(&self, key: &str) -> KeyId {
        KeyId(self.define(&self.keys, arena::KEY, key.as_bytes(), 0))
    }

    pub(crate) fn intern_stack(&self, node: StackNode) -> StackId {
        let definition = arena::encode_stack(node);
        StackId(self.stacks.intern(&definition, node.parent.0, || {
            self.arena.append(arena::STACK, &definition).map(|id| (definition, id))
        }))
    }

    pub(crate) fn new_track(&self, definition: &[u8]) -> TrackId {
        self.arena.append(arena::TRACK, definition).map_or(TrackId::PROCESS, TrackId)
    }

    fn define(&self, interner: &Interner<Box<[u8]>, u32>, kind: u8, definition: &[u8], fallback: u32) -> u32 {
        interner.intern(definition, fallback, || {
            let start = Instant::now();
            let id = self.arena.append(kind, definition)?;
            self.interning.lock().unwrap_or_else(PoisonError::into_inner).add(start.elapsed());
            Some((definition.into(), id))
        })
    }

    /// What defining names has cost so far.
    pub(crate) fn intern_cost(&self) -> Stopwatch {
        self.interning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A recording in progress. Cheap to clone; the recording goes on until its [`Collector`] is closed.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// Starts a session. Takes about 5 ms to calibrate the clock.
    ///
    /// # Errors
    /// Names the field that is out of range, or says why memory could not be had.
    pub fn new(config: Config) -> Result<(Self, Collector), ConfigError> {
        let mapping = Mapping::new(config.shape()?).map_err(ConfigError::Memory)?;
        let (shared, calibration) = begin(mapping);
        let metadata = describe(&shared, config.metadata);
        let collector = Collector::new(shared.clone(), metadata, calibration);
        Ok((Self { shared }, collector))
    }

    /// Starts a session in the new file `path`, for a collector in another process ([`Collector::open`]); `name` says
    /// which program records. Put the file where files are memory (`/dev/shm`): it survives the process that
    /// records, whatever ends it, and the collector finds all that was committed. Takes about 5 ms.
    ///
    /// Its pages are had from the file system before they are written, so that a full one refuses rings or names, which
    /// is counted, and never kills the program. Of the configuration's metadata the depth counts only.
    ///
    /// # Errors
    /// Names the field that is out of range, or says why the file could not be made.
    pub fn create(path: &std::path::Path, name: &str, config: Config) -> Result<Self, ConfigError> {
        Self::create_with(path, name, config, |mapping| begin(mapping).0)
    }

    /// A session for this process, the child that a fork of this session's process made: [`Session::create`] with this
    /// session's clock, which needs no calibration. Takes less than a millisecond.
    ///
    /// # Errors
    /// As for [`Session::create`].
    pub fn create_for_child(
        &self,
        path: &std::path::Path,
        name: &str,
        config: Config,
    ) -> Result<Self, ConfigError> {
        let clock = self.shared.clock.again();
        Self::create_with(path, name, config, |mapping| {
            Shared::over(mapping, clock, self.shared.ticks_per_micro)
        })
    }

    fn create_with(
        path: &std::path::Path,
        name: &str,
        config: Config,
        begin: impl FnOnce(Arc<Mapping>) -> Arc<Shared>,
    ) -> Result<Self, ConfigError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let mapping = Mapping::create(unfinished.as_ref(), config.shape()?).map_err(ConfigError::Memory)?;
        let shared = begin(mapping);
        let header = shared.mapping.header();
        header.set_name(name);
        header.depth.set(config.metadata.depth);
        header.base_ticks.store(shared.base.0, Ordering::Relaxed);
        header.base_ns.store(shared.clock.start().monotonic_ns, Ordering::Relaxed);
        header.tsc.store(u32::from(shared.clock.is_tsc()), Ordering::Release);
        // Whoever finds the file under its name finds all of the head.
        std::fs::rename(&unfinished, path).map_err(|error| {
            let _ = std::fs::remove_file(&unfinished);
            ConfigError::Memory(error)
        })?;
        Ok(Self { shared })
    }

    /// How much is to be recorded now: the depth of the configuration until the collector asks for another
    /// ([`Collector::want_depth`]). Give it to whoever records.
    pub fn depth(&self) -> &DepthSwitch {
        &self.shared.mapping.header().depth
    }

    /// Says that nothing more will be recorded: the collector ends when it has drained the rings.
    pub fn close(&self) {
        self.shared.mapping.header().finished.store(1, Ordering::Release); // pairs with `Collector::is_finished`
    }

    /// A recorder for the calling thread, whose track is called `name`. With more threads than
    /// [`Config::threads`], one that drops and counts everything.
    pub fn thread(&self, name: &str) -> ThreadRecorder {
        let mut definition = Vec::new();
        let track = Track {
            kind: TrackKind::Thread,
            parent: TrackId::PROCESS,
            os_id: thread_id(),
            name: name.into(),
            resource: "".into(),
        };
        arena::encode_track(&track, &mut definition);
        let track = self.shared.new_track(&definition);

        let mapping = &self.shared.mapping;
        let header = mapping.header();
        let _one_at_a_time = self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let used = (header.entries.load(Ordering::Relaxed) as usize).min(mapping.shape().rings);
        // Pairs with the collector's Release: a ring it gave back is cleared.
        let free = (0..used)
            .find(|index| mapping.entry(*index).state.load(Ordering::Acquire) == state::EMPTY)
            .or((used < mapping.shape().rings).then_some(used));
        let ring = free
            .filter(|index| mapping.have_ring(*index))
            .and_then(|index| Some((index, mapping.ring(index).ok()?)));
        let Some((index, memory)) = ring else {
            return self.ringless(track);
        };
        let number = header.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = mapping.entry(index);
        entry.number.store(number, Ordering::Relaxed);
        entry.track.store(track.0, Ordering::Relaxed);
        // SAFETY: the entry was empty, so the ring's last producer is gone, and the lock keeps others from taking it.
        let producer = unsafe { memory.producer() };
        entry.state.store(state::LIVE, Ordering::Release); // pairs with the Acquire in `Collector::poll`
        header.entries.fetch_max(index as u32 + 1, Ordering::Release);
        ThreadRecorder::new(producer, RingId(number), track, Some(index), self.shared.clone())
    }

    fn ringless(&self, track: TrackId) -> ThreadRecorder {
        let config = tickscope_ring::Config { capacity: 2, policy: Policy::Drop };
        let (producer, _) = tickscope_ring::heap(config).expect("2 is a power of two");
        while producer.reserve() {}
        ThreadRecorder::new(producer, RingId(0), track, None, self.shared.clone())
    }

    /// Reads the clock that records are made with.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        self.shared.clock.now()
    }

    /// Which categories are recorded; may be changed at any time.
    pub fn categories(&self) -> &CategorySet {
        &self.shared.categories
    }

    /// The session's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The id of a symbol; see [`Recorder::intern_symbol`].
    pub fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        self.shared.intern_symbol(symbol)
    }

    /// The id of an argument's name; see [`Recorder::intern_key`].
    pub fn intern_key(&self, key: &str) -> KeyId {
        self.shared.intern_key(key)
    }

    /// A track of its own, for spans that belong to no thread; see [`tickscope_core::Recorder::enter_on`].
    pub fn new_track(&self, track: &Track) -> TrackId {
        let mut definition = Vec::new();
        arena::encode_track(track, &mut definition);
        self.shared.new_track(&definition)
    }

    /// Ends the recording: drains everything into `sink`, finishes it, and answers where the events went. For
    /// programs that collect once, at the end; [`Pump`](crate::Pump) collects all the time.
    ///
    /// # Errors
    /// What the sink answered.
    pub fn finish(self, mut collector: Collector, sink: &mut dyn Sink) -> Result<Account, SourceError> {
        sink.open(collector.metadata())?;
        collector.close();
        while !matches!(collector.poll(sink)?, Progress::End) {}
        sink.finish()?;
        Ok(collector.account())
    }
}

/// Starts the clock of a new session.
fn begin(mapping: Arc<Mapping>) -> (Arc<Shared>, Calibration) {
    let (clock, calibration) = Clock::calibrated();
    let start = clock.start();
    let calibration = Calibration::rebased(calibration, start.ticks, start.monotonic_ns);
    (Shared::over(mapping, clock, calibration.ticks_per_micro()), calibration)
}

/// Completes what is known of a recording.
pub(crate) fn describe(shared: &Shared, metadata: Metadata) -> Metadata {
    let start = shared.clock.start();
    Metadata {
        pid: std::process::id(),
        start_ns: start.monotonic_ns,
        start_unix_ns: realtime_ns()
            .saturating_sub(crate::clock::monotonic_ns().saturating_sub(start.monotonic_ns)),
        clock: ClockInfo { source: shared.clock.name().into(), error_ns: shared.clock.error_ns() },
        ..metadata
    }
}

/// What recording one begin and end costs here, in nanoseconds: the median of several runs on a scratch ring.
pub(crate) fn measure_pair(shared: &Arc<Shared>, calibration: &Calibration) -> f64 {
    let config = tickscope_ring::Config { capacity: 8_192, policy: Policy::Drop };
    let mut runs: Vec<f64> = (0..5)
        .filter_map(|_| {
            let (producer, _consumer) = tickscope_ring::heap(config).ok()?;
            let recorder = ThreadRecorder::new(producer, RingId(0), TrackId::PROCESS, None, shared.clone());
            let start = recorder.now();
            for _ in 0..2_000 {
                let span = recorder.enter(recorder.now(), SymbolId::OTHER, CategoryId::DEFAULT);
                recorder.exit(recorder.now(), span, Outcome::Ok, 0);
            }
            let took = calibration.scale(recorder.now().0.saturating_sub(start.0));
            Some(took as f64 / 2_000.0)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn thread_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() as u32 }
}

#[cfg(not(target_os = "linux"))]
fn thread_id() -> u32 {
    0
}
