//! Slow operations: coroutines that took long from start to end because they waited for answers.
//!
//! An operation is a coroutine from its first slice to its last. A chosen sleep cuts it: what lies between two sleeps
//! is judged by itself, so that a thread that sleeps ten seconds and works is not slow, and one that awaits a hundred
//! queries in a row between two sleeps is. Time by which a tick overran its budget is nobody's wait: the answer may
//! have been there, and whoever made the tick late is named for that.

use std::collections::HashMap;

use tickscope_core::CategoryId;

use crate::report::SlowOperation;
use crate::symbols::{Place, Slot, SymbolTable};

/// How many different waiting functions one segment tells apart.
const MAX_WAITERS: usize = 16;

/// What a coroutine has done since its start.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub boundary: Place,
    pub category: CategoryId,
    pub link: Slot,
    segment: Segment,
}

#[derive(Clone, Debug)]
struct Segment {
    begin_ns: u64,
    begin_ran: u64,
    tick: u64,
    waiters: Vec<Waiter>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    slot: Slot,
    awaits: u64,
    awaited_ns: u64,
}

/// A wait that has not ended: who, and for how long.
pub(crate) type Pending = Option<(Slot, u64)>;

/// When something happened to an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: u64,
    /// Running time of its track until now.
    pub ran: u64,
    /// Number of the tick; 0 outside ticks.
    pub tick: u64,
}

impl Operation {
    pub fn new(boundary: Place, category: CategoryId, link: Slot, at: Moment) -> Self {
        let segment = Segment { begin_ns: at.now, begin_ran: at.ran, tick: at.tick, waiters: Vec::new() };
        Self { boundary, category, link, segment }
    }

    /// An answer came to `slot`, which had waited `waited` nanoseconds since `begin_ns`. A wait from before the
    /// segment is none of it: what began the operation was not recorded.
    pub fn awaited(&mut self, slot: Slot, begin_ns: u64, waited: u64) {
        if begin_ns >= self.segment.begin_ns {
            self.segment.awaited(slot, waited);
        }
    }

    /// Starts over: a chosen sleep ended.
    pub fn restart(&mut self, at: Moment) {
        self.segment = Segment { begin_ns: at.now, begin_ran: at.ran, tick: at.tick, waiters: Vec::new() };
    }

    /// What it is at `now`, if it is slow: with the wait that is still going on.
    fn slow(&self, at: Moment, pending: Pending, threshold: u64) -> Option<Slow> {
        let mut segment = self.segment.clone();
        if let Some((slot, waited)) = pending {
            segment.awaited(slot, waited);
        }
        let on_cpu_ns = at.ran.saturating_sub(segment.begin_ran);
        let awaited_ns =
            segment.waiters.iter().fold(0u64, |sum, waiter| sum.saturating_add(waiter.awaited_ns));
        let awaits = segment.waiters.iter().map(|waiter| waiter.awaits).sum();
        if awaited_ns < threshold || awaited_ns <= on_cpu_ns {
            return None;
        }
        // Where waits are in virtual time, they can be longer than the recording of them.
        let total_ns = at.now.saturating_sub(segment.begin_ns).max(awaited_ns.saturating_add(on_cpu_ns));
        // `max_by_key` takes the last of equals; the first waiter is the one to name.
        let waiter = segment.waiters.iter().rev().max_by_key(|waiter| waiter.awaited_ns)?;
        Some(Slow {
            waiter: waiter.slot,
            awaits,
            total_ns,
            awaited_ns,
            on_cpu_ns,
            begin_ns: segment.begin_ns,
            tick: segment.tick,
        })
    }
}

impl Segment {
    fn awaited(&mut self, slot: Slot, waited: u64) {
        let known = self.waiters.iter().position(|waiter| waiter.slot == slot);
        let index = match known {
            Some(index) => index,
            None if self.waiters.len() < MAX_WAITERS => {
                self.waiters.push(Waiter { slot, awaits: 0, awaited_ns: 0 });
                self.waiters.len() - 1
            }
            None => MAX_WAITERS - 1,
        };
        self.waiters[index].awaits += 1;
        self.waiters[index].awaited_ns = self.waiters[index].awaited_ns.saturating_add(waited);
    }
}

struct Slow {
    waiter: Slot,
    awaits: u64,
    total_ns: u64,
    awaited_ns: u64,
    on_cpu_ns: u64,
    begin_ns: u64,
    tick: u64,
}

/// Slow operations so far, by who started and who waited.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlowOperations {
    entries: HashMap<(Slot, Slot), Entry>,
    pub overflow: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    category: CategoryId,
    link: Slot,
    count: u64,
    awaits: u64,
    total_ns: u64,
    awaited_ns: u64,
    on_cpu_ns: u64,
    /// Time, awaits, begin, tick.
    worst: (u64, u64, u64, u64),
    open: bool,
}

impl SlowOperations {
    /// A segment of `operation` ended, or is looked at while `open`.
    pub fn take(
        &mut self,
        operation: &Operation,
        at: Moment,
        pending: Pending,
        open: bool,
        threshold: u64,
        limit: usize,
    ) {
        let Some(slow) = operation.slow(at, pending, threshold) else { return };
        let key = (operation.boundary.slot, slow.waiter);
        if self.entries.len() >= limit && !self.entries.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            category: operation.category,
            link: operation.link,
            count: 0,
            awaits: 0,
            total_ns: 0,
            awaited_ns: 0,
            on_cpu_ns: 0,
            worst: (0, 0, 0, 0),
            open: false,
        });
        entry.count += 1;
        entry.awaits += slow.awaits;
        entry.total_ns = entry.total_ns.saturating_add(slow.total_ns);
        entry.awaited_ns = entry.awaited_ns.saturating_add(slow.awaited_ns);
        entry.on_cpu_ns = entry.on_cpu_ns.saturating_add(slow.on_cpu_ns);
        entry.open |= open;
        // The longest; of equals the first to begin.
        let order = |worst: &(u64, u64, u64, u64)| (worst.0, std::cmp::Reverse(worst.2));
        let this = (slow.total_ns, slow.awaits, slow.begin_ns, slow.tick);
        if order(&this) > order(&entry.worst) {
            entry.worst = this;
            entry.link = operation.link;
        }
    }

    /// All of them, the largest total first.
    pub fn report(&self, table: &SymbolTable) -> Vec<SlowOperation> {
        let mut rows: Vec<SlowOperation> = self
            .entries
            .iter()
            .map(|((boundary, waiter), entry)| SlowOperation {
                kind: table.kind(entry.category),
                symbol: table.symbol(*boundary).clone(),
                waited_in: table.symbol(*waiter).clone(),
                started_by: (entry.link != 0).then(|| table.symbol(entry.link).clone()),
                count: entry.count,
                awaits: entry.awaits,
                total_ns: entry.total_ns,
                awaited_ns: entry.awaited_ns,
                on_cpu_ns: entry.on_cpu_ns,
                worst_ns: entry.worst.0,
                worst_awaits: entry.worst.1,
                worst_begin_ns: entry.worst.2,
                worst_tick: entry.worst.3,
                open: entry.open,
            })
            .collect();
        rows.sort_by(|a, b| {
            let names = || crate::blame::order(&a.symbol, &b.symbol);
            let waiters = || crate::blame::order(&a.waited_in, &b.waited_in);
            b.total_ns.cmp(&a.total_ns).then_with(names).then_with(waiters)
        });
        rows
    }
}
