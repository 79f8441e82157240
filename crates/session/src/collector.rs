//! The consumer's side of a session: drains rings and makes samples of records.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tickscope_core::{
    Account, Accounts, Calibration, Depth, Dictionary, Event, Flow, Metadata, Overhead, Progress, RingId,
    Sample, Sink, Source, SourceError, Symbol, Track, TrackId,
};
use tickscope_ring::{Consumer, Policy};

use crate::arena::ArenaReader;
use crate::mapping::{Mapping, OpenError, state};
use crate::marks::{Marks, Taken};
use crate::session::{Shared, describe, measure_pair};

mod assemble;

use assemble::{Assembly, Parser};

/// How often the clock is anchored again.
const STEER_EVERY: Duration = Duration::from_secs(1);
/// How often changed accounts are reported.
const ACCOUNT_EVERY: Duration = Duration::from_millis(100);
/// How many samples make a batch.
const BATCH: usize = 4_096;

/// The fact that says which part of a recording this is, when it is not the first: see [`Collector::open`].
pub const PART: &str = "part";

/// Drains a session's rings; a [`Source`] that ends once [`Collector::close`] was called.
///
/// Everything it reads from the session's memory may be wrong: indices are checked, ends without a begin are counted
/// as discarded, and what is open at the end is closed as truncated.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    metadata: Metadata,
    arena: ArenaReader,
    rings: Vec<Option<Ring>>,
    accounts: Accounts,
    assembly: Assembly,
    copy: Vec<[u64; 2]>,
    fill: f64,
    steered: Instant,
    accounted: Instant,
    closing: bool,
    stopped: bool,
    overhead: Overhead,
}

