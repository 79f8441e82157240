//! The call tree of one tick, aggregated by call path, in an arena that is used again for the next.
//!
//! Nodes of spans are exact. Under the boundary spans among them hang *sampled* nodes: the functions seen in stack
//! samples. A boundary's own time is exact, and is handed out to the functions sampled in it: each sample takes what
//! has gathered since the sample before. So the estimates add up to the exact figure whatever the sampling rate.
//! Where a native or a nested boundary belongs below a sampled function, samples vote for which; see [`Tree::sample`].

use std::collections::BTreeMap;

use tickscope_core::CategoryId;

use crate::stacks::gain;
use crate::symbols::{Place, Slot};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// How many different natives wait for the next sample to tell who called them.
const MAX_PENDING: usize = 64;

/// How many voters one tick's tree remembers.
const MAX_VOTES: usize = 8_192;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub parent: u32,
    pub slot: Slot,
    pub resource: u32,
    pub category: CategoryId,
    /// Only samples tell of it.
    pub sampled: bool,
    pub calls: u64,
    /// Time in itself: exact for spans, estimated for sampled nodes.
    pub self_ns: u64,
    /// Who set it off, by a link.
    pub link: Slot,
    /// The players its calls were made for.
    pub players: Players,
    /// The same symbol's frames open on this path.
    active: u32,
    since: u64,
    total_ns: u64,
    last_child: u32,
    /// Part of `self_ns` given to sampled functions; for a native, part of its time that was voted on.
    pub assigned_ns: u64,
    /// Stack samples taken within this boundary.
    pub samples: u64,
    last_sample: u64,
    /// Samples a sampled node was in.
    pub hits: u64,
    /// Unbroken runs of them: at least so many calls.
    pub runs: u64,
    /// It waits for a sample to tell who called it.
    pending: bool,
}

/// On whose behalf something was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Players {
    /// Nobody's that is known.
    #[default]
    None,
    One(u64),
    Several,
}

impl Players {
    pub fn add(&mut self, player: Option<u64>) {
        *self = match (*self, player) {
            (known, None) => known,
            (Self::None, Some(player)) => Self::One(player),
            (Self::One(known), Some(player)) if known == player => Self::One(known),
            _ => Self::Several,
        };
    }

    pub fn one(self) -> Option<u64> {
        if let Self::One(player) = self { Some(player) } else { None }
    }
}

impl Node {
    /// Time in it and below, at time `now` if it is still open.
    pub fn total_at(&self, now: u64) -> u64 {
        let open = if self.active > 0 { now.saturating_sub(self.since) } else { 0 };
        self.total_ns.saturating_add(open)
    }
}

/// An open span below the tick, as [`Tree::sample`] needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenNode {
    pub slot: Slot,
    pub node: u32,
    pub boundary: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub nodes: Vec<Node>,
    /// Open addressing: generation in the high half, node in the low; others are empty.
    table: Vec<u64>,
    generation: u32,
    limit: usize,
    /// (span node, sampled node it was seen below) → time.
    votes: BTreeMap<(u32, u32), u64>,
    pending: Vec<u32>,
    pub overflow: u64,
}

