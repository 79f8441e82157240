//! What crosses, as what call paths are added up from.

use std::collections::HashMap;

use tickscope_abi::{self as abi, Names};
use tickscope_core::{
    ArgRange, Batch, Begin, Categories, CategoryId, Dictionary, End, Event, Outcome, RingId, Runtime, Sample,
    SpanId, StackId, StackNode, SwitchReason, Symbol, SymbolId, Track, TrackId, TrackKind, Weight,
};

/// Names that crossed, and the samples of one batch. Arguments, counters and links are left out: call paths have none.
#[derive(Debug, Default)]
pub struct Samples {
    dictionary: Dictionary,
    samples: Vec<Sample>,
    categories: Vec<CategoryId>,
    stacks: HashMap<u32, StackId>,
    nodes: HashMap<(StackId, u32, u32), StackId>,
}

impl Samples {
    /// The batch in the form of this side. Memory grows with the names, which the host bounds.
    pub fn convert(&mut self, batch: &abi::Batch<'_>) -> Batch<'_> {
        let names = batch.names();
        self.names(names);
        self.samples.clear();
        for sample in batch.samples() {
            if let Some(event) = self.event(&sample, names) {
                let (ring, track) = (RingId(sample.ring), TrackId(sample.track));
                self.samples.push(Sample { time_ns: sample.time_ns, ring, track, event });
            }
        }
        Batch { samples: &self.samples, args: &[], text: "", dictionary: &self.dictionary }
    }

    fn names(&mut self, names: &Names) {
        for symbol in names.symbols().get(self.dictionary.symbols().len()..).unwrap_or_default() {
            self.dictionary.push_symbol(Symbol {
                runtime: u8::try_from(symbol.runtime)
                    .ok()
                    .and_then(Runtime::from_number)
                    .unwrap_or(Runtime::Host),
                resource: (&*symbol.resource).into(),
                name: (&*symbol.name).into(),
                file: (&*symbol.file).into(),
                line: symbol.line,
            });
        }
        for track in names.tracks().get(self.dictionary.tracks().len()..).unwrap_or_default() {
            let kind = u8::try_from(track.kind).ok().and_then(TrackKind::from_number);
            self.dictionary.push_track(Track {
                kind: kind.unwrap_or(TrackKind::Custom),
                parent: TrackId(track.parent),
                os_id: track.os_id,
                name: (&*track.name).into(),
                resource: (&*track.resource).into(),
            });
        }
    }

    fn event(&mut self, sample: &abi::Sample<'_>, names: &Names) -> Option<Event> {
        Some(match sample.event {
            abi::Event::Begin(begin) => Event::Begin(Begin {
                span: SpanId::from_raw(begin.span)?,
                parent: SpanId::from_raw(begin.parent),
                symbol: SymbolId(begin.symbol),
                category: self.category(begin.category, names),
                link: None,
                args: ArgRange::NONE,
            }),
            abi::Event::End(end) => Event::End(End {
                span: SpanId::from_raw(end.span)?,
                symbol: SymbolId(end.symbol),
                begin_ns: end.begin_ns,
                outcome: Outcome::ALL.get(end.outcome as usize).copied().unwrap_or_default(),
                bytes: end.bytes,
                args: ArgRange::NONE,
            }),
            abi::Event::Resume(switch) => Event::Resume { host: TrackId(switch.host) },
            abi::Event::Suspend(switch) => Event::Suspend {
                host: TrackId(switch.host),
                reason: SwitchReason::ALL
                    .get(switch.reason as usize)
                    .copied()
                    .unwrap_or(SwitchReason::ALL[0]),
            },
            abi::Event::Stack(stack) => Event::Stack {
                stack: self.stack(stack.stack, names),
                weight: Weight { time_ns: stack.time_ns, bytes: stack.bytes },
            },
            _ => return None,
        })
    }

    /// By name: the other side may have been built with other numbers.
    fn category(&mut self, id: u32, names: &Names) -> CategoryId {
        if let Some(known) = self.categories.get(id as usize) {
            return *known;
        }
        while self.categories.len() <= id as usize && self.categories.len() < 1 << 16 {
            let category = names.category(self.categories.len() as u32);
            self.categories.push(Categories::global().intern(&category.name, &category.description));
        }
        self.categories.get(id as usize).copied().unwrap_or(CategoryId::DEFAULT)
    }

    fn stack(&mut self, id: u32, names: &Names) -> StackId {
        if let Some(known) = self.stacks.get(&id) {
            return *known;
        }
        let mut frames: Vec<_> = names.frames(id).collect();
        frames.reverse();
        let mut stack = StackId::ROOT;
        for frame in frames {
            let dictionary = &mut self.dictionary;
            let node = StackNode { parent: stack, symbol: SymbolId(frame.symbol), line: frame.line };
            let key = (stack, frame.symbol, frame.line);
            stack = *self.nodes.entry(key).or_insert_with(|| dictionary.push_stack(node));
        }
        self.stacks.insert(id, stack);
        stack
    }
}
