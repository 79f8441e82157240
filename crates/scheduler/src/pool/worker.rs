//! One worker: what it takes next, and what it does when there is nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crossbeam_deque::{Steal, Worker as Deque};

use super::{End, PRIORITIES, Shared};
use crate::fiber::{Stacks, Suspender};
use crate::inbox::Inbox;
use crate::observer::{Moment, Observer};
use crate::task::{Extra, Ground, Header, Task};

/// Every so many picks the order is turned around, so that what always comes last comes at all.
const TURN_AROUND: u32 = 61;
/// How often an idle worker looks around with nothing but a pause between, …
const PAUSES: u32 = 60;
/// … and then giving its core away in between, before it goes to sleep.
const YIELDS: u32 = 32;
/// A moment, in pauses: ten microseconds or so.
const MOMENT: u32 = 800;
/// So many tasks in a moment are a stream.
const STREAM: u32 = 16;
/// At most so many times in a row it is not tried whether there is one.
const EAGER: u32 = 1024;
/// Marks a task as begun, where else the time stands when it was queued.
const BEGUN: u64 = u64::MAX;

thread_local! {
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// Gives the worker that this thread is, if it is one.
#[inline]
pub(crate) fn current<R>(body: impl FnOnce(Option<&Worker>) -> R) -> R {
    let worker = WORKER.with(Cell::get);
    // SAFETY: set by `Worker::main` for as long as the worker is on that frame of this very thread.
    body(unsafe { worker.as_ref() })
}

/// A fiber says how it is suspended, each time it runs.
pub(crate) fn set_suspender(suspender: &Suspender) {
    current(|worker| worker.map(|worker| worker.suspender.set(suspender)));
}

pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    queues: [Deque<Task>; PRIORITIES],
    /// Its fibers that can go on.
    ready: RefCell<VecDeque<Task>>,
    fibers: RefCell<Fibers>,
    /// What runs now, if anything.
    task: Cell<Option<NonNull<Header>>>,
    /// How to suspend what runs now, if that can be done.
    suspender: Cell<*const Suspender>,
    picks: Cell<u32>,
    /// How many came from outside since there was last nothing to do.
    took: Cell<u32>,
    /// So many more times it looks for more at once when there is nothing to do, before it tries to wait a moment …
    eager: Cell<u32>,
    /// … and so many times after that did not pay.
    eagerness: Cell<u32>,
    abandoned: Cell<bool>,
    /// How many frames of this stack work for room in the queue.
    pub(super) making_room: Cell<u32>,
}

/// The fibers of a worker that are not over.
#[derive(Default)]
struct Fibers {
    tasks: Vec<Option<Task>>,
    free: Vec<u32>,
}

/// What ran before, further up this stack.
pub(crate) struct Outer {
    task: Option<NonNull<Header>>,
    suspender: *const Suspender,
}

impl Worker {
    pub(super) fn new(index: usize, shared: Arc<Shared>, queues: [Deque<Task>; PRIORITIES]) -> Self {
        Self {
            index,
            shared,
            queues,
            ready: RefCell::default(),
            fibers: RefCell::default(),
            task: Cell::new(None),
            suspender: Cell::new(ptr::null()),
            picks: Cell::new(0),
            took: Cell::new(0),
            eager: Cell::new(0),
            eagerness: Cell::new(1),
            abandoned: Cell::new(false),
            making_room: Cell::new(0),
        }
    }

    /// A worker's life.
    pub(super) fn main(self) {
        WORKER.with(|worker| worker.set(&self));
        self.work_until(Ground::Thread, &|| self.shared.is_over());
        WORKER.with(|worker| worker.set(ptr::null()));
    }

    /// Runs tasks until `done`; sleeps when there are none. Whoever makes `done` true wakes this worker.
    pub(super) fn work_until(&self, ground: Ground, done: &dyn Fn() -> bool) {
        while !done() {
            match self.next().or_else(|| self.search(done)) {
                Some(task) => task.run(self, ground),
                None => return,
            }
        }
    }

