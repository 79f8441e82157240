//! What scripts may ask of resources, and convars.

use std::rc::Rc;

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Args, Calls, Host, Wish, nothing, one};
use crate::resource::{Resource, ResourceState};

fn named<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    args: &Args,
) -> Result<Option<Rc<Resource>>, crate::host::Raise> {
    Ok(host.find(&args.text(0)?).cloned())
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
    define.global("GetNumResources", Calls::Silent, |host, _, lua, _| one(lua, host.resources.len()))?;
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
            .and_then(|index| found.as_ref()?.manifest.all(&key).nth(index).map(str::to_owned));
        one(lua, value)
    })?;
    define.global("GetNumResourceMetadata", Calls::Silent, |host, _, lua, args| {
        let key = args.text(1)?;
        one(lua, named(host, &args)?.map_or(0, |resource| resource.manifest.all(&key).count()))
    })?;
    define.global("StartResource", Calls::Recorded, |host, _, lua, args| {
        let found = named(host, &args)?.filter(|resource| resource.state.get() == ResourceState::Stopped);
        wish(host, lua, found.map(|resource| Wish::Start(resource.id)))
    })?;
    define.global("StopResource", Calls::Recorded, |host, _, lua, args| {
        let found = named(host, &args)?.filter(|resource| resource.state.get() == ResourceState::Started);
        wish(host, lua, found.map(|resource| Wish::Stop(resource.id)))
    })?;
    convars(define)
}

fn wish<R: Recorder + 'static>(host: &Rc<Host<R>>, lua: &mlua::Lua, wish: Option<Wish>) -> Answer {
    let possible = wish.is_some();
    host.wishes.borrow_mut().extend(wish);
    one(lua, possible)
}

fn convars<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetConvar", Calls::Silent, |host, _, lua, args| {
        let value = host.convars.borrow().get(&args.text(0)?).cloned();
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
        let value = host.convars.borrow().get(&args.text(0)?).map(|value| value.trim().to_ascii_lowercase());
        match value.as_deref() {
            Some("true" | "1") => one(lua, true),
            Some("false" | "0") => one(lua, false),
            _ => one(lua, args.get(1).clone()),
        }
    })?;
    for name in ["SetConvar", "SetConvarReplicated", "SetConvarServerInfo"] {
        define.global(name, Calls::Silent, |host, _, _, args| {
            let (name, value) = (args.text(0)?, args.text_or(1, "")?);
            host.convars.borrow_mut().insert(name, value);
            nothing()
        })?;
    }
    define.globals.raw_set("source", Value::Nil)
}

fn convar<R: Recorder + 'static, T: std::str::FromStr>(
    host: &Rc<Host<R>>,
    args: &Args,
) -> Result<Option<T>, crate::host::Raise> {
    Ok(host.convars.borrow().get(&args.text(0)?).and_then(|value| value.trim().parse().ok()))
}
