//! Whole spans: a begin and an end become one row, for plugins that write tables.

use std::collections::HashMap;

use tickscope_abi::{ArgValue, Batch, Begin, End, Event, Sample};

use crate::open::OpenSpans;
use crate::running::{Frame, Running};

/// Threads whose ticks are told apart.
const MAX_THREADS: usize = 64;
/// The outcome of a span that was open when the recording ended.
const TRUNCATED: u32 = 3;

/// A span that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its id.
    pub id: u64,
    /// Its track.
    pub track: u32,
    /// What was called.
    pub symbol: u32,
    /// Its kind; `None` where its begin was not seen.
    pub category: Option<u32>,
    /// When it began, in nanoseconds of the monotonic clock.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Nanoseconds in which it was the innermost span that ran on its thread; `None` for one that no thread runs, as a wait or
    /// a transfer.
    pub self_ns: Option<u64>,
    /// Bytes allocated meanwhile, what it called included; `u32::MAX`, 4 GiB, stands for more: a record in a ring has no room for
    /// a longer number.
    pub bytes: u32,
    /// What became of it: see [`outcome_name`](tickscope_abi::outcome_name).
    pub outcome: u32,
    /// The span it is within on its track; 0 for an outermost one.
    pub parent: u64,
    /// The link point or span that caused it; 0 where that is its parent or nobody.
    pub link: u64,
    /// Why: see [`link_kind_name`](tickscope_abi::link_kind_name).
    pub link_kind: u32,
    /// The number of the tick of its thread that it began in, or that it is; 0 outside of ticks.
    pub tick: u64,
    /// That tick's span, which its number is not enough to find: a host that is started anew while it is recorded counts from 1
    /// again. 0 outside of ticks.
    pub tick_span: u64,
}

impl Span {
    /// How long it took, waits included, in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.begin_ns)
    }
}

/// What a span says that is a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickSpan {
    /// Its number, from 1.
    pub number: u64,
    /// It took longer than the budget.
    pub late: bool,
    /// It had not ended when the recording did.
    pub open: bool,
    /// Nanoseconds in which its thread could run and did not, where the machine tells.
    pub run_delay_ns: Option<u64>,
    /// How often its thread was taken off its core, where the machine tells.
    pub involuntary: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    category: u32,
    self_ns: Option<u64>,
    parent: u64,
    link: u64,
    link_kind: u32,
    /// Span and number.
    tick: (u64, u64),
    is_tick: bool,
}

/// A count, by whoever wrote it: captures and posts have signed numbers.
fn count(value: ArgValue<'_>) -> Option<u64> {
    match value {
        ArgValue::Uint(number) => Some(number),
        ArgValue::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// Makes whole spans of samples. Memory is bounded.
#[derive(Debug, Default)]
pub struct Spans {
    budget_ns: u64,
    running: Running,
    open: OpenSpans<Open>,
    /// By ring: the span and the number of the tick that runs.
    ticks: HashMap<u32, (u64, u64)>,
    newest_tick: u64,
}

impl Spans {
    /// Nothing seen yet. A tick is late that takes longer than `budget_ns`, where that is not 0.
    pub fn new(budget_ns: u64) -> Self {
        Self { budget_ns, ..Self::default() }
    }

    /// Samples are missing: what was open is not known any more. To be told before the samples that follow.
    pub fn missing(&mut self) {
        self.running.forget();
        self.open.clear();
        self.ticks.clear();
    }

    /// Takes a sample of the batch; the span that ends with it, and if it is a tick, what it says. Samples of a ring must come
    /// in their order.
    pub fn sample(&mut self, sample: &Sample<'_>, batch: &Batch<'_>) -> Option<(Span, Option<TickSpan>)> {
        let Sample { time_ns, ring, track, event } = *sample;
        match event {
            Event::Begin(begin) => {
                self.advance(ring, time_ns);
                self.begin(ring, track, begin, batch);
                None
            }
            Event::End(end) => {
                self.advance(ring, time_ns);
                Some(self.end(time_ns, ring, track, end, batch))
            }
            Event::Resume(switch) => {
                self.advance(ring, time_ns);
                self.running.resume(ring, track, switch.host);
                None
            }
            Event::Suspend(switch) => {
                self.advance(ring, time_ns);
                self.running.suspend(ring, track, switch.reason != 0);
                None
            }
            _ => None,
        }
    }

    fn advance(&mut self, ring: u32, time_ns: u64) {
        if let Some((passed, frame)) = self.running.advance(ring, time_ns)
            && let Some(open) = self.open.get_mut(frame.span)
        {
            open.self_ns = Some(open.self_ns.unwrap_or(0).saturating_add(passed));
        }
    }

    fn begin(&mut self, ring: u32, track: u32, begin: &Begin, batch: &Batch<'_>) {
        let names = batch.names();
        let category = &*names.category(begin.category).name;
        let is_tick = category == "tick";
        if is_tick {
            let told =
                batch.args(begin.args).find(|(name, _)| *name == "tick").and_then(|(_, value)| count(value));
            self.newest_tick = told.unwrap_or(self.newest_tick.saturating_add(1));
            if self.ticks.len() < MAX_THREADS || self.ticks.contains_key(&ring) {
                self.ticks.insert(ring, (begin.span, self.newest_tick));
            }
        }
        let runs = !matches!(category, "await" | "sleep") && {
            let own_track = names.track(track).kind_name() == "thread";
            self.running.begin(ring, track, own_track, Frame::new(begin.span, 0, false))
        };
        let open = Open {
            category: begin.category,
            self_ns: runs.then_some(0),
            parent: begin.parent,
            link: begin.link,
            link_kind: begin.link_kind,
            tick: match is_tick {
                true => (begin.span, self.newest_tick),
                false => self.ticks.get(&ring).copied().unwrap_or_default(),
            },
            is_tick,
        };
        self.open.insert(begin.span, open);
    }

    fn end(
        &mut self,
        time_ns: u64,
        ring: u32,
        track: u32,
        end: &End,
        batch: &Batch<'_>,
    ) -> (Span, Option<TickSpan>) {
        self.running.end(ring, track, end.span, end.bytes);
        let open = self.open.remove(end.span);
        if self.ticks.get(&ring).is_some_and(|tick| tick.0 == end.span) {
            self.ticks.remove(&ring);
        }
        let span = Span {
            id: end.span,
            track,
            symbol: end.symbol,
            category: open.map(|open| open.category),
            begin_ns: end.begin_ns,
            end_ns: time_ns,
            self_ns: open.and_then(|open| open.self_ns),
            bytes: end.bytes,
            outcome: end.outcome,
            parent: open.map_or(0, |open| open.parent),
            link: open.map_or(0, |open| open.link),
            link_kind: open.map_or(0, |open| open.link_kind),
            tick: open.map_or(0, |open| open.tick.1),
            tick_span: open.map_or(0, |open| open.tick.0),
        };
        let tick = open.filter(|open| open.is_tick).map(|open| {
            let told = |wanted: &str| {
                batch.args(end.args).find(|(name, _)| *name == wanted).and_then(|(_, value)| count(value))
            };
            TickSpan {
                number: open.tick.1,
                late: self.budget_ns > 0 && span.duration_ns() > self.budget_ns,
                open: end.outcome == TRUNCATED,
                run_delay_ns: told("run_delay_ns"),
                involuntary: told("involuntary"),
            }
        });
        (span, tick)
    }
}
