//! Tasks of `tickscope-scheduler` in a recording.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tickscope_core::{
    ArgInput, CategoryId, KeyId, Link, LinkKind, Outcome, Recorder, Span, SpanId, SwitchReason, SymbolId,
    SymbolRef, Ticks, TrackId, TrackKind,
};
use tickscope_scheduler::{End, Moment, Observer, TaskId, TaskKind};

use crate::attachment::{self, Attachment, Head, slot};
use crate::recording::{Inner, Recording, Trace};

mod own;

/// Records the tasks of a pool: give it to the pool's builder.
///
/// - A task is a span of category `task` on its worker's track, called as its body is (`shop::restock`). It is linked
///   ([`LinkKind::Task`]) to where it was spawned, inside the span that was open there, so that one sees what caused it
///   from task to task. `waited_ns`, to a thousandth, says how long it was queued; the span is how long it ran.
/// - A fiber or future that waits has a span for each part that it runs, with its number as argument `task`; each is linked
///   to the part before it ([`LinkKind::Await`]). A fiber has a track of its own besides: what it records stays open there
///   while it waits, and the wait is a span of category `await`.
/// - A panic ends the span as unwound; a task that was cancelled or abandoned while it ran ends as an error.
/// - What is never started has no span.
///
/// What a task records by macros is inside its span, if the recording is that of all threads ([`Builder::start`]).
/// With head sampling, a task is kept if what spawned it is, and what it records with it; where the category `task` is
/// off, its outermost spans are roots. The pool may outlive the recording: then nothing more is recorded, but the
/// recording's memory is there as long as the pool.
///
/// A task works in no trace context but those it enters, whatever it runs on the stack of or between; it has those it
/// holds when it goes on after a wait ([`TraceContext`](crate::TraceContext)).
///
/// It takes three readings of the time stamp counter and five records of 16 bytes for a task that does not wait, and neither
/// lock nor allocation once a body of its kind was recorded by the thread.
///
/// [`Builder::start`]: crate::Builder::start
///
/// ```
/// use tickscope::scheduler::Tasks;
/// use tickscope::{MemorySink, Recording, span};
/// use tickscope_scheduler::Pool;
///
/// let recording = Recording::builder().sink("memory", MemorySink::default()).start()?;
/// let pool = Pool::builder().workers(1).observer(Tasks::new(&recording)).build()?;
/// let answer = {
///     let _request = span!("request");
///     pool.spawn(|| 6 * 7) // the task's span is linked to here
/// };
/// assert_eq!(answer.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tasks {
    inner: Arc<Inner>,
}

/// What a worker's thread remembers between calls.
#[derive(Default)]
struct Work {
    /// The recording that the rest is of.
    number: u32,
    /// What runs on this thread's stack, the innermost last.
    running: Vec<Running>,
    /// Its fibers that wait.
    waiting: HashMap<TaskId, Waiting>,
    /// By the place of the name, which is a constant.
    symbols: HashMap<(usize, usize), SymbolId>,
    last: Option<((usize, usize), SymbolId)>,
    waited: KeyId,
    task: KeyId,
}

struct Running {
    task: TaskId,
    span: Span,
    /// Its own, on which it runs.
    track: Option<TrackId>,
}

struct Waiting {
    track: TrackId,
    /// The wait.
    span: Span,
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Every moment is recorded at the time that the scheduler was told.
fn at(moment: &Moment) -> Ticks {
    Ticks(moment.at)
}

impl Tasks {
    /// For a pool whose tasks are recorded in `recording`.
    pub fn new(recording: &Recording) -> Self {
        Self { inner: Arc::clone(&recording.inner) }
    }

    /// With this thread's place in the recording.
    #[inline]
    fn with<R>(&self, record: impl FnOnce(&Attachment) -> R) -> Option<R> {
        match slot().fast() {
            Some((attachment, number)) if number == self.inner.number => Some(record(attachment)),
            _ => self.with_slowly(record),
        }
    }

    #[cold]
    fn with_slowly<R>(&self, record: impl FnOnce(&Attachment) -> R) -> Option<R> {
        // Has the thread look again what macros record into: from then on it goes fast, if that is the recording.
        attachment::with_current(|_| ());
        attachment::with_recording(&self.inner, record)
    }

    /// With what this worker's thread remembers, too.
    #[inline]
    fn work(&self, record: impl FnOnce(&Attachment, &mut Work)) {
        self.with(|attachment| {
            let _ = WORK.try_with(|work| {
                if let Ok(mut work) = work.try_borrow_mut() {
                    if work.number != attachment.number() {
                        *work = Work::of(attachment);
                    }
                    record(attachment, &mut work);
                }
            });
        });
    }

    /// What is decided for what a task records, where anything is.
    #[inline]
    fn head(&self, kept: bool) -> Option<Head> {
        let head = || match self.inner.session.categories().contains(CategoryId::TASK) {
            true => Head::inside(kept),
            false => Head::ROOT,
        };
        self.inner.is_sampling().then(head)
    }

