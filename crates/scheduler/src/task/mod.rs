//! A task: one allocation with a header that queues know, and a body that only its table of functions knows.

mod closure;
mod future;
mod state;

pub(crate) use closure::{closure, closure_with};
pub(crate) use future::future;
pub(crate) use state::{Cancel, Outcome, Start, State};

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::blocks;
use crate::inbox::Linked;
use crate::observer::TaskKind;
use crate::pool::{Priority, Shared, Worker, current};
use crate::sync::{AtomicPtr, Ordering, UnsafeCell};

/// Names a task within its pool: unique, and not in the order of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// The number, for logs and for other systems.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// What a body runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The worker's own stack.
    Thread,
    /// The same, by a worker that has no entry for it: only if it has not begun.
    Claimed,
    /// A stack of its own, which it may be suspended on.
    Fiber,
}

/// What the table's functions do, for one type of body.
#[derive(Debug)]
pub(crate) struct Table {
    /// Does what there is to do with an entry that was taken from a queue; the entry's reference is in the first argument.
    run: unsafe fn(Task, &Worker, Ground),
    /// Moves the outcome out: a `Result<T, TaskError>`.
    read: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the outcome.
    forget: unsafe fn(NonNull<Header>),
    /// Frees the memory.
    free: unsafe fn(NonNull<Header>),
    /// What its body is called.
    name: fn() -> &'static str,
    /// A closure may be run by whoever waits for it.
    is_closure: bool,
}

/// No worker yet.
const NOWHERE: u32 = u32::MAX;

/// What every task has. With a small body behind it, it fills one cache line: that is what goes from the thread that
/// spawns to the worker.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) state: State,
    table: &'static Table,
    pub(crate) id: TaskId,
    /// Set before there is anybody who could wake the task, and then never changed.
    extra: UnsafeCell<Option<NonNull<Extra>>>,
    /// Which pool it belongs to, to compare.
    pub(crate) pool: u32,
    pub(crate) priority: Priority,
    /// It is to have a stack of its own from the start.
    pub(crate) fiber: bool,
    /// There is a timer that has to be taken back.
    pub(crate) timed: bool,
    /// It is part of something that is counted and told otherwise.
    pub(crate) hidden: bool,
}

/// What only some tasks need: those that can be suspended, and those that an observer is told of. It lies behind the task in
/// the same block, or, for a closure that turns out to need it, in a block of its own.
#[derive(Debug)]
pub(crate) struct Extra {
    link: AtomicPtr<Header>,
    /// Where it goes when it is woken.
    owner: UnsafeCell<Option<Arc<Shared>>>,
    /// The worker that it was started on and has to stay on.
    home: AtomicU32,
    /// Where its pool keeps it while it waits.
    slot: AtomicU32,
    /// For the observer: its own mark, when the task was queued, and how long it ran so far. Only touched by who has
    /// the entry.
    pub(crate) tag: Cell<u64>,
    pub(crate) queued_at: Cell<u64>,
    pub(crate) ran: Cell<u64>,
}

impl Extra {
    fn new(owner: Option<Arc<Shared>>) -> Self {
        Self {
            link: AtomicPtr::new(ptr::null_mut()),
            owner: UnsafeCell::new(owner),
            home: AtomicU32::new(NOWHERE),
            slot: AtomicU32::new(NOWHERE),
            tag: Cell::new(0),
            queued_at: Cell::new(0),
            ran: Cell::new(0),
        }
    }

    fn owner(&self) -> Option<&Arc<Shared>> {
        // SAFETY: written once, before there is a second thread that could come here.
        self.owner.with_mut(|owner| unsafe { (*owner).as_ref() })
    }
}

// SAFETY: the link is the same field always; only inboxes write it, and `SCHEDULED` lets a task be in one at a time.
unsafe impl Linked for Header {
    fn link(&self) -> &AtomicPtr<Self> {
        &self.extra().expect("what goes into an inbox was made with room for the link").link
    }
}

