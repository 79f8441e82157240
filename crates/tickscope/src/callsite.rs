//! Places in the program that record, and what they remember between two calls.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tickscope_core::{ArgInput, Categories, CategoryId, KeyId, LinkKind, Recorder, SymbolId, SymbolRef};

use crate::attachment::{self, Attachment, slot};
use crate::flow::FlowPoint;
use crate::guard::SpanGuard;
use crate::recording::{self, Trace};

/// No recording has this number: an empty cache.
const NOBODY: u64 = (u32::MAX as u64) << 32;

/// One place in the program that records: made by the macros, one static each.
#[derive(Debug)]
pub struct Callsite {
    name: Name,
    file: &'static str,
    line: u32,
    /// Number of a recording, and the symbol's id there.
    cache: AtomicU64,
}

#[derive(Debug)]
enum Name {
    Known(&'static str),
    /// The name of a function is a constant only at run time.
    Asked(fn() -> &'static str),
}

impl Callsite {
    /// A place called `name`.
    pub const fn new(name: &'static str, file: &'static str, line: u32) -> Self {
        Self { name: Name::Known(name), file, line, cache: AtomicU64::new(NOBODY) }
    }

    /// A place whose name is asked for once per recording.
    pub const fn asking(name: fn() -> &'static str, file: &'static str, line: u32) -> Self {
        Self { name: Name::Asked(name), file, line, cache: AtomicU64::new(NOBODY) }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.name {
            Name::Known(name) => name,
            Name::Asked(ask) => ask(),
        }
    }

    /// Begins a span without arguments: the fast path of `span!`.
    #[inline(always)]
    pub fn enter(&'static self, category: CategoryId) -> SpanGuard {
        let slot = slot();
        if let Some((attachment, number)) = slot.fast() {
            if !attachment.recorder.enabled(category) {
                return SpanGuard::none();
            }
            let cached = self.cache.load(Ordering::Relaxed);
            if (cached >> 32) as u32 == number {
                let recorder = &attachment.recorder;
                let span = recorder.enter(recorder.now(), SymbolId(cached as u32), category);
                return SpanGuard::begun(number, span);
            }
        } else if slot.is_off() {
            return SpanGuard::none();
        }
        self.enter_slowly(category)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&'static self, category: CategoryId) -> SpanGuard {
        let mut guard = self.admit(category, false, None);
        if guard.is_admitted() {
            self.begin(&mut guard, category, None, &[]);
        }
        guard
    }

    /// Whether spans of `category` are recorded on this thread now.
    #[inline(always)]
    pub fn wanted(&self, category: CategoryId) -> bool {
        wanted(category)
    }

    /// Decides whether a span is recorded: a guard that is admitted and not begun. Below a root that was sampled out
    /// nothing is admitted but what is `critical`.
    #[inline]
    pub fn admit(&self, category: CategoryId, critical: bool, trace: Option<u64>) -> SpanGuard {
        self.admit_trace(category, critical, trace.map_or(Trace::New, Trace::Number))
    }

    #[inline]
    pub(crate) fn admit_trace(&self, category: CategoryId, critical: bool, trace: Trace) -> SpanGuard {
        let slot = slot();
        if let Some((attachment, number)) = slot.fast() {
            return match attachment.recorder.enabled(category) {
                true => SpanGuard::admitted(number),
                false => SpanGuard::none(),
            };
        }
        if slot.is_off() {
            return SpanGuard::none();
        }
        attachment::look(|attachment| {
            if !attachment.recorder.enabled(category) {
                return SpanGuard::none();
            }
            attachment.admit_span(critical, trace)
        })
        .unwrap_or_else(SpanGuard::none)
    }

    /// Begins an admitted span.
    pub fn begin(
        &self,
        guard: &mut SpanGuard,
        category: CategoryId,
        follows: Option<FlowPoint>,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        attachment::with_number(guard.number(), |attachment| {
            let link = follows.and_then(|flow| flow.link(attachment.number(), LinkKind::Flow));
            let symbol = self.symbol(attachment);
            let recorder = &attachment.recorder;
            guard.set_begun(recorder.enter_with(recorder.now(), symbol, category, link, args));
        });
    }

    /// The symbol of this place in the attachment's recording.
    pub(crate) fn symbol(&self, attachment: &Attachment) -> SymbolId {
        let cached = self.cache.load(Ordering::Relaxed);
        if (cached >> 32) as u32 == attachment.number() {
            return SymbolId(cached as u32);
        }
        let symbol = SymbolRef { file: self.file, line: self.line, ..SymbolRef::host(self.name()) };
        let id = attachment.recorder.intern_symbol(symbol);
        self.cache.store(u64::from(attachment.number()) << 32 | u64::from(id.0), Ordering::Relaxed);
        id
    }
}

/// Whether anything of `category` is recorded on this thread now.
#[inline(always)]
pub(crate) fn wanted(category: CategoryId) -> bool {
    let slot = slot();
    match slot.fast() {
        Some((attachment, _)) => attachment.recorder.enabled(category),
        None if slot.is_off() => false,
        None => attachment::look(|attachment| attachment.recorder.enabled(category)).unwrap_or(false),
    }
}

/// The name of an argument, as the macros keep it: its id is looked up once per recording.
#[derive(Debug)]
pub struct Key {
    name: &'static str,
    cache: AtomicU64,
}

impl Key {
    /// An argument called `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, cache: AtomicU64::new(NOBODY) }
    }

    /// Its id in the recording of that number, which this thread records into.
    #[inline]
    pub fn id(&self, number: u32) -> KeyId {
        let cached = self.cache.load(Ordering::Relaxed);
        if (cached >> 32) as u32 == number { KeyId(cached as u32) } else { self.look_up(number) }
    }

    #[cold]
    fn look_up(&self, number: u32) -> KeyId {
        attachment::look_at(number, |attachment| self.of(attachment)).unwrap_or_default()
    }

    pub(crate) fn of(&self, attachment: &Attachment) -> KeyId {
        let cached = self.cache.load(Ordering::Relaxed);
        if (cached >> 32) as u32 == attachment.number() {
            return KeyId(cached as u32);
        }
        let id = attachment.recorder.intern_key(self.name);
        self.cache.store(u64::from(attachment.number()) << 32 | u64::from(id.0), Ordering::Relaxed);
        id
    }
}

/// A kind of span that the program names itself: a static, used as `category: NET`.
///
/// ```
/// use tickscope::{Category, span};
/// static NET: Category = Category::new("net", "Packets in and out.");
///
/// let _span = span!(category: NET, "read packet");
/// ```
#[derive(Debug)]
pub struct Category {
    name: &'static str,
    description: &'static str,
    id: AtomicU32,
}

/// Not yet in the registry.
const UNNAMED: u32 = u32::MAX;

impl Category {
    /// A category; in the registry of the process from its first use on.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, id: AtomicU32::new(UNNAMED) }
    }

