//! `--on-hitch`: a capture of the seconds before each late tick, and of nothing else.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tickscope_core::{
    Arg, ArgRange, ArgValue, Batch, CategoryId, Dictionary, Event, Flow, Metadata, RingId, Sample, Sink,
    SinkError, SpanId,
};

/// Holds the newest samples back and passes them on when a tick was late.
///
/// Memory grows with the window, not with the run. What is passed on is balanced: the end of a span is written if
/// its begin was, even after the window has closed, and not otherwise.
pub(crate) struct HitchRecorder<S> {
    inner: S,
    window_ns: u64,
    budget_ns: u64,
    held: VecDeque<Held>,
    newest_ns: u64,
    /// Ticks that have not ended, and when they began.
    open_ticks: Vec<(SpanId, u64)>,
    /// The batch before ended a late tick.
    late: bool,
    /// The names as of the last late tick.
    dictionary: Option<Dictionary>,
    written: HashSet<SpanId>,
    /// Per ring, how many of its resumed tracks were written as resumed.
    resumed: Vec<u32>,
}

/// A batch that was kept.
struct Held {
    newest_ns: u64,
    samples: Vec<Sample>,
    args: Vec<Arg>,
    text: String,
}

impl<S: Sink> HitchRecorder<S> {
    pub(crate) fn new(inner: S, window: Duration, budget_ns: u64) -> Self {
        Self {
            inner,
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            budget_ns,
            held: VecDeque::new(),
            newest_ns: 0,
            open_ticks: Vec::new(),
            late: false,
            dictionary: None,
            written: HashSet::new(),
            resumed: Vec::new(),
        }
    }

    /// Whether a late tick ended.
    fn look_for_ticks(&mut self, samples: &[Sample]) -> bool {
        let mut late = false;
        for sample in samples {
            self.newest_ns = self.newest_ns.max(sample.time_ns);
            match sample.event {
                Event::Begin(begin) if begin.category == CategoryId::TICK => {
                    self.open_ticks.push((begin.span, sample.time_ns));
                }
                Event::End(end) => {
                    if let Some(at) = self.open_ticks.iter().position(|(tick, _)| *tick == end.span) {
                        self.open_ticks.swap_remove(at);
                        late |= sample.time_ns - end.begin_ns > self.budget_ns;
                    }
                }
                _ => {}
            }
        }
        late
    }

    /// Passes on what of `held` belongs into the capture: all of it, or what ends spans that were begun in it.
    fn pass(&mut self, held: Held, all: bool, dictionary: &Dictionary) -> Result<(), SinkError> {
        let mut samples = held.samples;
        samples.retain_mut(|sample| self.belongs(sample, all));
        if samples.is_empty() {
            return Ok(());
        }
        self.inner.batch(&Batch { samples: &samples, args: &held.args, text: &held.text, dictionary })?;
        Ok(())
    }

    fn belongs(&mut self, sample: &mut Sample, all: bool) -> bool {
        match &mut sample.event {
            Event::Begin(begin) => {
                if all {
                    begin.parent = begin.parent.filter(|parent| self.written.contains(parent));
                    self.written.insert(begin.span);
                }
                all
            }
            Event::End(end) => self.written.remove(&end.span),
            Event::Resume { .. } => {
                if all {
                    *self.resumed_on(sample.ring) += 1;
                }
                all
            }
            Event::Suspend { .. } => {
                let resumed = self.resumed_on(sample.ring);
                let balanced = *resumed > 0;
                *resumed = resumed.saturating_sub(1);
                balanced
            }
            Event::Account(_) => true,
            _ => all,
        }
    }

    fn resumed_on(&mut self, ring: RingId) -> &mut u32 {
        let index = ring.index().min(1 << 20);
        if self.resumed.len() <= index {
            self.resumed.resize(index + 1, 0);
        }
        &mut self.resumed[index]
    }
}

impl<S: Sink> Sink for HitchRecorder<S> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        let mut metadata = metadata.clone();
        let seconds = self.window_ns as f64 / 1e9;
        metadata.facts.push(("on_hitch".into(), format!("{seconds} s before each late tick")));
        self.inner.open(&metadata)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let late = self.look_for_ticks(batch.samples);
        self.held.push_back(keep(batch, self.newest_ns));
        // The window ends where a tick begins: all of the tick itself is kept until it is known to be in time.
        let horizon = self.open_ticks.iter().map(|(_, begin_ns)| *begin_ns).fold(self.newest_ns, u64::min);
        while let Some(oldest) = self.held.front()
            && (late || oldest.newest_ns.saturating_add(self.window_ns) < horizon)
            && let Some(oldest) = self.held.pop_front()
        {
            self.pass(oldest, late, batch.dictionary)?;
        }
        if late {
            self.dictionary = Some(batch.dictionary.clone());
        }
        self.late = late;
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        // Batches are cut behind each tick, so the last one ended with it.
        if self.late { self.inner.tick(end_ns) } else { Ok(Flow::Continue) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        // What is held now ends spans that were written; their names were known when those were.
        if let Some(dictionary) = self.dictionary.take() {
            while let Some(held) = self.held.pop_front() {
                self.pass(held, false, &dictionary)?;
            }
        }
        self.inner.finish()
    }
}

