//! Workers: threads with a machine each, shared by all owners of a process.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use mlua::Result;
use tickscope_scheduler::{Pool, SpawnError, Stop as StopPool};

use crate::deadlines::Deadlines;
use crate::error::JobError;
use crate::interrupt::Stop;
use crate::machine::{Answer, Machine, Plan};
pub use crate::machine::{Carry, Prepare};
use crate::parcel::Parcel;

/// What workers may use.
#[derive(Clone)]
pub struct Options {
    /// Threads. Default: the cores less one, at least one.
    pub workers: Option<usize>,
    /// Memory of a worker's machine beside its libraries, in bytes. Default: 256 MiB.
    pub memory: usize,
    /// Arguments, or results, of one job, in bytes. Default: 64 MiB.
    pub parcel: usize,
    /// Jobs that wait; more are refused. Default: 10,000.
    pub queue: usize,
    /// Seed of string hashes, by which `pairs` visits string keys in the same order in every run. Default: another each time.
    pub hash_seed: Option<u32>,
    /// Adds libraries to each machine, and takes some away. Scripts of owners see them too when the owner has them under the
    /// same names.
    pub prepare: Option<Prepare>,
    /// Userdata of the host that may cross, both ways. [`Numbers`](crate::Numbers) do anyway; without this, others are refused.
    pub carry: Option<Carry>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: None,
            memory: 256 << 20,
            parcel: 64 << 20,
            queue: 10_000,
            hash_seed: None,
            prepare: None,
            carry: None,
        }
    }
}

/// The workers of a process. Dropped, they finish the jobs that run and abandon the others.
pub struct Workers {
    pool: Option<Pool>,
    plan: Arc<Plan>,
    names: Arc<[Arc<str>]>,
    parcel: usize,
    deadlines: Deadlines,
}

thread_local! {
    /// This worker's machine. Machines are of one thread, and a process has one kind of them in nearly all cases.
    static MACHINE: RefCell<Option<(Arc<Plan>, Machine)>> = const { RefCell::new(None) };
}

/// Why there are no workers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// No machine could be made, or `prepare` failed.
    #[error("cannot make a worker's Lua machine: {0}")]
    Machine(mlua::Error),
    /// No threads.
    #[error(transparent)]
    Pool(#[from] tickscope_scheduler::BuildError),
}

impl Workers {
    /// Starts the threads. Makes one machine here to see that it can be made, and what libraries it has.
    ///
    /// # Errors
    /// See [`WorkersError`].
    pub fn start(options: Options) -> std::result::Result<Self, WorkersError> {
        let Options { memory, hash_seed, prepare, carry, .. } = options;
        let plan = Arc::new(Plan { memory, hash_seed, prepare, carry });
        let names = Machine::new(&plan).and_then(|machine| machine.names()).map_err(WorkersError::Machine)?;
        let mut builder = Pool::builder().name("lua worker").capacity(options.queue);
        if let Some(workers) = options.workers {
            builder = builder.workers(workers);
        }
        Ok(Self {
            pool: Some(builder.build()?),
            plan,
            names: names.into(),
            parcel: options.parcel,
            deadlines: Deadlines::default(),
        })
    }

    /// The libraries that machines have.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// How userdata crosses.
    pub(crate) fn carry(&self) -> Option<Carry> {
        self.plan.carry.clone()
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// What a job may be given, and may answer, in bytes.
    pub(crate) fn parcel(&self) -> usize {
        self.parcel
    }

    /// Runs a job on some worker; `done` is called there, or here when there is none.
    pub(crate) fn run(
        &self,
        parcel: Parcel,
        stop: Arc<Stop>,
        done: impl FnOnce(Answer) + Send + 'static,
    ) -> std::result::Result<(), SpawnError> {
        let (plan, limit) = (self.plan.clone(), self.parcel);
        let Some(pool) = &self.pool else { return Err(SpawnError::Stopped) };
        let asked = Instant::now();
        let body = move || {
            let begun = Instant::now();
            let queued = begun.duration_since(asked);
            if let Some(why) = stop.why() {
                return done(Answer { queued, ..JobError::from(why).into() });
            }
            let answer = with_machine(&plan, |machine| machine.run(parcel, &stop, limit));
            let answer = answer.unwrap_or_else(|error| {
                JobError::Lost(format!("the worker has no Lua machine: {error}")).into()
            });
            done(Answer { queued, ran: begun.elapsed(), ..answer });
            let reset = with_machine(&plan, Machine::reset);
            if !matches!(reset, Ok(Ok(()))) {
                MACHINE.with_borrow_mut(|machine| *machine = None);
            }
        };
        pool.try_spawn(body).map(drop).map_err(|refused| refused.why)
    }
}

fn with_machine<T>(plan: &Arc<Plan>, body: impl FnOnce(&Machine) -> T) -> Result<T> {
    MACHINE.with_borrow_mut(|place| {
        if !place.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, plan)) {
            *place = None; // before another takes memory
            *place = Some((plan.clone(), Machine::new(plan)?));
        }
        match place {
            Some((_, machine)) => Ok(body(machine)),
            None => Err(mlua::Error::runtime("there is no machine")),
        }
    })
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.stop(StopPool::Abandon);
        }
    }
}