#[derive(Debug)]
struct Ring {
    number: RingId,
    consumer: Consumer,
    parser: Parser,
    reported: Account,
    /// What earlier collectors took.
    before: Taken,
    /// See [`Marks::set`].
    turn: bool,
    /// Events attempted when it was last drained: what was committed then is taken now.
    attempted: u64,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>, metadata: Metadata, calibration: Calibration) -> Self {
        let pair_ns = measure_pair(&shared, &calibration);
        let mut dictionary = Dictionary::default();
        dictionary.set_track(
            TrackId::PROCESS,
            Track {
                kind: tickscope_core::TrackKind::Process,
                parent: TrackId::PROCESS,
                os_id: metadata.pid,
                name: metadata.subject.as_str().into(),
                resource: "".into(),
            },
        );
        Self {
            arena: ArenaReader::new(shared.mapping.clone()),
            assembly: Assembly::new(dictionary, calibration, shared.base.0, shared.mapping.shape()),
            shared,
            metadata,
            rings: Vec::new(),
            accounts: Accounts::default(),
            copy: Vec::new(),
            fill: 0.0,
            steered: Instant::now(),
            accounted: Instant::now(),
            closing: false,
            stopped: false,
            overhead: Overhead { pair_ns, ..Overhead::default() },
        }
    }

    /// Collects what another process records into the session file `path` ([`Session::create`](crate::Session::create)).
    /// A session has one collector at a time. `metadata` says what is recorded; start, process, clock and depth are the
    /// session's. Takes about 5 ms.
    ///
    /// One that takes over from another that is gone, or that was closed while the program went on, begins where that one
    /// was, and so does its account: `attempted` counts what was neither taken nor reported as dropped before. Ends of
    /// spans that began before are discarded, and until a coroutine that ran then is suspended, what it does stands on the
    /// thread's track. The fact `part` in its metadata is 2, or more.
    ///
    /// # Errors
    /// When the file is no session, or not of this version.
    pub fn open(path: &Path, metadata: Metadata) -> Result<Self, OpenError> {
        let mapping = Mapping::open(path)?;
        let header = mapping.header();
        let (pid, depth) = (header.pid.load(Ordering::Relaxed), header.depth.get());
        let part = header.collectors.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let begun = header.entries.load(Ordering::Relaxed) > 0;
        let (shared, calibration) = Shared::of_another(mapping);
        let mut metadata = Metadata { pid, depth, ..describe(&shared, metadata) };
        if part > 1 && begun {
            metadata.facts.push((PART.into(), part.to_string()));
        }
        Ok(Self::new(shared, metadata, calibration))
    }

    /// The number of the namespace in which the process has the number that the metadata tell: the inode of its
    /// `/proc/PID/ns/pid`. `None` when the process could not tell.
    pub fn pid_namespace(&self) -> Option<u64> {
        let namespace = self.shared.mapping.header().pid_namespace.load(Ordering::Relaxed);
        (namespace != 0).then_some(namespace)
    }

    /// Which program records, as it said itself; empty for a session of this process.
    pub fn program(&self) -> String {
        self.shared.mapping.header().name()
    }

    /// Whether a thread has begun to record.
    pub fn has_begun(&self) -> bool {
        self.shared.mapping.header().entries.load(Ordering::Acquire) > 0 // pairs with `Session::thread`
    }

    /// Asks the recording program for another depth; it follows as its scripts go on.
    pub fn want_depth(&self, depth: Depth) {
        self.shared.mapping.header().depth.set(depth);
    }

    /// Whether the recording program said that it is done ([`Session::close`](crate::Session::close)).
    pub fn is_finished(&self) -> bool {
        self.shared.mapping.header().finished.load(Ordering::Acquire) != 0 // pairs with `Session::close`
    }

    /// Ends the recording at the next poll: what is in the rings by then is drained, open spans are closed as
    /// truncated. Threads that go on recording afterwards fill their rings and drop.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Where the events of all rings went, as far as drained.
    pub fn account(&self) -> Account {
        self.accounts.total()
    }

    /// The session's names so far.
    pub fn dictionary(&self) -> &Dictionary {
        &self.assembly.dictionary
    }

    /// What collecting has cost so far, and what one recorded span costs.
    pub fn overhead(&self) -> Overhead {
        Overhead { intern: self.shared.intern_cost(), ..self.overhead.clone() }
    }

    /// The spans that are open on `track`, outermost first: what runs, and since when.
    pub fn open_spans(&self, track: TrackId) -> impl Iterator<Item = (&Symbol, u64)> {
        self.assembly
            .open(track)
            .map(|(symbol, begin_ns)| (self.assembly.dictionary.symbol(symbol), begin_ns))
    }

    /// How full the fullest ring was when the last poll began, 0 to 1.
    pub fn fill(&self) -> f64 {
        self.fill
    }

    /// Reads what a flight recorder ([`Policy::Overwrite`]) holds and was not read before. Ends without a begin are
    /// counted as discarded.
    ///
    /// # Errors
    /// What the sink answered.
    pub fn snapshot(&mut self, sink: &mut dyn Sink) -> Result<usize, SourceError> {
        self.look_for_rings();
        let before = self.assembly.delivered;
        for ring in self.rings.iter_mut().flatten() {
            self.copy.clear();
            let snapshot = ring.consumer.snapshot(ring.parser.position, &mut self.copy);
            if snapshot.missed > 0 {
                self.assembly.resynchronise(&mut ring.parser);
            }
            ring.parser.position = snapshot.positions.end;
            for (words, position) in self.copy.iter().zip(snapshot.positions) {
                self.assembly.read(&mut ring.parser, position, *words);
                if self.assembly.len() >= BATCH && !ring.parser.mid_event() {
                    self.arena.read(&mut self.assembly.dictionary);
                    push(&mut self.assembly, sink, &mut self.stopped, &mut self.overhead)?;
                }
            }
        }
        self.report_accounts(true);
        self.arena.read(&mut self.assembly.dictionary);
        push(&mut self.assembly, sink, &mut self.stopped, &mut self.overhead)?;
        Ok((self.assembly.delivered - before) as usize)
    }

    fn look_for_rings(&mut self) {
        let mapping = &self.shared.mapping;
        let entries = mapping.header().entries.load(Ordering::Acquire) as usize;
        let entries = entries.min(mapping.shape().rings);
        if self.rings.len() < entries {
            self.rings.resize_with(entries, || None);
        }
        for index in 0..entries {
            let entry = mapping.entry(index);
            let state = entry.state.load(Ordering::Acquire);
            if self.rings[index].is_none() && state == state::FREED {
                // SAFETY: its producer is gone, and so is the collector that was about to do this.
                unsafe { clear(mapping, index) };
            } else if self.rings[index].is_none() && state != state::EMPTY {
                let Ok(memory) = mapping.ring(index) else { continue };
                let number = RingId(entry.number.load(Ordering::Relaxed));
                let track = TrackId(entry.track.load(Ordering::Relaxed));
                // SAFETY: this collector is the session's only one, and drains each ring through one consumer.
                let consumer = unsafe { memory.consumer() };
                let at = consumer.position();
                self.rings[index] = Some(Ring {
                    number,
                    parser: Parser::new(number, track),
                    reported: Account::default(),
                    before: entry.marks.at(at).unwrap_or_default(),
                    turn: entry.marks.turn(at),
                    attempted: consumer.attempted(),
                    consumer,
                });
            }
        }
    }

    /// Adds an account sample for each ring whose account changed.
    fn report_accounts(&mut self, now: bool) {
        if !now && self.accounted.elapsed() < ACCOUNT_EVERY {
            return;
        }
        self.accounted = Instant::now();
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            let account = ring.account();
            if account != ring.reported {
                ring.reported = account;
                ring.mark(&self.shared.mapping.entry(index).marks);
                self.accounts.update(ring.number, account);
                self.assembly.account(Some(&ring.parser), account);
            }
        }
        let header = self.shared.mapping.header();
        let ringless = header.ringless.load(Ordering::Relaxed);
        let told = if now { header.ringless_told.swap(ringless, Ordering::Relaxed) } else { ringless };
        let ringless = ringless.saturating_sub(told);
        if ringless > 0 {
            let account = Account { attempted: ringless, dropped: ringless, ..Account::default() };
            self.accounts.update(RingId(0), account);
            self.assembly.account(None, account);
        }
    }

    /// Rings whose thread is gone and which are drained become free for other threads.
    fn free_rings(&mut self) {
        for index in 0..self.rings.len() {
            let entry = self.shared.mapping.entry(index);
            let Some(ring) = &mut self.rings[index] else { continue };
            if entry.state.load(Ordering::Acquire) != state::CLOSED || ring.consumer.backlog() > 0 {
                continue;
            }
            self.assembly.close_ring(&mut ring.parser, tickscope_core::Outcome::Unwound);
            let account = ring.account();
            self.accounts.update(ring.number, account);
            self.assembly.account(Some(&ring.parser), account);
            self.rings[index] = None;
            // SAFETY: its producer is gone (closed) and its consumer was dropped with the ring above.
            unsafe { clear(&self.shared.mapping, index) };
        }
    }
}

