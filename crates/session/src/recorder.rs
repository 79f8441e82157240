//! The producer's side of a session: one thread's recorder.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, KeyId, Link, LinkPoint, Outcome, Recorder, RingId, Scope, Span,
    SpanId, StackId, StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};
use tickscope_ring::{Full, MAX_EVENT_SLOTS, Producer};

use crate::arena;
use crate::mapping::state;
use crate::record::{self, TEXT_PER_SLOT, word};
use crate::session::Shared;
use crate::tracks::{Host, TrackState, Tracks};

/// Longer texts are cut here, at a character.
pub const MAX_TEXT: usize = 2_048;

/// Records what happens on one thread of a session; see [`Recorder`].
///
/// Made by [`Session::thread`](crate::Session::thread) on the thread it is for. When it is dropped its ring is drained
/// and then used for another thread.
#[derive(Debug)]
pub struct ThreadRecorder {
    producer: Producer,
    base: u64,
    /// Slots that calls of functions leave free.
    spare: u64,
    /// Something is being refused, or a gap waits to be recorded: the long way for everything.
    careful: Cell<bool>,
    open: Cell<u32>,
    dropping: Cell<u32>,
    /// Events refused since the last recorded gap.
    lost: Cell<u64>,
    /// Whether a slot is reserved for a gap.
    gap_reserved: Cell<bool>,
    current: Cell<TrackId>,
    ring: RingId,
    thread: TrackId,
    tracks: RefCell<Tracks>,
    /// The directory entry of the ring; none when the session had no ring left.
    entry: Option<usize>,
    pub(crate) session: Arc<Shared>,
}

impl ThreadRecorder {
    pub(crate) fn new(
        producer: Producer,
        ring: RingId,
        thread: TrackId,
        entry: Option<usize>,
        session: Arc<Shared>,
    ) -> Self {
        let gap_reserved = producer.reserve();
        Self {
            spare: producer.capacity() / 8,
            producer,
            base: session.base.0,
            careful: Cell::new(!gap_reserved),
            open: Cell::new(0),
            dropping: Cell::new(0),
            lost: Cell::new(0),
            gap_reserved: Cell::new(gap_reserved),
            current: Cell::new(thread),
            ring,
            thread,
            tracks: RefCell::default(),
            entry,
            session,
        }
    }

    /// The thread's own track.
    pub fn thread_track(&self) -> TrackId {
        self.thread
    }

    /// Whether a span of this thread, or of what it runs, is open and recorded. A load.
    #[inline]
    pub fn has_open_spans(&self) -> bool {
        self.open.get() > 0
    }

    /// The id under which the session knows `span`, to link to it from elsewhere; `None` when it was not recorded.
    pub fn span_id(&self, span: Span) -> Option<SpanId> {
        SpanId::new(self.ring, span.position()?)
    }

    /// Adds an argument to the open span `span`, whichever spans are open inside it. An argument that is read before the
    /// begin of its span, which another thread recorded a moment ago, is counted as discarded. `track` names the track of a span
    /// begun by [`Recorder::enter_on`]; `None` is the current one.
    pub fn arg_of(&self, track: Option<TrackId>, span: SpanId, key: KeyId, value: ArgInput<'_>) {
        self.prepare();
        let args = [(key, value)];
        let on = track.map(|track| [word(record::ON, 0, u64::from(track.0)), 0]);
        let mut event = Group::late(&args, on, Some([word(record::OF, 0, 0), span.raw()]));
        if self.producer.push_with(event.slots, 0, |_| event.next_slot()).is_err() {
            self.lose();
        }
    }

    /// Records a moment on a track that belongs to no thread.
    pub fn instant_on(
        &self,
        at: Ticks,
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        self.prepare();
        let on = [word(record::ON, 0, u64::from(track.0)), 0];
        let mut event = Group::instant(self.time(at), symbol, category, scope, args, Some(on));
        if self.producer.push_with(event.slots, 0, |_| event.next_slot()).is_err() {
            self.lose();
        }
    }

    /// Records a moment that was noted at `at` on any track, possibly another thread's, and possibly long ago: it keeps
    /// its time, and samples of the track around it are not moved.
    pub fn instant_noted(
        &self,
        at: Ticks,
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        self.prepare();
        let on = [word(record::ON, record::NOTED, u64::from(track.0)), 0];
        let mut event = Group::instant(self.time(at), symbol, category, scope, args, Some(on));
        if self.producer.push_with(event.slots, 0, |_| event.next_slot()).is_err() {
            self.lose();
        }
    }

