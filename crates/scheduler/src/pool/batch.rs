//! Many tasks of one kind handed in at once: one allocation, and an entry for each worker instead of each task.

use std::any::type_name;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::spawner::Place;
use super::worker::tell;
use super::{End, Spawner, TaskOptions, Worker, current, wait};
use crate::error::{SpawnError, TaskError};
use crate::observer::{Moment, Observer, TaskKind};
use crate::sync::lock;
use crate::task::{Task, TaskId, closure};

/// So many tasks are taken at once: enough that taking them costs little, few enough that others get their turn.
const CHUNK: usize = 64;

/// The results of a batch, in the order in which its closures came.
///
/// Dropping it lets the tasks run on.
#[must_use = "dropping it detaches the batch"]
pub struct Batch<T> {
    run: Option<Arc<dyn Results<T>>>,
    rejected: Option<(SpawnError, usize)>,
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

trait Results<T>: Send + Sync {
    fn progress(&self) -> &Progress;

    /// # Safety
    /// All are done, and this is called once.
    unsafe fn collect(&self) -> Vec<Result<T, TaskError>>;
}

/// What does not depend on types.
struct Progress {
    next: AtomicUsize,
    left: AtomicUsize,
    cancelled: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

enum Item<F, T> {
    Body(F),
    Outcome(Result<T, TaskError>),
    Gone,
}

/// A chunk belongs to whoever counted `next` up over it, until it has counted `left` down.
struct Run<F, T> {
    items: Box<[UnsafeCell<Item<F, T>>]>,
    progress: Progress,
    first: TaskId,
    told: Option<Told>,
}

// SAFETY: each item is one thread's at a time, as `Run` says, and goes from thread to thread with `left`.
unsafe impl<F: Send, T: Send> Sync for Run<F, T> {}

/// For an observer.
struct Told {
    tags: Box<[u64]>,
    queued_at: u64,
}

/// One worker's part. What its owner drops unrun is abandoned.
struct Part<F: FnOnce() -> T, T>(Arc<Run<F, T>>);

impl Spawner {
    /// Runs many closures of one type. For small tasks this costs a fraction of spawning each: they share an allocation,
    /// and workers take them in chunks. Each has its own result, and a panic is one task's.
    ///
    /// A batch takes one place in the queue, and waits for it if the queue is full.
    ///
    /// ```
    /// let pool = tickscope_scheduler::Pool::builder().build()?;
    /// let squares = pool.spawn_batch((0..1000u64).map(|n| move || n * n)).join();
    /// assert_eq!(squares[31], Ok(961));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_batch<I, F, T>(&self, bodies: I) -> Batch<T>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let items: Box<[_]> = bodies.into_iter().map(|body| UnsafeCell::new(Item::Body(body))).collect();
        if items.is_empty() {
            return Batch { run: None, rejected: None };
        }
        current(|worker| {
            let place = match self.admit(worker, true) {
                Ok(place) => place,
                Err(why) => return Batch { run: None, rejected: Some((why, items.len())) },
            };
            let tasks = items.len();
            let first = self.count(&place, tasks as u64);
            let told = self.tell_batch(first, tasks, &place);
            let progress = Progress {
                next: AtomicUsize::new(0),
                left: AtomicUsize::new(tasks),
                cancelled: AtomicBool::new(false),
                waker: Mutex::new(None),
            };
            let run = Arc::new(Run { items, progress, first, told });
            let parts = self.workers().min(tasks.div_ceil(CHUNK));
            for _ in 1..parts {
                let part = Part(Arc::clone(&run));
                match &place {
                    Place::Here(worker) => self.enqueue_hidden(Place::Here(worker), part),
                    Place::Outside(_) => Arc::clone(&self.shared).submit_again(self.hidden(part)),
                }
            }
            self.enqueue_hidden(place, Part(Arc::clone(&run)));
            Batch { run: Some(run), rejected: None }
        })
    }

    fn enqueue_hidden<F, T>(&self, place: Place<'_>, part: Part<F, T>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = self.hidden(part);
        self.enqueue(place, task);
    }

    fn hidden<F, T>(&self, part: Part<F, T>) -> Task
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let mut plan = super::spawner::hidden(&self.shared, TaskOptions::default());
        plan.id = part.0.first;
        closure(plan, false, move || part.work())
    }

    fn tell_batch(&self, first: TaskId, tasks: usize, place: &Place<'_>) -> Option<Told> {
        let observer = self.shared.observer.as_deref()?;
        let worker = match place {
            Place::Here(worker) => Some(worker.index),
            Place::Outside(_) => None,
        };
        let at = observer.now();
        let tags = (0..tasks as u64).map(|task| tell(|| observer.queued(TaskId(first.0 + task), worker, at)));
        Some(Told { tags: tags.collect(), queued_at: at })
    }
}

impl<F, T> Part<F, T>
where
    F: FnOnce() -> T,
{
    /// A chunk, and then again when others had their turn.
    fn work(self)
    where
        F: Send + 'static,
        T: Send + 'static,
    {
        current(|worker| {
            let Some(worker) = worker else { return };
            while self.0.chunk(worker) {
                if worker.has_others_waiting() {
                    let spawner = Spawner { shared: Arc::clone(&worker.shared) };
                    spawner.enqueue_hidden(Place::Here(worker), Part(Arc::clone(&self.0)));
                    return;
                }
            }
        });
    }
}

