//! A task whose body is a closure: run on the worker's stack, or on one of its own.

use std::any::type_name;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::{Cancel, Extra, Ground, Header, Plan, Start, State, Table, Task};
use crate::blocks;
use crate::error::TaskError;
use crate::fiber::{Fiber, Resumed};
use crate::pool::{End, Worker, set_suspender};
use crate::sync::UnsafeCell;

enum Stage<F, T> {
    Body(F),
    Fiber(Box<Fiber<Result<T, TaskError>>>),
    /// The error in a box, so that an outcome is little more than its value.
    Outcome(Result<T, Box<TaskError>>),
    Gone,
}

#[repr(C)]
struct Closure<F, T> {
    header: Header,
    stage: UnsafeCell<Stage<F, T>>,
}

/// With what an observer or an inbox needs.
#[repr(C)]
struct Told<F, T> {
    closure: Closure<F, T>,
    extra: Extra,
}

/// The functions for a body of type `F` that is called as `N` is.
struct Tables<F, T, N>(PhantomData<(F, T, N)>);

impl<F, T, N> Tables<F, T, N>
where
    F: FnOnce() -> T,
{
    const PLAIN: Table = Table {
        run: run::<F, T>,
        read: read::<F, T>,
        forget: forget::<F, T>,
        free: free::<F, T>,
        name: type_name::<N>,
        is_closure: true,
    };
    const TOLD: Table = Table { free: free_told::<F, T>, ..Self::PLAIN };
}

/// A task with a handle, both references counted: the entry's, and one to be had with [`Task::counted`]. It is called as
/// the type `N` is.
///
/// # Safety
/// The body and its result may go to another thread, and live until the task has ended; the result until the handle is
/// gone.
#[inline]
pub(crate) unsafe fn closure_with<F, T, N>(plan: Plan, handle: bool, body: F) -> Task
where
    F: FnOnce() -> T,
{
    let table = if plan.extra { &Tables::<F, T, N>::TOLD } else { &Tables::<F, T, N>::PLAIN };
    let closure = Closure {
        header: Header::new(plan, table, State::new(handle, 0)),
        stage: UnsafeCell::new(Stage::<F, T>::Body(body)),
    };
    if !plan.extra {
        return Task(blocks::put(closure).cast());
    }
    let told = blocks::put(Told { closure, extra: Extra::new(None) });
    // SAFETY: just made.
    let told_ref = unsafe { told.as_ref() };
    told_ref.closure.header.set_extra(NonNull::from(&told_ref.extra));
    Task(told.cast())
}

/// As [`closure_with`], for what may go anywhere.
#[inline]
pub(crate) fn closure<F, T>(plan: Plan, handle: bool, body: F) -> Task
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: the bounds.
    unsafe { closure_with::<F, T, F>(plan, handle, body) }
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
    let state = &task.header().state;
    let start = if ground == Ground::Claimed { state.claim() } else { state.start() };
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
                Stage::Body(body) if ground != Ground::Fiber && !task.header().fiber => {
                    let began = worker.begin(&task);
                    let outer = worker.enter(&task);
                    let outcome = caught(body);
                    worker.enter_back(outer);
                    finish::<F, T>(task, stage, outcome, worker, began);
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
                            let began = worker.begin(&task);
                            let message = format!("no stack for its fiber: {error}").into();
                            let outcome = Err(TaskError::Panicked { message });
                            finish::<F, T>(task, stage, outcome, worker, began);
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
    let mut began = None;
    if let Stage::Fiber(fiber) = body {
        began = worker.go_on(&task);
        // This unwinds its stack.
        quietly(|| drop(fiber));
        worker.release(&task);
    } else {
        quietly(|| drop(body));
    }
    finish::<F, T>(task, stage, Err(error), worker, began);
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
    match resumed {
        Resumed::Suspended => {
            worker.suspended(&task, began);
            if task.header().state.suspend() {
                worker.ready(task);
            }
        }
        Resumed::Returned(outcome) => {
            *stage = Stage::Gone;
            worker.release(&task);
            finish::<F, T>(task, stage, outcome, worker, began);
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
fn finish<F, T>(
    task: Task,
    stage: &mut Stage<F, T>,
    outcome: Result<T, TaskError>,
    worker: &Worker,
    began: Option<u64>,
) {
    let header = task.header();
    let end = match &outcome {
        _ if header.state.is_cancelled() => End::Cancelled,
        Ok(_) => End::Finished,
        Err(error) => End::of(error),
    };
    worker.ended(&task, began, end);
    if header.state.is_alone() {
        quietly(|| drop(outcome));
        return;
    }
    // Nothing is there to be dropped.
    // SAFETY: the stage is ours, and `Gone`.
    unsafe { std::ptr::write(stage, Stage::Outcome(outcome.map_err(Box::new))) };
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
        Stage::Outcome(outcome) => outcome.map_err(|error| *error),
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
    // SAFETY: nobody refers to the task any more.
    let extra = unsafe { header.as_ref() }.extra.with_mut(|extra| unsafe { (*extra).take() });
    if let Some(extra) = extra {
        // SAFETY: then it was made by `settle`, with `put`.
        unsafe { blocks::remove(extra) };
    }
    // SAFETY: put there as this type, and nobody refers to it any more.
    quietly(|| unsafe { blocks::remove(header.cast::<Closure<F, T>>()) });
}

/// # Safety
/// As [`Table::free`].
unsafe fn free_told<F, T>(header: NonNull<Header>) {
    // SAFETY: put there as this type, and nobody refers to it any more.
    quietly(|| unsafe { blocks::remove(header.cast::<Told<F, T>>()) });
}
