//! Natives become globals when a script first asks for them: a VM holds only what its scripts use.
//!
//! `_G` gets a metatable whose `__index` makes the function and puts it into `_G`. Scripts may still set globals of the
//! same names. A name that is no native stays nil.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Value};
use tickscope_core::Recorder;

use super::Body;
use super::table::{Kind, Row, Table};
use crate::host::{Answer, Args, Calls, Host, Raise};
use crate::resource::Resource;
use crate::values::Vector;

/// A native that has behaviour.
struct Native<R: Recorder + 'static> {
    name: &'static str,
    calls: Calls,
    /// FXServer gives scripts 1 or false, where the native's result is a truth value.
    is_bool: bool,
    body: Body<R>,
}

impl<R: Recorder + 'static> Clone for Native<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Recorder + 'static> Copy for Native<R> {}

/// The natives that have behaviour, by name.
pub(crate) struct Globals<R: Recorder + 'static> {
    natives: RefCell<HashMap<&'static str, Native<R>>>,
}

impl<R: Recorder + 'static> Default for Globals<R> {
    fn default() -> Self {
        Self { natives: RefCell::default() }
    }
}

impl<R: Recorder + 'static> Globals<R> {
    pub(super) fn add(&self, name: &'static str, calls: Calls, body: Body<R>) {
        let row = Table::get().named(name);
        let is_bool = row.is_some_and(|row| row.results.first() == Some(&Kind::Bool));
        self.natives.borrow_mut().insert(name, Native { name, calls, is_bool, body });
    }

    fn get(&self, name: &str) -> Option<Native<R>> {
        self.natives.borrow().get(name).copied()
    }

    /// The names of all that have behaviour.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.natives.borrow().keys().copied().collect()
    }

    /// The function of that name, made; `None` when there is no such native.
    fn make(
        &self,
        host: &Rc<Host<R>>,
        resource: &Rc<Resource>,
        lua: &Lua,
        name: &str,
    ) -> mlua::Result<Option<Function>> {
        if let Some(native) = self.get(name) {
            let run = move |host: &Rc<Host<R>>, resource: &Rc<Resource>, lua: &Lua, args| {
                native.run(host, resource, lua, args)
            };
            return host.native(resource, lua, native.name, native.calls, run).map(Some);
        }
        match Table::get().named(name) {
            Some(row) => {
                let run = move |host: &Rc<Host<R>>, _: &Rc<Resource>, lua: &Lua, args: Args| {
                    neutral(host, lua, row, &args)
                };
                host.native(resource, lua, row.name, Calls::Recorded, run).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Calls the native of that name.
    pub(super) fn call(
        &self,
        host: &Rc<Host<R>>,
        resource: &Rc<Resource>,
        lua: &Lua,
        row: &'static Row,
        values: MultiValue,
    ) -> Answer {
        let args = Args { native: row.name, values };
        match self.get(row.name) {
            Some(native) => native.run(host, resource, lua, args),
            None => match lua.globals().raw_get(row.name)? {
                // some are made with the VM
                Value::Function(function) => Ok(function.call(args.values)?),
                _ => neutral(host, lua, row, &args),
            },
        }
    }
}

impl<R: Recorder + 'static> Native<R> {
    fn run(&self, host: &Rc<Host<R>>, resource: &Rc<Resource>, lua: &Lua, args: Args) -> Answer {
        let mut answer = (self.body)(host, resource, lua, args);
        if let (true, Ok(values)) = (self.is_bool, &mut answer)
            && let Some(first @ Value::Boolean(true)) = values.front_mut()
        {
            *first = Value::Integer(1);
        }
        answer
    }
}

/// Makes `globals` lazy.
pub(super) fn install<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    resource: &Rc<Resource>,
    lua: &Lua,
    natives: &Rc<Globals<R>>,
) -> mlua::Result<()> {
    let natives = Rc::clone(natives);
    let index = host.native(resource, lua, "_G", Calls::Silent, move |host, resource, lua, args| {
        let Value::String(name) = args.get(1) else { return crate::host::one(lua, Value::Nil) };
        let Ok(text) = name.to_str() else { return crate::host::one(lua, Value::Nil) };
        let function = natives.make(host, resource, lua, &text)?;
        if let (Some(function), Value::Table(globals)) = (&function, args.get(0)) {
            globals.raw_set(name, function)?;
        }
        crate::host::one(lua, function)
    })?;
    let meta = lua.create_table()?;
    meta.raw_set("__index", index)?;
    lua.globals().set_metatable(Some(meta))
}

/// A native that is known and does nothing here: told once, counted, and an error when the server is strict.
fn neutral<R: Recorder + 'static>(host: &Rc<Host<R>>, lua: &Lua, row: &'static Row, args: &Args) -> Answer {
    let first = {
        let mut counts = host.neutral.borrow_mut();
        let count = counts.entry(row.name).or_insert(0);
        *count += 1;
        *count == 1
    };
    if host.strict {
        return Err(Raise::Text(format!(
            "native {} does nothing in this host, and the run is strict; its neutral result would be {}",
            row.name,
            describe(&row.results)
        )));
    }
    check(lua, row, args)?;
    if first {
        let text =
            format!("native {} does nothing in this host; it gives {}", row.name, describe(&row.results));
        host.console.borrow_mut().print("", &text);
    }
    row.results.iter().map(|kind| default(lua, *kind)).collect::<mlua::Result<_>>().map_err(Raise::from)
}

/// What FXServer gives when the thing asked about is not there.
fn default(lua: &Lua, kind: Kind) -> mlua::Result<Value> {
    Ok(match kind {
        Kind::Int | Kind::Hash => Value::Integer(0),
        Kind::Float => Value::Number(0.0),
        Kind::Bool => Value::Boolean(false),
        Kind::List => Value::Table(lua.create_table()?),
        Kind::Vector3 => crate::raw::into_value(lua, Vector::vector3([0.0; 3]))?,
        Kind::String | Kind::Player | Kind::Function | Kind::Any => Value::Nil,
    })
}

fn describe(results: &[Kind]) -> String {
    let words: Vec<_> = results
        .iter()
        .map(|kind| match kind {
            Kind::Int | Kind::Hash => "0",
            Kind::Float => "0.0",
            Kind::Bool => "false",
            Kind::List => "an empty list",
            Kind::Vector3 => "vector3(0, 0, 0)",
            Kind::String | Kind::Player | Kind::Function | Kind::Any => "nil",
        })
        .collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// Finds arguments that no server would take. A vector fills several places, so what is behind one is not looked at.
fn check(lua: &Lua, row: &Row, args: &Args) -> Result<(), Raise> {
    for (index, (_, kind)) in row.parameters.iter().enumerate() {
        match (kind, args.get(index)) {
            (_, Value::Nil | Value::Boolean(_)) | (Kind::Any, _) => {}
            (Kind::Function, Value::Function(_) | Value::Table(_)) => {}
            (Kind::Function, _) => return Err(args.wrong(index, "function")),
            (Kind::String | Kind::Player | Kind::Hash, Value::String(_)) => {}
            (_, Value::Integer(_) | Value::Number(_)) => {}
            (_, value @ Value::UserData(_)) if crate::raw::from_value(lua, value).is_some() => break,
            (Kind::String | Kind::Player, _) => return Err(args.wrong(index, "string")),
            (_, Value::String(text)) if text.to_string_lossy().trim().parse::<f64>().is_ok() => {}
            _ => return Err(args.wrong(index, "number")),
        }
    }
    Ok(())
}
