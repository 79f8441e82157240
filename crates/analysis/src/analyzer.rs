//! The analyzer: takes samples, keeps the stacks, and hands what ends to those who count it.

mod stack;
mod tick;

use std::collections::{HashMap, HashSet};

use tickscope_core::{
    Accounts, Arg, ArgValue, Batch, Begin, CategoryId, CounterValue, Depth, Dictionary, End, Event, Flow,
    Metadata, Outcome, RingId, Sample, Sink, SinkError, SwitchReason, TrackId, TrackKind,
};

use crate::Options;
use crate::anomalies::Anomalies;
use crate::links::Links;
use crate::operations::{Moment, Operation, Pending, SlowOperations};
use crate::report::{Machine, Overflow};
use crate::stacks::{Frame, Threads, Track, Tracks, Wait, gain};
use crate::symbols::{Place, Slot, SymbolTable};
use crate::throughput::Quantity;
use crate::ticks::Ticks;
use crate::tree::{NONE, OpenNode};

/// How deep tracks can run on top of each other.
const MAX_CHAIN: usize = 1_024;

/// How many frames of a sampled stack are looked at, from the innermost.
const MAX_STACK: usize = 1_024;

/// How many counters of heaps are kept apart.
const MAX_HEAPS: usize = 1_024;

/// Whether a counter is the size of a machine's heap; of the second and later machine of a resource it has a number.
fn is_heap(counter: &str) -> bool {
    let rest = counter.strip_prefix("lua.heap_bytes");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// What an argument's name means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyRole {
    Other,
    Tick,
    RunDelay,
    Involuntary,
    Waited,
    Player,
    Work(Quantity),
}

/// Turns samples into a [`Report`](crate::Report), in one pass and bounded memory.
///
/// A [`Sink`]; feed it from a collector or a capture reader. [`Analyzer::report`] can be asked at any time.
///
/// ```
/// use tickscope_analysis::{Analyzer, Options};
/// use tickscope_core::{Sink, conformance};
///
/// let recording = conformance::example();
/// let mut analyzer = Analyzer::new(Options::default());
/// analyzer.open(&recording.metadata)?;
/// analyzer.batch(&recording.as_batch())?;
/// let report = analyzer.into_report();
/// assert_eq!((report.ticks.count, report.ticks.late), (1, 1));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Analyzer {
    pub(crate) options: Options,
    pub(crate) budget_ns: u64,
    pub(crate) depth: Depth,
    pub(crate) table: SymbolTable,
    pub(crate) threads: Threads,
    pub(crate) tracks: Tracks,
    links: Links,
    keys: Vec<KeyRole>,
    pub(crate) ticks: Ticks,
    pub(crate) slow: SlowOperations,
    pub(crate) machine: Machine,
    pub(crate) anomalies: Anomalies,
    pub(crate) accounts: Accounts,
    pub(crate) account_rings: HashSet<RingId>,
    pub(crate) gaps: u64,
    pub(crate) gap_events: u64,
    pub(crate) samples: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) truncated: bool,
    pub(crate) irregular: u64,
    pub(crate) overflow: Overflow,
    open_spans: usize,
    trees: usize,
    stacks: u64,
    frames: Vec<Place>,
    /// The last value of each counter of heaps, by its symbol's slot.
    heaps: HashMap<u32, u64>,
    spans: Vec<OpenNode>,
}

