//! Events.

use std::rc::Rc;

use mlua::{Function, Lua, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::commands::COMMAND_FALLBACK;
use crate::events::Source;
use crate::host::{Answer, Args, Calls, Host, Raise, nothing, one};
use crate::references::Parcel;
use crate::resource::Resource;

/// Adds a handler and answers its handle.
fn add_handler<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    resource: &Rc<Resource>,
    lua: &Lua,
    event: String,
    function: Function,
) -> Answer {
    let id = host.add_handler(resource, &event, function);
    let handle = lua.create_table_with_capacity(0, 2)?;
    handle.raw_set("key", id.cast_signed())?;
    handle.raw_set("name", event)?;
    one(lua, handle)
}

/// Packs the arguments of an event for clients, from argument `first` on, and counts it.
fn for_clients<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    resource: &Rc<Resource>,
    lua: &Lua,
    event: &str,
    args: Args,
    first: usize,
) -> Result<Parcel, Raise> {
    let values: Vec<_> = args.values.into_iter().skip(first).collect();
    let parcel =
        host.make_parcel(resource, lua, &values).map_err(|problem| format!("event {event}: {problem}"))?;
    host.client_events.set(host.client_events.get() + 1);
    Ok(parcel)
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("AddEventHandler", Calls::Silent, |host, resource, lua, args| {
        let (event, function) = (args.text(0)?, args.callable(lua, 1)?);
        add_handler(host, resource, lua, event, function)
    })?;
    define.global("RemoveEventHandler", Calls::Silent, |host, _, _, args| {
        let place = match args.get(0) {
            Value::Table(handle) => (handle.raw_get::<Value>("key")?, handle.raw_get::<Value>("name")?),
            _ => (Value::Nil, Value::Nil),
        };
        let (Value::Integer(id), Value::String(event)) = place else {
            return Err("Invalid event data passed to RemoveEventHandler()".to_owned().into());
        };
        host.events.remove(&event.to_string_lossy(), id.cast_unsigned());
        nothing()
    })?;
    let register: Function =
        define.make("RegisterNetEvent", Calls::Silent, |host, resource, lua, args| {
            let event = args.text(0)?;
            if event != COMMAND_FALLBACK {
                host.events.register_net(resource, &event);
            }
            match args.get(1) {
                Value::Nil => nothing(),
                _ => add_handler(host, resource, lua, event, args.callable(lua, 1)?),
            }
        })?;
    define.globals.raw_set("RegisterServerEvent", &register)?;
    define.globals.raw_set("RegisterNetEvent", register)?;
    define.global("TriggerEvent", Calls::Recorded, |host, resource, lua, args| {
        let event = args.text(0)?;
        if let Value::Function(take) = args.get(1) {
            host.hand_out_export(resource, &event, take)?;
        }
        let mut values = args.values;
        values.pop_front();
        let parcel = host
            .make_parcel(resource, lua, &values.into_vec())
            .map_err(|problem| format!("TriggerEvent {event}: {problem}"))?;
        one(lua, host.trigger(&event, &parcel, Source::Server))
    })?;
    define.global("TriggerClientEvent", Calls::Recorded, |host, resource, lua, args| {
        let (event, target) = (args.text(0)?, args.integer(1)?);
        let parcel = for_clients(host, resource, lua, &event, args, 2)?;
        host.world.send(&event, target, parcel.packed());
        nothing()
    })?;
    define.global("TriggerLatentClientEvent", Calls::Recorded, |host, resource, lua, args| {
        let (event, target, rate) = (args.text(0)?, args.integer(1)?, args.number(2)?);
        let parcel = for_clients(host, resource, lua, &event, args, 3)?;
        host.send_latent(&event, target, rate, parcel.packed());
        nothing()
    })?;
    define.global("CancelEvent", Calls::Silent, |host, _, _, _| {
        host.events.cancel();
        nothing()
    })?;
    define.global("WasEventCanceled", Calls::Silent, |host, _, lua, _| one(lua, host.events.was_cancelled()))
}