impl Tree {
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(16, 1 << 24);
        Self {
            nodes: Vec::new(),
            table: vec![0; (2 * limit).next_power_of_two()],
            generation: 0,
            limit,
            votes: BTreeMap::new(),
            pending: Vec::new(),
            overflow: 0,
        }
    }

    /// Forgets the tick before; node 0 is the new one.
    pub fn start(&mut self, tick: Place, now: u64) -> u32 {
        self.nodes.clear();
        self.votes.clear();
        self.pending.clear();
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.table.fill(0);
            self.generation = 1;
        }
        self.enter(NONE, tick, CategoryId::TICK, 1, now)
    }

    /// A span begins, or its coroutine goes on, below `parent`: its node.
    #[inline]
    pub fn enter(&mut self, parent: u32, place: Place, category: CategoryId, calls: u64, now: u64) -> u32 {
        let index = self.child(parent, place, category, false);
        // A path that did not fit is part of its caller, and no call of it.
        self.enter_node(index, if index == parent { 0 } else { calls }, now);
        index
    }

    /// As [`Tree::enter`], for a node known already: recursion.
    #[inline]
    pub fn enter_node(&mut self, index: u32, calls: u64, now: u64) {
        let node = &mut self.nodes[index as usize];
        if node.active == 0 {
            node.since = now;
        }
        node.active += 1;
        node.calls += calls;
    }

    /// The span ends, or its coroutine is suspended.
    #[inline]
    pub fn exit(&mut self, index: u32, now: u64) {
        let node = &mut self.nodes[index as usize];
        node.active = node.active.saturating_sub(1);
        if node.active == 0 {
            gain(&mut node.total_ns, now.saturating_sub(node.since));
        }
    }

    /// A native or a collection ended: the next sample in the boundary around it tells who called it.
    pub fn await_caller(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        if !node.pending && self.pending.len() < MAX_PENDING {
            node.pending = true;
            self.pending.push(index);
        }
    }

    #[inline]
    fn child(&mut self, parent: u32, place: Place, category: CategoryId, sampled: bool) -> u32 {
        if let Some(node) = self.nodes.get(parent as usize)
            && let Some(last) = self.nodes.get(node.last_child as usize)
            && (last.slot, last.resource, last.category) == (place.slot, place.resource, category)
        {
            return node.last_child;
        }
        let mask = self.table.len() - 1;
        let key = (u64::from(parent) << 32 | u64::from(place.slot)) ^ u64::from(category.0) << 20;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        loop {
            let entry = self.table[at];
            if (entry >> 32) as u32 != self.generation {
                break;
            }
            let index = entry as u32;
            let node = &self.nodes[index as usize];
            if (node.parent, node.slot, node.resource, node.category)
                == (parent, place.slot, place.resource, category)
            {
                if let Some(parent) = self.nodes.get_mut(parent as usize) {
                    parent.last_child = index;
                }
                return index;
            }
            at = (at + 1) & mask;
        }
        if self.nodes.len() >= self.limit && parent != NONE {
            self.overflow += 1;
            return parent;
        }
        let index = self.nodes.len() as u32;
        self.table[at] = u64::from(self.generation) << 32 | u64::from(index);
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.last_child = index;
        }
        self.nodes.push(Node {
            parent,
            slot: place.slot,
            resource: place.resource,
            category,
            sampled,
            calls: 0,
            self_ns: 0,
            link: 0,
            players: Players::None,
            active: 0,
            since: 0,
            total_ns: 0,
            last_child: NONE,
            assigned_ns: 0,
            samples: 0,
            last_sample: 0,
            hits: 0,
            runs: 0,
            pending: false,
        });
        index
    }

    /// Takes a stack sample that stands for `weight` nanoseconds, its frames outermost first, taken while `spans`
    /// were open below the tick, outermost first.
    ///
    /// The frames fall into one segment per boundary span: those before the first pseudo-frame belong to the
    /// outermost boundary, those behind a boundary's pseudo-frame to that boundary. The innermost frame of the last
    /// segment takes the boundary's time since the last sample in it. In each earlier segment the innermost frame is
    /// where the span below was called from, and gets a vote for that.
    pub fn sample(&mut self, spans: &[OpenNode], frames: &[Place], weight: u64) {
        let (Some(first), Some(last)) = (spans.first(), spans.len().checked_sub(1)) else { return };
        let hosting = spans.iter().rposition(|span| span.boundary).unwrap_or(0);
        let complete = hosting == 0 || frames.iter().any(|frame| frame.slot == spans[hosting].slot);
        let mut at = if complete { 0 } else { hosting };
        let mut current = spans[at].node;
        self.nodes[current as usize].samples += 1;
        for (index, frame) in frames.iter().enumerate() {
            let behind = at + 1;
            let boundary = spans[behind..].iter().position(|span| span.boundary && span.slot == frame.slot);
            if let Some(offset) = boundary {
                self.vote(spans[at].node, spans[behind].node, current, weight);
                at = behind + offset;
                current = spans[at].node;
                self.nodes[current as usize].samples += 1;
                continue;
            }
            let outermost_again = index == 0 && frame.slot == first.slot;
            let native_on_the_path = spans.get(behind).is_some_and(|span| span.slot == frame.slot);
            if outermost_again || native_on_the_path {
                continue;
            }
            current = self.sampled_child(spans[at].node, current, *frame);
        }
        if at < last {
            // A native was running: its time is exact, and its caller is known now.
            self.vote(spans[at].node, spans[at + 1].node, current, weight);
            return;
        }
        let top = spans[at].node;
        if current == top {
            return;
        }
        let boundary = &mut self.nodes[top as usize];
        let gathered = boundary.self_ns.saturating_sub(boundary.assigned_ns);
        boundary.assigned_ns = boundary.self_ns;
        gain(&mut self.nodes[current as usize].self_ns, gathered);
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|&native| {
            let node = &mut self.nodes[native as usize];
            if node.parent != top {
                return true;
            }
            node.pending = false;
            let total = node.total_ns;
            let time = total.saturating_sub(std::mem::replace(&mut node.assigned_ns, total));
            // A C function that shows up as a frame of its own is the native itself, called by the frame above.
            let caller = if self.nodes[current as usize].slot == self.nodes[native as usize].slot {
                self.nodes[current as usize].parent
            } else {
                current
            };
            self.vote(top, native, caller, time);
            false
        });
        self.pending = pending;
    }

    /// The sampled function `frame` below `current`; the same function further out in this segment if it recurses.
    fn sampled_child(&mut self, boundary: u32, current: u32, frame: Place) -> u32 {
        let mut outer = current;
        while outer != boundary && outer != NONE {
            let node = &self.nodes[outer as usize];
            if node.slot == frame.slot && node.sampled {
                return outer;
            }
            outer = node.parent;
        }
        let child = self.child(current, frame, CategoryId::FUNCTION, true);
        if child == current {
            return current;
        }
        let sample = self.nodes[boundary as usize].samples;
        let node = &mut self.nodes[child as usize];
        if node.last_sample != sample {
            node.runs += u64::from(node.last_sample + 1 != sample || node.hits == 0);
            node.hits += 1;
            node.last_sample = sample;
        }
        child
    }

    /// `target`, a span directly below `boundary`, was seen below the sampled node `under`.
    fn vote(&mut self, boundary: u32, target: u32, under: u32, time: u64) {
        let fits = self.nodes[target as usize].parent == boundary && target != under;
        if fits && (self.votes.len() < MAX_VOTES || self.votes.contains_key(&(target, under))) {
            gain(self.votes.entry((target, under)).or_default(), time.max(1));
        }
    }

    /// Parent of each node once the votes are counted: where at least nine tenths of them meet.
    pub fn parents(&self) -> Vec<u32> {
        let mut parents: Vec<u32> = self.nodes.iter().map(|node| node.parent).collect();
        let mut votes = self.votes.iter().peekable();
        while let Some(&(&(target, _), _)) = votes.peek() {
            let mut ballot: Vec<(u64, u32)> = Vec::new();
            while let Some((&(_, under), &time)) = votes.next_if(|vote| vote.0.0 == target) {
                ballot.push((time, under));
            }
            ballot.sort_by_key(|(time, under)| (std::cmp::Reverse(*time), *under));
            let enough = ballot.iter().fold(0u64, |sum, (time, _)| sum.saturating_add(*time)) / 10 * 9;
            let (mut place, mut counted) = (NONE, 0);
            for (time, under) in ballot {
                if place != NONE && counted > enough {
                    break;
                }
                place = if place == NONE { under } else { self.common(place, under) };
                gain(&mut counted, time);
            }
            parents[target as usize] = place;
        }
        parents
    }

    /// The innermost node that both are at or below.
    fn common(&self, a: u32, b: u32) -> u32 {
        let chain = |mut node: u32| {
            let mut chain = vec![node];
            while let Some(next) =
                self.nodes.get(node as usize).map(|node| node.parent).filter(|n| *n != NONE)
            {
                chain.push(next);
                node = next;
            }
            chain.reverse();
            chain
        };
        let (a, b) = (chain(a), chain(b));
        a.iter().zip(&b).take_while(|(a, b)| a == b).last().map_or(0, |(node, _)| *node)
    }
}
