//! What is counted, cut into intervals: what happened in each becomes documents.

use std::time::Duration;

use tickscope_abi::{Names, Sample};
use tickscope_counts::{Counts, Resource};

use crate::document::{Document, MAX_VALUES, Metric, Unit, dimension_value};

const TICK_DURATION: Metric =
    Metric { name: "TickDuration", unit: Unit::Milliseconds, help: "How long each tick took." };
const LATE_TICKS: Metric =
    Metric { name: "LateTicks", unit: Unit::Count, help: "Ticks that took longer than the budget." };
const SAMPLES: Metric = Metric { name: "Samples", unit: Unit::Count, help: "Samples that were counted." };
const SAMPLES_MISSED: Metric = Metric {
    name: "SamplesMissed",
    unit: Unit::Count,
    help: "Samples left out because this sink was too slow.",
};
const EVENTS_LOST: Metric =
    Metric { name: "EventsLost", unit: Unit::Count, help: "Events that found no room in the recording." };
const RUNNING: Metric =
    Metric { name: "RunningTime", unit: Unit::Milliseconds, help: "Time in which the resource's code ran." };
const GC: Metric =
    Metric { name: "GarbageCollection", unit: Unit::Milliseconds, help: "Of that, garbage collection." };
const CALLS: Metric = Metric {
    name: "Calls",
    unit: Unit::Count,
    help: "Events, exports, threads, timers, commands and natives that were called.",
};
const ALLOCATED: Metric =
    Metric { name: "Allocated", unit: Unit::Bytes, help: "Memory that its code allocated." };
const HEAP: Metric = Metric { name: "Heap", unit: Unit::Bytes, help: "Its Lua heaps, where they are known." };
const ERRORS: Metric = Metric { name: "Errors", unit: Unit::Count, help: "Errors that were reported." };

/// Every metric there is. Those of the second list have the dimension `Resource` beside `Server`.
pub const METRICS: (&[Metric], &[Metric]) = (
    &[TICK_DURATION, LATE_TICKS, SAMPLES, SAMPLES_MISSED, EVENTS_LOST],
    &[RUNNING, GC, CALLS, ALLOCATED, HEAP, ERRORS],
);

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;

/// Figures that only grow, as they were when the interval began.
#[derive(Debug, Default)]
struct Before {
    late: u64,
    samples: u64,
    missed: u64,
    lost: u64,
    resources: Vec<Resource>,
}

/// What is counted, and what of it was written.
#[derive(Debug)]
pub struct Interval {
    counts: Counts,
    /// Monotonic and wall-clock time of one moment.
    clock: (u64, u64),
    namespace: String,
    server: String,
    length_ns: u64,
    /// Time of the newest sample, and when the interval ends.
    now_ns: u64,
    end_ns: u64,
    /// Milliseconds of the ticks that are not written yet.
    ticks: Vec<f64>,
    before: Before,
}

impl Interval {
    /// Nothing counted yet. Times are monotonic; `clock` is such a time, and the same moment since 1970.
    pub fn new(counts: Counts, clock: (u64, u64), namespace: &str, server: &str, length: Duration) -> Self {
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self {
            counts,
            clock,
            namespace: namespace.to_owned(),
            server: dimension_value(server),
            length_ns,
            now_ns: clock.0,
            end_ns: clock.0.saturating_add(length_ns),
            ticks: Vec::new(),
            before: Before::default(),
        }
    }

    /// So many samples were left out.
    pub fn missing(&mut self, samples: u64) {
        self.counts.missing(samples);
    }

    /// Counts a sample: what is to be written before it.
    pub fn take(&mut self, sample: &Sample<'_>, names: &Names) -> Vec<Document> {
        let mut due = Vec::new();
        if sample.time_ns >= self.end_ns {
            // The interval's last moment, not the sample's.
            self.now_ns = self.now_ns.max(self.end_ns - 1);
            self.write(&mut due);
            let over = sample.time_ns - self.end_ns;
            self.end_ns = (self.end_ns + over - over % self.length_ns).saturating_add(self.length_ns);
        }
        self.now_ns = self.now_ns.max(sample.time_ns);
        if let Some(tick) = self.counts.sample(sample, names) {
            self.ticks.push(tick.duration_ns as f64 / MS as f64);
            if self.ticks.len() == MAX_VALUES {
                let ticks = std::mem::take(&mut self.ticks);
                due.push(self.document(None, vec![(TICK_DURATION, ticks)]));
            }
        }
        due
    }

    /// What is left to be written at the end.
    pub fn finish(&mut self) -> Vec<Document> {
        let mut due = Vec::new();
        self.write(&mut due);
        due
    }

    /// Documents of what happened since the last time.
    fn write(&mut self, due: &mut Vec<Document>) {
        let Counts { late, samples, missed, lost, .. } = self.counts;
        if samples == self.before.samples && missed == self.before.missed {
            return;
        }
        let count = |now: u64, before: u64| vec![(now - before) as f64];
        let mut metrics = Vec::new();
        if !self.ticks.is_empty() {
            metrics.push((TICK_DURATION, std::mem::take(&mut self.ticks)));
        }
        metrics.push((LATE_TICKS, count(late, self.before.late)));
        metrics.push((SAMPLES, count(samples, self.before.samples)));
        metrics.push((SAMPLES_MISSED, count(missed, self.before.missed)));
        metrics.push((EVENTS_LOST, count(lost, self.before.lost)));
        due.push(self.document(None, metrics));

        let resources = self.counts.resources.list().to_vec();
        let nothing = Resource::default();
        for (place, now) in resources.iter().enumerate() {
            let before = self.before.resources.get(place).unwrap_or(&nothing);
            let calls = |resource: &Resource| resource.calls.iter().sum::<u64>();
            let millis = |now: u64, before: u64| vec![(now - before) as f64 / MS as f64];
            let mut metrics = vec![
                (RUNNING, millis(now.running_ns, before.running_ns)),
                (GC, millis(now.gc_ns, before.gc_ns)),
                (CALLS, count(calls(now), calls(before))),
                (ALLOCATED, count(now.allocated, before.allocated)),
                (ERRORS, count(now.errors, before.errors)),
            ];
            let idle = metrics.iter().all(|(_, values)| values[..] == [0.0]) && now.heap == before.heap;
            if let Some(heap) = now.heap {
                metrics.push((HEAP, vec![heap as f64]));
            }
            if !idle {
                due.push(self.document(Some(&now.name), metrics));
            }
        }
        self.before = Before { late, samples, missed, lost, resources };
    }

    fn document(&self, resource: Option<&str>, metrics: Vec<(Metric, Vec<f64>)>) -> Document {
        let (monotonic, unix) = self.clock;
        let mut dimensions = vec![("Server", self.server.clone())];
        dimensions.extend(resource.map(|resource| ("Resource", dimension_value(resource))));
        Document {
            time_ms: unix.saturating_add(self.now_ns.saturating_sub(monotonic)) / MS,
            namespace: self.namespace.clone(),
            high_resolution: self.length_ns < 60 * 1_000 * MS,
            dimensions,
            metrics,
        }
    }
}
