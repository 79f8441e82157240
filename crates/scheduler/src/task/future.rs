//! A task whose body is a future: polled by any worker, again whenever it is woken.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::closure::{caught, quietly};
use super::{Cancel, Extra, Ground, Header, Plan, Start, State, Table, Task};
use crate::blocks;
use crate::error::TaskError;
use crate::pool::{End, Shared, Worker};
use crate::sync::UnsafeCell;

enum Stage<F: Future> {
    Body(F),
    Outcome(Result<F::Output, TaskError>),
    Gone,
}

#[repr(C)]
struct Polled<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
    extra: Extra,
}

struct Tables<F>(PhantomData<F>);

impl<F: Future> Tables<F> {
    const TABLE: Table = Table {
        run: run::<F>,
        read: read::<F>,
        forget: forget::<F>,
        free: free::<F>,
        name: type_name::<F>,
        is_closure: false,
    };
}

/// A task with a handle, and a place among the pool's futures: three references are counted.
pub(crate) fn future<F>(plan: Plan, owner: &Arc<Shared>, body: F) -> Task
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = blocks::put(Polled {
        header: Header::new(plan, &Tables::<F>::TABLE, State::new(true, 1)),
        stage: UnsafeCell::new(Stage::Body(body)),
        extra: Extra::new(Some(Arc::clone(owner))),
    });
    // SAFETY: just made.
    let task_ref = unsafe { task.as_ref() };
    task_ref.header.set_extra(NonNull::from(&task_ref.extra));
    Task(task.cast())
}

/// # Safety
/// `header` is that of a `Polled<F>`, and the stage is the caller's.
unsafe fn stage<'a, F: Future>(header: NonNull<Header>) -> &'a mut Stage<F> {
    // SAFETY: the caller's promise; `header` is the first field of a `repr(C)`.
    unsafe { header.cast::<Polled<F>>().as_ref() }.stage.with_mut(|stage| unsafe { &mut *stage })
}

/// # Safety
/// The task is a `Polled<F>`.
unsafe fn run<F: Future>(task: Task, worker: &Worker, _ground: Ground) {
    let header = task.header();
    let start = header.state.start();
    if start == Start::Stale {
        return;
    }
    // SAFETY: the caller's promise, and `start` gave the body to us.
    let stage = unsafe { stage::<F>(task.0) };
    let mut began = None;
    let outcome = match (start, &mut *stage) {
        (Start::Cancelled(Cancel::Asked), _) => Err(TaskError::Cancelled),
        (Start::Cancelled(Cancel::TimedOut), _) => Err(TaskError::TimedOut),
        _ if worker.abandons() => Err(TaskError::Abandoned),
        (_, Stage::Body(body)) => {
            began = worker.begin_or_go_on(&task);
            // SAFETY: the future lies in the task's allocation and is dropped there.
            let body = unsafe { Pin::new_unchecked(body) };
            let waker = task.waker();
            let outer = worker.enter(&task);
            let polled = caught(|| body.poll(&mut Context::from_waker(&waker)));
            worker.enter_back(outer);
            drop(waker);
            match polled {
                Ok(Poll::Pending) => {
                    worker.suspended(&task, began);
                    if task.header().state.suspend() {
                        worker.push(task);
                    }
                    return;
                }
                Ok(Poll::Ready(value)) => Ok(value),
                Err(error) => Err(error),
            }
        }
        // A future that has ended is `DONE`, and its entries stale.
        _ => Err(TaskError::Abandoned),
    };
    if began.is_none() {
        began = worker.go_on_if_begun(&task);
    }
    // In place, for it may not be moved.
    quietly(|| *stage = Stage::Gone);
    let end = match &outcome {
        _ if header.state.is_cancelled() => End::Cancelled,
        Ok(_) => End::Finished,
        Err(error) => End::of(error),
    };
    drop(worker.shared.futures.remove(task.slot()));
    worker.ended(&task, began, end);
    *stage = Stage::Outcome(outcome);
    if header.state.finish() {
        // SAFETY: nobody else will, as `finish` says.
        unsafe { task.forget_outcome() };
    }
}

/// # Safety
/// As [`Task::read`].
unsafe fn read<F: Future>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: the outcome, and so the stage, is the caller's. It is no future any more, so it may be moved.
    let stage = unsafe { stage::<F>(header) };
    let outcome = match mem::replace(stage, Stage::Gone) {
        Stage::Outcome(outcome) => outcome,
        _ => Err(TaskError::Abandoned),
    };
    // SAFETY: `to` has room for this type.
    unsafe { to.cast::<Result<F::Output, TaskError>>().write(outcome) }
}

/// # Safety
/// As [`Task::forget_outcome`].
unsafe fn forget<F: Future>(header: NonNull<Header>) {
    // SAFETY: the outcome, and so the stage, is the caller's.
    let stage = unsafe { stage::<F>(header) };
    quietly(|| *stage = Stage::Gone);
}

/// # Safety
/// As [`Table::free`].
unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: put there as this type, and nobody refers to it any more.
    quietly(|| unsafe { blocks::remove(header.cast::<Polled<F>>()) });
}
