//! Jobs, as their owner sees them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, MultiValue, Value};

use crate::error::{JobError, Refusal};
use crate::interrupt::{Stop, Why};
use crate::machine::Answer;
use crate::pack::{Known, PackError, Packer};
use crate::unpack::unpack;
use crate::workers::Workers;

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// What it answered, in the owner's machine. All who await it get the same tables.
    Values(MultiValue),
    /// Why it answered nothing, and what the script raised, where that could cross.
    Failed(JobError, Option<Value>),
}

impl Ended {
    /// As a script gets it: true and the values, or false and what is raised.
    ///
    /// # Errors
    /// When the machine is out of memory.
    pub fn into_lua(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self {
            Self::Values(mut values) => {
                values.push_front(Value::Boolean(true));
                Ok(values)
            }
            Self::Failed(error, raised) => {
                let raised = match raised {
                    // Text gets the worker's stack; the owner's is added where it is raised again.
                    Some(Value::String(_)) | None => Value::String(lua.create_string(error.to_string())?),
                    Some(raised) => raised,
                };
                Ok(MultiValue::from_vec(vec![Value::Boolean(false), raised]))
            }
        }
    }
}

/// Why a job was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Something cannot cross to a worker.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue is full, or the workers have stopped.
    #[error(transparent)]
    Pool(#[from] tickscope_scheduler::SpawnError),
    /// The owner's machine failed.
    #[error(transparent)]
    Lua(#[from] mlua::Error),
}

impl From<PackError> for RunError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Refused(refusal) => Self::Refused(refusal),
            PackError::Lua(error) => Self::Lua(error),
        }
    }
}

/// Errors of jobs that are gone and that nobody ever looked at: something to tell on a console.
#[derive(Clone, Debug, Default)]
pub struct Unheard(Rc<RefCell<Vec<JobError>>>);

impl Unheard {
    /// Those since the last call.
    pub fn take(&self) -> Vec<JobError> {
        self.0.take()
    }
}

/// The way between one machine and the workers.
pub struct Crossing {
    known: Known,
    workers: Arc<Workers>,
    unheard: Unheard,
}

impl Crossing {
    /// For the scripts of `lua`. Before they run: what they replace in libraries is theirs, not the workers'.
    ///
    /// # Errors
    /// When the machine is out of memory.
    pub fn new(lua: &Lua, workers: Arc<Workers>) -> mlua::Result<Self> {
        let known = Known::find(lua, workers.names(), workers.carry())?;
        Ok(Self { known, workers, unheard: Unheard::default() })
    }

    /// The list of its jobs' errors that nobody looked at. A job gets there when the script has let go of it, which Lua's
    /// collector finds out, or when the machine is closed.
    pub fn unheard(&self) -> &Unheard {
        &self.unheard
    }

    /// Copies a function and its arguments, and has a worker call it. `done` gets the answer, on the worker.
    ///
    /// `W` is what the host keeps for whoever waits for the job.
    ///
    /// # Errors
    /// When something cannot cross, which then names it; when there is no room in the queue.
    pub fn send<W>(
        &self,
        lua: &Lua,
        function: &Function,
        arguments: &MultiValue,
        done: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Job<W>, RunError> {
        let mut packer = Packer::new(lua, &self.known, self.workers.parcel(), true)?;
        packer.add(&Value::Function(function.clone()), "the function")?;
        for (argument, number) in arguments.iter().zip(1..) {
            packer.add(argument, &format!("argument {number}"))?;
        }
        let stop = Arc::new(Stop::default());
        self.workers.run(packer.finish(), stop.clone(), done)?;
        let state = State {
            stop,
            workers: self.workers.clone(),
            ended: RefCell::new(None),
            waiting: RefCell::new(Vec::new()),
            looked_at: Cell::new(false),
            unheard: self.unheard.clone(),
        };
        Ok(Job { state: Rc::new(state) })
    }

    /// Makes an answer the owner's.
    pub fn receive(&self, lua: &Lua, answer: Answer) -> Ended {
        match answer.result {
            Ok(parcel) => match unpack(lua, parcel) {
                Ok(values) => Ended::Values(values),
                Err(error) => Ended::Failed(
                    JobError::Script { message: error.to_string(), traceback: String::new() },
                    None,
                ),
            },
            Err((error, raised)) => {
                Ended::Failed(error, raised.and_then(|raised| unpack(lua, raised).ok()?.pop_front()))
            }
        }
    }
}

/// A job that was given. Dropped without a look at it, it still runs.
pub struct Job<W> {
    state: Rc<State<W>>,
}

impl<W> Clone for Job<W> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

struct State<W> {
    stop: Arc<Stop>,
    workers: Arc<Workers>,
    ended: RefCell<Option<Ended>>,
    waiting: RefCell<Vec<W>>,
    looked_at: Cell<bool>,
    unheard: Unheard,
}

impl<W> Drop for State<W> {
    fn drop(&mut self) {
        match self.ended.get_mut().take() {
            Some(Ended::Failed(JobError::Cancelled, _)) => {}
            Some(Ended::Failed(error, _)) if !self.looked_at.get() => self.unheard.0.borrow_mut().push(error),
            _ => {}
        }
    }
}

impl<W> Job<W> {
    /// How it ended; `None` while it waits or runs.
    pub fn ended(&self) -> Option<Ended> {
        let ended = self.state.ended.borrow().clone();
        self.state.looked_at.set(self.state.looked_at.get() || ended.is_some());
        ended
    }

    /// Whether it has ended.
    pub fn is_done(&self) -> bool {
        self.state.ended.borrow().is_some()
    }

    /// Keeps whoever waits, until [`end`](Self::end).
    pub fn wait(&self, waiter: W) {
        self.state.waiting.borrow_mut().push(waiter);
    }

    /// The host has received its answer. Who waited.
    pub fn end(&self, ended: Ended) -> Vec<W> {
        *self.state.ended.borrow_mut() = Some(ended);
        std::mem::take(&mut *self.state.waiting.borrow_mut())
    }

    /// Takes it back: it does not start, or is stopped where it is. False when it has ended.
    pub fn cancel(&self) -> bool {
        self.state.stop.ask(Why::Cancelled);
        !self.is_done()
    }

    /// Stops it when it has not ended by then, counted from now.
    pub fn stop_after(&self, time: Duration) {
        if let Some(at) = Instant::now().checked_add(time) {
            self.state.workers.deadlines().add(at, &self.state.stop);
        }
    }
}