impl Analyzer {
    /// An analyzer that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            budget_ns: 0,
            depth: Depth::default(),
            table: SymbolTable::new(options.symbols, options.resources),
            threads: Threads::new(options.threads),
            tracks: Tracks::new(options.tracks),
            links: Links::default(),
            keys: Vec::new(),
            ticks: Ticks::default(),
            slow: SlowOperations::default(),
            machine: Machine::default(),
            anomalies: Anomalies::default(),
            accounts: Accounts::default(),
            account_rings: HashSet::new(),
            gaps: 0,
            gap_events: 0,
            samples: 0,
            first_ns: u64::MAX,
            last_ns: 0,
            truncated: false,
            irregular: 0,
            overflow: Overflow::default(),
            open_spans: 0,
            trees: 0,
            stacks: 0,
            frames: Vec::new(),
            heaps: HashMap::new(),
            spans: Vec::new(),
            options,
        }
    }

    fn take(&mut self, sample: &Sample, batch: &Batch<'_>) {
        self.samples += 1;
        self.first_ns = self.first_ns.min(sample.time_ns);
        self.last_ns = self.last_ns.max(sample.time_ns);
        match &sample.event {
            Event::Begin(begin) => self.begin(sample, begin, batch),
            Event::End(end) => self.end(sample, end, batch),
            Event::Resume { host } => self.resume(sample, *host, batch.dictionary),
            Event::Suspend { reason, .. } => self.suspend(sample, *reason),
            Event::Stack { stack, weight } => {
                if weight.time_ns > 0 || weight.bytes > 0 {
                    self.frames.clear();
                    for node in batch.dictionary.frames(*stack) {
                        if self.frames.len() == MAX_STACK {
                            self.overflow.paths += 1;
                            break;
                        }
                        let place = self.table.place(node.symbol, batch.dictionary);
                        self.frames.push(place);
                    }
                    self.stack(sample, weight.time_ns, weight.bytes);
                }
            }
            Event::LinkPoint { id, .. } => {
                let around = self.around(sample);
                self.links.insert(*id, around);
            }
            Event::Instant { symbol, category: CategoryId::ERROR, .. } => {
                let place = self.table.place(*symbol, batch.dictionary);
                let resource = self.resource(place, sample.track, batch.dictionary);
                self.table.res(resource).counted(CategoryId::ERROR);
            }
            Event::Instant { symbol, category: CategoryId::ANOMALY, args, .. } => {
                let tick = self.thread(sample.ring).map_or(0, |thread| self.tick_number(thread));
                let (symbol, args) = (batch.dictionary.symbol(*symbol), batch.args(*args));
                self.anomalies.take(tick, sample.time_ns, symbol, args, batch);
            }
            Event::Instant { .. } => {}
            Event::Counter { symbol, value } => {
                let place = self.table.place(*symbol, batch.dictionary);
                if is_heap(&self.table.symbol(place.slot).name)
                    && (self.heaps.len() < MAX_HEAPS || self.heaps.contains_key(&place.slot))
                {
                    let bytes = match value {
                        CounterValue::Int(value) => u64::try_from(*value).unwrap_or(0),
                        CounterValue::Float(value) => *value as u64,
                    };
                    let resource = self.resource(place, sample.track, batch.dictionary);
                    let before = self.heaps.insert(place.slot, bytes);
                    self.table.res(resource).heap.get_or_insert_default().changes(before, bytes);
                }
            }
            Event::Gap { events } => {
                self.gaps += 1;
                gain(&mut self.gap_events, *events);
                if let Some(thread) = self.thread(sample.ring)
                    && let Some(tick) = &mut self.threads.slab[thread].tick
                {
                    gain(&mut tick.lost, *events);
                }
            }
            Event::Account(account) => {
                self.accounts.update(sample.ring, *account);
                self.account_rings.insert(RingId(sample.ring.0.min(1 << 20)));
            }
        }
    }

    /// The resource something belongs to: its symbol's, or else its track's.
    fn resource(&mut self, place: Place, track: TrackId, dictionary: &Dictionary) -> u32 {
        if place.resource != 0 {
            place.resource
        } else {
            self.table.resource(&dictionary.track(track).resource)
        }
    }

    fn thread(&mut self, ring: RingId) -> Option<usize> {
        let thread = self.threads.get(ring, &mut self.tracks);
        self.overflow.thread_samples += u64::from(thread.is_none());
        thread
    }

    fn track(&mut self, id: TrackId) -> Option<usize> {
        if let Some(index) = self.tracks.get(id) {
            return Some(index);
        }
        for track in self.tracks.evict() {
            self.overflow.tracks += 1;
            self.open_spans -= track.frames.len();
            if let Some(operation) = &track.operation {
                let at = Moment { now: self.last_ns, ran: track.ran(self.last_ns), tick: 0 };
                let pending = pending(&track, &self.threads, self.last_ns, self.budget_ns);
                let (threshold, limit) = (self.options.slow_operation_ns, self.options.operations);
                self.slow.take(operation, at, pending, true, threshold, limit);
            }
        }
        self.tracks.get(id)
    }

    /// Lets the time since the thread's last event pass: it is the innermost open span's. Returns the time now.
    #[inline]
    pub(crate) fn advance(&mut self, thread: usize, time_ns: u64) -> u64 {
        let thread = &mut self.threads.slab[thread];
        let Some(elapsed) = time_ns.checked_sub(thread.last_ns) else {
            self.irregular += 1;
            return thread.last_ns;
        };
        thread.last_ns = time_ns;
        if elapsed > 0
            && let Some((track, frame)) = thread.top(&self.tracks)
        {
            let frame = &mut self.tracks.slab[track].frames[frame];
            gain(&mut frame.self_ns, elapsed);
            if frame.node != NONE
                && let Some(tree) = &mut thread.tree
            {
                gain(&mut tree.nodes[frame.node as usize].self_ns, elapsed);
            }
        }
        time_ns
    }

    /// The track a span begins on, and whether it runs: it is the thread's innermost.
    #[inline]
    fn running(&mut self, thread: usize, id: TrackId, dictionary: &Dictionary) -> Option<(usize, bool)> {
        match self.threads.slab[thread].chain.last() {
            Some(&last) if self.tracks.slab[last].id == id => return Some((last, true)),
            None if dictionary.track(id).kind == TrackKind::Thread => {
                return self.attach(thread, id).map(|track| (track, true));
            }
            _ => {}
        }
        self.track(id).map(|track| (track, false))
    }

    /// Makes `id` the thread's own track.
    fn attach(&mut self, thread: usize, id: TrackId) -> Option<usize> {
        let track = self.track(id).filter(|track| !self.tracks.slab[*track].running())?;
        let now = self.threads.slab[thread].last_ns;
        self.threads.slab[thread].chain.push(track);
        self.wake(thread, track, now);
        Some(track)
    }

    fn tick_number(&self, thread: usize) -> u64 {
        self.threads.slab[thread].tick.map_or(0, |tick| tick.number)
    }

    fn begin(&mut self, sample: &Sample, begin: &Begin, batch: &Batch<'_>) {
        let Some(thread) = self.thread(sample.ring) else { return };
        let place = self.table.place(begin.symbol, batch.dictionary);
        if matches!(begin.category, CategoryId::AWAIT | CategoryId::SLEEP) {
            return self.wait_begins(sample, begin, place, thread);
        }
        let resource = self.table.res(place.resource);
        resource.exact = true;
        resource.counted(begin.category);
        let Some((track, running)) = self.running(thread, sample.track, batch.dictionary) else { return };
        if self.open_spans >= self.options.open_spans {
            self.tracks.slab[track].skipped += 1;
            self.overflow.spans += 1;
            return;
        }
        self.open_spans += 1;
        let now = if running { self.advance(thread, sample.time_ns) } else { sample.time_ns };
        let link = begin.link.map_or(0, |link| self.links.find(link.source));
        let works = !begin.args.is_empty() && self.declared(place.slot, batch.args(begin.args));
        let player = match begin.args.is_empty() {
            true => None,
            false => argument(&self.keys, batch.args(begin.args), KeyRole::Player),
        };
        let mut node = NONE;
        if running {
            let tick = begin.category == CategoryId::TICK && self.threads.slab[thread].tick.is_none();
            if tick {
                self.tick_begins(thread, begin, place, now, batch);
                self.threads.slab[thread].activate(place.slot, now);
                node = self.threads.slab[thread].root;
            } else {
                let parent = self.threads.slab[thread].top(&self.tracks);
                let parent = parent.map_or(NONE, |(track, frame)| self.tracks.slab[track].frames[frame].node);
                node = self.enter(thread, parent, place, begin.category, 1, now);
            }
            if (link != 0 || player.is_some())
                && node != NONE
                && let Some(tree) = &mut self.threads.slab[thread].tree
            {
                let node = &mut tree.nodes[node as usize];
                if link != 0 {
                    node.link = link;
                }
                node.players.add(player);
            }
        }
        let track = &mut self.tracks.slab[track];
        track.frames.push(Frame {
            span: begin.span,
            slot: place.slot,
            resource: place.resource,
            category: begin.category,
            detached: !running,
            works,
            node,
            link,
            begin_ns: now,
            begin_ran: track.ran(now),
            self_ns: 0,
            assigned_ns: 0,
            child_bytes: 0,
        });
    }

    /// Puts a symbol on the thread's stack, and into the tick's tree below `parent`. Recursion folds into one node.
    #[inline]
    fn enter(
        &mut self,
        thread: usize,
        parent: u32,
        place: Place,
        category: CategoryId,
        calls: u64,
        now: u64,
    ) -> u32 {
        let thread = &mut self.threads.slab[thread];
        let root = thread.root;
        let active = thread.activate(place.slot, now);
        if root == NONE {
            return NONE;
        }
        let (known, recursive) = (active.node, active.count > 1);
        let Some(tree) = &mut thread.tree else { return NONE };
        if recursive && known != NONE && tree.nodes[known as usize].category == category {
            tree.enter_node(known, calls, now);
            return known;
        }
        let parent = if parent == NONE { root } else { parent };
        let node = tree.enter(parent, place, category, calls, now);
        thread.active[place.slot as usize].node = node;
        node
    }

    /// The track's open spans are on the thread's stack again.
    fn wake(&mut self, thread: usize, track: usize, now: u64) {
        self.tracks.slab[track].resume(thread, now);
        let below = self.threads.slab[thread].chain.len() - 1;
        let mut parent = self.threads.slab[thread].chain[..below]
            .iter()
            .rev()
            .find_map(|track| self.tracks.slab[*track].frames.iter().rfind(|frame| !frame.detached))
            .map_or(NONE, |frame| frame.node);
        for index in 0..self.tracks.slab[track].frames.len() {
            let frame = &self.tracks.slab[track].frames[index];
            if frame.detached {
                continue;
            }
            let node = self.enter(thread, parent, frame.place(), frame.category, 0, now);
            if node != NONE
                && let Some(tree) = &mut self.threads.slab[thread].tree
            {
                // A call that went on counts as one in this tick.
                let calls = &mut tree.nodes[node as usize].calls;
                *calls = (*calls).max(1);
            }
            self.tracks.slab[track].frames[index].node = node;
            parent = node;
        }
    }

    /// The thread's innermost track stops: its open spans leave the thread's stack.
    fn rest(&mut self, thread: usize, now: u64) {
        let thread = &mut self.threads.slab[thread];
        let Some(track) = thread.chain.pop() else { return };
        let track = &mut self.tracks.slab[track];
        for frame in track.frames.iter_mut().rev().filter(|frame| !frame.detached) {
            gain(&mut self.table.stat(frame.slot).total_ns, thread.deactivate(frame.slot, now));
            let node = std::mem::replace(&mut frame.node, NONE);
            if node != NONE
                && let Some(tree) = &mut thread.tree
            {
                tree.exit(node, now);
            }
        }
        track.suspend(now);
    }

    fn resume(&mut self, sample: &Sample, host: TrackId, dictionary: &Dictionary) {
        let Some(thread) = self.thread(sample.ring) else { return };
        let now = self.advance(thread, sample.time_ns);
        let top = self.threads.slab[thread].chain.last().map(|top| self.tracks.slab[*top].id);
        if top.is_none() && host != sample.track {
            self.attach(thread, host);
        } else if top != Some(host) {
            self.irregular += 1;
        }
        let Some(track) = self.track(sample.track) else { return };
        if self.tracks.slab[track].running() || self.threads.slab[thread].chain.len() >= MAX_CHAIN {
            self.irregular += 1;
            return;
        }
        let boundary = self.threads.slab[thread].top(&self.tracks).map(|(track, frame)| {
            let frame = &self.tracks.slab[track].frames[frame];
            (frame.place(), frame.category, frame.link)
        });
        let at = Moment { now, ran: self.tracks.slab[track].ran(now), tick: self.tick_number(thread) };
        let state = &mut self.tracks.slab[track];
        state.over = false;
        if let Some((place, category, link)) = boundary.filter(|boundary| starts_operations(boundary.1))
            && state.operation.is_none()
            && dictionary.track(sample.track).kind != TrackKind::Thread
        {
            state.operation = Some(Operation::new(place, category, link, at));
        }
        self.threads.slab[thread].chain.push(track);
        self.wake(thread, track, now);
    }

    fn suspend(&mut self, sample: &Sample, reason: SwitchReason) {
        let Some(thread) = self.thread(sample.ring) else { return };
        let now = self.advance(thread, sample.time_ns);
        let chain = &self.threads.slab[thread].chain;
        let Some(depth) = chain.iter().rposition(|track| self.tracks.slab[*track].id == sample.track) else {
            self.irregular += 1;
            return;
        };
        let track = chain[depth];
        self.irregular += (chain.len() - 1 - depth) as u64;
        while self.threads.slab[thread].chain.len() > depth {
            self.rest(thread, now);
        }
        if reason != SwitchReason::Yield {
            self.tracks.slab[track].over = true;
            if let Some(operation) = self.tracks.slab[track].operation.take() {
                let at =
                    Moment { now, ran: self.tracks.slab[track].ran(now), tick: self.tick_number(thread) };
                let (threshold, limit) = (self.options.slow_operation_ns, self.options.operations);
                self.slow.take(&operation, at, None, false, threshold, limit);
            }
            self.tracks.settle(track);
        }
    }

    fn wait_begins(&mut self, sample: &Sample, begin: &Begin, place: Place, thread: usize) {
        let Some(track) = self.track(sample.track) else { return };
        let tick = self.tick_number(thread);
        let overrun_ns = self.threads.slab[thread].overrun(sample.time_ns, self.budget_ns);
        let (threshold, limit) = (self.options.slow_operation_ns, self.options.operations);
        let track = &mut self.tracks.slab[track];
        if track.waits.len() >= MAX_CHAIN {
            track.skipped += 1;
            self.overflow.spans += 1;
            return;
        }
        let now = sample.time_ns;
        let sleep = begin.category == CategoryId::SLEEP;
        track.waits.push(Wait {
            span: begin.span,
            slot: place.slot,
            sleep,
            begin_ns: now,
            thread,
            overrun_ns,
        });
        let at = Moment { now, ran: track.ran(now), tick };
        if sleep && let Some(operation) = &mut track.operation {
            self.slow.take(operation, at, None, false, threshold, limit);
            operation.restart(at);
        }
    }

    /// `waited_ns` is how long it waited where the server's clock is another than the recording's.
    fn wait_ends(&mut self, sample: &Sample, track: usize, index: usize, waited_ns: Option<u64>) {
        let tick =
            self.threads.get(sample.ring, &mut self.tracks).map_or(0, |thread| self.tick_number(thread));
        let track_state = &mut self.tracks.slab[track];
        let wait = track_state.waits.remove(index);
        let waited = waited_ns.unwrap_or_else(|| wait.waited(sample.time_ns, &self.threads, self.budget_ns));
        let at = Moment { now: sample.time_ns, ran: track_state.ran(sample.time_ns), tick };
        match &mut track_state.operation {
            Some(operation) if wait.sleep => operation.restart(at),
            Some(operation) => operation.awaited(wait.slot, wait.begin_ns, waited),
            None => {}
        }
        if !wait.sleep {
            let stat = self.table.stat(wait.slot);
            stat.awaits += 1;
            stat.awaited_ns = stat.awaited_ns.saturating_add(waited);
        }
        self.tracks.settle(track);
    }

    fn end(&mut self, sample: &Sample, end: &End, batch: &Batch<'_>) {
        self.truncated |= end.outcome == Outcome::Truncated;
        let Some(thread) = self.thread(sample.ring) else { return };
        let track = match self.threads.slab[thread].chain.last() {
            Some(&last) if self.tracks.slab[last].id == sample.track => last,
            _ => match self.tracks.find(sample.track) {
                Some(track) => track,
                None => {
                    self.irregular += 1;
                    return;
                }
            },
        };
        // A span may be ended from elsewhere: what was open when the recording ended is.
        let thread = self.tracks.slab[track].thread.unwrap_or(thread);
        let state = &self.tracks.slab[track];
        if state.frames.last().is_none_or(|frame| frame.span != end.span) {
            if let Some(wait) = state.waits.iter().rposition(|wait| wait.span == end.span) {
                let waited_ns = argument(&self.keys, batch.args(end.args), KeyRole::Waited);
                return self.wait_ends(sample, track, wait, waited_ns);
            }
            match state.frames.iter().rposition(|frame| frame.span == end.span) {
                Some(depth) => {
                    let now = self.advance(thread, sample.time_ns);
                    while self.tracks.slab[track].frames.len() > depth + 1 {
                        self.irregular += 1;
                        self.pop(thread, track, now, Outcome::Unwound, 0);
                    }
                }
                None => {
                    let state = &mut self.tracks.slab[track];
                    match state.skipped.checked_sub(1) {
                        Some(skipped) => state.skipped = skipped,
                        None => self.irregular += 1,
                    }
                    return self.tracks.settle(track);
                }
            }
        }
        let now = if state_runs(&self.tracks, track) {
            self.advance(thread, sample.time_ns)
        } else {
            sample.time_ns
        };
        if !end.args.is_empty()
            && let Some(frame) = self.tracks.slab[track].frames.last()
        {
            let works = self.declared(frame.slot, batch.args(end.args));
            if let Some(frame) = self.tracks.slab[track].frames.last_mut() {
                frame.works |= works;
            }
        }
        let tick = self.threads.slab[thread].tick.filter(|tick| tick.span == end.span);
        self.pop(thread, track, now, end.outcome, end.bytes);
        if let Some(tick) = tick {
            self.tick_ends(thread, tick, now, batch.args(end.args), end.outcome == Outcome::Truncated);
        }
        self.tracks.settle(track);
    }

    /// Takes the innermost span off the track and counts it.
    fn pop(&mut self, thread: usize, track: usize, now: u64, outcome: Outcome, bytes: u32) {
        let state = &mut self.tracks.slab[track];
        let Some(frame) = state.frames.pop() else { return };
        self.open_spans -= 1;
        let running = state.running();
        let duration;
        let stat = &mut self.table.stats[frame.slot as usize];
        if frame.detached {
            duration = now.saturating_sub(frame.begin_ns);
            gain(&mut stat.self_ns, duration.saturating_sub(frame.self_ns));
            if !state.frames.iter().any(|outer| outer.slot == frame.slot) {
                gain(&mut stat.total_ns, duration);
            }
            if let Some(outer) = state.frames.last_mut().filter(|outer| outer.detached) {
                gain(&mut outer.self_ns, duration);
            }
        } else {
            duration = state.ran(now).saturating_sub(frame.begin_ran);
            gain(&mut stat.self_ns, frame.self_ns);
            gain(&mut stat.unassigned_ns, frame.self_ns - frame.assigned_ns);
            let resource = &mut self.table.resources[frame.resource as usize];
            gain(&mut resource.cpu_ns, frame.self_ns);
            if frame.category == CategoryId::GC {
                let inferred = stat.symbol.name.contains("(inferred)");
                let gc = if inferred { &mut resource.gc_inferred_ns } else { &mut resource.gc_measured_ns };
                gain(gc, frame.self_ns);
            }
            if running {
                let thread = &mut self.threads.slab[thread];
                gain(&mut stat.total_ns, thread.deactivate(frame.slot, now));
                if frame.node != NONE
                    && let Some(tree) = &mut thread.tree
                {
                    tree.exit(frame.node, now);
                    let leaf = matches!(frame.category, CategoryId::NATIVE | CategoryId::GC);
                    if leaf && self.depth == Depth::Sample {
                        tree.await_caller(frame.node);
                    }
                }
            }
        }
        stat.ended(duration, frame.category);
        stat.errors += u64::from(outcome == Outcome::Error);
        if frame.works {
            stat.work.get_or_insert_default().ended(duration);
        }
        let bytes = match bytes {
            // It stands for more: as many at least as those inside of it told.
            u32::MAX => u64::from(bytes).max(frame.child_bytes),
            bytes => bytes.into(),
        };
        if bytes > 0 || frame.child_bytes > 0 {
            let own = bytes as i64 - frame.child_bytes as i64;
            stat.self_bytes = stat.self_bytes.saturating_add(own);
            let resource = &mut self.table.resources[frame.resource as usize];
            resource.bytes = resource.bytes.saturating_add(own);
            self.charge_caller(thread, track, running && !frame.detached, bytes);
        }
    }

    /// Bytes a span allocated are not its caller's own.
    fn charge_caller(&mut self, thread: usize, track: usize, running: bool, bytes: u64) {
        let caller = if running {
            self.threads.slab[thread].top(&self.tracks)
        } else {
            self.tracks.slab[track].frames.len().checked_sub(1).map(|frame| (track, frame))
        };
        match caller {
            Some((track, frame)) => gain(&mut self.tracks.slab[track].frames[frame].child_bytes, bytes),
            // Its slices ended before it did, with its bytes in theirs.
            None => {
                if let Some(boundary) = self.tracks.slab[track].operation.as_ref().map(|op| op.boundary) {
                    let stat = self.table.stat(boundary.slot);
                    stat.self_bytes = stat.self_bytes.saturating_sub(bytes as i64);
                    let resource = self.table.res(boundary.resource);
                    resource.bytes = resource.bytes.saturating_sub(bytes as i64);
                }
            }
        }
    }

    /// The script work around a link's source: the innermost open span that is no native.
    fn around(&mut self, sample: &Sample) -> Slot {
        let Some(thread) = self.thread(sample.ring) else { return 0 };
        let innermost = |track: usize| {
            let frames = &self.tracks.slab[track].frames;
            frames.iter().rfind(|frame| frame.category != CategoryId::NATIVE).map(|frame| frame.slot)
        };
        let chain = &self.threads.slab[thread].chain;
        match chain.iter().rposition(|track| self.tracks.slab[*track].id == sample.track) {
            Some(depth) => chain[..=depth].iter().rev().find_map(|track| innermost(*track)),
            None => self.tracks.find(sample.track).and_then(innermost),
        }
        .unwrap_or(0)
    }

    /// Adds the work that arguments declare to a symbol; whether there was any.
    #[cold]
    fn declared(&mut self, slot: Slot, args: &[Arg]) -> bool {
        let mut any = false;
        for arg in args {
            if let Some(KeyRole::Work(quantity)) = self.keys.get(arg.key.index())
                && let Some(amount) = amount(arg.value)
            {
                self.table.stat(slot).work.get_or_insert_default().add(*quantity, amount);
                any = true;
            }
        }
        any
    }
}

