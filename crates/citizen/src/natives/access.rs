//! Questions about who may do what, and commands.

use std::rc::Rc;

use mlua::{Lua, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::commands::Caller;
use crate::host::{Answer, Calls, Host, nothing, one};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("IsPlayerAceAllowed", Calls::Silent, |host, _, lua, args| {
        one(lua, host.player_may(args.player(0)?, &args.text(1)?))
    })?;
    define.global("IsPrincipalAceAllowed", Calls::Silent, |host, _, lua, args| {
        one(lua, host.access.is_allowed(&args.text(0)?, &args.text(1)?))
    })?;
    define.global("IsAceAllowed", Calls::Silent, |host, _, lua, args| {
        one(lua, host.access.is_allowed_now(&args.text(0)?))
    })?;
    define.global("RegisterCommand", Calls::Silent, |host, resource, lua, args| {
        let restricted = !matches!(args.get(2), Value::Nil | Value::Boolean(false) | Value::Integer(0));
        host.register_command(resource, &args.text(0)?, args.callable(lua, 1)?, restricted);
        nothing()
    })?;
    define.global("ExecuteCommand", Calls::Recorded, |host, resource, _, args| {
        host.execute_by(Caller::Resource(&resource.name), &args.text(0)?);
        nothing()
    })?;
    define.global("GetRegisteredCommands", Calls::Silent, |host, _, lua, _| commands(host, lua, None))?;
    define.global("GetResourceCommands", Calls::Silent, |host, _, lua, args| {
        commands(host, lua, Some(&args.text(0)?))
    })
}

/// The commands of a resource, or of all.
fn commands<R: Recorder + 'static>(host: &Rc<Host<R>>, lua: &Lua, of: Option<&str>) -> Answer {
    let list = lua.create_table()?;
    for (name, command) in host.commands.borrow().iter() {
        let owner = host.resources.get(command.resource());
        let owner = owner.as_ref().map_or("", |resource| &*resource.name);
        if of.is_some_and(|of| of != owner) {
            continue;
        }
        let entry = lua.create_table_with_capacity(0, 3)?;
        entry.raw_set("name", name.as_str())?;
        entry.raw_set("resource", owner)?;
        entry.raw_set("arity", -1)?; // scripts take any number of arguments
        list.raw_push(entry)?;
    }
    one(lua, list)
}
