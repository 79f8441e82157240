//! Call paths: where on-CPU time went, as a tree. Folded stacks, flame graphs and Speedscope come from it.
//!
//! # What counts
//! Time counts while it passes on a **lane**: a thread with whatever coroutines it resumed on top of each other, or a
//! track that nobody resumes (an asynchronous operation, a track the program made). The path is the open spans of the
//! thread, then those of each coroutine above it. A suspended coroutine passes no time. Lanes of one name share one
//! tree.
//!
//! # Sampled stacks
//! A stack sample says how the time since the sample before was spent, down to functions. That time was already seen
//! passing in the boundary spans of the coroutines, so it is moved, not added: up to the sample's weight is taken
//! from what passed last and given to the path of the thread's own spans followed by the sample's frames. What no
//! sample covers stays with the boundary spans. Where no span is open at all, the weight itself counts. So the sum
//! of all self times is the lanes' busy time, with samples or without.
//!
//! # Memory
//! A span tells the bytes allocated while it or what it called ran; a path's own are those of its spans without those of the
//! spans within. What a coroutine allocated before it was suspended is told by the slice it ran in, and not again at its
//! spans' end. A stack sample's bytes are moved to its path like its time, but spans tell theirs when they end: where samples
//! claimed more than their spans had, they all get proportionally less. So the bytes of all paths together are those that
//! spans told (4 GiB is the most that one can tell), and which function had them is an estimate.
//!
//! # Limits
//! A tree holds at most [`MAX_NODES`] paths of at most [`MAX_DEPTH`] frames; time beyond goes to the nearest frame
//! that fits, or where a lane has none to a frame of the lane `(other)`, and [`Paths::clipped`] says how many times that was so.

use std::collections::HashMap;

use tickscope_core::{
    Batch, Begin, CategoryId, Dictionary, End, Event, Flow, Metadata, Runtime, Sample, Sink, SinkError,
    SpanId, StackId, Symbol, SymbolId, TrackId, TrackKind, Weight,
};

/// Most paths of a tree.
pub const MAX_NODES: usize = 1 << 20;
/// Most frames of a path.
pub const MAX_DEPTH: u32 = 512;
/// Most intervals kept for a stack sample to claim.
const MAX_PENDING: usize = 4096;

/// A call path: a symbol under a parent path.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Index of the path without its last frame; 0 for a lane's root, and for the root of all itself.
    pub parent: u32,
    /// What was called; for a lane's root, nothing.
    pub symbol: SymbolId,
    /// Its kind, as its span said; for a frame only samples tell of, function or native.
    pub category: CategoryId,
    /// Nanoseconds spent in the last frame itself.
    pub self_ns: u64,
    /// Bytes of the path's spans without those of the spans within.
    span_bytes: i64,
    /// Of these, those that stack samples said were other paths'.
    claimed_bytes: i64,
    /// Bytes of the stack samples that ended here.
    sampled_bytes: i64,
    /// Calls seen; 0 where only samples tell of the path.
    pub calls: u64,
    /// Stack samples that ended here.
    pub samples: u64,
    depth: u32,
}

impl Node {
    fn new(parent: u32, symbol: SymbolId, category: CategoryId, depth: u32) -> Self {
        let (self_ns, calls, samples) = (0, 0, 0);
        let (span_bytes, claimed_bytes, sampled_bytes) = (0, 0, 0);
        Self {
            parent,
            symbol,
            category,
            self_ns,
            span_bytes,
            claimed_bytes,
            sampled_bytes,
            calls,
            samples,
            depth,
        }
    }

    /// Weights in captures are of any size.
    fn pass(&mut self, passed_ns: u64) {
        self.self_ns = self.self_ns.saturating_add(passed_ns);
    }
}

/// Told when a frame opens or closes on a lane, in the order of time; opens and closes balance.
pub(crate) trait Timeline {
    fn open(&mut self, lane: usize, symbol: SymbolId, time_ns: u64);
    fn close(&mut self, lane: usize, symbol: SymbolId, time_ns: u64);
}

