//! What was counted in the last seconds.

use std::collections::VecDeque;

use tickscope_abi::{Event, Names, Sample};
use tickscope_counts::{Counts, HOST, OTHER, Recording};

use crate::rules::{Measure, Rule, matches};

/// A second.
pub const SECOND_NS: u64 = 1_000_000_000;
/// Symbols of ticks that are known: a server has one.
const MAX_TICK_SYMBOLS: usize = 16;

/// What a resource had done by then.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    running_ns: u64,
    allocated: u64,
    errors: u64,
    calls: u64,
    heap: Option<u64>,
}

/// A tick, and who ran longest in it.
#[derive(Clone, Copy, Debug)]
struct LongTick {
    duration_ns: u64,
    resource: usize,
    running_ns: u64,
}

/// All that was counted by then.
#[derive(Clone, Debug, Default)]
struct Reading {
    ticks: u64,
    late: u64,
    figures: Vec<Figures>,
    /// The longest since the reading before.
    longest: Option<LongTick>,
    /// Seconds before it of which nothing is known yet: what runs then is counted when it ends.
    silent: u64,
}

/// Who is most likely to blame, in words.
pub type Blame = Option<String>;

/// What was measured of a resource, by its place, or of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Whose.
    pub resource: Option<usize>,
    /// How much.
    pub value: f64,
    /// Who made it so.
    pub blame: Blame,
}

/// Counts, and readings of them each second, as far back as a rule looks.
#[derive(Debug)]
pub struct Window {
    counts: Counts,
    /// The newest last.
    readings: VecDeque<Reading>,
    keep: usize,
    longest: Option<LongTick>,
    /// Running time of each resource when the tick that runs began.
    at_tick: Vec<u64>,
    /// Symbols of ticks: an end does not say what it ends.
    tick_symbols: Vec<u32>,
}

impl Window {
    /// Tells `resources` apart and looks back as far as `rules` do.
    pub fn new(recording: Recording, resources: usize, rules: &[Rule]) -> Self {
        let keep = rules.iter().map(|rule| rule.window_s).max().unwrap_or(1) as usize + 1;
        let readings = VecDeque::from([Reading::default()]);
        let counts = Counts::new(recording, resources);
        Self { counts, readings, keep, longest: None, at_tick: Vec::new(), tick_symbols: Vec::new() }
    }

    /// Samples are missing here.
    pub fn missing(&mut self, samples: u64) {
        self.counts.missing(samples);
    }

    /// Whether a tick begins or ends with it.
    pub fn is_tick(&mut self, sample: &Sample<'_>, names: &Names) -> bool {
        let ticks = &mut self.tick_symbols;
        match sample.event {
            Event::Begin(begin) if &*names.category(begin.category).name == "tick" => {
                if ticks.len() < MAX_TICK_SYMBOLS && !ticks.contains(&begin.symbol) {
                    ticks.push(begin.symbol);
                }
                true
            }
            Event::End(end) => ticks.contains(&end.symbol),
            _ => false,
        }
    }

    /// Counts a sample.
    pub fn sample(&mut self, sample: &Sample<'_>, names: &Names) {
        if let Some(tick) = self.counts.sample(sample, names) {
            self.tick(tick.duration_ns);
        }
        if matches!(sample.event, Event::Begin(begin) if self.tick_symbols.contains(&begin.symbol)) {
            self.at_tick.clear();
            self.at_tick.extend(self.counts.resources.list().iter().map(|resource| resource.running_ns));
        }
    }

    fn tick(&mut self, duration_ns: u64) {
        let list = self.counts.resources.list();
        if self.longest.is_none_or(|longest| longest.duration_ns < duration_ns) {
            let before = |place: usize| self.at_tick.get(place).copied().unwrap_or(0);
            let ran =
                list.iter().enumerate().map(|(place, resource)| (resource.running_ns - before(place), place));
            let (running_ns, resource) = ran.max_by_key(|(ran, _)| *ran).unwrap_or_default();
            // On several threads, more may have run than the tick took.
            self.longest = Some(LongTick { duration_ns, resource, running_ns: running_ns.min(duration_ns) });
        }
    }

    /// What was counted until now is of no second.
    pub fn restart(&mut self) {
        self.read(0);
        self.readings.drain(..self.readings.len() - 1);
    }

