//! Samples become numbers.

use std::collections::HashMap;

use tickscope_abi::{Batch, Begin, Event, Metadata, Names, Sample};

use crate::losses::Losses;
use crate::resources::{CALLS, Resources};
use crate::running::{Frame, Running};

/// Upper bounds of the buckets for ticks: close to each other around 50 ms, which is what a server has for one.
pub const TICK_BOUNDS_MS: [u64; 16] = [1, 2, 5, 10, 20, 30, 40, 50, 60, 75, 100, 150, 250, 500, 1000, 2500];

/// Counters of heaps that are followed.
const MAX_HEAPS: usize = 4096;
/// Symbols of ticks that are known: a server has one.
const MAX_TICK_SYMBOLS: usize = 16;
/// The outcome of a span that was open when the recording ended.
const TRUNCATED: u32 = 3;

/// What is known of the recording.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Program and version that records.
    pub producer: String,
    /// What is recorded.
    pub subject: String,
    /// How much of it.
    pub depth: String,
    /// How long a tick may take; 0 where there is no budget, and then no tick is late.
    pub budget_ns: u64,
}

impl Recording {
    /// Of what crosses at a recording's start.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        Self {
            producer: metadata.producer().to_owned(),
            subject: metadata.subject().to_owned(),
            depth: metadata.depth().to_owned(),
            budget_ns: metadata.raw().budget_ns,
        }
    }
}

/// How long ticks took.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Ticks no longer than each of [`TICK_BOUNDS_MS`] and longer than the one before; the last is of those beyond.
    pub buckets: [u64; TICK_BOUNDS_MS.len() + 1],
    /// Nanoseconds of all.
    pub sum_ns: u64,
}

impl Histogram {
    /// One more, of so many nanoseconds.
    pub fn take(&mut self, duration_ns: u64) {
        let longer = |bound_ms: &u64| duration_ns > bound_ms * 1_000_000;
        self.buckets[TICK_BOUNDS_MS.iter().take_while(|bound| longer(bound)).count()] += 1;
        self.sum_ns = self.sum_ns.saturating_add(duration_ns);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// A tick that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it ended, or was cut off by the recording's end.
    pub end_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// Whether that is longer than the budget.
    pub late: bool,
}

/// Everything that is counted. Its size only grows with the names of the recording.
#[derive(Debug)]
pub struct Counts {
    /// What is recorded.
    pub recording: Recording,
    /// How long ticks took.
    pub ticks: Histogram,
    /// Ticks that took longer than the budget.
    pub late: u64,
    /// By resource.
    pub resources: Resources,
    /// Samples that came.
    pub samples: u64,
    /// Samples that this sink was too slow for.
    pub missed: u64,
    /// Events that the recording lost before anybody saw them.
    pub lost: u64,
    losses: Losses,
    running: Running,
    /// Symbols of ticks: an end does not say what it ends.
    tick_symbols: Vec<u32>,
    /// The newest value of each counter.
    heaps: HashMap<u32, u64>,
}

impl Counts {
    /// Nothing counted yet; `resources` are told apart.
    pub fn new(recording: Recording, resources: usize) -> Self {
        Self {
            recording,
            ticks: Histogram::default(),
            late: 0,
            resources: Resources::new(resources),
            samples: 0,
            missed: 0,
            lost: 0,
            losses: Losses::default(),
            running: Running::default(),
            tick_symbols: Vec::new(),
            heaps: HashMap::new(),
        }
    }

    /// Counts a batch.
    pub fn take(&mut self, batch: &Batch<'_>) {
        self.missing(batch.missed());
        for sample in batch.samples() {
            self.sample(&sample, batch.names());
        }
    }

    /// So many samples were left out here. What was running is not known any more.
    pub fn missing(&mut self, samples: u64) {
        if samples > 0 {
            self.missed = self.missed.saturating_add(samples);
            self.running.forget();
        }
    }

