//! Samples as they are read: names are numbered, spans get ids, and their ends find them again. For readers of any format.

use std::collections::HashMap;

use tickscope_core::{
    Account, Arg, ArgRange, ArgValue, Batch, Begin, Categories, CategoryId, CounterValue, Dictionary, End,
    Event, KeyId, Link, LinkPoint, Outcome, RingId, Sample, Scope, SpanId, StackId, StackNode, Symbol,
    SymbolId, SymbolRef, Track, TrackId, TrackKind, Weight,
};

/// One stack of spans, which is a track and a ring of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(usize);

#[derive(Debug)]
struct Stack {
    track: TrackId,
    open: Vec<Open>,
    now: u64,
    account: Account,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    span: SpanId,
    symbol: SymbolId,
    category: CategoryId,
    begin_ns: u64,
}

/// What a profiler says beside a begin or an instant.
#[derive(Clone, Copy, Debug)]
pub enum Word<'a> {
    /// Any number.
    Number(f64),
    /// A whole number.
    Whole(i64),
    /// Whether.
    Truth(bool),
    /// Words.
    Text(&'a str),
}

/// Puts samples together, in the order of time of each lane.
///
/// Memory grows with names, and with samples until [`Build::drain`].
#[derive(Debug, Default)]
pub struct Build {
    dictionary: Dictionary,
    samples: Vec<Sample>,
    args: Vec<Arg>,
    text: String,
    /// Where in the samples ticks ended, and when.
    ticks: Vec<(usize, u64)>,
    symbols: HashMap<Symbol, SymbolId>,
    keys: HashMap<Box<str>, KeyId>,
    stacks: HashMap<StackNode, StackId>,
    lanes: Vec<Stack>,
    spans: u64,
}

impl Build {
    /// A new stack of spans.
    pub fn lane(&mut self, kind: TrackKind, name: &str, resource: &str, os_id: u32) -> Lane {
        let track = self.dictionary.push_track(track(kind, name, resource, os_id));
        self.lanes.push(Stack { track, open: Vec::new(), now: 0, account: Account::default() });
        Lane(self.lanes.len() - 1)
    }

    /// Names the process.
    pub fn process(&mut self, name: &str, os_id: u32) {
        self.dictionary.set_track(TrackId::PROCESS, track(TrackKind::Process, name, "", os_id));
    }

    /// The number of a symbol.
    pub fn symbol(&mut self, symbol: SymbolRef<'_>) -> SymbolId {
        let symbol = Symbol::from(symbol);
        match self.symbols.get(&symbol) {
            Some(known) => *known,
            None => {
                let id = self.dictionary.push_symbol(symbol.clone());
                self.symbols.insert(symbol, id);
                id
            }
        }
    }

    /// The category of that name; the file's own is made, while there is room.
    pub fn category(&mut self, name: &str) -> CategoryId {
        let category = Categories::global().intern(name, "");
        self.dictionary.refresh_categories();
        category
    }

    fn key(&mut self, name: &str) -> KeyId {
        match self.keys.get(name) {
            Some(known) => *known,
            None => {
                let id = self.dictionary.push_key(name);
                self.keys.insert(name.into(), id);
                id
            }
        }
    }

