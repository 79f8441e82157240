//! Traces that span processes: W3C trace context in and out, baggage, and which trace a thread works for.
//!
//! Written after the [recommendation of 2021](https://www.w3.org/TR/trace-context/) and, for the flag that says a
//! trace id is random, its [second level](https://www.w3.org/TR/trace-context-2/).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::num::{NonZeroU64, NonZeroU128};
use std::pin::pin;
use std::str::FromStr;
use std::time::Instant;

use tickscope_core::{CategoryId, Recorder};

use crate::attachment;
use crate::callsite::Callsite;
use crate::guard::SpanGuard;
use crate::recording::Trace;

mod baggage;
mod state;

pub use baggage::Baggage;
pub use state::TraceState;

/// Why a header is not what the specifications say. Whoever gets one goes on without that header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The header is not of its form.
    #[error("{header}: {problem} at byte {offset}, expected {expected}")]
    Malformed {
        /// The header's name.
        header: &'static str,
        /// Where in its value.
        offset: usize,
        /// What was found.
        problem: String,
        /// What the specification wants there.
        expected: &'static str,
    },
    /// More than may be passed on.
    #[error("{header}: {found} {unit}, at most {limit} are allowed")]
    TooLarge {
        /// The header's name.
        header: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
}

impl ContextError {
    fn malformed(header: &'static str, text: &str, offset: usize, expected: &'static str) -> Self {
        let problem = match text.get(offset..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("{found:?}"),
            None => "the end".to_owned(),
        };
        Self::Malformed { header, offset, problem, expected }
    }
}

/// A span's place in a trace that other processes take part in: what travels in `traceparent`, `tracestate` and
/// `baggage`.
///
/// ```
/// use tickscope::{TraceContext, context_span};
/// // What a request brought, if it brought something:
/// let incoming = TraceContext::from_headers(|name| match name {
///     "traceparent" => Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
///     _ => None,
/// });
/// let request = context_span!(from: incoming, "GET /items");
/// // What goes out with a request of our own:
/// let mut headers = Vec::new();
/// request.context().inject(|name, value| headers.push((name, value)));
/// assert!(headers[0].1.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
/// assert_eq!(TraceContext::current().as_ref(), Some(request.context()));
/// ```
///
/// Which context is current is kept for each thread. Where one thread runs several things in turns, each on a stack of
/// its own, or one on top of another that waits for it, what a guard enters is current in the others too as long as the
/// guard lives. In a pool of `tickscope-scheduler` that is so unless `scheduler::Tasks` is its observer: then each task
/// has its own. Elsewhere, say `from:` or use [`around`](Self::around).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: NonZeroU128,
    span_id: NonZeroU64,
    flags: u8,
    state: TraceState,
    baggage: Baggage,
}

const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;
const TRACEPARENT: &str = "traceparent";

impl TraceContext {
    /// A new trace with random ids, sampled or not.
    pub fn root(sampled: bool) -> Self {
        let high = u128::from(random().get()) << 64;
        Self {
            trace_id: NonZeroU128::from(random()) | high,
            span_id: random(),
            flags: RANDOM | if sampled { SAMPLED } else { 0 },
            state: TraceState::default(),
            baggage: Baggage::default(),
        }
    }

    /// The same trace, with a new span's id.
    pub fn child(&self) -> Self {
        Self { span_id: random(), ..self.clone() }
    }