    /// What to do next, of what is for this worker or for nobody yet.
    #[inline]
    fn next(&self) -> Option<Task> {
        let pick = self.picks.get().wrapping_add(1);
        self.picks.set(pick);
        let home = &self.shared.homes[self.index];
        if !home.woken.is_empty() {
            self.take_woken(&home.woken);
        }
        if self.shared.is_abandoned() && !self.abandoned.replace(true) {
            self.wake_fibers();
        }
        // A fiber and a task in turn: neither can keep the other from running.
        if pick.is_multiple_of(2)
            && let Some(fiber) = self.ready.borrow_mut().pop_front()
        {
            return Some(fiber);
        }
        let task = if pick.is_multiple_of(TURN_AROUND) {
            (0..PRIORITIES).rev().find_map(|level| self.refill(level).or_else(|| self.queues[level].pop()))
        } else {
            (0..PRIORITIES).find_map(|level| self.queues[level].pop().or_else(|| self.refill(level)))
        };
        task.or_else(|| self.ready.borrow_mut().pop_front())
    }

    fn take_woken(&self, woken: &Inbox<Header>) {
        // SAFETY: the entry's reference.
        let mut newest_first: Vec<_> = woken.take().map(|header| unsafe { Task::from_raw(header) }).collect();
        self.ready.borrow_mut().extend(newest_first.drain(..).rev());
    }

    /// The first of what came from outside; a little of the rest goes behind what is in the worker's own queue.
    #[inline]
    fn refill(&self, level: usize) -> Option<Task> {
        let (first, taken) =
            self.shared.entrances[level].take(&self.queues[level], self.shared.observer.is_some())?;
        self.took.set(self.took.get() + taken as u32);
        self.shared.gate.took(taken as u64);
        Some(first)
    }

    fn steal(&self) -> Option<Task> {
        let homes = &self.shared.homes;
        let others = (1..homes.len()).map(|step| (self.index + step) % homes.len());
        for level in 0..PRIORITIES {
            for other in others.clone() {
                loop {
                    match homes[other].stealers[level].steal_batch_and_pop(&self.queues[level]) {
                        Steal::Success(task) => return Some(task),
                        Steal::Empty => break,
                        Steal::Retry => {}
                    }
                }
            }
        }
        None
    }

    /// Lets tasks come together, if they come in a stream.
    ///
    /// A worker that is faster than who spawns would take tasks one by one, and each time both would wait for the same
    /// cache lines. If it waits a moment, several have come, and both are faster. It tries that now and then, and
    /// goes on as long as several do come; whoever hands in one task and waits for it seldom meets such a moment.
    fn gather(&self) {
        let took = self.took.replace(0);
        if self.eager.get() > 0 {
            self.eager.set(self.eager.get() - 1);
            if self.eager.get() > 0 {
                return;
            }
        } else if took < STREAM {
            self.eagerness.set((self.eagerness.get() * 2).min(EAGER));
            self.eager.set(self.eagerness.get());
            return;
        } else {
            self.eagerness.set(1);
        }
        for _ in 0..MOMENT {
            std::hint::spin_loop();
        }
    }

    /// Looks for work until there is some, or until `done`.
    #[cold]
    fn search(&self, done: &dyn Fn() -> bool) -> Option<Task> {
        self.gather();
        let gate = &self.shared.gate;
        gate.search();
        let mut round = 0;
        loop {
            let task = self.next().or_else(|| self.steal());
            if task.is_some() || done() {
                gate.found(|| self.sees_work());
                return task;
            }
            round += 1;
            if round < PAUSES {
                std::hint::spin_loop();
            } else if round < PAUSES + YIELDS {
                std::thread::yield_now();
            } else {
                self.shared.tell_if_quiet();
                gate.sleep(self.index, || self.sees_work() || self.sees_own_work() || done());
                round = 0;
            }
        }
    }