fn keep(batch: &Batch<'_>, newest_ns: u64) -> Held {
    let mut held = Held { newest_ns, samples: Vec::new(), args: Vec::new(), text: String::new() };
    held.samples.extend_from_slice(batch.samples);
    for sample in &mut held.samples {
        let range = match &mut sample.event {
            Event::Begin(begin) => &mut begin.args,
            Event::End(end) => &mut end.args,
            Event::Instant { args, .. } => args,
            _ => continue,
        };
        // A batch may share its arguments with others: only this one's are kept.
        let start = held.args.len() as u32;
        for arg in batch.args(*range) {
            let mut arg = *arg;
            let text = batch.text(arg.value);
            if let ArgValue::Text { start, .. } = &mut arg.value {
                *start = held.text.len() as u32;
            }
            held.text.push_str(text);
            held.args.push(arg);
        }
        let len = held.args.len() as u32 - start;
        *range = if len == 0 { ArgRange::NONE } else { ArgRange { start, len } };
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tickscope_core::{Begin, End, Outcome, RecordingSink, SymbolId, TrackId};

    /// Ticks of 1 s with one span each; those in `late` take 100 ms more than the budget. A span is open throughout.
    fn recorded(ticks: u64, late: &[u64], window: Duration) -> RecordingSink {
        let mut recorder = HitchRecorder::new(RecordingSink::default(), window, 50_000_000);
        recorder.open(&Metadata::default()).unwrap();
        let dictionary = Dictionary::default();
        let span = |n| SpanId::new(RingId(1), n).unwrap();
        let begin = |time_ns, n, parent: Option<u64>, category| {
            let (symbol, parent) = (SymbolId::OTHER, parent.map(span));
            let begin = Begin { span: span(n), parent, symbol, category, link: None, args: ArgRange::NONE };
            Sample { time_ns, ring: RingId(1), track: TrackId(0), event: Event::Begin(begin) }
        };
        let end = |begin_ns, time_ns, n| {
            let (span, symbol) = (span(n), SymbolId::OTHER);
            let end = End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes: 0, args: ArgRange::NONE };
            Sample { time_ns, ring: RingId(1), track: TrackId(0), event: Event::End(end) }
        };
        let mut feed = |samples: &[Sample]| {
            recorder.batch(&Batch { samples, args: &[], text: "", dictionary: &dictionary }).unwrap();
        };
        feed(&[begin(0, 1, None, CategoryId::DEFAULT)]);
        for tick in 1..=ticks {
            let start = tick * 1_000_000_000;
            let took = if late.contains(&tick) { 150_000_000 } else { 10_000_000 };
            feed(&[
                begin(start, tick * 10, Some(1), CategoryId::TICK),
                begin(start + 1, tick * 10 + 1, Some(tick * 10), CategoryId::EVENT),
            ]);
            feed(&[end(start + 1, start + took - 1, tick * 10 + 1), end(start, start + took, tick * 10)]);
        }
        feed(&[end(0, 1 << 50, 1)]);
        recorder.finish().unwrap();
        recorder.inner
    }

    #[test]
    fn only_the_time_before_late_ticks_is_kept_and_it_balances() {
        let sink = recorded(30, &[5, 20, 21], Duration::from_secs(3));
        let mut open = HashMap::new();
        let mut ticks = vec![];
        for sample in &sink.samples {
            match sample.event {
                Event::Begin(begin) => {
                    assert!(
                        begin.parent.is_none_or(|parent| open.contains_key(&parent)),
                        "parents are in the capture"
                    );
                    open.insert(begin.span, begin);
                    if begin.category == CategoryId::TICK {
                        ticks.push(begin.span.position() / 10);
                    }
                }
                Event::End(end) => assert!(open.remove(&end.span).is_some(), "ends have their begin"),
                _ => {}
            }
        }
        assert!(open.is_empty());
        assert_eq!(ticks, [2, 3, 4, 5, 17, 18, 19, 20, 21]);
    }

    #[test]
    fn without_a_late_tick_nothing_is_kept() {
        assert!(recorded(30, &[], Duration::from_secs(3)).samples.is_empty());
    }
}