    /// Records a counter's new value on a track that belongs to no thread; [`TrackId::PROCESS`] for the process's.
    pub fn counter_on(&self, at: Ticks, track: TrackId, symbol: SymbolId, value: CounterValue) {
        self.prepare();
        let on = [word(record::ON, 0, u64::from(track.0)), 0];
        let [counter, more] = counter_slots(self.time(at), symbol, value);
        if self.producer.push([on, counter, more]).is_err() {
            self.lose();
        }
    }

    #[inline(always)]
    fn time(&self, at: Ticks) -> u64 {
        at.0.wrapping_sub(self.base)
    }

    #[cold]
    fn lose(&self) {
        self.lost.set(self.lost.get() + 1);
        self.careful.set(true);
        if self.entry.is_none() {
            self.session.mapping.header().ringless.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[cold]
    fn lose_span(&self) -> Span {
        self.lose();
        self.dropping.set(self.dropping.get() + 1);
        Span::DROPPED
    }

    /// Records a pending gap and says whether the caller may record: not below a refused span.
    #[cold]
    fn recover(&self) -> bool {
        if self.dropping.get() > 0 {
            return false;
        }
        if !self.gap_reserved.get() {
            self.gap_reserved.set(self.producer.reserve());
        }
        if self.gap_reserved.get() && self.lost.get() > 0 {
            self.record_gap();
        }
        self.careful.set(!self.gap_reserved.get() || self.lost.get() > 0);
        true
    }

    fn record_gap(&self) {
        self.producer.push_reserved([word(record::GAP, 0, 0), self.lost.get()]);
        self.lost.set(0);
        self.gap_reserved.set(self.producer.reserve());
    }

    /// Before an event that may be recorded even though others around it are not.
    #[inline(always)]
    fn prepare(&self) {
        if self.careful.get() {
            self.recover();
        }
    }

    /// Whether an event below the current span may be recorded; counts it when not.
    #[inline(always)]
    fn may_record(&self) -> bool {
        if self.careful.get() && !self.recover() {
            self.producer.refuse_one();
            self.lose();
            return false;
        }
        true
    }

    #[inline(always)]
    fn begun(&self, pushed: Result<u64, Full>) -> Span {
        match pushed {
            Ok(position) => {
                self.open.set(self.open.get() + 1);
                Span::at(position)
            }
            Err(Full) => self.lose_span(),
        }
    }

    #[inline(always)]
    fn push_enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        // Calls of functions come by the million: they leave room for what says which tick and event they were in.
        let spare = if category == CategoryId::FUNCTION { self.spare } else { 0 };
        let slot = enter_slot(self.time(at), symbol, category, 0);
        self.begun(self.producer.push_reserving_sparing(slot, spare))
    }

    #[cold]
    fn enter_carefully(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        if !self.recover() {
            self.producer.refuse_one();
            return self.lose_span();
        }
        self.push_enter(at, symbol, category)
    }

    #[cold]
    fn exit_carefully(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        match span.position() {
            Some(position) => {
                // The switch to this track was refused, so the collector is on another still. The span stays open, and
                // keeps its reservation, until an end of the track that is recorded closes it.
                if self.tracks.borrow().hosts.last().is_some_and(|host| !host.recorded) {
                    self.producer.refuse_one();
                    self.lose();
                    return;
                }
                // Refused spans are inside recorded ones: whatever was open of them is over.
                self.dropping.set(0);
                if self.lost.get() > 0 && self.gap_reserved.get() {
                    self.record_gap();
                }
                if self.open.get() > 0 {
                    self.open.set(self.open.get() - 1);
                    self.producer.push_reserved(exit_slot(self.time(at), position, outcome, bytes));
                }
                self.recover();
            }
            None => {
                self.producer.refuse_one();
                self.lose();
                self.dropping.set(self.dropping.get().saturating_sub(1));
            }
        }
    }
}

#[inline(always)]
fn enter_slot(time: u64, symbol: SymbolId, category: CategoryId, arg_slots: usize) -> [u64; 2] {
    let w1 = u64::from(symbol.0) | u64::from(category.0) << 32 | (arg_slots as u64) << 48;
    [word(record::ENTER, 0, time), w1]
}

#[inline(always)]
fn exit_slot(time: u64, position: u64, outcome: Outcome, bytes: u32) -> [u64; 2] {
    [word(record::EXIT, outcome as u8, time), position & 0xffff_ffff | u64::from(bytes) << 32]
}

#[inline(always)]
fn counter_slots(time: u64, symbol: SymbolId, value: CounterValue) -> [[u64; 2]; 2] {
    let (float, bits) = match value {
        CounterValue::Int(value) => (0, value as u64),
        CounterValue::Float(value) => (1, value.to_bits()),
    };
    [[word(record::COUNTER, float, time), u64::from(symbol.0)], [word(record::MORE, 0, 0), bits]]
}

impl Recorder for ThreadRecorder {
    #[inline(always)]
    fn now(&self) -> Ticks {
        self.session.clock.now()
    }

