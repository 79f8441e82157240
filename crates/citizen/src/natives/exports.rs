//! `exports.resource:name(…)` and `exports('name', fn)`.
//!
//! What is indexed are empty tables over tables that keep what was found, so that a second look is Lua's alone.

use std::rc::Rc;

use mlua::{Function, Lua, Table};
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Calls, Host, Raise, nothing, one};
use crate::resource::Resource;

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let lua = define.lua;
    let find = define.make("exports", Calls::Silent, |host, resource, lua, args| {
        let (known, name) = (args.table(0)?, args.text(1)?);
        let proxy = of_resource(host, resource, lua, name)?;
        known.raw_set(args.get(1), &proxy)?;
        one(lua, proxy)
    })?;
    let add: Function = define.make("exports", Calls::Silent, |host, resource, lua, args| {
        host.add_export(resource, &args.text(1)?, args.callable(lua, 2)?);
        nothing()
    })?;
    let refuse = define.make("exports", Calls::Silent, |_, _, _, _| {
        Err(Raise::Text("cannot set values on exports".into()))
    })?;
    let (exports, meta) = proxy(lua, find, refuse)?;
    meta.raw_set("__call", add)?;
    define.globals.raw_set("exports", exports)
}

/// `exports.resource`.
fn of_resource<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    resource: &Rc<Resource>,
    lua: &Lua,
    of: String,
) -> mlua::Result<Table> {
    let find = host.native(resource, lua, "exports", Calls::Silent, move |host, resource, lua, args| {
        let (known, name) = (args.table(0)?, args.text(1)?);
        let function = host.export_caller(resource, lua, &of, &name)?;
        known.raw_set(args.get(1), &function)?;
        one(lua, function)
    })?;
    let refuse = host.native(resource, lua, "exports", Calls::Silent, |_, _, _, _| {
        Err(Raise::Text("cannot set values on an export resource".into()))
    })?;
    Ok(proxy(lua, find, refuse)?.0)
}

/// An empty table that `find` gives elements, each once, and its metatable.
fn proxy(lua: &Lua, find: Function, refuse: Function) -> mlua::Result<(Table, Table)> {
    let (proxy, meta, known, finder) =
        (lua.create_table()?, lua.create_table()?, lua.create_table()?, lua.create_table()?);
    finder.raw_set("__index", find)?;
    known.set_metatable(Some(finder))?;
    meta.raw_set("__index", known)?;
    meta.raw_set("__newindex", refuse)?;
    proxy.set_metatable(Some(meta.clone()))?;
    Ok((proxy, meta))
}
