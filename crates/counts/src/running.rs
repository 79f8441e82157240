//! Which span runs on each thread: to whom time passes, and who allocated.
//!
//! A thread has a chain of tracks, its own and the coroutines that it resumed, one inside the other. Time is the innermost open
//! span's of the innermost track that has one. Tracks that no thread runs (transfers, scopes) take no time.

use std::collections::{HashMap, HashSet};

/// Spans that are followed at a time. Of more, those of coroutines that wait are let go of; time of further ones is their
/// callers'.
const MAX_OPEN: usize = 1 << 16;
/// Threads that are followed at a time. One more takes the place of one that runs nothing.
const MAX_THREADS: usize = 1 << 12;
/// Tracks that are followed: a host has no more names than these.
const MAX_TRACKS: usize = 1 << 24;

/// An open span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    /// Its id.
    pub span: u64,
    /// Whose code runs in it: a place in [`Resources`](crate::Resources).
    pub resource: usize,
    /// Whether it is garbage collection.
    pub gc: bool,
    /// Bytes of the spans inside of it, which are not its own.
    inner_bytes: i64,
    /// It was suspended: what it allocates counts for whoever resumes it, and not again at its end.
    suspended: bool,
}

impl Frame {
    /// One that begins.
    pub fn new(span: u64, resource: usize, gc: bool) -> Self {
        Self { span, resource, gc, ..Self::default() }
    }
}

/// What is known at a span's end.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Whose it was.
    pub resource: usize,
    /// What it allocated itself; fewer than none where those inside of it told too many.
    pub bytes: i64,
    /// Nothing runs on its thread any more.
    pub outermost: bool,
}

#[derive(Debug, Default)]
struct Thread {
    ring: u32,
    last_ns: u64,
    /// Tracks, the thread's own first.
    chain: Vec<u32>,
}

/// All threads and tracks.
#[derive(Debug, Default)]
pub struct Running {
    threads: Vec<Thread>,
    /// Where the thread of a ring is. Numbers of rings only grow, as threads come and go.
    slots: HashMap<u32, usize>,
    /// The last ring that was looked for: samples of one come in a row.
    newest: Option<(u32, usize)>,
    /// Open spans of each track, outermost first.
    tracks: Vec<Vec<Frame>>,
    open: usize,
    /// Those of tracks that wait were let go of, and most are open still.
    crowded: bool,
}

/// What is at a number, which may be the first time it is seen.
fn at<T: Default + Clone>(list: &mut Vec<T>, number: u32, limit: usize) -> Option<&mut T> {
    let number = number as usize;
    if number >= list.len() && number < limit {
        list.resize(number + 1, T::default());
    }
    list.get_mut(number)
}

impl Running {
    /// Time of a thread goes on to `now_ns`: how much passed, and in which span.
    #[inline]
    pub fn advance(&mut self, ring: u32, now_ns: u64) -> Option<(u64, Frame)> {
        let slot = self.slot(ring)?;
        let thread = &mut self.threads[slot];
        let passed = now_ns.saturating_sub(thread.last_ns);
        thread.last_ns = now_ns.max(thread.last_ns);
        self.innermost(slot).map(|frame| (passed, *frame))
    }

    /// Where the thread of a ring is, which may be new.
    #[inline]
    fn slot(&mut self, ring: u32) -> Option<usize> {
        match self.newest {
            Some((newest, slot)) if newest == ring => Some(slot),
            _ => self.find(ring),
        }
    }

    fn find(&mut self, ring: u32) -> Option<usize> {
        let slot = match self.slots.get(&ring) {
            Some(slot) => *slot,
            None if self.threads.len() < MAX_THREADS => {
                self.threads.push(Thread::default());
                self.threads.len() - 1
            }
            None => {
                let idle = (0..self.threads.len()).find(|slot| self.is_idle(*slot))?;
                self.slots.remove(&self.threads[idle].ring);
                self.threads[idle] = Thread::default();
                idle
            }
        };
        self.threads[slot].ring = ring;
        self.slots.insert(ring, slot);
        self.newest = Some((ring, slot));
        Some(slot)
    }

    /// Nothing of it is open, so that nothing is forgotten with it.
    fn is_idle(&self, slot: usize) -> bool {
        let chain = &self.threads[slot].chain;
        let open = |track: &u32| self.tracks.get(*track as usize).is_some_and(|frames| !frames.is_empty());
        chain.len() <= 1 && !chain.iter().any(open)
    }

