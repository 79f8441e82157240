//! A task whose body is a closure: run on the worker's stack, or on one of its own.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::{Cancel, Ground, Header, Plan, Start, State, Table, Task};
use crate::blocks;
use crate::error::TaskError;
use crate::fiber::{Fiber, Resumed};
use crate::pool::{End, Worker, set_suspender};
use crate::sync::UnsafeCell;

enum Stage<F, T> {
    Body(F),
    Fiber(Box<Fiber<Result<T, TaskError>>>),
    Outcome(Result<T, TaskError>),
    Gone,
}

#[repr(C)]
struct Closure<F, T> {
    header: Header,
    stage: UnsafeCell<Stage<F, T>>,
}

trait Tabled {
    const TABLE: Table;
}

impl<F, T> Tabled for Closure<F, T>
where
    F: FnOnce() -> T,
{
    const TABLE: Table = Table {
        run: run::<F, T>,
        read: read::<F, T>,
        forget: forget::<F, T>,
        free: free::<F, T>,
        is_closure: true,
    };
}

/// A task with a handle, both references counted: the entry's, and one to be had with [`Task::counted`].
///
/// # Safety
/// The body and its result may go to another thread, and live until the task has ended; the result until the handle is
/// gone.
#[inline]
pub(crate) unsafe fn closure_with<F, T>(plan: Plan, handle: bool, body: F) -> Task
where
    F: FnOnce() -> T,
{
    let task = blocks::put(Closure {
        header: Header::new(plan, &<Closure<F, T> as Tabled>::TABLE, State::new(handle, 0), None),
        stage: UnsafeCell::new(Stage::<F, T>::Body(body)),
    });
    Task(task.cast())
}

/// As [`closure_with`], for what may go anywhere.
#[inline]
pub(crate) fn closure<F, T>(plan: Plan, handle: bool, body: F) -> Task
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: the bounds.
    unsafe { closure_with(plan, handle, body) }
}

/// # Safety
/// `header` is that of a `Closure<F, T>`, and the stage is the caller's.
#[inline]
unsafe fn stage<'a, F, T>(header: NonNull<Header>) -> &'a mut Stage<F, T> {
    // SAFETY: the caller's promise; `header` is the first field of a `repr(C)`.
    unsafe { header.cast::<Closure<F, T>>().as_ref() }.stage.with_mut(|stage| unsafe { &mut *stage })
}

/// # Safety
/// The task is a `Closure<F, T>`.
unsafe fn run<F, T>(task: Task, worker: &Worker, ground: Ground)
where
    F: FnOnce() -> T,
{
    let start = task.header().state.start();
    if start == Start::Stale {
        return;
    }
    // SAFETY: the caller's promise, and `start` gave the body to us.
    let stage = unsafe { stage::<F, T>(task.0) };
    let error = match start {
        Start::Cancelled(Cancel::Asked) => TaskError::Cancelled,
        Start::Cancelled(Cancel::TimedOut) => TaskError::TimedOut,
        _ if worker.abandons() => TaskError::Abandoned,
        _ => {
            match mem::replace(stage, Stage::Gone) {
                Stage::Body(body) if ground == Ground::Thread && !task.header().fiber => {
                    let began = worker.begin(&task);
                    let outer = worker.enter(&task);
                    let outcome = caught(body);
                    worker.enter_back(outer);
                    worker.pause(&task, began);
                    finish::<F, T>(task, stage, outcome, worker);
                }
                Stage::Body(body) => {
                    // The fiber's body is only ever touched by this worker, and is dropped before the task ends.
                    // SAFETY: whoever made the task promised that the body lives until then.
                    match unsafe { Fiber::new_unchecked(worker.stacks(), on_fiber(body)) } {
                        Ok(fiber) => {
                            worker.adopt(&task);
                            let began = worker.begin(&task);
                            *stage = Stage::Fiber(Box::new(fiber));
                            resume::<F, T>(task, stage, worker, began);
                        }
                        Err(error) => {
                            worker.begin(&task);
                            let message = format!("no stack for its fiber: {error}").into();
                            let outcome = Err(TaskError::Panicked { message });
                            finish::<F, T>(task, stage, outcome, worker);
                        }
                    }
                }
                fiber => {
                    *stage = fiber;
                    let began = worker.go_on(&task);
                    resume::<F, T>(task, stage, worker, began);
                }
            }
            return;
        }
    };
    let body = mem::replace(stage, Stage::Gone);
    let was_fiber = matches!(body, Stage::Fiber(_));
    // Of a fiber this unwinds the stack.
    quietly(|| drop(body));
    if was_fiber {
        worker.release(&task);
    }
    finish::<F, T>(task, stage, Err(error), worker);
}

