//! Places that record less than all: a share of the calls, those that took long enough.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tickscope_core::{ArgInput, CategoryId, KeyId, Outcome, Recorder, Span, Ticks};

use crate::attachment::{self, Attachment};
use crate::callsite::Callsite;
use crate::guard::SpanGuard;
use crate::operation::AsyncSpan;
use crate::recording::{Trace, lock};
use crate::value::Args;

static PROBES: Mutex<Vec<&'static Probe>> = Mutex::new(Vec::new());

/// A function with the attribute [`profile`](crate::profile), one static each. What it records can be changed while the
/// program runs.
#[derive(Debug)]
pub struct Probe {
    callsite: Callsite,
    state: AtomicU8,
    /// Bits of the share of calls that is recorded.
    rate: AtomicU64,
    min_ns: AtomicU64,
    /// Calls that were asked about while the rate was below one.
    turns: AtomicU64,
    left_out: AtomicU64,
    short: AtomicU64,
}

/// Not among [`probes`] yet.
const NEW: u8 = 0;
/// Records every call.
const PLAIN: u8 = 1;
/// Has a rate or a minimum.
const LIMITED: u8 = 2;

impl Probe {
    /// A probe called `name`.
    pub const fn new(name: &'static str, file: &'static str, line: u32) -> Self {
        Self::at(Callsite::new(name, file, line))
    }

    /// A probe whose name is asked for once per recording.
    pub const fn asking(name: fn() -> &'static str, file: &'static str, line: u32) -> Self {
        Self::at(Callsite::asking(name, file, line))
    }

    const fn at(callsite: Callsite) -> Self {
        Self {
            callsite,
            state: AtomicU8::new(NEW),
            rate: AtomicU64::new(1f64.to_bits()),
            min_ns: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            short: AtomicU64::new(0),
        }
    }

    /// The same, with a share of the calls and the least nanoseconds a call must take.
    pub const fn limited(self, rate: f64, min_ns: u64) -> Self {
        Self { rate: AtomicU64::new(rate.to_bits()), min_ns: AtomicU64::new(min_ns), ..self }
    }

    /// The name of its spans.
    pub fn name(&self) -> &'static str {
        self.callsite.name()
    }

    /// Which share of the calls is recorded.
    pub fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    /// Changes the share: 0 for none, 1 for all. What is beyond counts as the nearest of them.
    pub fn set_rate(&self, rate: f64) {
        self.rate.store(rate.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        self.choose_state();
    }

    /// How long a call must take to be recorded when nothing is recorded inside.
    pub fn min_duration(&self) -> Duration {
        Duration::from_nanos(self.min_ns.load(Ordering::Relaxed))
    }

    /// Changes it. An `async` function has none.
    pub fn set_min_duration(&self, least: Duration) {
        let nanos = u64::try_from(least.as_nanos()).unwrap_or(u64::MAX);
        self.min_ns.store(nanos, Ordering::Relaxed);
        self.choose_state();
    }

    /// Calls that the rate left out while their category was recorded.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Calls that were shorter than the minimum and not written.
    pub fn short(&self) -> u64 {
        self.short.load(Ordering::Relaxed)
    }

    fn choose_state(&self) {
        let plain = self.rate() >= 1.0 && self.min_ns.load(Ordering::Relaxed) == 0;
        let state = if plain { PLAIN } else { LIMITED };
        if self.state.load(Ordering::Relaxed) != NEW {
            self.state.store(state, Ordering::Relaxed);
        }
    }

    #[cold]
    fn register(&'static self) {
        let mut probes = lock(&PROBES);
        if self.state.load(Ordering::Relaxed) == NEW {
            probes.push(self);
            self.state.store(PLAIN, Ordering::Relaxed);
            self.choose_state();
        }
    }

    /// Begins a call without arguments.
    #[inline(always)]
    pub fn enter(&'static self, category: CategoryId) -> ProbeGuard {
        if self.state.load(Ordering::Relaxed) == PLAIN {
            return ProbeGuard::of(self.callsite.enter(category));
        }
        self.enter_slowly(category)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&'static self, category: CategoryId) -> ProbeGuard {
        let mut guard = self.admit(category);
        if guard.is_admitted() {
            guard.begin(category, &[]);
        }
        guard
    }

    /// Decides whether a call is recorded, or may be.
    #[inline]
    pub fn admit(&'static self, category: CategoryId) -> ProbeGuard {
        if self.state.load(Ordering::Relaxed) == NEW {
            self.register();
        }
        if !self.callsite.wanted(category) || !self.has_its_turn() {
            return ProbeGuard::none();
        }
        let span = self.callsite.admit_trace(category, false, Trace::New);
        ProbeGuard { span, probe: Some(self), waiting: None }
    }

    /// As [`Callsite::admit_moment`], for an `async` function.
    #[inline]
    pub fn admit_async(&'static self, category: CategoryId) -> Option<u32> {
        if self.state.load(Ordering::Relaxed) == NEW {
            self.register();
        }
        match self.callsite.wanted(category) && self.has_its_turn() {
            true => self.callsite.admit_moment(category, false),
            false => None,
        }
    }

    /// As [`Callsite::begin_async`].
    pub fn begin_async(
        &self,
        number: u32,
        category: CategoryId,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> AsyncSpan {
        self.callsite.begin_async(number, category, None, args)
    }

    /// At a rate of a tenth each tenth call has: no chance, so that few calls are not none by accident.
    fn has_its_turn(&self) -> bool {
        let rate = self.rate();
        if rate >= 1.0 {
            return true;
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed) as f64;
        let has = ((turn + 1.0) * rate).floor() > (turn * rate).floor();
        if !has {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        has
    }
}

/// Every function with the attribute that was reached, in the order of first calls.
///
/// ```
/// # #[cfg(feature = "profile")] {
/// #[tickscope::profile(min_duration = "1ms")]
/// fn restock() {}
///
/// restock();
/// let probe = tickscope::probes().into_iter().find(|probe| probe.name().ends_with("restock")).unwrap();
/// probe.set_min_duration(std::time::Duration::ZERO); // from now on each call is recorded
/// # }
/// ```
pub fn probes() -> Vec<&'static Probe> {
    lock(&PROBES).clone()
}

/// Ends the call when it is dropped. Made by the attribute.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub struct ProbeGuard {
    // Dropped last, and then lets go of what it decided for those below.
    span: SpanGuard,
    probe: Option<&'static Probe>,
    /// The number of a call that waits.
    waiting: Option<u64>,
}

