//! What is counted, as events: one of each tick, and one of each interval.

use tickscope_abi::{Names, Sample};
use tickscope_counts::{Counts, Resource, Tick};

use crate::event::{Event, Number, Summary, Value, What};
use crate::histogram::Histogram;

const SECOND: f64 = 1e9;
const MS: f64 = 1e6;

/// Tags and what they are. `NAME` stands for a resource.
pub const TAGS: &[(&str, &str)] = &[
    ("tick/duration_ms", "how long each tick took; the step counts the ticks seen, from 1"),
    ("ticks/duration_ms", "how long the ticks of an interval took, as a histogram"),
    ("ticks/mean_ms", "their mean"),
    ("ticks/max_ms", "the longest"),
    ("ticks/count", "how many"),
    ("ticks/late", "how many took longer than the budget"),
    ("running_ms/NAME", "time in which the resource's code ran"),
    ("gc_ms/NAME", "of that, garbage collection"),
    ("calls/NAME", "events, exports, threads, timers, commands and natives that were called"),
    ("allocated_bytes/NAME", "memory that its code allocated"),
    ("heap_bytes/NAME", "its Lua heaps, where they are known"),
    ("errors/NAME", "errors that were reported"),
    ("recording/missed", "samples left out because this sink was too slow"),
    ("recording/lost", "events that found no room in the recording"),
];

/// What is counted, and what of it was put out.
#[derive(Debug)]
pub struct Board {
    counts: Counts,
    /// Monotonic and wall-clock time of the recording's start.
    clock: (u64, u64),
    length_ns: u64,
    end_ns: u64,
    now_ns: u64,
    /// Milliseconds of the interval's ticks, and how many were late.
    ticks: Histogram,
    late: u64,
    /// Ticks so far.
    number: i64,
    /// Figures at the interval's begin: samples, missed, lost, resources.
    before: (u64, u64, u64, Vec<Resource>),
}

impl Board {
    /// Nothing counted yet; intervals are of so many seconds.
    pub fn new(counts: Counts, clock: (u64, u64), seconds: u64) -> Self {
        let length_ns = seconds.max(1).saturating_mul(1_000_000_000);
        let end_ns = clock.0.saturating_add(length_ns);
        Self {
            counts,
            clock,
            length_ns,
            end_ns,
            now_ns: clock.0,
            ticks: Histogram::default(),
            late: 0,
            number: 0,
            before: (0, 0, 0, Vec::new()),
        }
    }

    /// The first event of a file.
    pub fn first(&self) -> Event {
        let what = Some(What::FileVersion("brain.Event:2".into()));
        Event { wall_time: self.wall(self.clock.0), step: 0, what }
    }

    /// So many samples were left out.
    pub fn missing(&mut self, samples: u64) {
        self.counts.missing(samples);
    }

    /// Counts a sample: what is to be put out.
    pub fn take(&mut self, sample: &Sample<'_>, names: &Names) -> [Option<Event>; 2] {
        let mut interval = None;
        if sample.time_ns >= self.end_ns {
            self.now_ns = self.now_ns.max(self.end_ns - 1);
            interval = self.interval();
            let over = sample.time_ns - self.end_ns;
            self.end_ns = (self.end_ns + over - over % self.length_ns).saturating_add(self.length_ns);
        }
        self.now_ns = self.now_ns.max(sample.time_ns);
        let tick = self.counts.sample(sample, names).map(|tick| self.tick(tick));
        [interval, tick]
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Option<Event> {
        self.interval()
    }

    fn wall(&self, time_ns: u64) -> f64 {
        let (monotonic, unix) = self.clock;
        unix.saturating_add(time_ns.saturating_sub(monotonic)) as f64 / SECOND
    }

    fn tick(&mut self, tick: Tick) -> Event {
        let duration_ms = tick.duration_ns as f64 / MS;
        self.ticks.add(duration_ms);
        self.late += u64::from(tick.late);
        self.number += 1;
        let value = vec![scalar("tick/duration_ms", duration_ms)];
        Event {
            wall_time: self.wall(tick.end_ns),
            step: self.number,
            what: Some(What::Summary(Summary { value })),
        }
    }

    /// What happened in the interval; `None` where nothing did. Its step is in seconds since the start.
    fn interval(&mut self) -> Option<Event> {
        let (samples, missed, lost) = (self.counts.samples, self.counts.missed, self.counts.lost);
        if (samples, missed) == (self.before.0, self.before.1) {
            return None;
        }
        let mut value = Vec::new();
        let (ticks, late) = (std::mem::take(&mut self.ticks), std::mem::take(&mut self.late));
        if let Some(histogram) = ticks.written() {
            value.push(scalar("ticks/mean_ms", histogram.sum / histogram.num));
            value.push(scalar("ticks/max_ms", histogram.max));
            value.push(scalar("ticks/count", histogram.num));
            value.push(scalar("ticks/late", late as f64));
            let tag = "ticks/duration_ms".into();
            value.push(Value { tag, value: Some(Number::Histogram(histogram)) });
        }
        let resources = self.counts.resources.list().to_vec();
        let nothing = Resource::default();
        for (place, now) in resources.iter().enumerate() {
            let before = self.before.3.get(place).unwrap_or(&nothing);
            let calls = |resource: &Resource| resource.calls.iter().sum::<u64>();
            let mut put = |tag: &str, number: f64| value.push(scalar(&format!("{tag}/{}", now.name), number));
            put("running_ms", (now.running_ns - before.running_ns) as f64 / MS);
            put("gc_ms", (now.gc_ns - before.gc_ns) as f64 / MS);
            put("calls", (calls(now) - calls(before)) as f64);
            put("allocated_bytes", (now.allocated - before.allocated) as f64);
            put("errors", (now.errors - before.errors) as f64);
            if let Some(heap) = now.heap {
                put("heap_bytes", heap as f64);
            }
        }
        value.push(scalar("recording/missed", (missed - self.before.1) as f64));
        value.push(scalar("recording/lost", (lost - self.before.2) as f64));
        self.before = (samples, missed, lost, resources);
        let step = (self.now_ns.saturating_sub(self.clock.0) / 1_000_000_000).cast_signed();
        Some(Event { wall_time: self.wall(self.now_ns), step, what: Some(What::Summary(Summary { value })) })
    }
}

fn scalar(tag: &str, number: f64) -> Value {
    Value { tag: tag.to_owned(), value: Some(Number::Scalar(number as f32)) }
}