fn on_fiber<F, T>(body: F) -> impl FnOnce(&crate::fiber::Suspender) -> Result<T, TaskError>
where
    F: FnOnce() -> T,
{
    move |suspender| {
        set_suspender(suspender);
        caught(body)
    }
}

fn resume<F, T>(task: Task, stage: &mut Stage<F, T>, worker: &Worker, began: Option<u64>) {
    let Stage::Fiber(fiber) = stage else { return };
    let outer = worker.enter(&task);
    let resumed = fiber.resume();
    worker.enter_back(outer);
    worker.pause(&task, began);
    match resumed {
        Resumed::Suspended => {
            worker.suspended(&task);
            if task.header().state.suspend() {
                worker.ready(task);
            }
        }
        Resumed::Returned(outcome) => {
            *stage = Stage::Gone;
            worker.release(&task);
            finish::<F, T>(task, stage, outcome, worker);
        }
    }
}

/// Runs the body; a panic becomes an error.
#[inline]
pub(super) fn caught<F, T>(body: F) -> Result<T, TaskError>
where
    F: FnOnce() -> T,
{
    // What the body could leave half done is its own, and goes with it.
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let error = TaskError::panicked(&*payload);
        quietly(|| drop(payload));
        error
    })
}

/// Runs what must not unwind into the worker: the destructors of other people's values.
pub(super) fn quietly(body: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        // One that panics when dropped as well is leaked.
        mem::forget(payload);
    }
}

#[inline]
fn finish<F, T>(task: Task, stage: &mut Stage<F, T>, outcome: Result<T, TaskError>, worker: &Worker) {
    let header = task.header();
    let end = match &outcome {
        _ if header.state.is_cancelled() => End::Cancelled,
        Ok(_) => End::Finished,
        Err(error) => End::of(error),
    };
    worker.ended(&task, end);
    if header.state.is_alone() {
        quietly(|| drop(outcome));
        return;
    }
    // Nothing is there to be dropped.
    // SAFETY: the stage is ours, and `Gone`.
    unsafe { std::ptr::write(stage, Stage::Outcome(outcome)) };
    if header.state.finish() {
        // SAFETY: nobody else will, as `finish` says.
        unsafe { task.forget_outcome() };
    }
}

/// # Safety
/// As [`Task::read`].
unsafe fn read<F, T>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the outcome, and so the stage, is the caller's.
    let stage = unsafe { stage::<F, T>(header) };
    let outcome = match mem::replace(stage, Stage::Gone) {
        Stage::Outcome(outcome) => outcome,
        _ => Err(TaskError::Abandoned),
    };
    // SAFETY: `to` has room for this type.
    unsafe { to.cast::<Result<T, TaskError>>().write(outcome) }
}

/// # Safety
/// As [`Task::forget_outcome`].
unsafe fn forget<F, T>(header: NonNull<Header>) {
    if mem::needs_drop::<Result<T, TaskError>>() {
        // SAFETY: the outcome, and so the stage, is the caller's.
        let outcome = mem::replace(unsafe { stage::<F, T>(header) }, Stage::Gone);
        quietly(|| drop(outcome));
    }
}

/// # Safety
/// As [`Table::free`].
unsafe fn free<F, T>(header: NonNull<Header>) {
    // SAFETY: put there as this type, and nobody refers to it any more.
    quietly(|| unsafe { blocks::remove(header.cast::<Closure<F, T>>()) });
}
