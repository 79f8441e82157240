//! `Async`: see [`jobs`](crate::jobs).

use mlua::{Table, UserDataRef, Value};
use tickscope_core::Recorder;
use tickscope_worker::{ScriptJob, Waits, given, library_with};

use super::Definer;
use crate::host::{Calls, Raise};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let run = define.make("Async.Run", Calls::Recorded, |host, resource, lua, mut args| {
        let function = args.function(0)?;
        args.values.pop_front();
        Ok(given(lua, host.run_job(resource, lua, &function, &args.values))?)
    })?;
    let wait = define.make("Async.Await", Calls::Silent, |host, resource, _, args| {
        let token = host.new_token(resource);
        for job in args.table(0)?.sequence_values::<Value>() {
            let Value::UserData(job) = job? else { continue };
            let job: UserDataRef<ScriptJob<u64>> = job.borrow()?;
            job.0.wait(token);
        }
        Err(Raise::Wait(token))
    })?;
    let next_tick = "local wait = ... return function() wait(0) end";
    let pause = define.lua.load(next_tick).set_name("@citizen:/jobs.lua");
    let pause = pause.call(define.globals.raw_get::<Value>("Wait")?)?;
    let library: Table = library_with(define.lua, &run, &Waits { wait, pause })?;
    define.globals.raw_set("Async", library)
}