/// Gives a ring back. A collector that dies in here leaves the rest to the next one.
///
/// # Safety
/// Nobody uses the ring.
unsafe fn clear(mapping: &Mapping, index: usize) {
    let entry = mapping.entry(index);
    entry.state.store(state::FREED, Ordering::Release); // before anything is cleared
    entry.marks.clear();
    // SAFETY: passed on to the caller.
    unsafe { mapping.clear_ring(index) };
    entry.state.store(state::EMPTY, Ordering::Release); // pairs with the Acquire in `Session::thread`
}

impl Ring {
    fn account(&self) -> Account {
        let (delivered, discarded) = (self.parser.delivered, self.parser.discarded);
        // In this order: what is dropped was attempted before.
        let dropped = self.consumer.dropped().saturating_sub(self.before.dropped);
        let attempted = self.consumer.attempted();
        let here =
            |attempted: u64| attempted.saturating_sub(self.before.events).saturating_sub(self.before.dropped);
        let taken = delivered + discarded;
        match self.consumer.policy() {
            Policy::Drop => {
                // The program goes on: what it attempted since the ring was drained is neither here nor there yet.
                let (least, most) = (here(self.attempted), here(attempted));
                let attempted = taken.saturating_add(dropped).clamp(least.min(most), most);
                Account { attempted, committed: taken, delivered, overwritten: 0, discarded, dropped }
            }
            Policy::Overwrite => {
                // Slots that were overwritten cannot be counted in events: what is missing from the sum.
                let attempted = here(attempted);
                let overwritten = attempted.saturating_sub(dropped.saturating_add(taken));
                let committed = taken + overwritten;
                Account { attempted, committed, delivered, overwritten, discarded, dropped }
            }
        }
    }

