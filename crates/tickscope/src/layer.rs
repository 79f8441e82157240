//! The bridge from the `tracing` crate.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use tickscope_core::{
    ArgInput, Categories, CategoryId, KeyId, LinkKind, Recorder, Scope, SymbolId, SymbolRef,
};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::attachment::{self, Attachment};
use crate::callsite;
use crate::flow::FlowPoint;
use crate::guard::SpanGuard;
use crate::recording::{self, Trace};
use crate::value::Value;

/// Records the spans and events of the `tracing` crate. Made by [`layer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Layer(());

/// Records what a program tells the `tracing` crate into the recording that the macros record into.
///
/// - A span is recorded from each enter to its exit. One that is entered again, as those of asynchronous tasks are at
///   each poll, shows as a row of slices, each linked to the one before; when it closes, a moment of its name tells
///   `busy_ns` and `idle_ns`.
/// - Fields become arguments; an event becomes a moment. One of level `ERROR` has category [`CategoryId::ERROR`].
/// - `follows_from`, and a parent that is not the span around it, become links.
/// - The category is the target, so `filter("*,-hyper*")` leaves out what hyper tells.
///
/// ```
/// use tickscope::{MemorySink, Recording};
/// use tracing_subscriber::prelude::*;
///
/// let memory = MemorySink::default();
/// let recording = Recording::builder().sink("memory", memory.clone()).start()?;
/// let subscriber = tracing_subscriber::registry().with(tickscope::layer());
/// tracing::subscriber::with_default(subscriber, || {
///     let _span = tracing::info_span!("request", player = 7).entered();
///     tracing::warn!("late");
/// });
/// assert_eq!(recording.stop().account.delivered, 3);
/// # Ok::<(), tickscope::Error>(())
/// ```
pub fn layer() -> Layer {
    Layer::default()
}