    /// Arguments of the next begin or instant.
    pub fn words<'a>(&mut self, words: impl IntoIterator<Item = (&'a str, Word<'a>)>) -> ArgRange {
        let start = self.args.len();
        for (key, word) in words {
            let value = match word {
                Word::Whole(whole) => ArgValue::Int(whole),
                Word::Number(number) => ArgValue::Float(number),
                Word::Truth(truth) => ArgValue::Bool(truth),
                Word::Text(text) => {
                    let (start, len) = (self.text.len() as u32, text.len() as u32);
                    self.text.push_str(text);
                    ArgValue::Text { start, len }
                }
            };
            let key = self.key(key);
            self.args.push(Arg { key, value });
        }
        ArgRange { start: start as u32, len: (self.args.len() - start) as u32 }
    }

    /// A moment on the lane. Its time does not run backwards.
    fn push(&mut self, lane: Lane, time_ns: u64, event: Event) -> u64 {
        let stack = &mut self.lanes[lane.0];
        stack.now = stack.now.max(time_ns);
        stack.account.attempted = stack.account.attempted.saturating_add(1);
        stack.account.committed = stack.account.committed.saturating_add(1);
        stack.account.delivered += 1;
        let (time_ns, track, ring) = (stack.now, stack.track, RingId(lane.0 as u32 + 1));
        self.samples.push(Sample { time_ns, ring, track, event });
        time_ns
    }

    /// A span begins on the lane.
    pub fn begin(
        &mut self,
        lane: Lane,
        time_ns: u64,
        symbol: SymbolId,
        category: CategoryId,
        args: ArgRange,
    ) {
        self.begin_linked(lane, time_ns, (symbol, category), None, args);
    }

    /// A span begins that something caused.
    pub fn begin_linked(
        &mut self,
        lane: Lane,
        time_ns: u64,
        (symbol, category): (SymbolId, CategoryId),
        link: Option<Link>,
        args: ArgRange,
    ) {
        let Some(span) = self.next_id() else { return };
        let parent = self.lanes[lane.0].open.last().map(|open| open.span);
        let begin = Begin { span, parent, symbol, category, link, args };
        let begin_ns = self.push(lane, time_ns, Event::Begin(begin));
        self.lanes[lane.0].open.push(Open { span, symbol, category, begin_ns });
    }

    fn next_id(&mut self) -> Option<SpanId> {
        self.spans += 1;
        SpanId::from_raw(self.spans)
    }

    /// The source of links, in the innermost span of the lane.
    pub fn link_point(&mut self, lane: Lane, time_ns: u64) -> LinkPoint {
        let id = self.next_id()?;
        let span = self.lanes[lane.0].open.last().map(|open| open.span);
        self.push(lane, time_ns, Event::LinkPoint { id, span });
        Some(id)
    }

    /// So many events of the lane were overwritten before they were read, up to here.
    pub fn overwritten(&mut self, lane: Lane, time_ns: u64, events: u64) {
        self.push(lane, time_ns, Event::Gap { events });
        let account = &mut self.lanes[lane.0].account;
        // the gap itself is no event
        account.delivered -= 1;
        account.overwritten = account.overwritten.saturating_add(events);
        account.committed =
            account.delivered.saturating_add(account.overwritten).saturating_add(account.discarded);
        account.attempted = account.committed;
    }

    /// The innermost span of the lane is over. Without one, what is over began before the recording did.
    pub fn end(&mut self, lane: Lane, time_ns: u64, outcome: Outcome) {
        let stack = &mut self.lanes[lane.0];
        let Some(Open { span, symbol, category, begin_ns }) = stack.open.pop() else {
            stack.account.attempted += 1;
            stack.account.committed += 1;
            stack.account.discarded += 1;
            return;
        };
        let end = End { span, symbol, begin_ns, outcome, bytes: 0, args: ArgRange::NONE };
        let end_ns = self.push(lane, time_ns, Event::End(end));
        if category == CategoryId::TICK {
            self.ticks.push((self.samples.len(), end_ns));
        }
    }

    /// How many spans are open on the lane.
    pub fn depth(&self, lane: Lane) -> usize {
        self.lanes[lane.0].open.len()
    }

    /// Something happens on the lane.
    pub fn instant(
        &mut self,
        lane: Lane,
        time_ns: u64,
        symbol: SymbolId,
        category: CategoryId,
        args: ArgRange,
    ) {
        self.push(lane, time_ns, Event::Instant { symbol, category, scope: Scope::Track, args });
    }

    /// A counter has this value from now on.
    pub fn counter(&mut self, lane: Lane, time_ns: u64, symbol: SymbolId, value: CounterValue) {
        self.push(lane, time_ns, Event::Counter { symbol, value });
    }

    /// A stack that was seen, outermost first, and the time it stands for, which passes by that.
    pub fn stack(&mut self, lane: Lane, symbols: &[SymbolId], weight_ns: u64) {
        let mut stack = StackId::ROOT;
        for symbol in symbols {
            let node = StackNode { parent: stack, symbol: *symbol, line: 0 };
            stack = match self.stacks.get(&node) {
                Some(known) => *known,
                None => {
                    let id = self.dictionary.push_stack(node);
                    self.stacks.insert(node, id);
                    id
                }
            };
        }
        let time_ns = self.lanes[lane.0].now.saturating_add(weight_ns);
        let weight = Weight { time_ns: weight_ns, bytes: 0 };
        self.push(lane, time_ns, Event::Stack { stack, weight });
    }

    /// Ends what is open, and tells how much was read. Once.
    pub fn close(&mut self) {
        let last = self.lanes.iter().map(|stack| stack.now).max().unwrap_or(0);
        for lane in (0..self.lanes.len()).map(Lane) {
            while self.depth(lane) > 0 {
                self.end(lane, last, Outcome::Truncated);
            }
            let account = self.lanes[lane.0].account;
            let (track, ring) = (self.lanes[lane.0].track, RingId(lane.0 as u32 + 1));
            self.samples.push(Sample { time_ns: last, ring, track, event: Event::Account(account) });
        }
    }

    /// Whether nothing is left to drain.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Samples that were not drained yet.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// What was read since the last call, as batches that end where ticks do, each with the time of its tick's end.
    ///
    /// # Errors
    /// The first of `take`, which stops it; what was not taken is gone.
    pub fn drain<E>(
        &mut self,
        mut take: impl FnMut(Batch<'_>, Option<u64>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = (self.samples.len(), None);
        let cuts = self.ticks.iter().map(|(at, end_ns)| (*at, Some(*end_ns))).chain([rest]);
        let mut from = 0;
        for (to, tick) in cuts {
            let samples = &self.samples[from..to];
            let batch = Batch { samples, args: &self.args, text: &self.text, dictionary: &self.dictionary };
            take(batch, tick)?;
            from = to;
        }
        self.samples.clear();
        self.args.clear();
        self.text.clear();
        self.ticks.clear();
        Ok(())
    }
}

fn track(kind: TrackKind, name: &str, resource: &str, os_id: u32) -> Track {
    Track { kind, parent: TrackId::PROCESS, os_id, name: name.into(), resource: resource.into() }
}
