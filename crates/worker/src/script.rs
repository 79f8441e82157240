//! `Async` for scripts.

use std::time::{Duration, Instant};

use mlua::{
    Function, IntoLuaMulti, Lua, MultiValue, Result, Table, UserData, UserDataMethods, UserDataRef, Value,
};

use crate::error::JobError;
use crate::job::{Ended, Job, RunError};
use crate::numbers::Numbers;
use crate::owner::Owner;

const SCRIPT: &str = include_str!("script.lua");

/// Waits as plain coroutines do: whoever wakes one resumes it, within [`Owner::tick`].
const PLAIN_WAIT: &str = r#"
local subscribe = ...
local running, status, resume, yield, error = coroutine.running, coroutine.status, coroutine.resume, coroutine.yield, error
return function(jobs)
    local own, is_main = running()
    if is_main then error('only a coroutine can wait for a job: start one, or look at job:done()', 3) end
    local woken = false
    local function wake()
        if woken then return end
        woken = true
        if status(own) == 'suspended' then
            local fine, problem = resume(own)
            if not fine then error(problem, 0) end
        end
    end
    for at = 1, #jobs do subscribe(jobs[at], wake) end
    while not woken do yield() end
end
"#;

/// How coroutines wait, where they are the host's.
#[derive(Clone, Debug)]
pub struct Waits {
    /// `wait(jobs)`: returns to the coroutine once one of a list of jobs has ended. None of them has yet.
    pub wait: Function,
    /// Returns to the coroutine in the next tick.
    pub pause: Function,
}

impl Waits {
    /// For hosts without a scheduler of their own: `coroutine.yield`, resumed by [`Owner::tick`]; a pause is a plain yield,
    /// which the host answers in its next tick.
    ///
    /// # Errors
    /// When the machine is out of memory.
    pub fn plain(lua: &Lua) -> Result<Self> {
        let subscribe =
            lua.create_function(|_, (job, waiter): (UserDataRef<ScriptJob<Function>>, Function)| {
                job.0.wait(waiter);
                Ok(())
            })?;
        let wait = lua.load(PLAIN_WAIT).set_name("=Async").call(subscribe)?;
        let pause = lua.load("return coroutine.yield").set_name("=Async").eval()?;
        Ok(Self { wait, pause })
    }
}

/// The table `Async` for the scripts of an [`Owner`].
///
/// # Errors
/// When the machine is out of memory.
pub fn library(lua: &Lua, owner: &Owner) -> Result<Table> {
    let owner = owner.clone();
    let run = move |lua: &Lua, (function, arguments): (Function, MultiValue)| {
        given(lua, owner.run(lua, &function, &arguments))
    };
    library_with(lua, &lua.create_function(run)?, &Waits::plain(lua)?)
}

/// What the function `run` of [`library_with`] answers for a job, or for why there is none.
///
/// # Errors
/// When the machine failed.
pub fn given<W: 'static>(lua: &Lua, job: std::result::Result<Job<W>, RunError>) -> Result<MultiValue> {
    match job {
        Ok(job) => (lua.create_userdata(ScriptJob(job))?, Value::Nil).into_lua_multi(lua),
        Err(RunError::Lua(error)) => Err(error),
        Err(refused) => (Value::Nil, refused.to_string()).into_lua_multi(lua),
    }
}

/// The table `Async` for scripts whose coroutines and jobs are the host's: `run(f, ...)` has a worker call a function and
/// answers as [`given`] says.
///
/// # Errors
/// When the machine is out of memory.
pub fn library_with(lua: &Lua, run: &Function, waits: &Waits) -> Result<Table> {
    let numbers = lua.create_function(|_, from: Value| Numbers::make(&from))?;
    let start = Instant::now();
    let now = lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64() * 1_000.0))?;
    lua.load(SCRIPT).set_name("=Async").call((run, numbers, now, &waits.wait, &waits.pause))
}

/// A job in a script's hands.
pub struct ScriptJob<W>(pub Job<W>);

impl<W: 'static> UserData for ScriptJob<W> {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("done", |_, job, ()| Ok(job.0.is_done()));
        methods.add_method("cancel", |_, job, ()| Ok(job.0.cancel()));
        methods.add_method("stop_after", |_, job, milliseconds: f64| {
            let time = Duration::try_from_secs_f64(milliseconds / 1_000.0).map_err(|_| {
                mlua::Error::runtime(format!("Async.Timeout: {milliseconds} is no number of milliseconds"))
            })?;
            job.0.stop_after(time);
            Ok(())
        });
        methods.add_method("take", |lua, job, ()| match job.0.ended() {
            Some(ended) => ended.into_lua(lua),
            None => Err(mlua::Error::runtime("the job has not ended")),
        });
        methods.add_method("traceback", |_, job, ()| match job.0.ended() {
            Some(Ended::Failed(JobError::Script { traceback, .. }, _)) => Ok(Some(traceback)),
            _ => Ok(None),
        });
    }
}