    #[cold]
    fn register(&self) -> CategoryId {
        let id = Categories::global().intern(self.name, self.description);
        recording::apply_rules_to(id);
        self.id.store(u32::from(id.0), Ordering::Relaxed);
        id
    }
}

/// What can stand behind `category:` in the macros.
pub trait AsCategory {
    /// Its id in this process.
    fn id(&self) -> CategoryId;
}

impl AsCategory for CategoryId {
    #[inline(always)]
    fn id(&self) -> CategoryId {
        *self
    }
}

impl AsCategory for Category {
    #[inline(always)]
    fn id(&self) -> CategoryId {
        match self.id.load(Ordering::Relaxed) {
            UNNAMED => self.register(),
            id => CategoryId(id as u16),
        }
    }
}

/// How important a span is; decided when the program is compiled.
///
/// Spans of a level that is not compiled in leave no code behind and their arguments are not evaluated. Whether the
/// program is built with debug assertions makes no difference: a release build can be profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For getting to know a program; compiled in by the feature `general`.
    General,
    /// For measuring it in production; always compiled in.
    Performance,
    /// For every detail; compiled in by the feature `verbose`.
    Verbose,
}

impl Level {
    /// Whether spans of this level are compiled in.
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::General => cfg!(feature = "general"),
            Self::Performance => true,
            Self::Verbose => cfg!(feature = "verbose"),
        }
    }
}
