//! Tasks that borrow from whoever spawns them.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::{Spawner, TaskOptions, current, wait};
use crate::error::TaskError;
use crate::handle::Handle;
use crate::sync::lock;

/// Spawns tasks that may borrow what lives outside the [`scope`](Spawner::scope) call.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    spawner: Spawner,
    live: Arc<Live>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A scoped task's result.
#[derive(Debug)]
#[must_use = "without it, the scope tells only that a task failed"]
pub struct ScopedHandle<'scope, T> {
    handle: Option<Handle<()>>,
    result: Arc<Mutex<Slot<T>>>,
    live: Arc<Live>,
    scope: PhantomData<&'scope ()>,
}

/// Where a task's result waits for its handle.
#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    /// A panic that the handle may tell of yet.
    error: Option<TaskError>,
    /// The handle is gone, and was not joined.
    unheard: bool,
}

/// What a scope waits for.
#[derive(Debug, Default)]
struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tasks: usize,
    waker: Option<Waker>,
    error: Option<TaskError>,
}

/// One task of a scope, until all it borrowed is given back.
struct Guard(Arc<Live>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.tasks -= 1;
        let waker = if state.tasks == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Spawner {
    /// Runs `body`, which may spawn tasks that borrow, and returns when all of them are over.
    ///
    /// ```
    /// let pool = tickscope_scheduler::Pool::builder().build()?;
    /// let words = ["work", "stealing"];
    /// let lengths = pool.scope(|scope| {
    ///     let handles = words.map(|word| scope.spawn(move || word.len()));
    ///     handles.map(|handle| handle.join())
    /// })?;
    /// assert_eq!(lengths, [Ok(4), Ok(8)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A task panicked whose handle was not joined: the first of them.
    ///
    /// # Panics
    /// When `body` panics, after all tasks are over.
    pub fn scope<'env, F, R>(&self, body: F) -> Result<R, TaskError>
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        let scope =
            Scope { spawner: self.clone(), live: Arc::default(), scope: PhantomData, env: PhantomData };
        // Waits also when the fiber that this runs on is dropped and unwound.
        let again = AtEnd(&scope.live);
        let result = catch_unwind(AssertUnwindSafe(|| body(&scope)));
        scope.live.wait();
        drop(again);
        let error = lock(&scope.live.0).error.take();
        match (result, error) {
            (Err(payload), _) => resume_unwind(payload),
            (Ok(_), Some(error)) => Err(error),
            (Ok(result), None) => Ok(result),
        }
    }
}

struct AtEnd<'a>(&'a Live);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl Live {
    /// Until no task is left.
    fn wait(&self) {
        wait(pin!(std::future::poll_fn(|context| {
            let mut state = lock(&self.0);
            if state.tasks == 0 {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })));
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Runs a closure on a worker. As [`Spawner::spawn`] otherwise.
    pub fn spawn<F, T>(&'scope self, body: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.spawn_with(TaskOptions::default(), body)
    }

    /// As [`spawn`](Self::spawn), with options.
    pub fn spawn_with<F, T>(&'scope self, options: TaskOptions, body: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let result = Arc::new(Mutex::new(Slot { value: None, error: None, unheard: false }));
        lock(&self.live.0).tasks += 1;
        let task = Scoped {
            body: Some(body),
            result: Some(Arc::clone(&result)),
            guard: Guard(Arc::clone(&self.live)),
        };
        let handle = current(|worker| match self.spawner.admit(worker, true) {
            // SAFETY: everything of `'scope` is in `task`, and gone when its guard is dropped; the scope waits for that,
            // also when it unwinds. The result that stays in the task is `()`.
            Ok(place) => unsafe { self.spawner.put::<_, _, F>(place, options, move || task.run()) },
            Err(why) => Handle::rejected(why),
        });
        ScopedHandle { handle: Some(handle), result, live: Arc::clone(&self.live), scope: PhantomData }
    }
}

struct Scoped<F, T> {
    body: Option<F>,
    /// Whoever drops this last drops the result, so it is gone before the guard if the handle is.
    result: Option<Arc<Mutex<Slot<T>>>>,
    /// Last.
    guard: Guard,
}

impl<F: FnOnce() -> T, T> Scoped<F, T> {
    fn run(mut self) {
        let Some(body) = self.body.take() else { return };
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let Some(result) = self.result.take() else { return };
        match outcome {
            Ok(value) => lock(&result).value = Some(value),
            Err(payload) => {
                let error = TaskError::panicked(&*payload);
                let mut slot = lock(&result);
                if slot.unheard {
                    self.guard.0.fail(error);
                } else {
                    slot.error = Some(error);
                }
                drop(slot);
                drop(result);
                resume_unwind(payload);
            }
        }
    }
}

impl Live {
    fn fail(&self, error: TaskError) {
        lock(&self.0).error.get_or_insert(error);
    }
}

impl<T> ScopedHandle<'_, T> {
    /// Waits for the result, as [`Handle::join`].
    ///
    /// # Errors
    /// As [`Handle::join`].
    pub fn join(mut self) -> Result<T, TaskError> {
        if let Some(handle) = self.handle.take() {
            handle.join()?;
        }
        // `None` cannot be: a task that returned has left its result.
        lock(&self.result).value.take().ok_or(TaskError::Abandoned)
    }

    /// Whether the task is over.
    pub fn is_finished(&self) -> bool {
        self.handle.as_ref().is_none_or(Handle::is_finished)
    }

    /// As [`Handle::cancel`]. The scope still waits for what runs.
    pub fn cancel(&self) -> bool {
        self.handle.as_ref().is_some_and(Handle::cancel)
    }
}

impl<T> Drop for ScopedHandle<'_, T> {
    fn drop(&mut self) {
        if self.handle.is_some() {
            let mut slot = lock(&self.result);
            slot.unheard = true;
            let error = slot.error.take();
            drop(slot);
            if let Some(error) = error {
                self.live.fail(error);
            }
        }
    }
}