impl ProbeGuard {
    /// A guard of nothing.
    #[inline(always)]
    pub const fn none() -> Self {
        Self::of(SpanGuard::none())
    }

    #[inline(always)]
    const fn of(span: SpanGuard) -> Self {
        Self { span, probe: None, waiting: None }
    }

    /// Whether the call may be recorded: its arguments are worth evaluating.
    #[inline(always)]
    pub fn is_admitted(&self) -> bool {
        self.span.is_admitted()
    }

    /// Number of the recording; 0 when nothing is recorded.
    #[inline(always)]
    pub fn number(&self) -> u32 {
        self.span.number()
    }

    /// Begins an admitted call.
    pub fn begin(&mut self, category: CategoryId, args: &[(KeyId, ArgInput<'_>)]) {
        let Some(probe) = self.probe else { return };
        if probe.min_ns.load(Ordering::Relaxed) == 0 {
            return probe.callsite.begin(&mut self.span, category, None, args);
        }
        let wait = |attachment: &Attachment| {
            let at = attachment.recorder.now();
            attachment.waiting.push(|number| Call {
                number,
                probe,
                at,
                category,
                args: Args::keep(args),
                begun: None,
            })
        };
        self.waiting = attachment::look_at(self.number(), wait);
        // Whoever records next has to come by and begin it.
        attachment::look_again();
    }

    #[cold]
    fn end_waiting(&self, number: u64) {
        attachment::look_at(self.number(), |attachment| {
            let recorder = &attachment.recorder;
            let (Some(call), now) = (attachment.waiting.take(number), recorder.now()) else { return };
            attachment::look_again();
            let outcome = if std::thread::panicking() { Outcome::Unwound } else { Outcome::Ok };
            match call.begun {
                Some(span) => recorder.exit(now, span, outcome, 0),
                None => {
                    let took = u128::from(now.0.saturating_sub(call.at.0)) * 1_000;
                    let least = u128::from(call.probe.min_ns.load(Ordering::Relaxed));
                    if took < least * u128::from(recorder.ticks_per_micro()) {
                        call.probe.short.fetch_add(1, Ordering::Relaxed);
                    } else {
                        attachment.waiting.begin_all(attachment);
                        recorder.exit(now, call.begin(attachment), outcome, 0);
                    }
                }
            }
        });
    }
}

impl Drop for ProbeGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(number) = self.waiting {
            self.end_waiting(number);
        }
    }
}

/// Calls of one thread that are recorded only if they take long, or something happens inside.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    calls: RefCell<Vec<Call>>,
    /// Calls there have been.
    count: Cell<u64>,
    /// Some have not begun.
    any: Cell<bool>,
}

#[derive(Debug)]
struct Call {
    /// Guards may be dropped in another order than they were made: those of fibers that take turns are.
    number: u64,
    probe: &'static Probe,
    at: Ticks,
    category: CategoryId,
    args: Args,
    begun: Option<Span>,
}

impl Call {
    fn begin(&self, attachment: &Attachment) -> Span {
        let symbol = self.probe.callsite.symbol(attachment);
        attachment.recorder.enter_with(self.at, symbol, self.category, None, &self.args.inputs())
    }
}

impl Waiting {
    fn push(&self, call: impl FnOnce(u64) -> Call) -> u64 {
        let number = self.count.get();
        self.count.set(number + 1);
        self.calls.borrow_mut().push(call(number));
        self.any.set(true);
        number
    }

    pub(crate) fn is_any(&self) -> bool {
        self.any.get()
    }

    fn take(&self, number: u64) -> Option<Call> {
        let mut calls = self.calls.borrow_mut();
        let place = calls.iter().rposition(|call| call.number == number)?;
        let call = calls.remove(place);
        self.any.set(calls.iter().any(|call| call.begun.is_none()));
        Some(call)
    }

    /// Something is about to be recorded: what it happens in begins.
    #[inline]
    pub(crate) fn begin_all(&self, attachment: &Attachment) {
        if self.any.get() {
            self.any.set(false);
            attachment::look_again();
            for call in self.calls.borrow_mut().iter_mut().filter(|call| call.begun.is_none()) {
                call.begun = Some(call.begin(attachment));
            }
        }
    }
}
