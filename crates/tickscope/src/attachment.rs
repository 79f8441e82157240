//! How a thread finds the recording it records into.
//!
//! A thread-local slot without destructor holds what the fast path needs; the attachments it points to are owned
//! beside it, by a thread-local that has one. The slot is looked up again whenever [`EPOCH`] has moved: a recording
//! began, ended or was switched.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tickscope_session::ThreadRecorder;

use crate::guard::SpanGuard;
use crate::probe::Waiting;
use crate::recording::{self, Inner, Trace};

/// Moves with every change of which recording threads should record into.
pub(crate) static EPOCH: AtomicU64 = AtomicU64::new(1);

/// One thread's place in one recording.
#[derive(Debug)]
pub struct Attachment {
    pub(crate) recorder: ThreadRecorder,
    pub(crate) inner: Arc<Inner>,
    head: Cell<Head>,
    /// What begins once something happens inside; see [`crate::Probe`].
    pub(crate) waiting: Waiting,
}

/// Where a thread stands, or a task on it, when head sampling is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    mode: Mode,
    /// Open spans that were decided about.
    open: u32,
    /// The mode without one: in whichever order they are left.
    base: Mode,
}

impl Head {
    /// In nothing.
    pub(crate) const ROOT: Self = Self::new(Mode::Root);

    const fn new(base: Mode) -> Self {
        Self { mode: base, open: 0, base }
    }

    /// In something that has no span of its own here, and was kept or not.
    #[cfg(feature = "scheduler")]
    pub(crate) fn inside(kept: bool) -> Self {
        Self::new(Mode::inside(kept))
    }
}

/// What becomes of spans where head sampling is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The next span is a root.
    Root,
    /// Inside a root that is kept.
    Keep,
    /// Inside a root that is not.
    Skip,
}

impl Mode {
    fn inside(kept: bool) -> Self {
        if kept { Self::Keep } else { Self::Skip }
    }
}

impl Attachment {
    pub(crate) fn number(&self) -> u32 {
        self.inner.number
    }

    /// Admits a span or not, and makes the decision that of all below it.
    pub(crate) fn admit_span(&self, critical: bool, trace: Trace) -> SpanGuard {
        if !self.inner.is_sampling() {
            return SpanGuard::admitted(self.number());
        }
        let head = self.head.get();
        let keep = self.keeps(critical, trace);
        self.head.set(Head { mode: Mode::inside(keep), open: head.open + 1, ..head });
        SpanGuard::sampled(self.number(), head.mode, keep)
    }

    /// Whether something without a span of its own is recorded here.
    pub(crate) fn keeps(&self, critical: bool, trace: Trace) -> bool {
        if !self.inner.is_sampling() {
            return true;
        }
        let keep = match self.head.get().mode {
            Mode::Keep => true,
            Mode::Skip => critical,
            Mode::Root => return self.inner.admit_root(critical, trace),
        };
        if !keep {
            self.inner.skipped.fetch_add(1, Ordering::Relaxed);
        }
        keep
    }

    pub(crate) fn leave(&self, before: Mode) {
        let head = self.head.get();
        let open = head.open.saturating_sub(1);
        self.head.set(Head { mode: if open == 0 { head.base } else { before }, open, ..head });
    }

    fn record<R>(&self, record: impl FnOnce(&Self) -> R) -> R {
        self.waiting.begin_all(self);
        record(self)
    }
}

/// What the fast path reads.
pub(crate) struct Slot {
    /// The epoch in which the rest was found.
    epoch: Cell<u64>,
    /// Number of the recording behind `fast`; 0 when `fast` is null.
    number: Cell<u32>,
    /// Number of the recording in force, also where each span needs a decision; 0 when nothing is recorded.
    current: Cell<u32>,
    /// This thread is in a slow path: a macro in the program's allocator must not get there again.
    busy: Cell<bool>,
    /// Null when nothing is recorded, when each span needs a decision, and when calls wait for something to happen inside.
    fast: Cell<*const Attachment>,
}