impl Timeline for () {
    fn open(&mut self, _: usize, _: SymbolId, _: u64) {}
    fn close(&mut self, _: usize, _: SymbolId, _: u64) {}
}

/// Adds up call paths; a [`Sink`].
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut paths = tickscope_export::paths::Paths::default();
/// paths.batch(&conformance::example().as_batch())?;
/// assert_eq!(paths.total_ns(), 4_000 + 10 + 960); // a tick, a coroutine after it, a download
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Paths {
    nodes: Vec<Node>,
    children: HashMap<(u32, u32), u32>,
    symbols: Vec<Symbol>,
    lanes: Vec<Lane>,
    /// Names of lanes and their roots, in the order of their first use.
    roots: Vec<(String, u32)>,
    root_of: HashMap<String, u32>,
    other: Option<(u32, u32)>,
    tracks: Vec<Track>,
    clipped: u64,
    scratch: Vec<SymbolId>,
}

#[derive(Debug)]
struct Lane {
    root: u32,
    /// The lane's own track and what runs on top of it, each with the node its frames hang under.
    running: Vec<(u32, u32)>,
    current: u32,
    last_ns: u64,
    /// Time that passed and that a stack sample may still claim.
    pending: Vec<(u32, u64)>,
}

#[derive(Debug, Default)]
struct Track {
    frames: Vec<Frame>,
    /// It was resumed at least once: it passes time only while it runs.
    resumed: bool,
    lane: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    span: SpanId,
    symbol: SymbolId,
    category: CategoryId,
    node: u32,
    /// The timeline was told that it opened.
    shown: bool,
    /// Bytes of the spans inside of it, which are not its own.
    inner_bytes: i64,
    /// It was suspended: the slices it ran in tell what it allocated.
    suspended: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(0, SymbolId::OTHER, CategoryId::DEFAULT, 0)],
            children: HashMap::new(),
            symbols: Vec::new(),
            lanes: Vec::new(),
            roots: Vec::new(),
            root_of: HashMap::new(),
            other: None,
            tracks: Vec::new(),
            clipped: 0,
            scratch: Vec::new(),
        }
    }
}

impl Paths {
    /// Every path; a path stands behind its parent. 0 is the root of all, without a frame.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The symbol of a path's last frame, or `None` for the root of all and for those of lanes.
    pub fn symbol(&self, node: u32) -> Option<&Symbol> {
        let known = self.nodes.get(node as usize)?;
        if known.depth < 2 { None } else { self.symbols.get(known.symbol.index()).or(self.symbols.first()) }
    }

    /// The names of the lanes and the paths that are their roots.
    pub fn lanes(&self) -> impl Iterator<Item = (&str, u32)> {
        self.roots.iter().map(|(name, root)| (name.as_str(), *root))
    }

    /// Self times of all paths together, in nanoseconds.
    pub fn total_ns(&self) -> u64 {
        self.nodes.iter().fold(0, |sum: u64, node| sum.saturating_add(node.self_ns))
    }