/// What is known about a task before it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pool: u32,
    pub(crate) id: TaskId,
    pub(crate) priority: Priority,
    pub(crate) fiber: bool,
    pub(crate) timed: bool,
    pub(crate) hidden: bool,
    /// It is told of, or goes into an inbox.
    pub(crate) extra: bool,
}

impl Header {
    #[inline]
    fn new(plan: Plan, table: &'static Table, state: State) -> Self {
        Self {
            state,
            table,
            id: plan.id,
            extra: UnsafeCell::new(None),
            pool: plan.pool,
            priority: plan.priority,
            fiber: plan.fiber,
            timed: plan.timed,
            hidden: plan.hidden,
        }
    }

    /// Tells it where its extra lies: when it is made.
    fn set_extra(&self, place: NonNull<Extra>) {
        // SAFETY: nobody else knows the task yet.
        self.extra.with_mut(|extra| unsafe { *extra = Some(place) });
    }

    #[inline]
    pub(crate) fn extra(&self) -> Option<&Extra> {
        // SAFETY: written before there is a second thread that could come here; it lives as long as the header.
        self.extra.with_mut(|extra| unsafe { (*extra).map(|extra| extra.as_ref()) })
    }

    /// What the body is called.
    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        (self.table.name)()
    }

    pub(crate) fn kind(&self) -> TaskKind {
        let is_at_home = || self.extra().is_some_and(|extra| extra.home.load(Ordering::Relaxed) != NOWHERE);
        match self.table.is_closure {
            false => TaskKind::Future,
            true if is_at_home() => TaskKind::Fiber,
            true => TaskKind::Closure,
        }
    }
}

/// One reference to a task.
#[derive(Debug)]
pub(crate) struct Task(NonNull<Header>);

// SAFETY: the body's type is `Send`, or is touched by its home worker only; the header's cells belong to who has the
// entry; everything else in it is atomic.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