/// What a span carries from one slice to the next.
struct Carried {
    args: Vec<(&'static str, Value)>,
    follows: Option<FlowPoint>,
    /// The slice before.
    last: Option<FlowPoint>,
    slices: u64,
    busy_ns: u64,
    idle_ns: u64,
    since: Instant,
}

struct Values<'a>(&'a mut Vec<(&'static str, Value)>);

impl Values<'_> {
    fn set(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Values<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Float(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Int(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Uint(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Bool(value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::Text(format!("{value:?}")));
    }
}

/// A span of `tracing` that is entered on this thread.
struct Entered {
    id: Id,
    guard: SpanGuard,
    since: Instant,
}

/// What this thread has looked up, all in one recording.
struct Names {
    number: u32,
    symbols: HashMap<usize, SymbolId>,
    keys: HashMap<&'static str, KeyId>,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
    static CATEGORIES: RefCell<HashMap<usize, CategoryId>> = RefCell::default();
    static NAMES: RefCell<Names> =
        RefCell::new(Names { number: 0, symbols: HashMap::new(), keys: HashMap::new() });
}

/// Metadata of callsites is static: its address is its identity.
fn identity(metadata: &'static Metadata<'static>) -> usize {
    std::ptr::from_ref(metadata) as usize
}

fn category(metadata: &'static Metadata<'static>) -> CategoryId {
    if metadata.is_event() && *metadata.level() == Level::ERROR {
        return CategoryId::ERROR;
    }
    let look = |categories: &RefCell<HashMap<usize, CategoryId>>| {
        if let Some(id) = categories.try_borrow().ok()?.get(&identity(metadata)) {
            return Some(*id);
        }
        let registry = Categories::global();
        let id = registry.find(metadata.target()).unwrap_or_else(|| {
            let id = registry.intern(metadata.target(), "A target of the tracing crate.");
            recording::apply_rules_to(id);
            id
        });
        categories.try_borrow_mut().ok()?.insert(identity(metadata), id);
        Some(id)
    };
    CATEGORIES.try_with(look).ok().flatten().unwrap_or_default()
}

fn symbol(attachment: &Attachment, metadata: &'static Metadata<'static>) -> SymbolId {
    let intern = || {
        // Events are named after their place in the source, which the symbol has anyway.
        let generated = metadata.is_event() && metadata.name().starts_with("event ");
        attachment.recorder.intern_symbol(SymbolRef {
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
            ..SymbolRef::host(if generated { metadata.target() } else { metadata.name() })
        })
    };
    let known =
        with_names(attachment, |names| *names.symbols.entry(identity(metadata)).or_insert_with(intern));
    known.unwrap_or_default()
}

fn inputs<'a>(attachment: &Attachment, args: &'a [(&'static str, Value)]) -> Vec<(KeyId, ArgInput<'a>)> {
    let input = |(name, value): &'a (&'static str, Value)| {
        let intern = || attachment.recorder.intern_key(name);
        let key = with_names(attachment, |names| *names.keys.entry(*name).or_insert_with(intern));
        (key.unwrap_or_default(), value.input())
    };
    args.iter().map(input).collect()
}

fn with_names<R>(attachment: &Attachment, look: impl FnOnce(&mut Names) -> R) -> Option<R> {
    let look = |names: &RefCell<Names>| {
        let mut names = names.try_borrow_mut().ok()?;
        if names.number != attachment.number() {
            *names = Names { number: attachment.number(), symbols: HashMap::new(), keys: HashMap::new() };
        }
        Some(look(&mut names))
    };
    NAMES.try_with(look).ok().flatten()
}

fn nanos(since: Instant, until: Instant) -> u64 {
    u64::try_from(until.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX)
}

impl<S> tracing_subscriber::Layer<S> for Layer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !callsite::wanted(category(attributes.metadata())) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut args = Vec::new();
        attributes.record(&mut Values(&mut args));
        span.extensions_mut().replace(Carried {
            args,
            follows: None,
            last: None,
            slices: 0,
            busy_ns: 0,
            idle_ns: 0,
            since: Instant::now(),
        });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fresh = Vec::new();
        record.record(&mut Values(&mut fresh));
        // The slice that is open here gets them now; later ones get them at their begin.
        let _ = ENTERED.try_with(|entered| {
            if let Ok(entered) = entered.try_borrow()
                && let Some(open) = entered.iter().rev().find(|entered| entered.id == *id)
            {
                for (name, value) in &fresh {
                    open.guard.arg(name, value.input());
                }
            }
        });
        if let Some(carried) = span.extensions_mut().get_mut::<Carried>() {
            for (name, value) in fresh {
                match carried.args.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, old)) => *old = value,
                    None => carried.args.push((name, value)),
                }
            }
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let (Some(span), Some(source)) = (context.span(id), context.span(follows)) else { return };
        let last = source.extensions().get::<Carried>().and_then(|carried| carried.last);
        if let Some(carried) = span.extensions_mut().get_mut::<Carried>() {
            carried.follows = last.map(|last| last.with_kind(LinkKind::Flow));
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let category = category(span.metadata());
        if !callsite::wanted(category) {
            return;
        }
        let parent = span.parent();
        let around = ENTERED.try_with(|entered| {
            let entered = entered.try_borrow().ok()?;
            entered.last().map(|entered| entered.id.clone())
        });
        let elsewhere = parent.filter(|parent| around.ok().flatten() != Some(parent.id()));
        let parent = elsewhere.and_then(|parent| parent.extensions().get::<Carried>()?.last);
        let mut extensions = span.extensions_mut();
        let Some(carried) = extensions.get_mut::<Carried>() else { return };
        let now = Instant::now();
        let link = match carried.last {
            Some(last) => Some(last.with_kind(LinkKind::Await)),
            None => carried.follows.or(parent.map(|parent| parent.with_kind(LinkKind::Task))),
        };
        let guard = attachment::with_current(|attachment| {
            let mut guard = attachment.admit_span(false, Trace::New);
            if guard.is_admitted() {
                let symbol = symbol(attachment, span.metadata());
                let args = inputs(attachment, &carried.args);
                let link = link.and_then(|link| link.link(attachment.number(), LinkKind::Flow));
                let recorder = &attachment.recorder;
                guard.set_begun(recorder.enter_with(recorder.now(), symbol, category, link, &args));
                carried.last = guard.flow(attachment, LinkKind::Await).or(carried.last);
            }
            guard
        });
        let Some(guard) = guard else { return };
        if carried.slices > 0 {
            carried.idle_ns += nanos(carried.since, now);
        }
        carried.slices += 1;
        drop(extensions);
        let entered = Entered { id: id.clone(), guard, since: now };
        let _ = ENTERED.try_with(|all| {
            if let Ok(mut all) = all.try_borrow_mut() {
                all.push(entered);
            }
        });
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let found = ENTERED.try_with(|entered| {
            let mut entered = entered.try_borrow_mut().ok()?;
            let at = entered.iter().rposition(|entered| entered.id == *id)?;
            Some(entered.remove(at))
        });
        let Some(left) = found.ok().flatten() else { return };
        drop(left.guard);
        if let Some(span) = context.span(id)
            && let Some(carried) = span.extensions_mut().get_mut::<Carried>()
        {
            let now = Instant::now();
            carried.busy_ns += nanos(left.since, now);
            carried.since = now;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        let Some(carried) = extensions.get::<Carried>().filter(|carried| carried.slices > 1) else { return };
        let category = category(span.metadata());
        if !callsite::wanted(category) {
            return;
        }
        let args = [
            ("busy_ns", Value::Uint(carried.busy_ns)),
            ("idle_ns", Value::Uint(carried.idle_ns)),
            ("slices", Value::Uint(carried.slices)),
        ];
        moment(span.metadata(), category, &args);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let category = category(event.metadata());
        if !callsite::wanted(category) {
            return;
        }
        let mut args = Vec::new();
        event.record(&mut Values(&mut args));
        moment(event.metadata(), category, &args);
    }
}

fn moment(metadata: &'static Metadata<'static>, category: CategoryId, args: &[(&'static str, Value)]) {
    attachment::with_current(|attachment| {
        // Errors are recorded whatever sampling says.
        if attachment.recorder.enabled(category)
            && attachment.keeps(category == CategoryId::ERROR, Trace::New)
        {
            let symbol = symbol(attachment, metadata);
            let args = inputs(attachment, args);
            let recorder = &attachment.recorder;
            recorder.instant(recorder.now(), symbol, category, Scope::Track, &args);
        }
    });
}