    #[inline(always)]
    fn enabled(&self, category: CategoryId) -> bool {
        self.session.categories.contains(category)
    }

    #[inline(always)]
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        if self.careful.get() {
            return self.enter_carefully(at, symbol, category);
        }
        self.push_enter(at, symbol, category)
    }

    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        if self.careful.get() && !self.recover() {
            self.producer.refuse_one();
            return self.lose_span();
        }
        let mut event = Group::enter(self.time(at), symbol, category, link, args, None);
        let pushed = self.producer.push_with(event.slots, 1, |_| event.next_slot());
        self.begun(pushed.map(|position| position + event.before_enter as u64))
    }

    #[inline(always)]
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        match span.position() {
            Some(position) if !self.careful.get() && self.open.get() > 0 => {
                self.open.set(self.open.get() - 1);
                self.producer.push_reserved(exit_slot(self.time(at), position, outcome, bytes));
            }
            _ => self.exit_carefully(at, span, outcome, bytes),
        }
    }

    fn arg(&self, key: KeyId, value: ArgInput<'_>) {
        if self.may_record() {
            let args = [(key, value)];
            let mut event = Group::late(&args, None, None);
            if self.producer.push_with(event.slots, 0, |_| event.next_slot()).is_err() {
                self.lose();
            }
        }
    }

    fn instant(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &[(KeyId, ArgInput<'_>)],
    ) {
        if self.may_record() {
            let mut event = Group::instant(self.time(at), symbol, category, scope, args, None);
            if self.producer.push_with(event.slots, 0, |_| event.next_slot()).is_err() {
                self.lose();
            }
        }
    }

    fn counter(&self, at: Ticks, symbol: SymbolId, value: CounterValue) {
        if self.may_record() && self.producer.push(counter_slots(self.time(at), symbol, value)).is_err() {
            self.lose();
        }
    }

    fn link_point(&self, at: Ticks) -> LinkPoint {
        if !self.may_record() {
            return None;
        }
        match self.producer.push([[word(record::LINK_POINT, 0, self.time(at)), 0]]) {
            Ok(position) => SpanId::new(self.ring, position),
            Err(Full) => {
                self.lose();
                None
            }
        }
    }

    fn resume(&self, at: Ticks, track: TrackId) {
        self.prepare();
        let mut tracks = self.tracks.borrow_mut();
        let resume = [word(record::RESUME, 0, self.time(at)), u64::from(track.0)];
        // The process stands for a track that did not fit into the arena: nothing on it could be told apart.
        let tried = track != TrackId::PROCESS && self.dropping.get() == 0;
        let recorded = tried && self.producer.push_reserving([resume]).is_ok();
        if !recorded {
            if !tried {
                self.producer.refuse_one();
            }
            self.lose();
        }
        let state = TrackState { open: self.open.get(), dropping: self.dropping.get() };
        tracks.hosts.push(Host { track: self.current.get(), state, recorded });
        let state = tracks.load(track);
        self.current.set(track);
        self.open.set(state.open);
        self.dropping.set(state.dropping + u32::from(!recorded));
        if self.dropping.get() > 0 {
            self.careful.set(true);
        }
    }

    fn suspend(&self, at: Ticks, reason: SwitchReason) {
        let mut tracks = self.tracks.borrow_mut();
        let Some(host) = tracks.hosts.pop() else { return };
        let (track, open) = (self.current.get(), self.open.get());
        let dropping = self.dropping.get().saturating_sub(u32::from(!host.recorded));
        match reason {
            SwitchReason::Yield => tracks.save(track, TrackState { open, dropping }),
            // The collector closes what is open when it sees the end. When it does not see it, the track stays as it
            // is, and so do its reservations.
            _ if host.recorded => {
                self.producer.unreserve(u64::from(open));
                tracks.over(track);
            }
            _ if open == 0 => tracks.over(track),
            _ => {}
        }
        self.current.set(host.track);
        self.open.set(host.state.open);
        self.dropping.set(host.state.dropping);
        if host.recorded {
            if self.lost.get() > 0 && self.gap_reserved.get() {
                self.record_gap();
            }
            self.producer.push_reserved([word(record::SUSPEND, reason as u8, self.time(at)), 0]);
        } else {
            self.producer.refuse_one();
            self.lose();
        }
        if self.careful.get() {
            self.recover();
        }
    }

    fn stack(&self, at: Ticks, stack: StackId, elapsed: u64, bytes: u64) {
        if self.may_record() {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let node = [word(record::STACK, 0, self.time(at)), u64::from(stack.0) | u64::from(bytes) << 32];
            if self.producer.push([node, [word(record::MORE, 0, 0), elapsed]]).is_err() {
                self.lose();
            }
        }
    }

    fn enter_on(
        &self,
        at: Ticks,
        track: TrackId,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &[(KeyId, ArgInput<'_>)],
    ) -> Option<SpanId> {
        self.prepare();
        let on = [word(record::ON, 0, u64::from(track.0)), 0];
        let mut event = Group::enter(self.time(at), symbol, category, link, args, Some(on));
        match self.producer.push_with(event.slots, 0, |_| event.next_slot()) {
            Ok(position) => SpanId::new(self.ring, position + event.before_enter as u64),
            Err(Full) => {
                self.lose();
                None
            }
        }
    }

    fn exit_on(&self, at: Ticks, track: TrackId, span: SpanId, outcome: Outcome) {
        self.prepare();
        let on = [word(record::ON, 0, u64::from(track.0)), 0];
        let exit = [word(record::EXIT_ON, outcome as u8, self.time(at)), span.raw()];
        if self.producer.push([on, exit]).is_err() {
            self.lose();
        }
    }

    fn arg_on(&self, track: TrackId, span: SpanId, key: KeyId, value: ArgInput<'_>) {
        self.arg_of(Some(track), span, key, value);
    }

    fn link_point_on(&self, at: Ticks, track: TrackId) -> LinkPoint {
        self.prepare();
        let on = [word(record::ON, 0, u64::from(track.0)), 0];
        match self.producer.push([on, [word(record::LINK_POINT, 0, self.time(at)), 0]]) {
            Ok(position) => SpanId::new(self.ring, position + 1),
            Err(Full) => {
                self.lose();
                None
            }
        }
    }

    fn track(&self) -> TrackId {
        self.current.get()
    }

    fn intern_symbol(&self, symbol: SymbolRef<'_>) -> SymbolId {
        self.session.intern_symbol(symbol)
    }

    fn intern_key(&self, key: &str) -> KeyId {
        self.session.intern_key(key)
    }

    fn intern_stack(&self, node: StackNode) -> StackId {
        self.session.intern_stack(node)
    }

    fn new_track(&self, track: Track) -> TrackId {
        let mut definition = Vec::new();
        arena::encode_track(&track, &mut definition);
        let mut tracks = self.tracks.borrow_mut();
        if let Some(track) = tracks.reuse(&definition) {
            return track;
        }
        let id = self.session.new_track(&definition);
        if track.kind == tickscope_core::TrackKind::Coroutine && id != TrackId::PROCESS {
            tracks.defined(id, &definition);
        }
        id
    }

    fn ticks_per_micro(&self) -> u64 {
        self.session.ticks_per_micro
    }
}

impl Drop for ThreadRecorder {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            // Pairs with the Acquire in `Collector::poll`: whoever sees it closed sees all that was recorded.
            self.session.mapping.entry(entry).state.store(state::CLOSED, Ordering::Release);
        }
    }
}

/// One event of several slots, given out slot by slot.
struct Group<'a> {
    slots: usize,
    before_enter: usize,
    head: [[u64; 2]; 3],
    heads: usize,
    given: usize,
    args: &'a [(KeyId, ArgInput<'a>)],
    late: bool,
    arg: usize,
    part: usize,
}

