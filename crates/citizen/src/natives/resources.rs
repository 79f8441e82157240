//! What scripts may ask of resources, and convars.

use std::rc::Rc;

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::convars::Shared;
use crate::host::{Answer, Args, Calls, Host, nothing, one};
use crate::lifecycle::Wish;
use crate::resource::{Resource, ResourceState};

fn named<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    args: &Args,
) -> Result<Option<Rc<Resource>>, crate::host::Raise> {
    Ok(host.find(&args.text(0)?))
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("IsDuplicityVersion", Calls::Silent, |_, _, lua, _| one(lua, true))?;
    define
        .global("GetCurrentResourceName", Calls::Silent, |_, resource, lua, _| one(lua, &*resource.name))?;
    define.global("GetInvokingResource", Calls::Silent, |host, resource, lua, _| {
        let running = host.running.borrow();
        let other = running.iter().rev().find(|other| other.id != resource.id);
        one(lua, other.map(|other| other.name.to_string()))
    })?;
    define.global("GetResourceState", Calls::Silent, |host, _, lua, args| {
        one(lua, named(host, &args)?.map_or("missing", |resource| resource.state.get().name()))
    })?;
    define.global("GetResourcePath", Calls::Silent, |host, _, lua, args| {
        one(lua, named(host, &args)?.map(|resource| resource.path.to_string_lossy().into_owned()))
    })?;
    define
        .global("GetNumResources", Calls::Silent, |host, _, lua, _| one(lua, host.resources.all().len()))?;
    define.global("GetResourceByFindIndex", Calls::Silent, |host, _, lua, args| {
        let found = usize::try_from(args.integer(0)?).ok().and_then(|index| host.resources.get(index));
        one(lua, found.map(|resource| resource.name.to_string()))
    })?;
    define.global("GetResourceMetadata", Calls::Silent, |host, _, lua, args| {
        let key = args.text(1)?;
        let index = if args.get(2).is_nil() { 0 } else { args.integer(2)? };
        let found = named(host, &args)?;
        let value = usize::try_from(index)
            .ok()
            .and_then(|index| found.as_ref()?.manifest().all(&key).nth(index).map(str::to_owned));
        one(lua, value)
    })?;
    define.global("GetNumResourceMetadata", Calls::Silent, |host, _, lua, args| {
        let key = args.text(1)?;
        one(lua, named(host, &args)?.map_or(0, |resource| resource.manifest().all(&key).count()))
    })?;
    define.global("StartResource", Calls::Recorded, |host, _, lua, args| {
        let found = named(host, &args)?;
        one(lua, found.is_some_and(|resource| host.wish(Wish::Start(resource.id))))
    })?;
    define.global("StopResource", Calls::Recorded, |host, resource, lua, args| {
        // nobody stops itself
        let found = named(host, &args)?.filter(|other| other.id != resource.id);
        let found = found.filter(|other| other.state.get() == ResourceState::Started);
        one(lua, found.is_some_and(|other| host.wish(Wish::Stop(other.id))))
    })?;
    convars(define)
}

fn convars<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetConvar", Calls::Silent, |host, _, lua, args| {
        let value = host.convars.get(&args.text(0)?);
        match (value, args.get(1)) {
            (Some(value), _) => one(lua, value),
            (None, Value::Nil) => one(lua, Value::Nil),
            (None, Value::Boolean(default)) => one(lua, default.to_string()),
            (None, _) => one(lua, args.text(1)?),
        }
    })?;
    define.global("GetConvarInt", Calls::Silent, |host, _, lua, args| {
        match (convar::<R, i64>(host, &args)?, args.get(1)) {
            (Some(value), _) => one(lua, value),
            (None, Value::Nil) => one(lua, 0),
            (None, Value::Boolean(default)) => one(lua, i64::from(*default)),
            (None, _) => one(lua, args.integer(1)?),
        }
    })?;
    define.global("GetConvarFloat", Calls::Silent, |host, _, lua, args| {
        match convar::<R, f64>(host, &args)? {
            Some(value) => one(lua, value),
            None => one(lua, args.get(1).clone()),
        }
    })?;
    define.global("GetConvarBool", Calls::Silent, |host, _, lua, args| {
        let value = host.convars.get(&args.text(0)?).map(|value| value.trim().to_ascii_lowercase());
        match value.as_deref() {
            Some("true" | "1") => one(lua, true),
            Some("false" | "0") => one(lua, false),
            _ => one(lua, args.get(1).clone()),
        }
    })?;
    define.global("AddConvarChangeListener", Calls::Silent, |host, resource, lua, args| {
        let filter = Some(args.text_or(0, "")?).filter(|filter| !filter.is_empty());
        one(lua, host.add_convar_listener(resource, filter, args.callable(lua, 1)?).cast_signed())
    })?;
    define.global("RemoveConvarChangeListener", Calls::Silent, |host, _, _, args| {
        host.convars.remove_listener(args.integer(0)?.cast_unsigned());
        nothing()
    })?;
    define.global("SetConvar", Calls::Recorded, |host, _, _, args| set(host, &args, Shared::No))?;
    define.global("SetConvarReplicated", Calls::Recorded, |host, _, _, args| {
        set(host, &args, Shared::Replicated)
    })?;
    define.global("SetConvarServerInfo", Calls::Recorded, |host, _, _, args| {
        set(host, &args, Shared::ServerInfo)
    })?;
    define.globals.raw_set("source", Value::Nil)
}

fn set<R: Recorder + 'static>(host: &Rc<Host<R>>, args: &Args, shared: Shared) -> Answer {
    host.convars.set_as(&args.text(0)?, &args.text_or(1, "")?, shared);
    host.tell_convars();
    nothing()
}

fn convar<R: Recorder + 'static, T: std::str::FromStr>(
    host: &Rc<Host<R>>,
    args: &Args,
) -> Result<Option<T>, crate::host::Raise> {
    Ok(host.convars.get(&args.text(0)?).and_then(|value| value.trim().parse().ok()))
}