    /// How often a path was too deep or one too many and its time went to the nearest that fits.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The resources that time was spent in, by name; the host itself is the empty one.
    pub fn resources(&self) -> Vec<&str> {
        let mut names: Vec<&str> = (0..self.nodes.len() as u32)
            .filter(|node| self.nodes[*node as usize].self_ns > 0)
            .filter_map(|node| self.symbol(node))
            .map(|symbol| &*symbol.resource)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Self time of each path, counting frames of `resource` only (`None`: all), and with it the time of each path
    /// and all below it. Frames of other resources keep their place above those that count.
    pub fn times(&self, resource: Option<&str>) -> (Vec<u64>, Vec<u64>) {
        let own: Vec<u64> = (0..self.nodes.len() as u32)
            .map(|node| {
                let counts = match resource {
                    None => true,
                    Some(wanted) => self.symbol(node).is_some_and(|symbol| &*symbol.resource == wanted),
                };
                if counts { self.nodes[node as usize].self_ns } else { 0 }
            })
            .collect();
        let mut total = own.clone();
        for node in (1..total.len()).rev() {
            let parent = self.nodes[node].parent as usize;
            total[parent] = total[parent].saturating_add(total[node]);
        }
        (own, total)
    }

    /// Bytes that the last frame of each path allocated itself.
    pub fn allocated(&self) -> Vec<u64> {
        let exact = |node: &Node| node.span_bytes.max(0);
        let left = |node: &Node| exact(node).saturating_sub(node.claimed_bytes).max(0).unsigned_abs();
        // What samples told, and where they claimed more than there was, how much.
        let told = |node: &Node| {
            node.sampled_bytes.saturating_sub(node.claimed_bytes.saturating_sub(exact(node)).max(0))
        };
        let mut own: Vec<i64> = self.nodes.iter().map(told).collect();
        let mut below = vec![0_i64; own.len()];
        for node in (1..own.len()).rev() {
            let parent = self.nodes[node].parent as usize;
            let total = own[node].saturating_add(below[node]);
            // What all below cannot give back, who stands above does.
            let to = if total < 0 { &mut own[parent] } else { &mut below[parent] };
            *to = to.saturating_add(total);
        }
        let positive = |value: i64| u128::from(u64::try_from(value).unwrap_or(0));
        // Of what a path and those below it have, what it may keep. The products have less than 128 bits.
        let mut kept = vec![0_u128; own.len()];
        let mut out = Vec::with_capacity(own.len());
        for node in 0..own.len() {
            let total = positive(own[node].saturating_add(below[node]));
            kept[node] = total;
            if node > 0 {
                let parent = self.nodes[node].parent as usize;
                let all = positive(own[parent]) + positive(below[parent]);
                kept[node] = (total * kept[parent]).checked_div(all).unwrap_or(0);
            }
            let all = positive(own[node]) + positive(below[node]);
            let share = (positive(own[node]) * kept[node]).checked_div(all).unwrap_or(0);
            out.push(u64::try_from(share).unwrap_or(u64::MAX).saturating_add(left(&self.nodes[node])));
        }
        out
    }

    /// The lane's root that each path stands under.
    pub(crate) fn roots(&self) -> Vec<u32> {
        let mut roots: Vec<u32> = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            roots.push(if node.depth < 2 { at as u32 } else { roots[node.parent as usize] });
        }
        roots
    }

    /// Samples are missing: nobody knows what runs. What ran so far has its time.
    pub fn forget(&mut self) {
        for lane in 0..self.lanes.len() {
            self.settle(lane);
            let state = &mut self.lanes[lane];
            state.running.truncate(1);
            state.current = state.root;
        }
        let own: Vec<u32> = self.lanes.iter().filter_map(|lane| Some(lane.running.first()?.0)).collect();
        for (number, track) in self.tracks.iter_mut().enumerate() {
            track.frames.clear();
            track.lane = track.lane.filter(|_| own.contains(&(number as u32)));
        }
    }

    pub(crate) fn lane_name(&self, lane: usize) -> &str {
        let root = self.lanes.get(lane).map_or(0, |lane| lane.root);
        self.roots.iter().find(|known| known.1 == root).map_or("", |known| &known.0)
    }

    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    pub(crate) fn take(&mut self, batch: &Batch<'_>, timeline: &mut impl Timeline) {
        let symbols = batch.dictionary.symbols();
        if let Some(new) = symbols.get(self.symbols.len()..) {
            self.symbols.extend_from_slice(new);
        }
        let tracks = batch.dictionary.tracks().len();
        if self.tracks.len() < tracks {
            self.tracks.resize_with(tracks, Track::default);
        }
        for sample in batch.samples {
            self.sample(batch.dictionary, sample, timeline);
        }
    }

    /// The recording is over: frames that are still open close.
    pub(crate) fn close(&mut self, timeline: &mut impl Timeline) {
        for lane in 0..self.lanes.len() {
            let now = self.lanes[lane].last_ns;
            while let Some((track, _)) = self.lanes[lane].running.pop() {
                let state = &mut self.tracks[track as usize];
                for frame in state.frames.drain(..).rev().filter(|frame| frame.shown) {
                    timeline.close(lane, frame.symbol, now);
                }
            }
            self.settle(lane);
        }
    }

