//! Slices and ticks as spans: what lies within another was caused by it, for all of a server's Lua shares one thread.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use tickscope_core::{ArgRange, CategoryId, Link, LinkKind, LinkPoint, Outcome, SymbolId};
use tickscope_import::build::{Build, Lane, Word};

/// In a late tick, a piece of time this long in which no slice ran is told of: in a storm of short ones the probe measures
/// every 16th.
const TOLD_NS: u64 = 10_000;

/// A piece of time of the main thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) symbol: SymbolId,
    pub(crate) category: CategoryId,
    /// Number of the resource.
    pub(crate) resource: u32,
    pub(crate) life: u64,
    pub(crate) cause: u64,
}

/// A tick of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) number: u64,
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) late: bool,
}

/// Where spans go, and what all share.
pub(crate) struct Nest<'a> {
    pub(crate) build: &'a mut Build,
    pub(crate) lane: Lane,
    pub(crate) tick: SymbolId,
    /// Time of a late tick that no slice explains.
    pub(crate) elsewhere: SymbolId,
}

struct Open {
    end_ns: u64,
    /// Of a tick: until when it is told of, if it is late.
    told_ns: Option<u64>,
    resource: u32,
    life: u64,
}

impl Nest<'_> {
    /// Makes spans of ticks in their order and of what ran. What ended before `floor_ns` was written before.
    pub(crate) fn write(
        &mut self,
        ticks: &[Tick],
        mut spans: Vec<Span>,
        overwritten: &[(u64, u64)],
        floor_ns: u64,
    ) {
        spans.retain(|span| span.end_ns > floor_ns);
        // one that ends with another was recorded after it, and lies around it
        spans.reverse();
        spans.sort_by_key(|span| (span.start_ns, Reverse(span.end_ns)));
        let causes: HashSet<(u32, u64)> = spans.iter().map(|span| (span.resource, span.cause)).collect();
        let (mut points, mut begun) = (HashMap::new(), HashSet::new());
        let (mut ticks, mut spans) = (ticks.iter().peekable(), spans.iter().peekable());
        let mut gaps = overwritten.iter().peekable();
        let mut open: Vec<Open> = Vec::new();
        loop {
            let tick = ticks.peek().map(|tick| tick.begin_ns);
            let span = spans.peek().map(|span| span.start_ns);
            let Some(start_ns) = tick.into_iter().chain(span).min() else { break };
            self.close(&mut open, start_ns);
            while let Some((_, events)) = gaps.next_if(|(at, _)| *at <= start_ns) {
                self.build.overwritten(self.lane, start_ns, *events);
            }
            if tick == Some(start_ns)
                && let Some(tick) = ticks.next()
            {
                // whatever is open belongs to the tick before
                self.close(&mut open, u64::MAX);
                let args = self.build.words([("tick", Word::Whole(tick.number.cast_signed()))]);
                self.build.begin(self.lane, start_ns, self.tick, CategoryId::TICK, args);
                let told_ns = tick.late.then_some(start_ns);
                open.push(Open { end_ns: tick.end_ns, told_ns, resource: u32::MAX, life: 0 });
                continue;
            }
            let Some(span) = spans.next() else { break };
            self.tell(&mut open, start_ns);
            let of = (span.resource, span.life);
            let within = |open: &Open| (open.resource, open.life) == (span.resource, span.cause);
            let first = span.life != 0 && begun.insert(of);
            let link = (first && span.cause != 0 && !open.iter().any(within))
                .then(|| points.get(&(span.resource, span.cause)).copied().flatten())
                .flatten()
                .map(|source| Link { kind: link_kind(span.category), source });
            let called = (span.symbol, span.category);
            self.build.begin_linked(self.lane, start_ns, called, link, ArgRange::NONE);
            if span.life != 0 && causes.contains(&of) {
                let point: LinkPoint = self.build.link_point(self.lane, start_ns);
                points.insert(of, point);
            }
            let around = open.last().map_or(u64::MAX, |open| open.end_ns);
            let end_ns = span.end_ns.min(around);
            if let Some(told_ns) = open.last_mut().and_then(|open| open.told_ns.as_mut()) {
                *told_ns = end_ns;
            }
            open.push(Open { end_ns, told_ns: None, resource: span.resource, life: span.life });
        }
        self.close(&mut open, u64::MAX);
        for (at_ns, events) in gaps {
            self.build.overwritten(self.lane, *at_ns, *events);
        }
    }

    /// Ends what is over at `now_ns`.
    fn close(&mut self, open: &mut Vec<Open>, now_ns: u64) {
        while let Some(end_ns) = open.last().map(|open| open.end_ns).filter(|end_ns| *end_ns <= now_ns) {
            self.tell(open, end_ns);
            open.pop();
            self.build.end(self.lane, end_ns, Outcome::Ok);
        }
    }

    /// Says of a late tick that since it was told of last no slice ran in it.
    fn tell(&mut self, open: &mut [Open], now_ns: u64) {
        let Some(told_ns) = open.last_mut().and_then(|open| open.told_ns.as_mut()) else { return };
        if now_ns.saturating_sub(*told_ns) >= TOLD_NS {
            self.build.begin(self.lane, *told_ns, self.elsewhere, CategoryId::SCOPE, ArgRange::NONE);
            self.build.end(self.lane, now_ns, Outcome::Ok);
        }
        *told_ns = now_ns;
    }
}

/// What lies in another's time was called by it; these two were only asked for.
fn link_kind(category: CategoryId) -> LinkKind {
    match category {
        CategoryId::TIMER => LinkKind::Timer,
        CategoryId::THREAD => LinkKind::Spawn,
        _ => LinkKind::Flow,
    }
}
