//! Where spans are shown: a lane for each thread, and some that coroutines and other tracks share, one at a time.
//!
//! Tools want rows in which spans lie inside of each other and times do not run backwards, and not too many of them. A server
//! has thousands of coroutines, of which few have open spans at a time.

use std::collections::HashMap;

/// Rows of threads, and of other tracks. Tracy has 255.
const MAX_THREADS: usize = 100;
const MAX_SHARED: usize = 100;
/// Spans inside of each other in one row.
const MAX_DEPTH: usize = 1_000;

/// An open span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its id.
    pub span: u64,
    /// What was called.
    pub symbol: u32,
    /// Its kind.
    pub category: u32,
    /// When it began.
    pub begin_ns: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// The ring whose coroutines share it; a thread's own has none.
    shared: Option<u32>,
    open: Vec<Open>,
    last_ns: u64,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: Vec<Lane>,
    by_track: HashMap<u32, usize>,
    /// Lanes that no track has now, by ring: within one ring time does not run backwards.
    free: HashMap<u32, Vec<usize>>,
    shared: usize,
    /// Spans for which there was no room.
    pub skipped: u64,
}

/// Where a span begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The lane.
    pub lane: usize,
    /// Whether it is the first time that it is seen.
    pub new: bool,
    /// When: not before what the lane showed last.
    pub time_ns: u64,
    /// The span around it in the lane, or 0.
    pub parent: u64,
}

impl Lanes {
    /// A span begins on `track`, which is a thread's where `own`.
    pub fn begin(&mut self, ring: u32, track: u32, own: bool, mut open: Open) -> Option<Place> {
        let (lane, new) = match self.by_track.get(&track) {
            Some(lane) => (*lane, false),
            None => match self.take(ring, own) {
                Some(found) => found,
                None => {
                    self.skipped += 1;
                    return None;
                }
            },
        };
        let row = &mut self.lanes[lane];
        if row.open.len() >= MAX_DEPTH {
            self.skipped += 1;
            return None;
        }
        self.by_track.insert(track, lane);
        open.begin_ns = open.begin_ns.max(row.last_ns);
        row.last_ns = open.begin_ns;
        let parent = row.open.last().map_or(0, |parent| parent.span);
        row.open.push(open);
        Some(Place { lane, new, time_ns: open.begin_ns, parent })
    }

    /// A lane for a track that has none.
    fn take(&mut self, ring: u32, own: bool) -> Option<(usize, bool)> {
        let shared = (!own).then_some(ring);
        if let Some(lane) = shared.and_then(|ring| self.free.get_mut(&ring)?.pop()) {
            return Some((lane, false));
        }
        // Threads that are over have no use of theirs. Time does not run backwards in a row: a begin waits for the row's last.
        if !own && self.shared >= MAX_SHARED {
            let lane = self.free.values_mut().find_map(Vec::pop)?;
            self.lanes[lane].shared = shared;
            self.free.retain(|_, lanes| !lanes.is_empty());
            return Some((lane, false));
        }
        let threads = self.lanes.len() - self.shared;
        if own && threads >= MAX_THREADS {
            return None;
        }
        self.shared += usize::from(!own);
        self.lanes.push(Lane { shared, ..Lane::default() });
        Some((self.lanes.len() - 1, true))
    }

    /// A span ends on `track`: `each` is told the lane, the time and the span, after those inside of it whose end is lost.
    pub fn end(&mut self, track: u32, span: u64, time_ns: u64, mut each: impl FnMut(usize, u64, &Open)) {
        let Some(lane) = self.by_track.get(&track).copied() else { return };
        let row = &mut self.lanes[lane];
        let Some(depth) = row.open.iter().rposition(|open| open.span == span) else { return };
        row.last_ns = row.last_ns.max(time_ns);
        for open in row.open.drain(depth..).rev() {
            each(lane, row.last_ns, &open);
        }
        if row.open.is_empty()
            && let Some(ring) = row.shared
        {
            self.by_track.remove(&track);
            self.free.entry(ring).or_default().push(lane);
        }
    }

    /// Nobody knows what is open: all ends where its lane's last event was.
    pub fn forget(&mut self, mut each: impl FnMut(usize, u64, &Open)) {
        for (lane, row) in self.lanes.iter_mut().enumerate() {
            for open in row.open.drain(..).rev() {
                each(lane, row.last_ns, &open);
            }
        }
        let shared = |lane: usize| self.lanes[lane].shared;
        let back: Vec<(u32, usize)> = self
            .by_track
            .iter()
            .filter(|(_, lane)| shared(**lane).is_some())
            .map(|(track, lane)| (*track, *lane))
            .collect();
        for (track, lane) in back {
            self.by_track.remove(&track);
            if let Some(ring) = self.lanes[lane].shared {
                self.free.entry(ring).or_default().push(lane);
            }
        }
    }
}