    fn sample(&mut self, dictionary: &Dictionary, sample: &Sample, timeline: &mut impl Timeline) {
        let time_ns = sample.time_ns;
        let track = known_track(self, sample.track);
        match sample.event {
            Event::Begin(begin) => self.begin(dictionary, time_ns, track, &begin, timeline),
            Event::End(end) => self.end(time_ns, track, &end, timeline),
            Event::Resume { host } => {
                let host = known_track(self, host);
                self.resume(dictionary, time_ns, track, host, timeline);
            }
            Event::Suspend { .. } => self.suspend(time_ns, track, timeline),
            Event::Stack { stack, weight } => self.stack(dictionary, time_ns, track, stack, weight),
            _ => {}
        }
    }

    fn begin(
        &mut self,
        dictionary: &Dictionary,
        time_ns: u64,
        track: TrackId,
        begin: &Begin,
        timeline: &mut impl Timeline,
    ) {
        let symbol = if begin.symbol.index() < self.symbols.len() { begin.symbol } else { SymbolId::OTHER };
        let (span, category) = (begin.span, begin.category);
        let mut frame =
            Frame { span, symbol, category, node: 0, shown: false, inner_bytes: 0, suspended: false };
        if let Some(lane) = self.lane_of(dictionary, track) {
            let top = self.lanes[lane].running.last().is_some_and(|(top, _)| *top == track.0);
            if top {
                self.advance(lane, time_ns);
                let current = self.lanes[lane].current;
                let node = self.child(current, symbol, begin.category);
                self.nodes[node as usize].calls += u64::from(node != current);
                self.lanes[lane].current = node;
                (frame.node, frame.shown) = (node, true);
                timeline.open(lane, symbol, self.lanes[lane].last_ns);
            }
        }
        self.tracks[track.index()].frames.push(frame);
    }

    fn end(&mut self, time_ns: u64, track: TrackId, end: &End, timeline: &mut impl Timeline) {
        let frames = &self.tracks[track.index()].frames;
        let Some(at) = frames.iter().rposition(|frame| frame.span == end.span) else { return };
        let lane = self.tracks[track.index()].lane.map(|lane| lane as usize);
        let top = lane.filter(|lane| self.lanes[*lane].running.last().is_some_and(|top| top.0 == track.0));
        if let Some(lane) = top {
            self.advance(lane, time_ns);
        }
        let mut ended = None;
        while self.tracks[track.index()].frames.len() > at {
            let Some(frame) = self.tracks[track.index()].frames.pop() else { break };
            ended = Some(frame);
            if let Some(lane) = lane.filter(|_| frame.shown) {
                timeline.close(lane, frame.symbol, self.lanes[lane].last_ns);
            }
        }
        let Some(ended) = ended else { return };
        let told = match end.bytes {
            // It stands for more: as many at least as those inside of it told.
            u32::MAX => ended.inner_bytes.max(end.bytes.into()),
            bytes => bytes.into(),
        };
        let all = match ended.suspended {
            true => ended.inner_bytes,
            false => {
                if ended.node != 0 {
                    let bytes = &mut self.nodes[ended.node as usize].span_bytes;
                    *bytes = bytes.saturating_add(told.saturating_sub(ended.inner_bytes));
                }
                told
            }
        };
        if let Some(lane) = lane {
            self.charge(lane, all);
        }
        if let Some(lane) = top {
            self.lanes[lane].current = self.top_node(lane);
            if self.lanes[lane].current == self.lanes[lane].root {
                self.settle(lane);
            }
        }
    }

    /// Bytes that were counted are not again those of the span around.
    fn charge(&mut self, lane: usize, bytes: i64) {
        if let Some(frame) = self.innermost(lane) {
            frame.inner_bytes = frame.inner_bytes.saturating_add(bytes);
        }
    }