    /// Whether there is something that any worker may do.
    fn sees_work(&self) -> bool {
        self.shared.entrances.iter().any(|entrance| !entrance.is_empty())
            || self.shared.homes.iter().any(|home| home.stealers.iter().any(|queue| !queue.is_empty()))
    }

    fn sees_own_work(&self) -> bool {
        !self.shared.homes[self.index].woken.is_empty()
            || !self.ready.borrow().is_empty()
            || self.shared.is_abandoned() && !self.abandoned.get()
    }

    /// An entry that any worker may take.
    pub(crate) fn push(&self, task: Task) {
        self.queues[task.header().priority as usize].push(task);
        self.shared.gate.made();
    }

    /// An entry of one of this worker's fibers.
    pub(crate) fn ready(&self, fiber: Task) {
        self.ready.borrow_mut().push_back(fiber);
    }

    /// Whether somebody waits for what runs now to end.
    pub(super) fn has_others_waiting(&self) -> bool {
        self.queued() > 0
            || self.shared.entrances.iter().any(|entrance| !entrance.is_empty())
            || !self.ready.borrow().is_empty()
            || !self.shared.homes[self.index].woken.is_empty()
    }

    /// How many tasks wait in this worker's own queues.
    pub(super) fn queued(&self) -> usize {
        self.queues.iter().map(Deque::len).sum()
    }

    pub(crate) fn abandons(&self) -> bool {
        self.shared.is_abandoned()
    }

    pub(crate) fn stacks(&self) -> &Stacks {
        &self.shared.stacks
    }

    // What runs now.

    #[inline]
    pub(crate) fn enter(&self, task: &Task) -> Outer {
        Outer { task: self.task.replace(Some(task.as_raw())), suspender: self.suspender.replace(ptr::null()) }
    }

    #[inline]
    pub(crate) fn enter_back(&self, outer: Outer) {
        self.task.set(outer.task);
        self.suspender.set(outer.suspender);
    }

    /// What runs now.
    pub(crate) fn task(&self) -> Option<Task> {
        // SAFETY: set while the task runs, which keeps a reference.
        self.task.get().map(|header| unsafe { Task::of(header) })
    }

    pub(crate) fn on_fiber(&self) -> bool {
        !self.suspender.get().is_null()
    }

    /// Suspends the fiber that runs now, until it is woken. May also return when it was not.
    pub(crate) fn suspend(&self) {
        let suspender = self.suspender.get();
        // SAFETY: set by the fiber that runs now, on whose stack it lies.
        if let Some(running) = unsafe { suspender.as_ref() } {
            running.suspend();
            self.suspender.set(suspender);
        }
    }

    /// When what runs now is suspended, it is to go on at once.
    pub(crate) fn stay_scheduled(&self) {
        if let Some(header) = self.task.get() {
            // It is running: the entry is made by whoever suspends it.
            // SAFETY: as in `task`.
            unsafe { header.as_ref() }.state.wake();
        }
    }

    // Fibers.

    /// The task, which is about to be suspended for the first time, is this worker's from now on.
    pub(crate) fn adopt(&self, task: &Task) {
        let mut fibers = self.fibers.borrow_mut();
        let slot = fibers.free.pop().unwrap_or(fibers.tasks.len() as u32);
        task.settle(self, slot);
        if slot as usize == fibers.tasks.len() {
            fibers.tasks.push(Some(task.clone()));
        } else {
            fibers.tasks[slot as usize] = Some(task.clone());
        }
    }

    /// The fiber is over.
    pub(crate) fn release(&self, task: &Task) {
        let mut fibers = self.fibers.borrow_mut();
        let slot = task.slot();
        let kept = fibers.tasks.get_mut(slot).and_then(Option::take);
        fibers.free.push(slot as u32);
        drop(fibers);
        drop(kept);
    }

