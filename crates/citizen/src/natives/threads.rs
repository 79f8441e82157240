//! Threads, timers, waiting, and functions of other VMs.

use mlua::{MultiValue, Table, Value};
use tickscope_core::{CategoryId, Recorder};

use super::Definer;
use crate::host::{Calls, Raise, nothing, one};
use crate::raw::{self, REFERENCE_FIELD};
use crate::schedule::Input;

/// States of a promise, as in `lua/promise.lua`.
const RESOLVED: i64 = 3;
const REJECTED: i64 = 4;

/// Answers the metatable of functions of other VMs.
pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<Table> {
    define.citizen("CreateThread", Calls::Recorded, |host, resource, lua, args| {
        let id = host.start_later(resource, args.function(0)?, CategoryId::THREAD, 0);
        one(lua, id.cast_signed())
    })?;
    define.citizen("CreateThreadNow", Calls::Recorded, |host, resource, lua, args| {
        let id = host.start_now(resource, args.function(0)?);
        one(lua, id.cast_signed())
    })?;
    define.citizen("SetTimeout", Calls::Recorded, |host, resource, lua, args| {
        let delay = args.number(0)?.max(0.0) as u64;
        let id = host.start_later(resource, args.function(1)?, CategoryId::TIMER, delay);
        one(lua, id.cast_signed())
    })?;
    define.citizen("ClearTimeout", Calls::Silent, |host, _, _, args| {
        host.clear_timer(args.integer(0)?.cast_unsigned());
        nothing()
    })?;
    let wait = raw::wait_function(define.lua)?;
    define.citizen.raw_set("Wait", &wait)?;
    define.globals.raw_set("Wait", wait)?;

    let await_promise = define.make("Await", Calls::Silent, |host, resource, lua, args| {
        let promise = args.table(0)?;
        match promise.raw_get::<Value>("state")? {
            Value::Integer(RESOLVED) => one(lua, promise.raw_get::<Value>("value")?),
            Value::Integer(REJECTED) => Err(Raise::Value(promise.raw_get("value")?)),
            _ => {
                let Some(machine) = resource.machine() else { return nothing() };
                let token = host.new_token(resource);
                machine.subscribe.call::<()>((promise, token.cast_signed()))?;
                Err(Raise::Wait(token))
            }
        }
    })?;
    define.citizen.raw_set("Await", await_promise)?;
    define.private("settle", Calls::Silent, |host, _, _, args| {
        let token = args.integer(0)?.cast_unsigned();
        let input = match args.get(1) {
            Value::Boolean(true) => Input::Values(MultiValue::from_vec(vec![args.get(2).clone()])),
            _ => Input::Error(args.get(2).clone()),
        };
        host.answer(token, input);
        nothing()
    })?;

    let references = define.lua.create_table()?;
    let call = define.make("FunctionReference", Calls::Recorded, |host, resource, lua, args| {
        host.call_reference(resource, lua, args)
    })?;
    references.raw_set("__call", call)?;
    let collected = define.make("__gc", Calls::Silent, |host, _, _, args| {
        if let Value::Table(table) = args.get(0)
            && let Ok(text) = table.raw_get::<String>(REFERENCE_FIELD)
        {
            host.references.release_later(&text);
        }
        nothing()
    })?;
    references.raw_set("__gc", collected)?;
    for (field, problem) in
        [("__index", "Cannot index a funcref"), ("__newindex", "Cannot set indexes on a funcref")]
    {
        let refuse = define.host.native(
            define.resource,
            define.lua,
            "FunctionReference",
            Calls::Silent,
            move |_, _, _, _| Err(Raise::Text(problem.into())),
        )?;
        references.raw_set(field, refuse)?;
    }
    by_text(define)?;
    missing(define)?;
    Ok(references)
}

/// References as text, which is how they are handed on outside of messages.
fn by_text<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let refer = define.make("GetFunctionReference", Calls::Recorded, |host, resource, lua, args| {
        one(lua, host.refer(resource, &args.callable(lua, 0)?).1)
    })?;
    define.citizen.raw_set("GetFunctionReference", refer)?;
    define.global("DuplicateFunctionReference", Calls::Silent, |host, _, lua, args| {
        let text = args.text(0)?;
        one(lua, host.references.duplicate(&text).then_some(text))
    })?;
    define.global("DeleteFunctionReference", Calls::Silent, |host, _, _, args| {
        host.references.release_later(&args.text(0)?);
        nothing()
    })
}

/// `Citizen.Anything` that does not exist is a function that says so, in Lua's words for the call of a nil field.
fn missing<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let meta = define.lua.create_table()?;
    let index = define.make("Citizen", Calls::Silent, |host, resource, lua, args| {
        let Value::String(name) = args.get(1) else { return one(lua, Value::Nil) };
        let name = name.to_string_lossy();
        let call = host.native(resource, lua, "Citizen", Calls::Silent, move |_, _, _, _| {
            Err(Raise::Text(format!("attempt to call a nil value (field 'Citizen.{name}')")))
        })?;
        one(lua, call)
    })?;
    meta.raw_set("__index", index)?;
    define.citizen.set_metatable(Some(meta))
}
