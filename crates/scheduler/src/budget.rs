//! Work that stays on the thread that ticks, cut to so many milliseconds a tick.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::TaskError;

/// What time it is, from any beginning; it does not run backwards.
pub trait Clock {
    /// The time since the beginning.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that goes when it is told to. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Rc<Cell<Duration>>);

impl ManualClock {
    /// Lets time go by.
    pub fn advance(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// What a piece of work says after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do, in this tick if there is time.
    More,
    /// There is more to do, but not in this tick.
    NextTick,
    /// There is more to do when so much time has gone by.
    After(Duration),
    /// It is done.
    Done,
}

/// Names a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceId(u64);

/// Cooperative work on one thread: each piece does a little at a time, and so many milliseconds a tick are for all of it.
///
/// Pieces take turns, and the next tick goes on where the last one stopped. The clock is read after each step: a tick is
/// over its budget by at most one step. At least one step is made in each tick, so that nothing starves when the budget
/// is used up by something else.
///
/// ```
/// use std::time::Duration;
/// use tickscope_scheduler::{Step, TickBudget};
///
/// let mut work = TickBudget::new(Duration::from_millis(2));
/// let mut left = 10_000;
/// work.add(move || {
///     left -= 1;
///     if left == 0 { Step::Done } else { Step::More }
/// });
/// while !work.is_empty() {
///     work.tick(); // and then what else a tick has to do
/// }
/// ```
pub struct TickBudget<C = SystemClock> {
    clock: C,
    budget: Duration,
    /// Whose turn it is stands first.
    turns: VecDeque<Slice>,
    /// What waits for a time, by that time.
    asleep: BTreeMap<(Duration, SliceId), Slice>,
    next: u64,
}

struct Slice {
    id: SliceId,
    step: Box<dyn FnMut() -> Step>,
    /// What it may use of one tick.
    limit: Option<Duration>,
    used: Duration,
    /// Again and again, and when next.
    period: Option<(Duration, Duration)>,
}

/// What a tick did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TickReport {
    /// How many steps were made.
    pub steps: u64,
    /// How long they took.
    pub used: Duration,
    /// By how much the budget was exceeded: by less than the last step took.
    pub over: Duration,
    /// Which pieces were finished.
    pub done: Vec<SliceId>,
    /// Which pieces panicked; they are gone.
    pub panicked: Vec<(SliceId, TaskError)>,
}

impl<C> fmt::Debug for TickBudget<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TickBudget")
            .field("budget", &self.budget)
            .field("turns", &self.turns.len())
            .finish_non_exhaustive()
    }
}

impl TickBudget {
    /// A frame at 60 a second: 16.67 ms.
    pub const FRAME: Duration = Duration::from_nanos(16_666_667);
    /// A tick of a game server at 20 a second: 50 ms.
    pub const SERVER_TICK: Duration = Duration::from_millis(50);

    /// So much for all work in each tick, by the system's clock.
    pub fn new(budget: Duration) -> Self {
        Self::with_clock(budget, SystemClock::default())
    }
}

impl<C: Clock> TickBudget<C> {
    /// As [`new`](TickBudget::new), by another clock.
    pub fn with_clock(budget: Duration, clock: C) -> Self {
        Self { clock, budget, turns: VecDeque::new(), asleep: BTreeMap::new(), next: 0 }
    }

    /// Adds a piece of work. Its first step comes after one of each of the others.
    pub fn add(&mut self, step: impl FnMut() -> Step + 'static) -> SliceId {
        self.push(Box::new(step), None, None)
    }

    /// As [`add`](Self::add), for work that may use so much of a tick at most, and one step more.
    pub fn add_limited(&mut self, limit: Duration, step: impl FnMut() -> Step + 'static) -> SliceId {
        self.push(Box::new(step), Some(limit), None)
    }