    fn innermost(&mut self, slot: usize) -> Option<&mut Frame> {
        let chain = self.threads[slot].chain.iter().rev();
        let busy = |track: &usize| self.tracks.get(*track).is_some_and(|frames| !frames.is_empty());
        let track = chain.map(|track| *track as usize).find(busy)?;
        self.tracks[track].last_mut()
    }

    /// A span begins; whether its time is followed. `own_track`: the track is a thread's.
    pub fn begin(&mut self, ring: u32, track: u32, own_track: bool, frame: Frame) -> bool {
        let Some(slot) = self.slot(ring) else { return false };
        if self.open >= MAX_OPEN && !self.crowded {
            self.let_go();
        }
        let thread = &mut self.threads[slot];
        if thread.chain.is_empty() && own_track {
            thread.chain.push(track);
        }
        if thread.chain.last() == Some(&track)
            && self.open < MAX_OPEN
            && let Some(frames) = at(&mut self.tracks, track, MAX_TRACKS)
        {
            frames.push(frame);
            self.open += 1;
            return true;
        }
        false
    }

    /// Forgets spans of coroutines that wait: a server whose coroutines wait for what never comes has more of them each day, and
    /// those that run now are not to be missed for them.
    #[cold]
    fn let_go(&mut self) {
        let running: HashSet<u32> =
            self.threads.iter().flat_map(|thread| thread.chain.iter().copied()).collect();
        for (track, frames) in (0..).zip(&mut self.tracks) {
            if !frames.is_empty() && !running.contains(&track) {
                self.open -= frames.len();
                *frames = Vec::new();
            }
        }
        self.crowded = self.open > MAX_OPEN / 2;
    }

    /// A span ends that allocated `bytes`, those inside of it included.
    pub fn end(&mut self, ring: u32, track: u32, span: u64, bytes: u32) -> Option<Ended> {
        let frames = self.tracks.get_mut(track as usize)?;
        let depth = frames.iter().rposition(|frame| frame.span == span)?;
        let frame = frames[depth];
        // Spans inside of it that are still open have lost their end.
        self.open -= frames.len() - depth;
        frames.truncate(depth);
        self.crowded &= self.open > MAX_OPEN / 2;
        let told = match bytes {
            // It stands for more: as many at least as those inside of it told.
            u32::MAX => frame.inner_bytes.max(bytes.into()),
            bytes => bytes.into(),
        };
        let (own, all) = match frame.suspended {
            true => (0, frame.inner_bytes),
            false => (told - frame.inner_bytes, told),
        };
        let slot = self.slots.get(&ring).copied();
        if let Some(slot) = slot.filter(|slot| self.threads[*slot].chain.contains(&track)) {
            self.charge(slot, all);
        }
        let outermost = slot.is_none_or(|slot| self.innermost(slot).is_none());
        Some(Ended { resource: frame.resource, bytes: own, outermost })
    }

    /// Bytes that were counted are not again those of the span around.
    fn charge(&mut self, slot: usize, bytes: i64) {
        if let Some(frame) = self.innermost(slot) {
            frame.inner_bytes = frame.inner_bytes.saturating_add(bytes);
        }
    }

    /// A thread goes on with `track`, which `host` waits for.
    pub fn resume(&mut self, ring: u32, track: u32, host: u32) {
        let Some(slot) = self.slot(ring) else { return };
        let chain = &mut self.threads[slot].chain;
        if chain.is_empty() && host != track {
            chain.push(host);
        }
        if !chain.contains(&track) {
            chain.push(track);
        }
    }

    /// A thread stops running `track`, and all that it resumed. `over`: it does not go on.
    pub fn suspend(&mut self, ring: u32, track: u32, over: bool) {
        let Some(slot) = self.slots.get(&ring).copied() else { return };
        let thread = &mut self.threads[slot];
        let Some(depth) = thread.chain.iter().rposition(|running| *running == track) else { return };
        let mut inner = 0_i64;
        for track in thread.chain.drain(depth..) {
            for frame in self.tracks.get_mut(track as usize).into_iter().flatten() {
                inner = inner.saturating_add(std::mem::take(&mut frame.inner_bytes));
                frame.suspended = true;
            }
        }
        self.charge(slot, inner);
        if over && let Some(frames) = self.tracks.get_mut(track as usize) {
            self.open -= frames.len();
            *frames = Vec::new();
        }
    }

    /// Samples are missing: nobody knows what runs.
    pub fn forget(&mut self) {
        self.tracks.clear();
        self.threads.iter_mut().for_each(|thread| thread.chain.clear());
        self.open = 0;
        self.crowded = false;
    }
}