impl<F: FnOnce() -> T, T> Drop for Part<F, T> {
    fn drop(&mut self) {
        current(|worker| {
            if let Some(worker) = worker.filter(|worker| worker.abandons()) {
                while self.0.chunk(worker) {}
            }
        });
    }
}

impl<F, T> Run<F, T>
where
    F: FnOnce() -> T,
{
    /// Runs the next tasks; false if there are no more.
    fn chunk(&self, worker: &Worker) -> bool {
        let total = self.items.len();
        // Relaxed: the items were made before any entry was.
        let start = self.progress.next.fetch_add(CHUNK, Ordering::Relaxed);
        if start >= total {
            // Not counted up for ever.
            self.progress.next.store(total, Ordering::Relaxed);
            return false;
        }
        let end = total.min(start + CHUNK);
        let mut ends = [0u64; 4];
        for at in start..end {
            let kind = self.item(at, worker);
            ends[kind as usize] += 1;
        }
        for end in [End::Finished, End::Panicked, End::Cancelled, End::Abandoned] {
            if ends[end as usize] > 0 {
                worker.tally_ended(end, ends[end as usize]);
            }
        }
        // Releases the outcomes to whoever collects, and acquires those of the others.
        if self.progress.left.fetch_sub(end - start, Ordering::AcqRel) == end - start {
            let waker = lock(&self.progress.waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        true
    }

    #[inline]
    fn item(&self, at: usize, worker: &Worker) -> End {
        // SAFETY: the chunk is ours.
        let item = unsafe { &mut *self.items[at].get() };
        let Item::Body(body) = mem::replace(item, Item::Gone) else { return End::Abandoned };
        let error = if self.progress.cancelled.load(Ordering::Relaxed) {
            TaskError::Cancelled
        } else if worker.abandons() {
            TaskError::Abandoned
        } else {
            let began = self.tell_started(at, worker);
            // What the body could leave half done is its own, and goes with it.
            let outcome = catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
                let error = TaskError::panicked(&*payload);
                mem::forget(payload);
                error
            });
            let end = outcome.as_ref().map_or_else(End::of, |_| End::Finished);
            self.tell_ended(at, worker, began, end);
            *item = Item::Outcome(outcome);
            return end;
        };
        let end = End::of(&error);
        tell(|| drop(body));
        self.tell_ended(at, worker, None, end);
        *item = Item::Outcome(Err(error));
        end
    }

    /// Whom to tell of a task, and what of it.
    fn told<'a>(&'a self, at: usize, worker: &'a Worker) -> Option<(&'a dyn Observer, &'a Told, Moment)> {
        let told = self.told.as_ref()?;
        let observer = worker.shared.observer.as_deref()?;
        let moment = Moment {
            task: TaskId(self.first.0 + at as u64),
            name: type_name::<F>(),
            kind: TaskKind::Closure,
            tag: told.tags[at],
            worker: worker.index,
            at: observer.now(),
            waited: 0,
            ran: 0,
        };
        Some((observer, told, moment))
    }

    #[inline]
    fn tell_started(&self, at: usize, worker: &Worker) -> Option<u64> {
        let (observer, told, mut moment) = self.told(at, worker)?;
        moment.waited = moment.at.saturating_sub(told.queued_at);
        tell(|| observer.started(&moment));
        Some(moment.at)
    }

    #[inline]
    fn tell_ended(&self, at: usize, worker: &Worker, began: Option<u64>, end: End) {
        let Some((observer, told, mut moment)) = self.told(at, worker) else { return };
        match began {
            Some(began) => moment.ran = moment.at.saturating_sub(began),
            None => moment.waited = moment.at.saturating_sub(told.queued_at),
        }
        tell(|| observer.ended(&moment, end));
    }
}

impl<F, T> Results<T> for Run<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn progress(&self) -> &Progress {
        &self.progress
    }

    unsafe fn collect(&self) -> Vec<Result<T, TaskError>> {
        let outcome = |item: &UnsafeCell<Item<F, T>>| {
            // SAFETY: all are done, and the caller is the only one here.
            match mem::replace(unsafe { &mut *item.get() }, Item::Gone) {
                Item::Outcome(outcome) => outcome,
                _ => Err(TaskError::Abandoned),
            }
        };
        self.items.iter().map(outcome).collect()
    }
}

impl<T> Batch<T> {
    /// Waits for all results. On a worker, it does something else meanwhile.
    pub fn join(self) -> Vec<Result<T, TaskError>> {
        wait(pin!(self))
    }

    /// Whether all results are there.
    pub fn is_finished(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.progress().left.load(Ordering::Acquire) == 0)
    }

    /// Drops what was not started, whose results then say so.
    pub fn cancel(&self) {
        if let Some(run) = &self.run {
            run.progress().cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl<T> Future for Batch<T> {
    type Output = Vec<Result<T, TaskError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((why, tasks)) = self.rejected.take() {
            return Poll::Ready((0..tasks).map(|_| Err(TaskError::Rejected(why))).collect());
        }
        let Some(run) = &self.run else { return Poll::Ready(Vec::new()) };
        let progress = run.progress();
        if progress.left.load(Ordering::Acquire) > 0 {
            *lock(&progress.waker) = Some(context.waker().clone());
            // The last one takes the waker after it has counted down to nothing.
            if progress.left.load(Ordering::Acquire) > 0 {
                return Poll::Pending;
            }
        }
        // SAFETY: all are done; there is one handle, which lets go of the run here.
        let results = unsafe { run.collect() };
        self.run = None;
        Poll::Ready(results)
    }
}
