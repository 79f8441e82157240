//! What is open: the stack of each track, and which tracks run on top of which on each thread.

use std::collections::HashMap;

use tickscope_core::{CategoryId, RingId, SpanId, TrackId};

use crate::operations::Operation;
use crate::symbols::{Place, Slot};
use crate::tree::{NONE, Tree};

/// Adds to a sum of times or sizes. Hostile clocks make sums meet their end, not the analysis its own.
#[inline]
pub(crate) fn gain(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// An open span.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub span: SpanId,
    pub slot: Slot,
    pub resource: u32,
    pub category: CategoryId,
    /// Begun on a track that was not running: wall time counts.
    pub detached: bool,
    /// Declared work by its arguments.
    pub works: bool,
    /// Its node in the tree of the current tick.
    pub node: u32,
    /// What caused it, by a link.
    pub link: Slot,
    pub begin_ns: u64,
    /// The track's running time at its begin.
    pub begin_ran: u64,
    /// Running time with nothing below it; for a detached span, time of detached spans below it.
    pub self_ns: u64,
    /// Part of `self_ns` given to sampled functions.
    pub assigned_ns: u64,
    /// Bytes allocated by the spans below it.
    pub child_bytes: u64,
}

impl Frame {
    pub fn place(&self) -> Place {
        Place { slot: self.slot, resource: self.resource }
    }
}

/// A coroutine suspended on purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub span: SpanId,
    pub slot: Slot,
    pub sleep: bool,
    pub begin_ns: u64,
    /// The thread it was suspended on, and how long that thread's ticks had overrun by then.
    pub thread: usize,
    pub overrun_ns: u64,
}

impl Wait {
    /// How long it has waited for its answer at `now`. By how much ticks overran their budget meanwhile is not
    /// counted: an answer that is there but finds the thread busy is not a slow answer.
    pub fn waited(&self, now: u64, threads: &Threads, budget_ns: u64) -> u64 {
        let overrun = threads.slab.get(self.thread).map_or(0, |thread| thread.overrun(now, budget_ns));
        now.saturating_sub(self.begin_ns).saturating_sub(overrun.saturating_sub(self.overrun_ns))
    }
}

/// A track with what is open on it.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub id: TrackId,
    pub frames: Vec<Frame>,
    pub waits: Vec<Wait>,
    /// Spans that were not followed, above `frames`.
    pub skipped: u64,
    /// Running time up to `resumed_at`.
    ran_ns: u64,
    resumed_at: u64,
    /// The thread in whose chain it is.
    pub thread: Option<usize>,
    /// It returned or failed: forgotten once nothing is open on it.
    pub over: bool,
    pub operation: Option<Operation>,
    touched_ns: u64,
}

impl Track {
    fn new(id: TrackId) -> Self {
        Self {
            id,
            frames: Vec::new(),
            waits: Vec::new(),
            skipped: 0,
            ran_ns: 0,
            resumed_at: 0,
            thread: None,
            over: false,
            operation: None,
            touched_ns: 0,
        }
    }

    /// How long it has been running, at time `now`.
    pub fn ran(&self, now: u64) -> u64 {
        let running = if self.running() { now.saturating_sub(self.resumed_at) } else { 0 };
        self.ran_ns.saturating_add(running)
    }

    /// Whether it is in some thread's chain: it runs, or what it resumed does.
    pub fn running(&self) -> bool {
        self.thread.is_some()
    }

    pub fn resume(&mut self, thread: usize, now: u64) {
        self.thread = Some(thread);
        self.resumed_at = now;
        self.touched_ns = now;
    }

    pub fn suspend(&mut self, now: u64) {
        self.ran_ns = self.ran(now);
        self.thread = None;
        self.touched_ns = now;
    }

    fn is_idle(&self) -> bool {
        self.frames.is_empty() && self.waits.is_empty() && self.skipped == 0
    }
}

/// The tracks that have something open or run again.
#[derive(Clone, Debug)]
pub(crate) struct Tracks {
    pub slab: Vec<Track>,
    free: Vec<usize>,
    by_id: HashMap<TrackId, usize>,
    limit: usize,
}

impl Tracks {
    pub fn new(limit: usize) -> Self {
        Self { slab: Vec::new(), free: Vec::new(), by_id: HashMap::new(), limit: limit.max(16) }
    }

    pub fn find(&self, id: TrackId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The track, made if it is new. None when it had to be made and there is no room: make some with
    /// [`Tracks::evict`].
    pub fn get(&mut self, id: TrackId) -> Option<usize> {
        if let Some(index) = self.by_id.get(&id) {
            return Some(*index);
        }
        let index = match self.free.pop() {
            Some(index) => {
                let track = &mut self.slab[index];
                let frames = std::mem::take(&mut track.frames);
                *track = Track { frames, ..Track::new(id) };
                index
            }
            None if self.slab.len() < self.limit => {
                self.slab.push(Track::new(id));
                self.slab.len() - 1
            }
            None => return None,
        };
        self.by_id.insert(id, index);
        Some(index)
    }

    /// The quarter of the suspended tracks that was touched longest ago, to be forgotten.
    pub fn evict(&mut self) -> Vec<Track> {
        let mut idle: Vec<(u64, TrackId, usize)> = self
            .by_id
            .values()
            .map(|index| (self.slab[*index].touched_ns, self.slab[*index].id, *index))
            .filter(|(_, _, index)| !self.slab[*index].running())
            .collect();
        idle.sort_unstable();
        idle.truncate((self.limit / 4).max(1));
        idle.into_iter()
            .map(|(_, id, index)| {
                self.by_id.remove(&id);
                self.free.push(index);
                std::mem::replace(&mut self.slab[index], Track::new(id))
            })
            .collect()
    }

    /// Forgets the track if it is over and nothing is open on it.
    pub fn settle(&mut self, index: usize) {
        let track = &self.slab[index];
        if track.over && !track.running() && track.is_idle() && self.by_id.remove(&track.id).is_some() {
            self.free.push(index);
        }
    }

    /// Every live track, in the order of their ids.
    pub fn live(&self) -> Vec<&Track> {
        let mut live: Vec<&Track> = self.by_id.values().map(|index| &self.slab[*index]).collect();
        live.sort_unstable_by_key(|track| track.id);
        live
    }
}

/// How often a symbol is on a thread's causal stack, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Active {
    pub count: u32,
    /// Its node in the tree of the current tick, while `count` > 0.
    pub node: u32,
    pub since: u64,
}