    /// Counts one sample: the tick that ends with it. Those of a ring must come in their order.
    pub fn sample(&mut self, sample: &Sample<'_>, names: &Names) -> Option<Tick> {
        self.samples += 1;
        let Sample { time_ns, ring, track, event } = *sample;
        match event {
            Event::Begin(begin) => {
                self.advance(ring, time_ns);
                self.begin(ring, track, begin, names);
            }
            Event::End(end) => {
                self.advance(ring, time_ns);
                if let Some(ended) = self.running.end(ring, track, end.span, end.bytes) {
                    self.resources.allocate(ended.resource, ended.bytes);
                    if ended.outermost {
                        self.resources.settle();
                    }
                }
                if self.tick_symbols.contains(&end.symbol) {
                    return self.tick(
                        time_ns,
                        time_ns.saturating_sub(end.begin_ns),
                        end.outcome == TRUNCATED,
                    );
                }
            }
            Event::Resume(switch) => {
                self.advance(ring, time_ns);
                self.running.resume(ring, track, switch.host);
            }
            Event::Suspend(switch) => {
                self.advance(ring, time_ns);
                self.running.suspend(ring, track, switch.reason != 0);
            }
            // Inside of spans their own figures are exact.
            Event::Stack(stack) if !self.advance(ring, time_ns) => {
                if let Some(frame) = names.frames(stack.stack).next() {
                    let place = self.resources.of_symbol(frame.symbol, names);
                    let resource = self.resources.at(place);
                    resource.running_ns = resource.running_ns.saturating_add(stack.time_ns);
                    self.resources.allocate(place, stack.bytes.cast_signed());
                    self.resources.settle();
                }
            }
            Event::Instant(instant) if &*names.category(instant.category).name == "error" => {
                let place = self.resources.of_symbol_or_track(instant.symbol, track, names);
                self.resources.at(place).errors += 1;
            }
            Event::Counter { symbol, value } if is_heap(&names.symbol(symbol).name) => {
                self.heap(symbol, value.as_f64() as u64, track, names);
            }
            Event::Gap(_) | Event::Account(_) => {
                self.losses.sample(sample);
                self.lost = self.losses.lost();
            }
            _ => {}
        }
        None
    }

    /// Lets the time since the thread's last event pass; whether a span took it.
    fn advance(&mut self, ring: u32, time_ns: u64) -> bool {
        let Some((passed, frame)) = self.running.advance(ring, time_ns) else { return false };
        let resource = self.resources.at(frame.resource);
        resource.running_ns = resource.running_ns.saturating_add(passed);
        resource.gc_ns = resource.gc_ns.saturating_add(if frame.gc { passed } else { 0 });
        true
    }

    fn begin(&mut self, ring: u32, track: u32, begin: &Begin, names: &Names) {
        let category = &*names.category(begin.category).name;
        if matches!(category, "await" | "sleep") {
            return; // nothing runs in them
        }
        let place = self.resources.of_symbol(begin.symbol, names);
        if let Some(kind) = CALLS.iter().position(|kind| *kind == category) {
            self.resources.at(place).calls[kind] += 1;
        }
        let ticks = &mut self.tick_symbols;
        if category == "tick" && ticks.len() < MAX_TICK_SYMBOLS && !ticks.contains(&begin.symbol) {
            ticks.push(begin.symbol);
        }
        let own_track = names.track(track).kind_name() == "thread";
        self.running.begin(ring, track, own_track, Frame::new(begin.span, place, category == "gc"));
    }

    /// A tick ended, or was cut off by the end of the recording: it counts when it is late already.
    fn tick(&mut self, end_ns: u64, duration_ns: u64, open: bool) -> Option<Tick> {
        let late = self.recording.budget_ns > 0 && duration_ns > self.recording.budget_ns;
        if open && !late {
            return None;
        }
        self.ticks.take(duration_ns);
        self.late += u64::from(late);
        Some(Tick { end_ns, duration_ns, late })
    }

    /// A resource's heap is the sum of those that its counters tell of.
    fn heap(&mut self, symbol: u32, bytes: u64, track: u32, names: &Names) {
        if self.heaps.len() >= MAX_HEAPS && !self.heaps.contains_key(&symbol) {
            return;
        }
        let before = self.heaps.insert(symbol, bytes).unwrap_or(0);
        let place = self.resources.of_symbol_or_track(symbol, track, names);
        let heap = self.resources.at(place).heap.get_or_insert(0);
        *heap = heap.saturating_sub(before).saturating_add(bytes);
    }
}

/// Several machines of one resource have numbers behind their counters' names.
fn is_heap(counter: &str) -> bool {
    let rest = counter.strip_prefix("lua.heap_bytes");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