/// In no recording's life.
const NEVER: u64 = 0;

impl Slot {
    /// The attachment to record into without further ado, and its recording's number.
    #[inline(always)]
    pub(crate) fn fast(&self) -> Option<(&Attachment, u32)> {
        if !self.is_fresh() {
            return None;
        }
        // SAFETY: set in `look_again` to an attachment that `OWNER` keeps; `forget` is called before it lets go of
        // one, and nothing that could get there runs while this reference is used: recording calls no foreign code.
        let attachment = unsafe { self.fast.get().as_ref() }?;
        Some((attachment, self.number.get()))
    }

    /// The attachment of an open span of recording `number`, even if the recording was switched off since.
    #[inline(always)]
    pub(crate) fn fast_for(&self, number: u32) -> Option<&Attachment> {
        if self.number.get() != number {
            return None;
        }
        // SAFETY: as in `fast`.
        unsafe { self.fast.get().as_ref() }
    }

    /// Whether nothing is recorded on this thread.
    #[inline(always)]
    pub(crate) fn is_off(&self) -> bool {
        self.current.get() == 0 && self.is_fresh()
    }

    #[inline(always)]
    fn is_fresh(&self) -> bool {
        self.epoch.get() == EPOCH.load(Ordering::Relaxed)
    }

    fn forget(&self) {
        self.epoch.set(NEVER);
        self.number.set(0);
        self.current.set(0);
        self.fast.set(std::ptr::null());
    }
}

/// This thread's slot, found without a call: `LocalKey::with` around a long closure is one.
#[inline(always)]
pub(crate) fn slot<'a>() -> &'a Slot {
    let slot = SLOT.with(std::ptr::from_ref);
    // SAFETY: the slot has no destructor, so it lives as long as the thread; it is not `Sync`, so the reference stays
    // on it.
    unsafe { &*slot }
}

thread_local! {
    static SLOT: Slot = const {
        Slot {
            epoch: Cell::new(NEVER),
            number: Cell::new(0),
            current: Cell::new(0),
            busy: Cell::new(false),
            fast: Cell::new(std::ptr::null()),
        }
    };
    static OWNER: RefCell<Owner> = const { RefCell::new(Owner { attachments: Vec::new(), chosen: Vec::new() }) };
}

struct Owner {
    attachments: Vec<Rc<Attachment>>,
    /// Recordings chosen for this thread, the innermost choice last.
    chosen: Vec<Arc<Inner>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        slot().forget();
    }
}

impl Owner {
    fn find(&self, number: u32) -> Option<Rc<Attachment>> {
        self.attachments.iter().find(|known| known.number() == number).cloned()
    }

