//! Which span runs on each thread: to whom time passes, and who allocated.
//!
//! A thread has a chain of tracks, its own and the coroutines that it resumed, one inside the other. Time is the innermost open
//! span's of the innermost track that has one. Tracks that no thread runs (transfers, scopes) take no time.

/// Spans that are followed at a time; time of further ones is their callers'.
const MAX_OPEN: usize = 1 << 16;
/// Threads that are followed.
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

#[derive(Clone, Debug, Default)]
struct Thread {
    last_ns: u64,
    /// Tracks, the thread's own first.
    chain: Vec<u32>,
}

/// All threads and tracks.
#[derive(Debug, Default)]
pub struct Running {
    /// By ring.
    threads: Vec<Thread>,
    /// Open spans of each track, outermost first.
    tracks: Vec<Vec<Frame>>,
    open: usize,
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
        let thread = at(&mut self.threads, ring, MAX_THREADS)?;
        let passed = now_ns.saturating_sub(thread.last_ns);
        thread.last_ns = now_ns.max(thread.last_ns);
        self.innermost(ring).map(|frame| (passed, *frame))
    }

    fn innermost(&mut self, ring: u32) -> Option<&mut Frame> {
        let chain = self.threads.get(ring as usize)?.chain.iter().rev();
        let busy = |track: &usize| self.tracks.get(*track).is_some_and(|frames| !frames.is_empty());
        let track = chain.map(|track| *track as usize).find(busy)?;
        self.tracks[track].last_mut()
    }

    /// A span begins; whether its time is followed. `own_track`: the track is a thread's.
    pub fn begin(&mut self, ring: u32, track: u32, own_track: bool, frame: Frame) -> bool {
        let Some(thread) = at(&mut self.threads, ring, MAX_THREADS) else { return false };
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

    /// A span ends that allocated `bytes`, those inside of it included.
    pub fn end(&mut self, ring: u32, track: u32, span: u64, bytes: u32) -> Option<Ended> {
        let frames = self.tracks.get_mut(track as usize)?;
        let depth = frames.iter().rposition(|frame| frame.span == span)?;
        let frame = frames[depth];
        // Spans inside of it that are still open have lost their end.
        self.open -= frames.len() - depth;
        frames.truncate(depth);
        let (own, all) = match frame.suspended {
            true => (0, frame.inner_bytes),
            false => (i64::from(bytes) - frame.inner_bytes, bytes.into()),
        };
        if self.threads.get(ring as usize).is_some_and(|thread| thread.chain.contains(&track)) {
            self.charge(ring, all);
        }
        Some(Ended { resource: frame.resource, bytes: own, outermost: self.innermost(ring).is_none() })
    }

    /// Bytes that were counted are not again those of the span around.
    fn charge(&mut self, ring: u32, bytes: i64) {
        if let Some(frame) = self.innermost(ring) {
            frame.inner_bytes = frame.inner_bytes.saturating_add(bytes);
        }
    }

    /// A thread goes on with `track`, which `host` waits for.
    pub fn resume(&mut self, ring: u32, track: u32, host: u32) {
        let Some(Thread { chain, .. }) = at(&mut self.threads, ring, MAX_THREADS) else { return };
        if chain.is_empty() && host != track {
            chain.push(host);
        }
        if !chain.contains(&track) {
            chain.push(track);
        }
    }

    /// A thread stops running `track`, and all that it resumed. `over`: it does not go on.
    pub fn suspend(&mut self, ring: u32, track: u32, over: bool) {
        let Some(thread) = self.threads.get_mut(ring as usize) else { return };
        let Some(depth) = thread.chain.iter().rposition(|running| *running == track) else { return };
        let mut inner = 0_i64;
        for track in thread.chain.drain(depth..) {
            for frame in self.tracks.get_mut(track as usize).into_iter().flatten() {
                inner = inner.saturating_add(std::mem::take(&mut frame.inner_bytes));
                frame.suspended = true;
            }
        }
        self.charge(ring, inner);
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
    }
}