impl<'a> Group<'a> {
    fn new(head: [[u64; 2]; 3], heads: usize, args: &'a [(KeyId, ArgInput<'a>)], late: bool) -> Self {
        // What does not fit into one event is left out, argument by argument.
        let mut slots = heads;
        let fit = args.iter().take_while(|(_, value)| {
            slots += arg_slots(value);
            slots < MAX_EVENT_SLOTS
        });
        let args = &args[..fit.count()];
        let slots = heads + args.iter().map(|(_, value)| arg_slots(value)).sum::<usize>();
        Self {
            slots,
            before_enter: heads.saturating_sub(1),
            head,
            heads,
            given: 0,
            args,
            late,
            arg: 0,
            part: 0,
        }
    }

    fn enter(
        time: u64,
        symbol: SymbolId,
        category: CategoryId,
        link: Option<Link>,
        args: &'a [(KeyId, ArgInput<'a>)],
        on: Option<[u64; 2]>,
    ) -> Self {
        let link = link.map(|link| [word(record::LINK, 0, link.kind as u64), link.source.raw()]);
        let (mut head, mut heads) = ([[0; 2]; 3], 0);
        for slot in [on, link, Some(enter_slot(time, symbol, category, 0))].into_iter().flatten() {
            head[heads] = slot;
            heads += 1;
        }
        let mut group = Self::new(head, heads, args, false);
        group.head[heads - 1] = enter_slot(time, symbol, category, group.slots - heads);
        group
    }

    fn instant(
        time: u64,
        symbol: SymbolId,
        category: CategoryId,
        scope: Scope,
        args: &'a [(KeyId, ArgInput<'a>)],
        on: Option<[u64; 2]>,
    ) -> Self {
        let heads = 1 + usize::from(on.is_some());
        let mut group = Self::new([on.unwrap_or_default(), [0; 2], [0; 2]], heads, args, false);
        let w1 = u64::from(symbol.0) | u64::from(category.0) << 32 | ((group.slots - heads) as u64) << 48;
        group.head[heads - 1] = [word(record::INSTANT, scope as u8, time), w1];
        group
    }

    fn late(args: &'a [(KeyId, ArgInput<'a>)], on: Option<[u64; 2]>, of: Option<[u64; 2]>) -> Self {
        let (mut head, mut heads) = ([[0; 2]; 3], 0);
        for slot in [on, of].into_iter().flatten() {
            head[heads] = slot;
            heads += 1;
        }
        Self::new(head, heads, args, true)
    }

    fn next_slot(&mut self) -> [u64; 2] {
        if self.given < self.heads {
            self.given += 1;
            return self.head[self.given - 1];
        }
        let (key, value) = self.args[self.arg];
        let part = self.part;
        if part + 1 < arg_slots(&value) {
            self.part += 1;
        } else {
            (self.arg, self.part) = (self.arg + 1, 0);
        }
        let (kind, bits) = match value {
            ArgInput::Int(value) => (record::arg::INT, value as u64),
            ArgInput::Uint(value) => (record::arg::UINT, value),
            ArgInput::Float(value) => (record::arg::FLOAT, value.to_bits()),
            ArgInput::Bool(value) => (record::arg::BOOL, u64::from(value)),
            ArgInput::Pointer(value) => (record::arg::POINTER, value),
            ArgInput::Text(text) => {
                let text = cut(text);
                if part > 0 {
                    return record::text_slot(text.as_bytes(), part - 1);
                }
                (record::arg::TEXT, text.len() as u64)
            }
        };
        [word(record::ARG, u8::from(self.late), u64::from(kind) | u64::from(key.0) << 8), bits]
    }
}

fn arg_slots(value: &ArgInput<'_>) -> usize {
    match value {
        ArgInput::Text(text) => 1 + cut(text).len().div_ceil(TEXT_PER_SLOT),
        _ => 1,
    }
}

fn cut(text: &str) -> &str {
    if text.len() <= MAX_TEXT { text } else { &text[..text.floor_char_boundary(MAX_TEXT)] }
}