    #[cold]
    fn wake_fibers(&self) {
        let fibers: Vec<Task> = self.fibers.borrow().tasks.iter().flatten().cloned().collect();
        fibers.into_iter().for_each(Task::wake);
    }

    // Counting and telling.

    pub(super) fn tally_spawned(&self, tasks: u64) -> u64 {
        self.shared.homes[self.index].tally.spawned_here(tasks)
    }

    pub(super) fn tally_ended(&self, end: End, tasks: u64) {
        self.shared.homes[self.index].tally.ended(end, tasks);
    }

    /// Whom to tell of a task, and what of it.
    #[inline]
    fn told<'a>(&'a self, task: &'a Task) -> Option<(&'a dyn Observer, &'a Extra, Moment)> {
        let observer = self.shared.observer.as_deref()?;
        let header = task.header();
        let extra = header.extra().filter(|_| !header.hidden)?;
        let moment = Moment {
            task: header.id,
            name: header.name(),
            kind: header.kind(),
            tag: extra.tag.get(),
            worker: self.index,
            at: observer.now(),
            waited: 0,
            ran: extra.ran.get(),
        };
        Some((observer, extra, moment))
    }

    /// The task is started; gives the time, for [`pause`](Self::pause).
    #[inline]
    pub(crate) fn begin(&self, task: &Task) -> Option<u64> {
        let (observer, extra, mut moment) = self.told(task)?;
        moment.waited = moment.at.saturating_sub(extra.queued_at.replace(BEGUN));
        tell(|| observer.started(&moment));
        Some(moment.at)
    }

    /// The task goes on.
    pub(crate) fn go_on(&self, task: &Task) -> Option<u64> {
        let (observer, _, moment) = self.told(task)?;
        tell(|| observer.resumed(&moment));
        Some(moment.at)
    }

    pub(crate) fn begin_or_go_on(&self, task: &Task) -> Option<u64> {
        self.go_on_if_begun(task).or_else(|| self.begin(task))
    }

    pub(crate) fn go_on_if_begun(&self, task: &Task) -> Option<u64> {
        let has_begun = task.header().extra().is_some_and(|extra| extra.queued_at.get() == BEGUN);
        if has_begun { self.go_on(task) } else { None }
    }

    /// The task stops in the middle, having run since `began`.
    pub(crate) fn suspended(&self, task: &Task, began: Option<u64>) {
        if let Some(began) = began
            && let Some((observer, extra, mut moment)) = self.told(task)
        {
            moment.ran += moment.at.saturating_sub(began);
            extra.ran.set(moment.ran);
            extra.tag.set(catch_unwind(AssertUnwindSafe(|| observer.suspended(&moment))).unwrap_or_else(
                |payload| {
                    std::mem::forget(payload);
                    moment.tag
                },
            ));
        }
    }

    /// The task is over, having run since `began`, and nobody knows it yet.
    #[inline]
    pub(crate) fn ended(&self, task: &Task, began: Option<u64>, end: End) {
        let header = task.header();
        if header.hidden {
            return;
        }
        if header.timed {
            self.shared.timer.forget(header.id.get());
        }
        if let Some((observer, extra, mut moment)) = self.told(task) {
            match began {
                Some(began) => moment.ran += moment.at.saturating_sub(began),
                None => moment.waited = moment.at.saturating_sub(extra.queued_at.get()),
            }
            tell(|| observer.ended(&moment, end));
        }
        self.tally_ended(end, 1);
    }
}

/// An observer's panic is not the task's.
pub(super) fn tell<R: Default>(call: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        R::default()
    })
}

/// The hooks of an observer that nobody set, for the spawning side.
#[inline]
pub(super) fn tell_queued(shared: &Shared, header: &Header, worker: Option<usize>) {
    if let Some(observer) = shared.observer.as_deref()
        && let Some(extra) = header.extra()
        && !header.hidden
    {
        let at = observer.now();
        extra.queued_at.set(at);
        extra.tag.set(tell(|| observer.queued(header.id, worker, at)));
    }
}
