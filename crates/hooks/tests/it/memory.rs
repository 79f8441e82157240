//! A recorder that keeps everything in memory and checks the protocol as it goes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span, StackId,
    StackNode, SwitchReason, Symbol, SymbolId, SymbolRef, Ticks, Track, TrackId, TrackKind,
};

/// What was recorded, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Enter {
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
    },
    Exit {
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
        outcome: Outcome,
        bytes: u32,
        elapsed: u64,
    },
    Resume {
        track: TrackId,
    },
    Suspend {
        track: TrackId,
        reason: SwitchReason,
    },
    Stack {
        track: TrackId,
        stack: StackId,
        elapsed: u64,
        bytes: u64,
    },
    Counter {
        track: TrackId,
        symbol: SymbolId,
        value: CounterValue,
    },
}

struct Open {
    position: u64,
    symbol: SymbolId,
    category: CategoryId,
    at: u64,
}

/// See the module. Clones share one recording.
#[derive(Clone)]
pub struct Memory(Rc<Inner>);

struct Inner {
    records: RefCell<Vec<Record>>,
    symbols: RefCell<Vec<Symbol>>,
    by_symbol: RefCell<HashMap<Symbol, SymbolId>>,
    tracks: RefCell<Vec<Track>>,
    stacks: RefCell<Vec<StackNode>>,
    current: RefCell<Vec<TrackId>>,
    open: RefCell<HashMap<TrackId, Vec<Open>>>,
    position: Cell<u64>,
    last: Cell<u64>,
}

const THREAD: TrackId = TrackId(1);

impl Memory {
    pub fn new() -> Self {
        let track = |kind, name: &str| Track {
            kind,
            parent: TrackId::PROCESS,
            os_id: 0,
            name: name.into(),
            resource: "".into(),
        };
        Self(Rc::new(Inner {
            records: RefCell::default(),
            symbols: RefCell::new(vec![Symbol::other()]),
            by_symbol: RefCell::default(),
            tracks: RefCell::new(vec![track(TrackKind::Process, ""), track(TrackKind::Thread, "main")]),
            stacks: RefCell::new(vec![StackNode { parent: StackId::ROOT, symbol: SymbolId::OTHER, line: 0 }]),
            current: RefCell::new(vec![THREAD]),
            open: RefCell::default(),
            position: Cell::new(0),
            last: Cell::new(0),
        }))
    }

    pub fn records(&self) -> Vec<Record> {
        self.0.records.borrow().clone()
    }

    pub fn symbol(&self, id: SymbolId) -> Symbol {
        self.0.symbols.borrow()[id.index()].clone()
    }

    pub fn name(&self, id: SymbolId) -> String {
        self.symbol(id).name.to_string()
    }

    pub fn tracks(&self) -> Vec<Track> {
        self.0.tracks.borrow().clone()
    }

    /// Names of a stack's frames, outermost first.
    pub fn frames(&self, mut id: StackId) -> Vec<String> {
        let mut names = Vec::new();
        while id != StackId::ROOT {
            let node = self.0.stacks.borrow()[id.index()];
            names.push(self.name(node.symbol));
            id = node.parent;
        }
        names.reverse();
        names
    }

    /// How many spans are open.
    pub fn open(&self) -> usize {
        self.0.open.borrow().values().map(Vec::len).sum()
    }

    /// How many tracks stand on the thread's own.
    pub fn resumed(&self) -> usize {
        self.0.current.borrow().len() - 1
    }

    fn push(&self, record: Record) {
        self.0.records.borrow_mut().push(record);
    }

    fn begin(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        assert!(symbol.index() < self.0.symbols.borrow().len(), "a symbol nobody interned");
        let track = self.track();
        let position = self.0.position.get() + 1;
        self.0.position.set(position);
        self.0.open.borrow_mut().entry(track).or_default().push(Open {
            position,
            symbol,
            category,
            at: at.0,
        });
        self.push(Record::Enter { track, symbol, category });
        Span::at(position)
    }
}

impl Recorder for Memory {
    fn now(&self) -> Ticks {
        thread_local!(static START: std::time::Instant = std::time::Instant::now());
        let now = START.with(|start| start.elapsed().as_nanos() as u64);
        self.0.last.set(now);
        Ticks(now)
    }
    fn enabled(&self, _: CategoryId) -> bool {
        true
    }
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        self.begin(at, symbol, category)
    }
    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        _: Option<Link>,
        _: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        self.begin(at, symbol, category)
    }
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        let track = self.track();
        let open = self.0.open.borrow_mut().get_mut(&track).and_then(Vec::pop).expect("an open span");
        assert_eq!(Some(open.position), span.position(), "spans end in reverse order, on their track");
        assert!(at.0 >= open.at, "a span does not end before it begins");
        let elapsed = at.0 - open.at;
        let (symbol, category) = (open.symbol, open.category);
        self.push(Record::Exit { track, symbol, category, outcome, bytes, elapsed });
    }
    fn arg(&self, _: KeyId, _: ArgInput<'_>) {}
    fn instant(&self, _: Ticks, _: SymbolId, _: CategoryId, _: Scope, _: &[(KeyId, ArgInput<'_>)]) {}
    fn counter(&self, _: Ticks, symbol: SymbolId, value: CounterValue) {
        self.push(Record::Counter { track: self.track(), symbol, value });
    }
    fn link_point(&self, _: Ticks) -> LinkPoint {
        None
    }
    fn resume(&self, _: Ticks, track: TrackId) {
        assert!(track.index() < self.0.tracks.borrow().len(), "a track nobody made");
        assert!(!self.0.current.borrow().contains(&track), "a track runs once at a time");
        self.0.current.borrow_mut().push(track);
        self.push(Record::Resume { track });
    }
    fn suspend(&self, _: Ticks, reason: SwitchReason) {
        let track = self.0.current.borrow_mut().pop().expect("a track to suspend");
        assert_ne!(track, THREAD, "the thread itself is never suspended");
        if reason != SwitchReason::Yield {
            let open = self.0.open.borrow().get(&track).map_or(0, Vec::len);
            assert_eq!(open, 0, "a track that is over has no open spans");
        }
        self.push(Record::Suspend { track, reason });
    }
    fn stack(&self, _: Ticks, stack: StackId, elapsed: u64, bytes: u64) {
        self.push(Record::Stack { track: self.track(), stack, elapsed, bytes });
    }
    fn track(&self) -> TrackId {
        *self.0.current.borrow().last().expect("the thread's track")
    }
    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        let symbol = Symbol::from(symbol);
        *self.0.by_symbol.borrow_mut().entry(symbol.clone()).or_insert_with(|| {
            let mut symbols = self.0.symbols.borrow_mut();
            symbols.push(symbol);
            SymbolId(symbols.len() as u32 - 1)
        })
    }
    fn intern_key(&self, _: &str) -> KeyId {
        KeyId(0)
    }
    fn intern_stack(&self, node: StackNode) -> StackId {
        let mut stacks = self.0.stacks.borrow_mut();
        assert!(node.parent.index() < stacks.len(), "a parent that exists");
        stacks.push(node);
        StackId(stacks.len() as u32 - 1)
    }
    fn new_track(&self, track: Track) -> TrackId {
        let mut tracks = self.0.tracks.borrow_mut();
        tracks.push(track);
        TrackId(tracks.len() as u32 - 1)
    }
    fn ticks_per_micro(&self) -> u64 {
        1000
    }
}