/// The tick a thread is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenTick {
    pub span: SpanId,
    pub number: u64,
    pub begin_ns: u64,
    /// Events of its thread that were lost since.
    pub lost: u64,
}

/// A thread: the tracks that run on it, each on top of the one before.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub ring: RingId,
    pub last_ns: u64,
    /// Indices of [`Tracks`]: the thread's own first.
    pub chain: Vec<usize>,
    /// By slot.
    pub active: Vec<Active>,
    pub tick: Option<OpenTick>,
    pub ticks_begun: u64,
    /// By how much the ticks that ended were longer than the budget, together.
    pub overrun_ns: u64,
    pub tree: Option<Box<Tree>>,
    /// Node of the tick while one is open and has a tree.
    pub root: u32,
}

impl Thread {
    fn new(ring: RingId) -> Self {
        Self {
            ring,
            last_ns: 0,
            chain: Vec::new(),
            active: Vec::new(),
            tick: None,
            ticks_begun: 0,
            overrun_ns: 0,
            tree: None,
            root: NONE,
        }
    }

    /// The innermost open span: track and place on its stack.
    #[inline]
    pub fn top(&self, tracks: &Tracks) -> Option<(usize, usize)> {
        self.chain.iter().rev().find_map(|&track| {
            tracks.slab[track].frames.iter().rposition(|frame| !frame.detached).map(|frame| (track, frame))
        })
    }

    #[inline]
    pub fn activate(&mut self, slot: Slot, now: u64) -> &mut Active {
        let index = slot as usize;
        if index >= self.active.len() {
            self.active.resize((index + 1).next_power_of_two(), Active::default());
        }
        let active = &mut self.active[index];
        if active.count == 0 {
            active.since = now;
            active.node = NONE;
        }
        active.count += 1;
        active
    }

    /// Takes the symbol off the stack once; the time it was on it when this was the last time.
    #[inline]
    pub fn deactivate(&mut self, slot: Slot, now: u64) -> u64 {
        match self.active.get_mut(slot as usize) {
            Some(active) if active.count > 1 => {
                active.count -= 1;
                0
            }
            Some(active) if active.count == 1 => {
                active.count = 0;
                now.saturating_sub(active.since)
            }
            _ => 0,
        }
    }

    /// By how much ticks have been longer than the budget until `now`.
    pub fn overrun(&self, now: u64, budget_ns: u64) -> u64 {
        let open = self
            .tick
            .filter(|_| budget_ns > 0)
            .map_or(0, |tick| now.saturating_sub(tick.begin_ns).saturating_sub(budget_ns));
        self.overrun_ns.saturating_add(open)
    }

    /// Forgets the nodes of the open spans: the tree they are in is gone.
    pub fn forget_nodes(&mut self, tracks: &mut Tracks) {
        self.root = NONE;
        for &track in &self.chain {
            for frame in &mut tracks.slab[track].frames {
                frame.node = NONE;
                if let Some(active) = self.active.get_mut(frame.slot as usize) {
                    active.node = NONE;
                }
            }
        }
    }

    fn is_idle(&self, tracks: &Tracks) -> bool {
        self.chain.len() <= 1 && self.chain.iter().all(|track| tracks.slab[*track].is_idle())
    }
}

/// The threads, by ring.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    pub slab: Vec<Thread>,
    by_ring: HashMap<RingId, usize>,
    last: Option<(RingId, usize)>,
    limit: usize,
}

impl Threads {
    pub fn new(limit: usize) -> Self {
        Self { slab: Vec::new(), by_ring: HashMap::new(), last: None, limit: limit.max(1) }
    }

    /// The thread of `ring`; in place of the one idle longest when there are too many; None when none is idle.
    #[inline]
    pub fn get(&mut self, ring: RingId, tracks: &mut Tracks) -> Option<usize> {
        match self.last {
            Some((last, index)) if last == ring => Some(index),
            _ => self.find_or_make(ring, tracks),
        }
    }

    #[cold]
    fn find_or_make(&mut self, ring: RingId, tracks: &mut Tracks) -> Option<usize> {
        let index = match self.by_ring.get(&ring) {
            Some(index) => *index,
            None if self.slab.len() < self.limit => {
                self.slab.push(Thread::new(ring));
                self.slab.len() - 1
            }
            None => {
                let index = (0..self.slab.len())
                    .filter(|index| self.slab[*index].is_idle(tracks))
                    .min_by_key(|index| (self.slab[*index].last_ns, self.slab[*index].ring))?;
                let thread = std::mem::replace(&mut self.slab[index], Thread::new(ring));
                self.by_ring.remove(&thread.ring);
                for track in thread.chain {
                    tracks.slab[track].suspend(thread.last_ns);
                    tracks.slab[track].over = true;
                    tracks.settle(track);
                }
                index
            }
        };
        self.by_ring.insert(ring, index);
        self.last = Some((ring, index));
        Some(index)
    }
}