    /// Reads headers, whose names come in lower case. A header that came several times is to be given joined by commas,
    /// as HTTP allows. `None` without a valid `traceparent`; an invalid `tracestate` or `baggage` is left out alone, as
    /// the specifications say.
    pub fn from_headers(mut header: impl FnMut(&'static str) -> Option<String>) -> Option<Self> {
        let mut context: Self = header(TRACEPARENT)?.parse().ok()?;
        if let Some(state) = header(TraceState::HEADER) {
            context.state = state.parse().unwrap_or_default();
        }
        if let Some(baggage) = header(Baggage::HEADER) {
            context.baggage = baggage.parse().unwrap_or_default();
        }
        Some(context)
    }

    /// Gives out the headers of a request that this span makes: name and value, empty ones left out.
    pub fn inject(&self, mut header: impl FnMut(&'static str, String)) {
        header(TRACEPARENT, self.to_string());
        if !self.state.is_empty() {
            header(TraceState::HEADER, self.state.to_string());
        }
        if !self.baggage.is_empty() {
            header(Baggage::HEADER, self.baggage.to_string());
        }
    }

    /// The whole trace's id.
    pub fn trace_id(&self) -> u128 {
        self.trace_id.get()
    }

    /// The span's own id: what the next process calls its parent.
    pub fn span_id(&self) -> u64 {
        self.span_id.get()
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What tracing systems on the way added for themselves.
    pub fn state(&self) -> &TraceState {
        &self.state
    }

    /// The same, to be changed.
    pub fn state_mut(&mut self) -> &mut TraceState {
        &mut self.state
    }

    /// What programs on the way want others to know.
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// The same, to be changed.
    pub fn baggage_mut(&mut self) -> &mut Baggage {
        &mut self.baggage
    }

    /// Whether a share of `rate` of all traces includes this one: the same answer in every process.
    ///
    /// The low 64 bits of the id, the last one dropped, against `rate · 2^63`: `TraceIdRatioBased` as OpenTelemetry's
    /// SDKs for Go and Rust have it, and to within one id in 2^63 the one for Python.
    pub fn is_in_share(&self, rate: f64) -> bool {
        let low = (self.trace_id.get() as u64) >> 1;
        rate >= 1.0 || low < (rate.max(0.0) * (1u64 << 63) as f64) as u64
    }

    /// The context that the calling thread works in.
    pub fn current() -> Option<Self> {
        ENTERED.try_with(|entered| Some(entered.try_borrow().ok()?.last()?.1.clone())).ok().flatten()
    }

    /// Makes the calling thread work in this context until the answer is dropped; then in the one before.
    ///
    /// ```
    /// # use tickscope::TraceContext;
    /// let outer = TraceContext::root(true);
    /// let entered = outer.clone().enter();
    /// { let _inner = outer.child().enter(); }
    /// assert_eq!(TraceContext::current(), Some(outer));
    /// drop(entered);
    /// assert_eq!(TraceContext::current(), None);
    /// ```
    pub fn enter(self) -> Entered {
        let number = NUMBER.get().wrapping_add(1);
        NUMBER.set(number);
        let _ = ENTERED.try_with(|entered| {
            if let Ok(mut entered) = entered.try_borrow_mut() {
                entered.push((number, self));
            }
        });
        Entered { number, _not_send: std::marker::PhantomData }
    }

    /// `future` in this context, on whichever thread it is polled: how a context moves into a task.
    pub async fn around<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let _entered = self.clone().enter();
            future.as_mut().poll(context)
        })
        .await
    }
}

/// As in `traceparent`, version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Reads `traceparent`. Later versions are read as far as version 00 goes, as the specification asks.
impl FromStr for TraceContext {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let text = text.trim_matches([' ', '\t']);
        let hex = |offset: usize, digits: usize| -> Result<u128, ContextError> {
            let mut value = 0;
            for at in offset..offset + digits {
                let digit = match text.as_bytes().get(at) {
                    Some(digit @ b'0'..=b'9') => digit - b'0',
                    Some(digit @ b'a'..=b'f') => digit - b'a' + 10,
                    _ => return Err(ContextError::malformed(TRACEPARENT, text, at, "a digit of 0-9a-f")),
                };
                value = value << 4 | u128::from(digit);
            }
            Ok(value)
        };
        let dash = |offset: usize| match text.as_bytes().get(offset) {
            Some(b'-') => Ok(()),
            _ => Err(ContextError::malformed(TRACEPARENT, text, offset, "a dash")),
        };
        let wrong = |offset, expected| ContextError::malformed(TRACEPARENT, text, offset, expected);
        let version = hex(0, 2)?;
        if version == 0xff {
            return Err(wrong(0, "a version below ff"));
        }
        dash(2)?;
        let trace_id =
            NonZeroU128::new(hex(3, 32)?).ok_or_else(|| wrong(3, "an id that is not all zeros"))?;
        dash(35)?;
        let span_id =
            NonZeroU64::new(hex(36, 16)? as u64).ok_or_else(|| wrong(36, "an id that is not all zeros"))?;
        dash(52)?;
        let flags = hex(53, 2)? as u8 & (SAMPLED | RANDOM);
        match text.len() {
            55 => {}
            _ if version == 0 => return Err(wrong(55, "the end")),
            _ => dash(55)?,
        }
        Ok(Self { trace_id, span_id, flags, state: TraceState::default(), baggage: Baggage::default() })
    }
}

