//! `Async`: functions of scripts on other threads, answered on a later tick; see [`outside`](crate::outside).

mod machine;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use mlua::{Function, Lua, MultiValue, Value};
use tickscope_core::{CategoryId, LinkPoint, Recorder};
use tickscope_worker::{Answer, Crossing, Ended, Job, JobError, Options, RunError, Workers};

use crate::host::Host;
use crate::outside::{Done, OutsideError, Request, Service, Took};
use crate::raw::Failure;
use crate::resource::Resource;
use crate::schedule::Input;

/// A job of a script, with the tokens of the coroutines that wait for it.
pub(crate) type ScriptJob = Job<u64>;

/// The workers' name; their threads are not those of the queue of services.
const WORKERS: Service = Service { name: "lua worker", threads: 0 };

/// A server's workers, started with its first machine.
#[derive(Default)]
pub(crate) struct Jobs {
    workers: OnceCell<Option<Arc<Workers>>>,
    /// Whether a script ever gave one.
    given: Cell<bool>,
}

impl Jobs {
    fn workers(&self, seed: u64) -> Option<Arc<Workers>> {
        let options = || Options {
            hash_seed: Some(seed as u32),
            prepare: Some(Arc::new(machine::prepare)),
            carry: Some(Arc::new(machine::carry)),
            ..Options::default()
        };
        let start = || Workers::start(options());
        self.workers.get_or_init(|| start().ok().map(Arc::new)).clone()
    }
}

/// A job whose answer nobody will look at any more is stopped.
struct Wanted(ScriptJob);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// The way from a fresh machine to the workers; `None` where there are no threads to be had.
    pub(crate) fn crossing(&self, lua: &Lua) -> mlua::Result<Option<Crossing>> {
        self.jobs.workers(self.seed).map(|workers| Crossing::new(lua, workers)).transpose()
    }

    /// Has a worker call a function. Those who wait for the job go on in the tick in which its answer is there.
    pub(crate) fn run_job(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        lua: &Lua,
        function: &Function,
        arguments: &MultiValue,
    ) -> Result<ScriptJob, RunError> {
        let machine = resource.machine();
        let crossing = machine.as_ref().and_then(|machine| machine.crossing.as_ref());
        let crossing = crossing.ok_or_else(|| mlua::Error::runtime("there are no threads for workers"))?;
        let (to, from) = channel();
        let job: ScriptJob = crossing.send(lua, function, arguments, move |answer| {
            let took = Took { queued: answer.queued, ran: answer.ran };
            let _ = to.send(Done { value: answer, took }); // nobody waits any more when its resource was stopped
        })?;
        let info = function.info();
        let place = match (info.source.as_deref(), info.line_defined) {
            (Some(source), Some(line)) => format!("job {}:{line}", resource.file_of(source)),
            _ => "job".to_owned(),
        };
        self.jobs.given.set(true);
        let request = Request {
            service: WORKERS,
            resource,
            latency: Duration::ZERO,
            symbol: self.probe.native(&resource.name, &place),
            category: CategoryId::TASK,
        };
        let (of, wanted) = (Rc::clone(resource), Wanted(job.clone()));
        self.expect(&request, from, move |host, answer, cause| host.end_job(&of, &wanted.0, answer, cause));
        Ok(job)
    }

    /// Reports what went wrong in jobs that nobody asked about any more.
    pub(crate) fn tell_unheard(&self) {
        if !self.jobs.given.get() {
            return;
        }
        for id in self.lives.started() {
            let Some(resource) = self.resources.get(id) else { continue };
            let unheard =
                resource.machine().and_then(|machine| Some(machine.crossing.as_ref()?.unheard().take()));
            self.report_jobs(&resource, unheard.unwrap_or_default());
        }
    }

    /// The same for those of a machine that was closed.
    pub(crate) fn report_jobs(&self, resource: &Resource, unheard: Vec<JobError>) {
        for error in unheard {
            let (message, traceback) = match error {
                JobError::Script { message, traceback } => (message, traceback),
                error => (error.to_string(), String::new()),
            };
            let failure = Failure { value: Value::Nil, place: None, traceback };
            let mut error = self.script_error(resource, message, &failure);
            error.message += " (in a job that nobody awaited)";
            self.report(&error);
        }
    }

    fn end_job(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        job: &ScriptJob,
        answer: Result<Answer, OutsideError>,
        cause: LinkPoint,
    ) {
        let Some(machine) = resource.machine() else { return };
        let answer = answer.unwrap_or_else(|error| JobError::Lost(error.to_string()).into());
        for line in String::from_utf8_lossy(&answer.printed).lines() {
            self.console.borrow_mut().print(&resource.name, line);
        }
        let ended = match &machine.crossing {
            Some(crossing) => crossing.receive(&machine.lua, answer),
            None => Ended::Failed(JobError::Cancelled, None),
        };
        for token in job.end(ended) {
            self.answer_from(token, Input::Values(MultiValue::from_vec(vec![Value::Boolean(true)])), cause);
        }
    }
}