    /// The innermost open span on a lane.
    fn innermost(&mut self, lane: usize) -> Option<&mut Frame> {
        let running = self.lanes[lane].running.iter().rev();
        let busy = |track: &usize| !self.tracks[*track].frames.is_empty();
        let track = running.map(|running| running.0 as usize).find(busy)?;
        self.tracks[track].frames.last_mut()
    }

    fn resume(
        &mut self,
        dictionary: &Dictionary,
        time_ns: u64,
        track: TrackId,
        host: TrackId,
        timeline: &mut impl Timeline,
    ) {
        if track == host {
            return;
        }
        if self.tracks[track.index()].lane.is_some() {
            self.suspend(time_ns, track, timeline); // it was thought to run: its suspension was lost
        }
        self.tracks[track.index()].resumed = true;
        let Some(lane) = self.lane_of(dictionary, host) else { return };
        self.advance(lane, time_ns);
        let now = self.lanes[lane].last_ns;
        let mut node = self.lanes[lane].current;
        self.lanes[lane].running.push((track.0, node));
        self.tracks[track.index()].lane = Some(lane as u32);
        for at in 0..self.tracks[track.index()].frames.len() {
            let Frame { symbol, category, .. } = self.tracks[track.index()].frames[at];
            node = self.child(node, symbol, category);
            let frame = &mut self.tracks[track.index()].frames[at];
            (frame.node, frame.shown) = (node, true);
            timeline.open(lane, symbol, now);
        }
        self.lanes[lane].current = node;
    }

    fn suspend(&mut self, time_ns: u64, track: TrackId, timeline: &mut impl Timeline) {
        let Some(lane) = self.tracks[track.index()].lane.map(|lane| lane as usize) else { return };
        let Some(at) = self.lanes[lane].running.iter().rposition(|(running, _)| *running == track.0) else {
            return;
        };
        if at == 0 {
            return; // a lane's own track never leaves it
        }
        self.advance(lane, time_ns);
        let now = self.lanes[lane].last_ns;
        let mut inner = 0_i64;
        while self.lanes[lane].running.len() > at {
            let Some((above, _)) = self.lanes[lane].running.pop() else { break };
            let state = &mut self.tracks[above as usize];
            state.lane = None;
            for frame in state.frames.iter_mut().rev() {
                inner = inner.saturating_add(std::mem::take(&mut frame.inner_bytes));
                frame.suspended = true;
                if std::mem::take(&mut frame.shown) {
                    timeline.close(lane, frame.symbol, now);
                }
            }
        }
        self.charge(lane, inner);
        self.lanes[lane].current = self.top_node(lane);
        if self.lanes[lane].current == self.lanes[lane].root {
            self.settle(lane);
        }
    }

    fn stack(
        &mut self,
        dictionary: &Dictionary,
        time_ns: u64,
        track: TrackId,
        stack: StackId,
        weight: Weight,
    ) {
        if weight.time_ns == 0 {
            return; // who waits, not who works
        }
        let Some(lane) = self.lane_of(dictionary, track) else { return };
        self.advance(lane, time_ns);
        let base = self.lanes[lane].running.first().map_or(0, |(base, _)| *base);
        let mut node = self.lanes[lane].root;
        let mut outer = None;
        if let Some(frame) = self.tracks[base as usize].frames.iter().rev().find(|frame| frame.shown) {
            (node, outer) = (frame.node, Some(frame.symbol));
        }
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        frames.extend(dictionary.frames(stack).map(|node| node.symbol));
        frames.reverse();
        // The first frame may repeat the boundary span that the stack stands in.
        let skip = usize::from(outer.is_some() && frames.first().copied() == outer);
        for symbol in &frames[skip.min(frames.len())..] {
            let symbol = if symbol.index() < self.symbols.len() { *symbol } else { SymbolId::OTHER };
            let native = self.symbols[symbol.index()].runtime == Runtime::Native;
            let category = if native { CategoryId::NATIVE } else { CategoryId::FUNCTION };
            node = self.child(node, symbol, category);
        }
        self.scratch = frames;
        if node == self.lanes[lane].root {
            return; // an empty stack where nothing is open: there is no frame to give time to
        }
        let busy = self.lanes[lane].current != self.lanes[lane].root;
        let bytes = i64::try_from(weight.bytes).unwrap_or(i64::MAX);
        let boundary = self.innermost(lane).map(|frame| frame.node);
        if let Some(boundary) = boundary.filter(|node| busy && *node != 0) {
            let claimed = &mut self.nodes[boundary as usize].claimed_bytes;
            *claimed = claimed.saturating_add(bytes);
        }
        let sampled = &mut self.nodes[node as usize].sampled_bytes;
        *sampled = sampled.saturating_add(bytes);
        let claimed = if busy { self.claim(lane, weight.time_ns) } else { weight.time_ns };
        self.nodes[node as usize].pass(claimed);
        self.nodes[node as usize].samples += 1;
    }