thread_local! {
    static ENTERED: RefCell<Contexts> = const { RefCell::new(Vec::new()) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static RANDOM_STATE: Cell<u64> = const { Cell::new(0) };
}

/// What a thread or a task has entered, each with the number of its guard, the innermost last.
pub(crate) type Contexts = Vec<(u64, TraceContext)>;

/// Whether the calling thread has entered none.
#[cfg(feature = "scheduler")]
#[inline]
pub(crate) fn is_none() -> bool {
    ENTERED.try_with(|entered| entered.try_borrow().is_ok_and(|entered| entered.is_empty())).unwrap_or(true)
}

/// Puts `contexts` in the place of what the calling thread has entered, and gives that.
#[cfg(feature = "scheduler")]
#[inline]
pub(crate) fn exchange(contexts: Contexts) -> Contexts {
    let entered =
        ENTERED.try_with(|entered| Some(std::mem::replace(&mut *entered.try_borrow_mut().ok()?, contexts)));
    entered.ok().flatten().unwrap_or_default()
}

/// While it lives, its thread works in the context that gave it.
#[derive(Debug)]
#[must_use = "the context is left when this is dropped"]
pub struct Entered {
    number: u64,
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // By number: guards may be dropped in another order than they were made.
        let left = ENTERED.try_with(|entered| {
            let mut entered = entered.try_borrow_mut().ok()?;
            let at = entered.iter().rposition(|(number, _)| *number == self.number)?;
            Some(entered.remove(at))
        });
        drop(left);
    }
}

/// A random number for an id. No lock and no system call but the first on each thread; ids need not be secret.
fn random() -> NonZeroU64 {
    let mut state = RANDOM_STATE.get();
    if state == 0 {
        // The standard library's keys are random for each process and differ for each thread.
        state = std::hash::RandomState::new().hash_one(std::thread::current().id());
    }
    loop {
        // The time keeps a forked child, which has its parent's state, apart from it.
        let seen: u64 =
            std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(Instant::now());
        // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
        state = (state ^ seen).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        if let Some(id) = NonZeroU64::new(mixed ^ (mixed >> 31)) {
            RANDOM_STATE.set(state);
            return id;
        }
    }
}

/// A span of a trace that other processes take part in; what is called meanwhile on its thread works in its context.
/// Made by [`context_span!`](crate::context_span).
#[derive(Debug)]
#[must_use = "the span ends at once when this is not kept"]
pub struct ContextSpan {
    // In this order: the span ends in its own context.
    span: SpanGuard,
    context: TraceContext,
    parent: Option<NonZeroU64>,
    _entered: Entered,
}

impl ContextSpan {
    /// What the macro begins with: a child of `from`, of the thread's context, or a new trace.
    #[doc(hidden)]
    pub fn admit(
        callsite: &'static Callsite,
        category: CategoryId,
        critical: bool,
        from: Option<TraceContext>,
    ) -> Self {
        let around = from.or_else(TraceContext::current);
        let context = match &around {
            Some(around) => around.child(),
            None => {
                let rate = attachment::look(|attachment| {
                    if attachment.recorder.enabled(category) { attachment.inner.rate() } else { 0.0 }
                });
                let mut context = TraceContext::root(true);
                let kept = rate.is_some_and(|rate| critical || context.is_in_share(rate));
                if !kept {
                    context.flags &= !SAMPLED;
                }
                context
            }
        };
        let span = callsite.admit_trace(category, critical, Trace::Decided(context.is_sampled()));
        let parent = around.map(|around| around.span_id);
        let _entered = context.clone().enter();
        Self { span, context, parent, _entered }
    }

    #[doc(hidden)]
    pub fn begin(&mut self, begin: impl FnOnce(&mut SpanGuard)) {
        if !self.span.is_admitted() {
            return;
        }
        begin(&mut self.span);
        let (mut trace_id, mut span_id) = ([0; 32], [0; 16]);
        let context = &self.context;
        crate::args!(
            self.span,
            trace_id = hex(context.trace_id.get(), &mut trace_id),
            span_id = hex(context.span_id.get().into(), &mut span_id),
        );
        if let Some(parent) = self.parent {
            crate::args!(self.span, parent_id = hex(parent.get().into(), &mut span_id));
        }
    }

    /// Its place in the trace: to be passed on with requests, and moved into tasks.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }
}

impl std::ops::Deref for ContextSpan {
    type Target = SpanGuard;

    fn deref(&self) -> &SpanGuard {
        &self.span
    }
}

impl std::ops::DerefMut for ContextSpan {
    fn deref_mut(&mut self) -> &mut SpanGuard {
        &mut self.span
    }
}

fn hex(value: u128, into: &mut [u8]) -> &str {
    let digits = into.len();
    for (index, byte) in into.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(value >> (4 * (digits - 1 - index))) as usize & 15];
    }
    std::str::from_utf8(into).unwrap_or_default()
}
