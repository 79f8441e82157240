//! Jobs for hosts that have nothing of the kind: a list of what has ended, looked at once a tick.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Function, Lua, MultiValue};

use crate::error::JobError;
use crate::job::{Crossing, Job, RunError};
use crate::machine::Answer;
use crate::workers::Workers;

/// A machine's jobs. On its thread.
#[derive(Clone)]
pub struct Owner {
    inner: Rc<Inner>,
}

struct Inner {
    crossing: Crossing,
    /// What workers have finished and the owner has not looked at.
    done: Arc<Mutex<Vec<(u64, Answer)>>>,
    ready: Arc<dyn Fn() + Send + Sync>,
    jobs: RefCell<HashMap<u64, Job<Function>>>,
    last: Cell<u64>,
}

impl Owner {
    /// Lets the scripts of `lua` give jobs. Before scripts run: what they replace in libraries is theirs, not the worker's.
    ///
    /// `ready` is called, on a worker, when there is something for [`tick`](Self::tick): a host that sleeps wakes up there.
    ///
    /// # Errors
    /// When the machine is out of memory.
    pub fn new(
        lua: &Lua,
        workers: Arc<Workers>,
        ready: impl Fn() + Send + Sync + 'static,
    ) -> mlua::Result<Self> {
        let inner = Inner {
            crossing: Crossing::new(lua, workers)?,
            done: Arc::default(),
            ready: Arc::new(ready),
            jobs: RefCell::default(),
            last: Cell::new(0),
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// Copies a function and its arguments, and has a worker call it.
    ///
    /// # Errors
    /// When something cannot cross, which then names it; when there is no room in the queue.
    pub fn run(
        &self,
        lua: &Lua,
        function: &Function,
        arguments: &MultiValue,
    ) -> Result<Job<Function>, RunError> {
        let inner = &self.inner;
        let id = inner.last.get() + 1;
        inner.last.set(id);
        let (done, ready) = (inner.done.clone(), inner.ready.clone());
        let job = inner.crossing.send(lua, function, arguments, move |answer| {
            done.lock().unwrap_or_else(PoisonError::into_inner).push((id, answer));
            ready();
        })?;
        inner.jobs.borrow_mut().insert(id, job.clone());
        Ok(job)
    }

    /// Errors of jobs that nobody ever looked at, since the last call: something to tell on a console.
    pub fn unheard(&self) -> Vec<JobError> {
        self.inner.crossing.unheard().take()
    }

    /// Jobs that have not ended.
    pub fn open(&self) -> usize {
        self.inner.jobs.borrow().len()
    }

    /// Takes what workers have finished, writes what jobs printed to standard output, and calls those who wait. Returns how
    /// many jobs ended, and what failed in those who waited. Once a tick, and when `ready` was called.
    pub fn tick(&self, lua: &Lua) -> (usize, Vec<mlua::Error>) {
        let inner = &self.inner;
        let answers = std::mem::take(&mut *inner.done.lock().unwrap_or_else(PoisonError::into_inner));
        let count = answers.len();
        let mut failed = Vec::new();
        for (id, answer) in answers {
            let Some(job) = inner.jobs.borrow_mut().remove(&id) else { continue };
            if !answer.printed.is_empty() {
                use std::io::Write;
                let _ = std::io::stdout().write_all(&answer.printed); // nobody to tell
            }
            let waiting = job.end(inner.crossing.receive(lua, answer));
            failed.extend(waiting.into_iter().filter_map(|waiter| waiter.call::<()>(()).err()));
        }
        (count, failed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for job in self.jobs.borrow().values() {
            job.cancel();
        }
    }
}
