//! Rows that wait for their file.

use std::collections::BTreeSet;

use parquet::data_type::ByteArray;
use tickscope_abi::{Names, link_kind_name, outcome_name};
use tickscope_counts::{Span, TickSpan};

/// The texts of a symbol, shared by all rows that have it.
#[derive(Clone, Debug)]
pub(crate) struct SymbolTexts {
    pub(crate) runtime: ByteArray,
    pub(crate) resource: ByteArray,
    pub(crate) name: ByteArray,
    pub(crate) file: ByteArray,
    pub(crate) line: i32,
}

/// A span, its times on the wall clock.
#[derive(Clone, Debug)]
pub(crate) struct SpanRow {
    pub(crate) span: Span,
    pub(crate) begin_unix_ns: u64,
    pub(crate) hour: u64,
    pub(crate) track: ByteArray,
    pub(crate) category: Option<ByteArray>,
}

/// A tick.
#[derive(Clone, Debug)]
pub(crate) struct TickRow {
    pub(crate) span: Span,
    pub(crate) tick: TickSpan,
    pub(crate) begin_unix_ns: u64,
    pub(crate) hour: u64,
}

/// Rows of an hour, and of two where it ends: threads are not in order among each other.
#[derive(Debug, Default)]
pub struct Rows {
    /// The hours that they are of.
    pub(crate) hours: BTreeSet<u64>,
    pub(crate) spans: Vec<SpanRow>,
    pub(crate) ticks: Vec<TickRow>,
    pub(crate) symbols: Vec<SymbolTexts>,
    pub(crate) outcomes: Vec<ByteArray>,
    pub(crate) link_kinds: Vec<ByteArray>,
    tracks: Vec<ByteArray>,
    categories: Vec<ByteArray>,
}

impl Rows {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.spans.len() + self.ticks.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names that are new.
    pub fn names(&mut self, names: &Names) {
        for symbol in names.symbols().get(self.symbols.len()..).unwrap_or_default() {
            self.symbols.push(SymbolTexts {
                runtime: symbol.runtime_name().into(),
                resource: (&*symbol.resource).into(),
                name: (&*symbol.name).into(),
                file: (&*symbol.file).into(),
                line: i32::try_from(symbol.line).unwrap_or(0),
            });
        }
        if self.outcomes.is_empty() {
            self.outcomes = (0..5).map(|outcome| outcome_name(outcome).into()).collect();
            self.link_kinds = (0..9).map(|kind| link_kind_name(kind).into()).collect();
        }
    }

    /// The track's name, which may have changed.
    fn track(&mut self, id: u32, names: &Names) -> ByteArray {
        let (at, name) = (id as usize, &*names.track(id).name);
        if at >= names.tracks().len() {
            return ByteArray::from(name);
        }
        if self.tracks.len() <= at {
            self.tracks.resize(at + 1, ByteArray::from(""));
        }
        if self.tracks[at].data() != name.as_bytes() {
            self.tracks[at] = name.into();
        }
        self.tracks[at].clone()
    }

    fn category(&mut self, id: u32, names: &Names) -> ByteArray {
        while self.categories.len() <= id as usize && self.categories.len() < 1 << 16 {
            let name = &*names.category(self.categories.len() as u32).name;
            self.categories.push(name.into());
        }
        self.categories.get(id as usize).cloned().unwrap_or_else(|| ByteArray::from(""))
    }

    /// A span that ended in that hour.
    pub fn span(&mut self, span: &Span, begin_unix_ns: u64, hour: u64, names: &Names) {
        let track = self.track(span.track, names);
        let category = span.category.map(|category| self.category(category, names));
        self.hours.insert(hour);
        self.spans.push(SpanRow { span: *span, begin_unix_ns, hour, track, category });
    }

    /// A tick that ended in that hour.
    pub fn tick(&mut self, span: &Span, tick: &TickSpan, begin_unix_ns: u64, hour: u64) {
        self.hours.insert(hour);
        self.ticks.push(TickRow { span: *span, tick: *tick, begin_unix_ns, hour });
    }
}