    /// Takes up to `weight` from the time that passed last; how much there was.
    fn claim(&mut self, lane: usize, weight: u64) -> u64 {
        let pending = &mut self.lanes[lane].pending;
        let mut left = weight;
        while let Some((_, passed)) = pending.last_mut() {
            if *passed > left {
                *passed -= left;
                left = 0;
                break;
            }
            left -= *passed;
            pending.pop();
        }
        let claimed = weight - left;
        self.settle(lane); // what is older than this sample's share is nobody's any more
        claimed
    }

    /// Gives pending time to the paths it passed in.
    fn settle(&mut self, lane: usize) {
        for (node, passed) in self.lanes[lane].pending.drain(..) {
            self.nodes[node as usize].pass(passed);
        }
    }

    /// Time passes on a lane up to `time_ns`.
    fn advance(&mut self, lane: usize, time_ns: u64) {
        let state = &mut self.lanes[lane];
        let passed = time_ns.saturating_sub(state.last_ns);
        state.last_ns = state.last_ns.max(time_ns);
        if passed == 0 || state.current == state.root {
            return;
        }
        match state.pending.last_mut() {
            Some((node, time)) if *node == state.current => *time = time.saturating_add(passed),
            _ => state.pending.push((state.current, passed)),
        }
        if state.pending.len() >= MAX_PENDING {
            for (node, passed) in state.pending.drain(..MAX_PENDING / 2) {
                self.nodes[node as usize].pass(passed);
            }
        }
    }

    fn top_node(&self, lane: usize) -> u32 {
        let state = &self.lanes[lane];
        let Some((track, under)) = state.running.last() else { return state.root };
        let frames = &self.tracks[*track as usize].frames;
        frames.iter().rev().find(|frame| frame.shown).map_or(*under, |frame| frame.node)
    }

    /// The lane a track passes time on: the one it runs on, or its own unless it is only ever resumed.
    fn lane_of(&mut self, dictionary: &Dictionary, track: TrackId) -> Option<usize> {
        let state = &self.tracks[track.index()];
        if let Some(lane) = state.lane {
            return Some(lane as usize);
        }
        if state.resumed {
            return None;
        }
        let known = dictionary.track(track);
        let name = match (&*known.name, known.kind) {
            ("", TrackKind::Process) => "process",
            ("", kind) => kind.name(),
            (name, _) => name,
        };
        let root = match self.root_of.get(name) {
            Some(root) => *root,
            None => {
                let root = self.child(0, self.lane_symbol(), CategoryId::DEFAULT);
                if self.other.is_none_or(|other| other.0 != root) {
                    self.root_of.insert(name.to_owned(), root);
                    self.roots.push((name.to_owned(), root));
                }
                root
            }
        };
        self.lanes.push(Lane {
            root,
            running: vec![(track.0, root)],
            current: root,
            last_ns: 0,
            pending: Vec::new(),
        });
        self.tracks[track.index()].lane = Some(self.lanes.len() as u32 - 1);
        Some(self.lanes.len() - 1)
    }

    /// The path one frame longer; `node` itself where there is no room.
    fn child(&mut self, node: u32, symbol: SymbolId, category: CategoryId) -> u32 {
        if let Some(child) = self.children.get(&(node, symbol.0)) {
            return *child;
        }
        let depth = self.nodes[node as usize].depth + 1;
        // Two are kept for what has no frame at all to go to.
        if self.nodes.len() >= MAX_NODES - 2 || depth > MAX_DEPTH {
            self.clipped += 1;
            return match depth {
                1 => self.other().0,
                2 => self.other().1,
                _ => node,
            };
        }
        self.add(node, symbol, category)
    }