    /// A second is over, and of `silent` before its end nothing came.
    pub fn read(&mut self, silent: u64) {
        let figures = self.counts.resources.list().iter().map(|resource| Figures {
            running_ns: resource.running_ns,
            allocated: resource.allocated,
            errors: resource.errors,
            calls: resource.calls.iter().sum(),
            heap: resource.heap,
        });
        let reading = Reading {
            ticks: self.counts.ticks.count(),
            late: self.counts.late,
            figures: figures.collect(),
            longest: self.longest.take(),
            silent,
        };
        self.readings.push_back(reading);
        if self.readings.len() > self.keep {
            self.readings.pop_front();
        }
    }

    /// The name of the resource at a place.
    pub fn name(&self, resource: usize) -> &str {
        self.counts.resources.list().get(resource).map_or("", |resource| &resource.name)
    }

    /// What a rule measures now. Nothing where it cannot be known: no tick of those that there should be ended, so that what
    /// happened in it is not known yet, or too little of a second has been seen to say that there is less than there should be.
    pub fn measure(&self, rule: &Rule) -> Vec<Measured> {
        let last = self.readings.len() - 1;
        let back = last.saturating_sub(rule.window_s as usize);
        let (now, then) = (&self.readings[last], &self.readings[back]);
        let seconds = rule.window_s as f64;
        let ticks = now.ticks - then.ticks;
        let server = |value, blame| vec![Measured { resource: None, value, blame }];
        match rule.measure {
            // A server that hangs is not well.
            measure if now.ticks > 0 && ticks == 0 && measure != Measure::TicksPerS => Vec::new(),
            Measure::LateTicksPerMinute => {
                let late = now.late - then.late;
                server(late as f64 * 60.0 / seconds, (late > 0).then(|| self.busiest(now, then)).flatten())
            }
            Measure::TickMs => {
                let longest = self.readings.range(back + 1..).filter_map(|reading| reading.longest);
                let Some(longest) = longest.max_by_key(|longest| longest.duration_ns) else {
                    return Vec::new();
                };
                let ms = |ns: u64| ns as f64 / 1e6;
                let (name, ran) = (self.name(longest.resource), amount(ms(longest.running_ns)));
                server(ms(longest.duration_ns), Some(format!("{name} ran {ran} ms of it")))
            }
            // A server that never had a tick is none that should have some.
            Measure::TicksPerS if now.ticks == 0 || last - back < rule.window_s as usize => Vec::new(),
            Measure::TicksPerS => server(ticks as f64 / seconds, self.busiest(now, then)),
            measure => {
                let then_silent = then.silent as f64;
                let full = last - back == rule.window_s as usize;
                let of = |(place, now): (usize, &Figures)| {
                    let then = then.figures.get(place).copied().unwrap_or_default();
                    let running_ms = (now.running_ns - then.running_ns) as f64 / 1e6;
                    let value = match measure {
                        Measure::MsPerTick if ticks == 0 => return None,
                        Measure::MsPerTick => running_ms / ticks as f64,
                        Measure::MsPerS => running_ms / (seconds + then_silent),
                        Measure::HeapMb => now.heap? as f64 / 1e6,
                        Measure::AllocatedMbPerS => {
                            (now.allocated - then.allocated) as f64 / 1e6 / (seconds + then_silent)
                        }
                        Measure::ErrorsPerMinute => (now.errors - then.errors) as f64 * 60.0 / seconds,
                        _ => (now.calls - then.calls) as f64 / seconds,
                    };
                    let too_early = matches!(rule.limit, crate::rules::Limit::Below(_)) && !full;
                    (!too_early).then_some(Measured { resource: Some(place), value, blame: None })
                };
                let watched = |(place, _): &(usize, &Figures)| {
                    let name = self.name(*place);
                    // The server itself and those without a name of their own only where they are meant.
                    let apart = matches!(name, HOST | OTHER);
                    if apart { rule.resource == name } else { matches(&rule.resource, name) }
                };
                now.figures.iter().enumerate().filter(watched).filter_map(of).collect()
            }
        }
    }

    /// Who ran most, and its share of what ran.
    fn busiest(&self, now: &Reading, then: &Reading) -> Blame {
        let before = |place: usize| then.figures.get(place).map_or(0, |figures| figures.running_ns);
        let ran: Vec<u64> = now
            .figures
            .iter()
            .enumerate()
            .map(|(place, figures)| figures.running_ns - before(place))
            .collect();
        let (place, most) = ran.iter().enumerate().max_by_key(|(_, ran)| **ran)?;
        let all: u64 = ran.iter().sum();
        let share = (*most as f64 * 100.0 / all as f64).round();
        (all > 0).then(|| format!("{} ran most, {share} % of the time", self.name(place)))
    }
}

/// A number for people: 412, 41.2, 4.
pub fn amount(value: f64) -> String {
    if value.abs() >= 100.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