    /// A part of a task begins: on the worker's track, and then, for a fiber, on its own.
    #[inline]
    fn begin(&self, moment: &Moment, kind: LinkKind) {
        let source = SpanId::from_raw(moment.tag);
        own::begin(&self.inner, moment, self.head(source.is_some()));
        // With head sampling, what has no cause was not chosen.
        if !self.inner.is_recording() || source.is_none() && self.inner.is_sampling() {
            return;
        }
        self.work(|attachment, work| {
            let recorder = &attachment.recorder;
            if !recorder.enabled(CategoryId::TASK) {
                return;
            }
            let symbol = work.symbol(attachment, moment.name);
            let waited =
                ArgInput::Uint(moment.waited.saturating_mul(1_000) / recorder.ticks_per_micro().max(1));
            let args = [(work.waited, waited), (work.task, ArgInput::Uint(moment.task.get()))];
            let args = match (moment.kind, kind) {
                (TaskKind::Closure, _) => &args[..1],
                (_, LinkKind::Task) => &args[..],
                _ => &args[1..],
            };
            let link = source.map(|source| Link { kind, source });
            let span = recorder.enter_with(at(moment), symbol, CategoryId::TASK, link, args);
            let track = (moment.kind == TaskKind::Fiber).then(|| work.resume(attachment, moment));
            work.running.push(Running { task: moment.task, span, track });
        });
    }
}

impl Work {
    #[cold]
    fn of(attachment: &Attachment) -> Self {
        Self {
            number: attachment.number(),
            waited: attachment.recorder.intern_key("waited_ns"),
            task: attachment.recorder.intern_key("task"),
            ..Self::default()
        }
    }

    #[inline]
    fn symbol(&mut self, attachment: &Attachment, name: &'static str) -> SymbolId {
        let place = (name.as_ptr() as usize, name.len());
        match self.last {
            Some((last, symbol)) if last == place => symbol,
            _ => {
                let symbol = *self.symbols.entry(place).or_insert_with(|| {
                    attachment.recorder.intern_symbol(SymbolRef::host(crate::__function_name(name)))
                });
                self.last = Some((place, symbol));
                symbol
            }
        }
    }

    /// A fiber's own track runs.
    #[cold]
    fn resume(&mut self, attachment: &Attachment, moment: &Moment) -> TrackId {
        let recorder = &attachment.recorder;
        let waiting = self.waiting.remove(&moment.task);
        let track = waiting.as_ref().map_or_else(
            || {
                recorder.new_track(tickscope_core::Track {
                    kind: TrackKind::Fiber,
                    parent: recorder.thread_track(),
                    os_id: 0,
                    name: crate::__function_name(moment.name).into(),
                    resource: "".into(),
                })
            },
            |waiting| waiting.track,
        );
        recorder.resume(at(moment), track);
        if let Some(waiting) = waiting {
            recorder.exit(at(moment), waiting.span, Outcome::Ok, 0);
        }
        track
    }

    /// What runs, if it is this task.
    fn stops(&mut self, task: TaskId) -> Option<Running> {
        self.running.pop_if(|running| running.task == task)
    }
}

impl Observer for Tasks {
    /// Ticks of the recording's clock.
    #[inline]
    fn now(&self) -> u64 {
        self.inner.session.now().0
    }

    #[inline]
    fn queued(&self, _task: TaskId, _worker: Option<usize>, at: u64) -> u64 {
        if !self.inner.is_recording() {
            return 0;
        }
        let point = self.with(|attachment| {
            let recorder = &attachment.recorder;
            let wanted = recorder.enabled(CategoryId::TASK) && attachment.keeps(false, Trace::New);
            if wanted { recorder.link_point(Ticks(at)) } else { None }
        });
        point.flatten().map_or(0, SpanId::raw)
    }

    #[inline]
    fn started(&self, moment: &Moment) {
        self.begin(moment, LinkKind::Task);
    }

    fn suspended(&self, moment: &Moment) -> u64 {
        own::suspend(&self.inner, moment);
        let mut tag = moment.tag;
        self.work(|attachment, work| {
            let (at, recorder) = (at(moment), &attachment.recorder);
            let Some(running) = work.stops(moment.task) else { return };
            if let Some(track) = running.track {
                let symbol = work.symbol(attachment, moment.name);
                let span = recorder.enter(at, symbol, CategoryId::AWAIT);
                work.waiting.insert(moment.task, Waiting { track, span });
                recorder.suspend(at, SwitchReason::Yield);
            }
            tag = recorder.link_point(at).map_or(tag, SpanId::raw);
            recorder.exit(at, running.span, Outcome::Ok, 0);
        });
        tag
    }

    fn resumed(&self, moment: &Moment) {
        self.begin(moment, LinkKind::Await);
    }

    #[inline]
    fn ended(&self, moment: &Moment, end: End) {
        own::end(&self.inner, moment);
        self.work(|attachment, work| {
            let (at, recorder) = (at(moment), &attachment.recorder);
            let Some(running) = work.stops(moment.task) else {
                // Its last part was not recorded.
                work.waiting.remove(&moment.task);
                return;
            };
            let (outcome, reason) = match end {
                End::Finished => (Outcome::Ok, SwitchReason::Return),
                End::Panicked => (Outcome::Unwound, SwitchReason::Error),
                End::Cancelled | End::Abandoned => (Outcome::Error, SwitchReason::Error),
            };
            if running.track.is_some() {
                recorder.suspend(at, reason);
            }
            recorder.exit(at, running.span, outcome, 0);
        });
    }
}