    /// The lane `(other)` and its only frame.
    fn other(&mut self) -> (u32, u32) {
        if let Some(other) = self.other {
            return other;
        }
        let root = self.add(0, self.lane_symbol(), CategoryId::DEFAULT);
        let frame = self.add(root, SymbolId::OTHER, CategoryId::DEFAULT);
        self.roots.push(("(other)".to_owned(), root));
        self.other = Some((root, frame));
        (root, frame)
    }

    /// Lanes are told apart below the root of all by numbers no symbol has.
    fn lane_symbol(&self) -> SymbolId {
        SymbolId(u32::MAX - self.roots.len() as u32)
    }

    fn add(&mut self, node: u32, symbol: SymbolId, category: CategoryId) -> u32 {
        let depth = self.nodes[node as usize].depth + 1;
        let child = self.nodes.len() as u32;
        self.nodes.push(Node::new(node, symbol, category, depth));
        self.children.insert((node, symbol.0), child);
        child
    }
}

fn known_track(paths: &Paths, track: TrackId) -> TrackId {
    if track.index() < paths.tracks.len() { track } else { TrackId::PROCESS }
}

impl Sink for Paths {
    fn open(&mut self, _: &Metadata) -> Result<(), SinkError> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.take(batch, &mut ());
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.close(&mut ());
        Ok(())
    }
}

/// Where a symbol stands, for people: `@resource/file:line`, as much of it as is known.
pub(crate) fn place(symbol: &Symbol) -> String {
    let line = if symbol.line == 0 { String::new() } else { format!(":{}", symbol.line) };
    match (&*symbol.resource, &*symbol.file) {
        ("", "") => String::new(),
        (resource, "") => format!("@{resource}"),
        ("", file) => format!("{file}{line}"),
        (resource, file) if file.starts_with('@') => format!("@{resource} {file}{line}"),
        (resource, file) => format!("@{resource}/{file}{line}"),
    }
}

/// A symbol's file, for people and tools that show lines by themselves: `@resource/file`, as much of it as is known.
pub(crate) fn file(symbol: &Symbol) -> String {
    match (&*symbol.resource, &*symbol.file) {
        ("", file) => file.to_owned(),
        (resource, "") => format!("@{resource}"),
        (resource, file) if file.starts_with('@') => format!("@{resource} {file}"),
        (resource, file) => format!("@{resource}/{file}"),
    }
}

/// A symbol's name with its place, so that equal names stay apart.
pub(crate) fn label(symbol: &Symbol) -> String {
    let name = if symbol.name.is_empty() { "(no name)" } else { &*symbol.name };
    match place(symbol) {
        place if place.is_empty() => name.to_owned(),
        place => format!("{name} ({place})"),
    }
}

#[cfg(test)]
mod tests {
    use tickscope_core::conformance;

    use super::*;

    #[test]
    fn a_full_tree_has_a_place_for_all_time() {
        let mut paths = Paths::default();
        paths.nodes.resize(MAX_NODES - 2, Node::new(0, SymbolId::OTHER, CategoryId::DEFAULT, 1));
        paths.batch(&conformance::example().as_batch()).unwrap();
        paths.finish().unwrap();
        assert_eq!(paths.total_ns(), 4_000 + 10 + 960);
        assert_eq!((paths.nodes().len(), paths.lanes().count()), (MAX_NODES, 1));
        assert!(paths.clipped() > 0);
    }

    #[test]
    fn times_of_any_size_add_up_to_the_largest() {
        let mut paths = Paths::default();
        paths.batch(&conformance::example().as_batch()).unwrap();
        paths.nodes.iter_mut().for_each(|node| node.pass(u64::MAX));
        assert_eq!((paths.total_ns(), paths.times(None).1[0]), (u64::MAX, u64::MAX));
    }
}