impl Task {
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a reference keeps the task alive.
        unsafe { self.0.as_ref() }
    }

    /// A reference of its own to a task that is there.
    ///
    /// # Safety
    /// Somebody else has a reference meanwhile.
    pub(crate) unsafe fn of(header: NonNull<Header>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { header.as_ref() }.state.reference();
        Self(header)
    }

    pub(crate) fn as_raw(&self) -> NonNull<Header> {
        self.0
    }

    /// It will be run soon: its memory, which another thread has written, may come nearer already. `extra` too, which
    /// it is not asked about, for that would wait for it.
    #[inline]
    pub(crate) fn prefetch(&self, extra: bool) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let header = self.0.as_ptr().cast::<i8>();
            // SAFETY: a hint, which may be given for any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(header) };
            if extra {
                // SAFETY: as above.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(header.wrapping_add(64)) };
            }
        }
    }

    /// For an inbox, which keeps the reference.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// The pointer came from `into_raw`, and its reference is the caller's.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// A second reference to the same task, for its handle, which `State::new` has counted.
    ///
    /// # Safety
    /// Called once for each reference that was counted.
    pub(crate) unsafe fn counted(&self) -> Self {
        Self(self.0)
    }

    /// Does what there is to do with an entry.
    #[inline]
    pub(crate) fn run(self, worker: &Worker, ground: Ground) {
        let run = self.header().table.run;
        // SAFETY: the table is the task's own.
        unsafe { run(self, worker, ground) }
    }

    /// # Safety
    /// The outcome is there, is the caller's, and has the type `Result<T, TaskError>`; it is gone afterwards.
    pub(crate) unsafe fn read<T>(&self) -> T {
        let mut outcome = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: the caller's promise; `read` writes all of it.
        unsafe {
            (self.header().table.read)(self.0, outcome.as_mut_ptr().cast());
            outcome.assume_init()
        }
    }

    /// # Safety
    /// The outcome is there and the caller's; it is gone afterwards.
    pub(crate) unsafe fn forget_outcome(&self) {
        // SAFETY: the caller's promise.
        unsafe { (self.header().table.forget)(self.0) }
    }

    /// Whether whoever waits for it may run it: it is a closure in a queue.
    pub(crate) fn may_be_claimed(&self) -> bool {
        self.header().table.is_closure && !self.header().fiber && self.header().state.is_queued()
    }

    /// Asks for the end of it. See [`State::cancel`].
    pub(crate) fn cancel(&self, why: Cancel) -> bool {
        let cancelled = self.header().state.cancel(why);
        if cancelled {
            self.clone().wake();
        }
        cancelled
    }

    /// Makes an entry for it, unless there is one.
    pub(crate) fn wake(self) {
        if self.header().state.wake() {
            self.schedule();
        }
    }

    /// Puts the entry where it has to go.
    pub(crate) fn schedule(self) {
        current(|worker| {
            let Some(extra) = self.header().extra() else { return };
            let Some(owner) = extra.owner() else { return };
            let home = extra.home.load(Ordering::Relaxed);
            let worker = worker.filter(|worker| Arc::ptr_eq(&worker.shared, owner));
            match worker {
                Some(worker) if home == NOWHERE => worker.push(self),
                Some(worker) if home as usize == worker.index => worker.ready(self),
                // A task may be over and gone as soon as somebody else has its entry, and its pool with it.
                _ if home == NOWHERE => Arc::clone(owner).submit_again(self),
                _ => Arc::clone(owner).send_home(home as usize, self),
            }
        });
    }

    /// Gives a closure what a body needs that can be suspended. Only by the worker that runs it, before it ever was.
    pub(crate) fn settle(&self, worker: &Worker, slot: u32) {
        let header = self.header();
        // SAFETY: the body has not been run, so it has made no waker, and nobody else reads `extra` or `owner` yet.
        let extra = header.extra.with_mut(|extra| unsafe {
            (*extra).get_or_insert_with(|| blocks::put(Extra::new(None))).as_ref()
        });
        // SAFETY: as above.
        extra.owner.with_mut(|owner| unsafe { *owner = Some(Arc::clone(&worker.shared)) });
        extra.home.store(worker.index as u32, Ordering::Relaxed);
        extra.slot.store(slot, Ordering::Relaxed);
    }

    /// Where its pool keeps it.
    pub(crate) fn slot(&self) -> usize {
        self.header().extra().map_or(NOWHERE, |extra| extra.slot.load(Ordering::Relaxed)) as usize
    }

    pub(crate) fn set_slot(&self, slot: usize) {
        if let Some(extra) = self.header().extra() {
            extra.slot.store(slot as u32, Ordering::Relaxed);
        }
    }

    /// A waker for this task, with a reference of its own.
    pub(crate) fn waker(&self) -> Waker {
        let data = self.clone().into_raw();
        // SAFETY: the functions of `WAKER` keep the contract of `RawWaker`: the data is a counted reference.
        unsafe { Waker::from_raw(RawWaker::new(data.as_ptr().cast(), &WAKER)) }
    }
}

impl Clone for Task {
    fn clone(&self) -> Self {
        self.header().state.reference();
        Self(self.0)
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        if self.header().state.unreference() {
            let free = self.header().table.free;
            // SAFETY: this was the last reference.
            unsafe { free(self.0) }
        }
    }
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker's own reference stays where it is.
        let task = unsafe { ManuallyDrop::new(borrowed(data)) };
        RawWaker::new(Task::clone(&task).into_raw().as_ptr().cast(), &WAKER)
    },
    // SAFETY: the waker's reference is given to `wake`.
    |data| unsafe { borrowed(data) }.wake(),
    |data| {
        // SAFETY: the waker's own reference stays where it is.
        let task = unsafe { ManuallyDrop::new(borrowed(data)) };
        if task.header().state.wake() {
            Task::clone(&task).schedule();
        }
    },
    // SAFETY: the waker's reference goes.
    |data| drop(unsafe { borrowed(data) }),
);

/// # Safety
/// `data` is a waker's of [`WAKER`]; the reference is the waker's still.
unsafe fn borrowed(data: *const ()) -> Task {
    // SAFETY: made from a `NonNull` in `Task::waker`.
    Task(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}