impl Sink for Analyzer {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.budget_ns = metadata.budget_ns;
        self.depth = metadata.depth;
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.table.learn_kinds(batch.dictionary);
        let known = self.keys.len();
        self.keys.extend(batch.dictionary.keys().iter().skip(known).map(|key| match &**key {
            "tick" => KeyRole::Tick,
            "run_delay_ns" => KeyRole::RunDelay,
            "involuntary" => KeyRole::Involuntary,
            "waited_ns" => KeyRole::Waited,
            "player" => KeyRole::Player,
            name => Quantity::named(name).map_or(KeyRole::Other, KeyRole::Work),
        }));
        for sample in batch.samples {
            self.take(sample, batch);
        }
        Ok(Flow::Continue)
    }
}

/// The answer a suspended track waits for: who, and for how long.
pub(crate) fn pending(track: &Track, threads: &Threads, now: u64, budget_ns: u64) -> Pending {
    let wait = track.waits.last().filter(|wait| !wait.sleep)?;
    Some((wait.slot, wait.waited(now, threads, budget_ns)))
}

fn state_runs(tracks: &Tracks, track: usize) -> bool {
    let state = &tracks.slab[track];
    state.running() && state.frames.last().is_some_and(|frame| !frame.detached)
}

/// The value of the first argument with that role.
fn argument(keys: &[KeyRole], args: &[Arg], role: KeyRole) -> Option<u64> {
    args.iter().find(|arg| keys.get(arg.key.index()) == Some(&role)).and_then(|arg| amount(arg.value))
}

/// A number that counts something.
fn amount(value: ArgValue) -> Option<u64> {
    match value {
        ArgValue::Uint(value) => Some(value),
        ArgValue::Int(value) => u64::try_from(value).ok(),
        ArgValue::Float(value) if value >= 0.0 => Some(value as u64),
        _ => None,
    }
}

/// Boundaries a coroutine is the work of.
fn starts_operations(category: CategoryId) -> bool {
    matches!(
        category,
        CategoryId::RESOURCE
            | CategoryId::THREAD
            | CategoryId::EVENT
            | CategoryId::STATE_BAG
            | CategoryId::HTTP
            | CategoryId::EXPORT
            | CategoryId::TIMER
            | CategoryId::COMMAND
            | CategoryId::TASK
            | CategoryId::COROUTINE
    )
}