    fn attach(&mut self, inner: &Arc<Inner>) -> Rc<Attachment> {
        if let Some(found) = self.find(inner.number) {
            return found;
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("thread");
        let recorder = inner.session.thread(name);
        let attachment = Rc::new(Attachment {
            recorder,
            inner: inner.clone(),
            head: Cell::new(Head::ROOT),
            waiting: Waiting::default(),
        });
        self.attachments.push(attachment.clone());
        attachment
    }
}

/// Makes macros on this thread record into `inner` until [`unchoose`].
pub(crate) fn choose(inner: Arc<Inner>) {
    let _ = OWNER.try_with(|owner| {
        if let Ok(mut owner) = owner.try_borrow_mut() {
            owner.chosen.push(inner);
        }
    });
    slot().forget();
}

/// Makes macros on this thread record nothing, for ever: the collector must not record itself.
pub(crate) fn silence() {
    slot().forget();
    slot().busy.set(true);
}

/// Takes back the last choice of that recording.
pub(crate) fn unchoose(number: u32) {
    let _ = OWNER.try_with(|owner| {
        if let Ok(mut owner) = owner.try_borrow_mut()
            && let Some(at) = owner.chosen.iter().rposition(|inner| inner.number == number)
        {
            owner.chosen.remove(at);
        }
    });
    slot().forget();
}

/// Runs `record` with this thread's attachment to the recording in force, made if need be. `None` when there is none,
/// or the call comes from within another such call.
#[cold]
pub(crate) fn with_current<R>(record: impl FnOnce(&Attachment) -> R) -> Option<R> {
    slowly(current).map(|(attachment, _busy)| attachment.record(record))
}

/// Puts `head` in the place of what this thread goes by in `inner`, and gives that. `None` where nothing is decided.
#[cfg(feature = "scheduler")]
pub(crate) fn exchange_head(inner: &Arc<Inner>, head: Head) -> Option<Head> {
    if !inner.is_sampling() || inner.is_stopped() {
        return None;
    }
    slowly(|_, owner| Some(owner.attach(inner))).map(|(attachment, _busy)| attachment.head.replace(head))
}

/// As [`with_current`], for what records nothing.
#[cold]
pub(crate) fn look<R>(look: impl FnOnce(&Attachment) -> R) -> Option<R> {
    slowly(current).map(|(attachment, _busy)| look(&attachment))
}

fn current(slot: &Slot, owner: &mut Owner) -> Option<Rc<Attachment>> {
    if slot.is_fresh() {
        return owner.find(slot.current.get());
    }
    // Before the look: what changes from here on makes the thread look again.
    let epoch = EPOCH.load(Ordering::Acquire); // pairs with the Release in `recording::changed`
    slot.forget();
    owner.attachments.retain(|attachment| !attachment.inner.is_stopped());
    let inner = owner.chosen.last().cloned().or_else(recording::default);
    let found = inner.filter(|inner| inner.is_recording()).map(|inner| owner.attach(&inner));
    match &found {
        Some(attachment) if !attachment.inner.is_sampling() && !attachment.waiting.is_any() => {
            slot.number.set(attachment.number());
            slot.fast.set(Rc::as_ptr(attachment));
        }
        _ => {}
    }
    slot.current.set(found.as_ref().map_or(0, |attachment| attachment.number()));
    slot.epoch.set(epoch);
    found
}

/// Makes this thread's next event look again which way it goes.
pub(crate) fn look_again() {
    slot().forget();
}

/// Runs `record` with this thread's attachment to the recording of that number, if it has one.
pub(crate) fn with_number<R>(number: u32, record: impl FnOnce(&Attachment) -> R) -> Option<R> {
    slowly(|_, owner| owner.find(number)).map(|(attachment, _busy)| attachment.record(record))
}

/// As [`with_number`], for what records nothing, or is about the calls that wait.
pub(crate) fn look_at<R>(number: u32, record: impl FnOnce(&Attachment) -> R) -> Option<R> {
    slowly(|_, owner| owner.find(number)).map(|(attachment, _busy)| record(&attachment))
}

/// Runs `record` with this thread's attachment to `inner`, made if need be.
pub(crate) fn with_recording<R>(inner: &Arc<Inner>, record: impl FnOnce(&Attachment) -> R) -> Option<R> {
    if inner.is_stopped() {
        return None;
    }
    slowly(|_, owner| Some(owner.attach(inner))).map(|(attachment, _busy)| attachment.record(record))
}

fn slowly(find: impl FnOnce(&Slot, &mut Owner) -> Option<Rc<Attachment>>) -> Option<(Rc<Attachment>, Busy)> {
    let busy = Busy::begin()?;
    let find = |owner: &RefCell<Owner>| {
        let mut owner = owner.try_borrow_mut().ok()?;
        find(slot(), &mut owner)
    };
    // The owner is gone when a thread-local of the program outlives it.
    let attachment = OWNER.try_with(find).ok().flatten()?;
    Some((attachment, busy))
}

/// Held while a slow path runs.
struct Busy(());

impl Busy {
    fn begin() -> Option<Self> {
        // Not `then_some`: a value that is not wanted would be dropped, and end the other.
        (!slot().busy.replace(true)).then(|| Self(()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        slot().busy.set(false);
    }
}
