//! Events and commands.

use mlua::{Function, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::events::Source;
use crate::host::{Calls, nothing, one};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("AddEventHandler", Calls::Silent, |host, resource, lua, args| {
        let (event, function) = (args.text(0)?, args.function(1)?);
        let id = host.add_handler(resource, &event, function);
        let handle = lua.create_table_with_capacity(0, 2)?;
        handle.raw_set("key", id.cast_signed())?;
        handle.raw_set("name", event)?;
        one(lua, handle)
    })?;
    define.global("RemoveEventHandler", Calls::Silent, |host, _, _, args| {
        let handle = args.table(0)?;
        let (id, event): (i64, String) = (handle.raw_get("key")?, handle.raw_get("name")?);
        if !host.events.remove(&event, id.cast_unsigned()) {
            return Err(format!("RemoveEventHandler: no such handler of event {event:?}").into());
        }
        nothing()
    })?;
    let register: Function =
        define.make("RegisterNetEvent", Calls::Silent, |host, resource, lua, args| {
            let event = args.text(0)?;
            host.events.register_net(resource, &event);
            if let Value::Function(function) = args.get(1) {
                let id = host.add_handler(resource, &event, function.clone());
                let handle = lua.create_table_with_capacity(0, 2)?;
                handle.raw_set("key", id.cast_signed())?;
                handle.raw_set("name", event)?;
                return one(lua, handle);
            }
            nothing()
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
        let parcel = host.make_parcel(resource, lua, &values.into_vec())?;
        one(lua, host.trigger(&event, &parcel, Source::Server))
    })?;
    for name in ["TriggerClientEvent", "TriggerLatentClientEvent"] {
        define.global(name, Calls::Recorded, |host, resource, lua, args| {
            let event = args.text(0)?;
            let target = args.integer(1)?;
            let first = if args.native == "TriggerClientEvent" { 2 } else { 3 };
            let values: Vec<_> = args.values.into_iter().skip(first).collect();
            let parcel = host
                .make_parcel(resource, lua, &values)
                .map_err(|problem| format!("event {event}: {problem}"))?;
            host.client_events.set(host.client_events.get() + 1);
            host.world.send(&event, target, parcel.packed());
            nothing()
        })?;
    }
    define.global("CancelEvent", Calls::Silent, |host, _, _, _| {
        host.events.cancel();
        nothing()
    })?;
    define
        .global("WasEventCanceled", Calls::Silent, |host, _, lua, _| one(lua, host.events.was_cancelled()))?;

    define.global("RegisterCommand", Calls::Silent, |host, resource, _, args| {
        host.register_command(resource, &args.text(0)?, args.function(1)?);
        nothing()
    })?;
    define.global("ExecuteCommand", Calls::Recorded, |host, _, _, args| {
        let line = args.text(0)?;
        if !host.execute(&line) {
            let name = line.split_whitespace().next().unwrap_or_default();
            host.console.borrow_mut().print("", &format!("No such command {name}."));
        }
        nothing()
    })?;
    define.global("GetRegisteredCommands", Calls::Silent, |host, _, lua, _| {
        let list = lua.create_table()?;
        for (name, command) in host.commands.borrow().iter() {
            let entry = lua.create_table_with_capacity(0, 2)?;
            entry.raw_set("name", name.as_str())?;
            entry.raw_set("resource", &*host.resources[command.resource()].name)?;
            list.raw_push(entry)?;
        }
        one(lua, list)
    })
}