    /// Does something with each item, one at each step.
    pub fn each<I>(&mut self, items: I, mut body: impl FnMut(I::Item) + 'static) -> SliceId
    where
        I: IntoIterator,
        I::IntoIter: 'static,
    {
        let mut items = items.into_iter();
        self.add(move || match items.next() {
            Some(item) => {
                body(item);
                Step::More
            }
            None => Step::Done,
        })
    }

    /// Calls something once in each period, from one period on, until it is [cancelled](Self::cancel). Calls that a long
    /// tick leaves out are left out; the next comes when it would have come without.
    ///
    /// # Panics
    /// The period is zero.
    pub fn every(&mut self, period: Duration, mut body: impl FnMut() + 'static) -> SliceId {
        assert!(!period.is_zero(), "a period takes time");
        let due = self.clock.now() + period;
        let step = move || {
            body();
            Step::NextTick
        };
        self.push(Box::new(step), None, Some((period, due)))
    }

    fn push(
        &mut self,
        step: Box<dyn FnMut() -> Step>,
        limit: Option<Duration>,
        period: Option<(Duration, Duration)>,
    ) -> SliceId {
        let id = SliceId(self.next);
        self.next += 1;
        let slice = Slice { id, step, limit, used: Duration::ZERO, period };
        match period {
            Some((_, due)) => drop(self.asleep.insert((due, id), slice)),
            None => self.turns.push_back(slice),
        }
        id
    }

    /// Takes a piece of work away; false if it is not there.
    pub fn cancel(&mut self, id: SliceId) -> bool {
        if let Some(at) = self.turns.iter().position(|slice| slice.id == id) {
            return self.turns.remove(at).is_some();
        }
        let key = self.asleep.keys().find(|(_, other)| *other == id).copied();
        key.is_some_and(|key| self.asleep.remove(&key).is_some())
    }

    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.turns.len() + self.asleep.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each tick has.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// Gives each tick another budget from now on.
    pub fn set_budget(&mut self, budget: Duration) {
        self.budget = budget;
    }

    /// Works for one tick.
    pub fn tick(&mut self) -> TickReport {
        self.tick_within(self.budget)
    }

    /// Works for one tick that has another budget, such as what is left of it.
    pub fn tick_within(&mut self, budget: Duration) -> TickReport {
        let start = self.clock.now();
        let mut report = TickReport::default();
        while let Some(due) = self.asleep.first_entry().filter(|entry| entry.key().0 <= start) {
            self.turns.push_back(due.remove());
        }
        self.turns.iter_mut().for_each(|slice| slice.used = Duration::ZERO);
        // Out of the turns for the rest of this tick, in the order in which they are to come in the next.
        let mut out = VecDeque::new();
        let mut now = start;
        while let Some(mut slice) = self.turns.pop_front() {
            let outcome = catch_unwind(AssertUnwindSafe(&mut slice.step));
            let after = self.clock.now();
            slice.used += after.saturating_sub(now);
            now = after;
            report.steps += 1;
            match outcome {
                Ok(Step::Done) => report.done.push(slice.id),
                Ok(Step::After(time)) => {
                    self.asleep.insert((now + time, slice.id), slice);
                }
                Ok(_) if slice.period.is_some() => self.rest(slice, now),
                Ok(Step::NextTick) => out.push_back(slice),
                Ok(Step::More) if slice.limit.is_some_and(|limit| slice.used >= limit) => {
                    out.push_back(slice)
                }
                Ok(Step::More) => self.turns.push_back(slice),
                Err(payload) => report.panicked.push((slice.id, TaskError::panicked(&*payload))),
            }
            if now.saturating_sub(start) >= budget {
                break;
            }
        }
        self.turns.append(&mut out);
        report.used = now.saturating_sub(start);
        report.over = report.used.saturating_sub(budget);
        report
    }

    /// Until its next time that is still to come.
    fn rest(&mut self, mut slice: Slice, now: Duration) {
        if let Some((period, due)) = &mut slice.period {
            let missed = now.saturating_sub(*due).as_nanos() / period.as_nanos();
            *due += period.saturating_mul(u32::try_from(missed + 1).unwrap_or(u32::MAX));
            let key = (*due, slice.id);
            self.asleep.insert(key, slice);
        }
    }
}