    /// Keeps what has been taken, for the next collector.
    fn mark(&mut self, marks: &Marks) {
        let taken = taken(self.before, &self.parser, self.reported);
        marks.set(&mut self.turn, self.consumer.position(), taken);
    }
}

/// What this collector and those before it have taken of a ring, and reported as dropped. An event of which a part was
/// read counts: nobody else will make something of the rest.
fn taken(before: Taken, parser: &Parser, reported: Account) -> Taken {
    let events = parser.delivered + parser.discarded + u64::from(parser.mid_event());
    Taken {
        events: before.events.saturating_add(events),
        dropped: before.dropped.saturating_add(reported.dropped),
    }
}

impl Source for Collector {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn poll(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError> {
        if self.stopped {
            return Ok(Progress::End);
        }
        if self.shared.mapping.shape().policy == Policy::Overwrite {
            if !self.closing {
                return Ok(Progress::Idle);
            }
            self.snapshot(sink)?;
            return self.end(sink);
        }
        let start = Instant::now();
        if self.steered.elapsed() >= STEER_EVERY {
            self.assembly.calibration = self.shared.clock.steer(self.assembly.calibration);
            self.steered = start;
        }
        self.look_for_rings();
        let before = self.assembly.delivered;
        let exported = self.overhead.export.total();
        let mut failed = None;
        self.fill = 0.0;
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            self.fill = self.fill.max(ring.consumer.backlog() as f64 / ring.consumer.capacity() as f64);
            let marks = &self.shared.mapping.entry(index).marks;
            let Ring { consumer, parser, turn, .. } = ring;
            ring.attempted = consumer.attempted();
            consumer.drain(|position, slots| {
                for (slot, position) in slots.iter().zip(position..) {
                    self.assembly.read(parser, position, slot.words());
                }
                marks.set(turn, position + slots.len() as u64, taken(ring.before, parser, ring.reported));
                if self.assembly.len() >= BATCH && !parser.mid_event() && failed.is_none() {
                    self.arena.read(&mut self.assembly.dictionary);
                    failed = push(&mut self.assembly, sink, &mut self.stopped, &mut self.overhead).err();
                }
            });
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let ending = self.closing;
        self.report_accounts(ending);
        self.arena.read(&mut self.assembly.dictionary);
        self.free_rings();
        push(&mut self.assembly, sink, &mut self.stopped, &mut self.overhead)?;
        let drained = (self.assembly.delivered - before) as usize;
        if drained > 0 {
            let exporting = self.overhead.export.total() - exported;
            self.overhead.collect.add(start.elapsed().saturating_sub(exporting));
        }
        if ending {
            return self.end(sink);
        }
        Ok(if drained == 0 { Progress::Idle } else { Progress::Pushed(drained) })
    }
}

impl Collector {
    fn end(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError> {
        for ring in self.rings.iter_mut().flatten() {
            self.assembly.close_ring(&mut ring.parser, tickscope_core::Outcome::Truncated);
        }
        self.assembly.close_all();
        push(&mut self.assembly, sink, &mut self.stopped, &mut self.overhead)?;
        self.stopped = true;
        Ok(Progress::End)
    }
}

/// Hands over what was assembled, cut behind each tick.
fn push(
    assembly: &mut Assembly,
    sink: &mut dyn Sink,
    stopped: &mut bool,
    overhead: &mut Overhead,
) -> Result<(), SourceError> {
    if assembly.len() == 0 || *stopped {
        assembly.clear();
        return Ok(());
    }
    let start = Instant::now();
    assembly.dictionary.refresh_categories();
    let result = assembly.batches(|batch, tick_end| {
        let mut flow = sink.batch(&batch)?;
        if let (Flow::Continue, Some(end_ns)) = (flow, tick_end) {
            flow = sink.tick(end_ns)?;
        }
        *stopped |= flow == Flow::Stop;
        Ok::<_, SourceError>(flow)
    });
    assembly.clear();
    overhead.export.add(start.elapsed());
    result
}

/// A sample as the assembly makes them.
fn sample(time_ns: u64, ring: RingId, track: TrackId, event: Event) -> Sample {
    Sample { time_ns, ring, track, event }
}
