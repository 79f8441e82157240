//! A worker's Lua machine: made once, used for one job after another.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Function, Lua, MultiValue, Result, StdLib, Table, Value};

use crate::error::JobError;
use crate::interrupt::{self, Reachable, Stop};
use crate::numbers::Numbers;
use crate::pack::{Known, PackError, Packer};
use crate::parcel::{Carried, Parcel};
use crate::raw;
use crate::unpack::unpack;

/// What a host adds to workers' machines.
pub type Prepare = Arc<dyn Fn(&Lua) -> Result<()> + Send + Sync>;

/// What a userdata of the host's is on its way to another machine; `None` for one that stays where it is.
pub type Carry = Arc<dyn Fn(&Lua, &Value) -> Option<Arc<dyn Carried>> + Send + Sync>;

/// How workers' machines are.
#[derive(Clone)]
pub(crate) struct Plan {
    /// In bytes.
    pub(crate) memory: usize,
    pub(crate) hash_seed: Option<u32>,
    pub(crate) prepare: Option<Prepare>,
    pub(crate) carry: Option<Carry>,
}

/// What a job answers: its values, or an error with what it raised. For [`Crossing::receive`](crate::Crossing::receive).
pub struct Answer {
    pub(crate) result: std::result::Result<Parcel, (JobError, Option<Parcel>)>,
    /// What the job printed, a line each, whatever came of it.
    pub printed: Vec<u8>,
    /// How long it waited for a worker.
    pub queued: Duration,
    /// How long the worker was busy with it, with making its values and packing its answer.
    pub ran: Duration,
}

impl From<JobError> for Answer {
    fn from(error: JobError) -> Self {
        Self::new(Err((error, None)))
    }
}

impl Answer {
    fn new(result: std::result::Result<Parcel, (JobError, Option<Parcel>)>) -> Self {
        Self { result, printed: PRINTED.take(), queued: Duration::ZERO, ran: Duration::ZERO }
    }
}

thread_local! {
    /// What the job on this thread has printed.
    static PRINTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is printed beyond this many bytes is lost.
const MOST_PRINTED: usize = 1 << 20;

fn print(lua: &Lua, values: MultiValue) -> Result<()> {
    let mut line = Vec::new();
    for (value, number) in values.iter().zip(0..) {
        if number > 0 {
            line.push(b'\t');
        }
        match lua.coerce_string(value.clone())? {
            Some(text) => line.extend_from_slice(&text.as_bytes()),
            None => line.extend_from_slice(value.to_string()?.as_bytes()),
        }
    }
    line.push(b'\n');
    PRINTED.with_borrow_mut(|printed| {
        if printed.len() + line.len() <= MOST_PRINTED {
            printed.append(&mut line);
        }
    });
    Ok(())
}

pub(crate) struct Machine {
    lua: Lua,
    known: Known,
    /// Calls a function; answers true and its results, or false, what it raised, and the stack there.
    guard: Function,
    /// What every table of a fresh machine had: globals and libraries.
    fresh: Vec<(Table, Vec<(Value, Value)>)>,
    /// The same for a quick look: each table, a copy of it, how many entries it has.
    copies: Table,
    fresh_bytes: usize,
    memory: usize,
}

const GUARD: &str = r#"
local xpcall, traceback, type = ...
local function handler(raised) return { raised, traceback('', 2) } end
local function sort(fine, first, ...)
    if fine then return true, first, ... end
    if type(first) == 'table' then return false, first[1], first[2] end
    return false, first, ''
end
return function(f, ...) return sort(xpcall(f, handler, ...)) end
"#;

/// Functions of `os` that are the process's affair, or the disk's.
const NOT_OS: [&str; 7] = ["execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"];

impl Machine {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::MATH
            | StdLib::OS
            | StdLib::PACKAGE;
        tickscope_lua::set_hash_seed(plan.hash_seed);
        let lua = Lua::new_with(libraries, mlua::LuaOptions::default())?;
        let globals = lua.globals();
        let os: Table = globals.raw_get("os")?;
        NOT_OS.iter().try_for_each(|name| os.raw_remove(*name))?;
        let coroutine: Table = globals.raw_get("coroutine")?;
        for name in ["create", "wrap"] {
            coroutine.raw_set(name, interrupt::stoppable(&lua, &coroutine.raw_get(name)?)?)?;
        }
        globals.raw_set("print", lua.create_function(print)?)?;
        let asynchronous = lua.create_table()?;
        asynchronous.raw_set("Numbers", lua.create_function(|_, from: Value| Numbers::make(&from))?)?;
        globals.raw_set("Async", asynchronous)?;
        if let Some(prepare) = &plan.prepare {
            prepare(&lua)?;
        }
        let traceback =
            lua.create_function(|lua, (text, level): (String, usize)| lua.traceback(Some(&text), level))?;
        let guard = lua.load(GUARD).set_name("=worker").call((
            globals.raw_get::<Function>("xpcall")?,
            traceback,
            globals.raw_get::<Function>("type")?,
        ))?;
        let names = names(&lua)?;
        let known = Known::find(&lua, &names, plan.carry.clone())?;
        let fresh = tables(&lua)?.into_iter().map(|table| Ok((table.clone(), entries(&table)?)));
        let fresh = fresh.collect::<Result<Vec<_>>>()?;
        let copies = lua.create_table()?;
        for (table, entries) in &fresh {
            let copy = lua.create_table()?;
            entries.iter().try_for_each(|(key, value)| copy.raw_set(key, value))?;
            copies.raw_push(table)?;
            copies.raw_push(copy)?;
            copies.raw_push(entries.len())?;
        }
        lua.gc_collect()?;
        let fresh_bytes = lua.used_memory();
        lua.set_memory_limit(plan.memory.saturating_add(fresh_bytes))?;
        Ok(Self { lua, known, guard, fresh, copies, fresh_bytes, memory: plan.memory })
    }

    /// Its libraries, by the names that scripts call them.
    pub(crate) fn names(&self) -> Result<Vec<Arc<str>>> {
        names(&self.lua)
    }

    /// Runs a job: the first value of the parcel is the function, the others its arguments. At most `limit` bytes of result.
    pub(crate) fn run(&self, parcel: Parcel, stop: &Arc<Stop>, limit: usize) -> Answer {
        let ended = self.call(parcel, stop).and_then(|(fine, values)| {
            let mut packer = Packer::new(&self.lua, &self.known, limit, false)?;
            let mut packed = Ok(());
            for (value, number) in values.iter().zip(1..).take(if fine { usize::MAX } else { 1 }) {
                packed = packer.add(value, &format!("result {number}"));
                if packed.is_err() {
                    break;
                }
            }
            Ok((fine, values, packed.map(|()| packer.finish())))
        });
        let why = stop.why();
        match (why, ended) {
            (Some(why), _) => JobError::from(why).into(),
            (None, Ok((true, _, Ok(parcel)))) => Answer::new(Ok(parcel)),
            (None, Ok((true, _, Err(PackError::Refused(refusal))))) => JobError::Result(refusal).into(),
            (None, Ok((true, _, Err(PackError::Lua(error)))) | Err(error)) => self.failed(&error).into(),
            (None, Ok((false, values, raised))) => {
                let text = |value: Option<&Value>| match value {
                    Some(value) => value.to_string().unwrap_or_else(|_| value.type_name().to_owned()),
                    None => String::new(),
                };
                if let Some(Value::Error(error)) = values.front()
                    && matches!(**error, mlua::Error::MemoryError(_))
                {
                    return JobError::Memory(self.memory).into();
                }
                let message = text(values.front());
                if message == "not enough memory" {
                    return JobError::Memory(self.memory).into();
                }
                let traceback = text(values.get(1)).trim_start().to_owned();
                Answer::new(Err((JobError::Script { message, traceback }, raised.ok())))
            }
        }
    }

    fn call(&self, parcel: Parcel, stop: &Arc<Stop>) -> Result<(bool, MultiValue)> {
        let values = unpack(&self.lua, parcel)?;
        let mut values: MultiValue = {
            let _reachable = Reachable::new(&self.lua, stop)?;
            if stop.why().is_some() {
                return Ok((false, MultiValue::new()));
            }
            self.guard.call(values)?
        };
        let fine = values.pop_front() == Some(Value::Boolean(true));
        Ok((fine, values))
    }

    fn failed(&self, error: &mlua::Error) -> JobError {
        match error {
            mlua::Error::MemoryError(_) => JobError::Memory(self.memory),
            error => JobError::Script { message: error.to_string(), traceback: String::new() },
        }
    }

    /// Makes globals and libraries what they were when the machine was made.
    pub(crate) fn reset(&self) -> Result<()> {
        if !raw::unchanged(&self.lua, &self.copies)? {
            self.repair()?;
        }
        if self.lua.used_memory() > 4 * self.fresh_bytes + (1 << 20) {
            self.lua.gc_collect()?;
        }
        Ok(())
    }

    fn repair(&self) -> Result<()> {
        for (table, fresh) in &self.fresh {
            if table.metatable().is_some() {
                table.set_metatable(None)?;
            }
            let mut changed = false;
            for (key, value) in fresh {
                if table.raw_get::<Value>(key)? != *value {
                    table.raw_set(key, value)?;
                    changed = true;
                }
            }
            let now = entries(table)?;
            if changed || now.len() != fresh.len() {
                for (key, _) in now {
                    if !fresh.iter().any(|(known, _)| *known == key) {
                        table.raw_remove(key)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn entries(table: &Table) -> Result<Vec<(Value, Value)>> {
    table.pairs::<Value, Value>().collect()
}

/// The globals, the libraries, what can be required, and what strings have in common.
fn tables(lua: &Lua) -> Result<Vec<Table>> {
    let globals = lua.globals();
    let mut tables = vec![globals.clone()];
    let mut add = |value: Value| {
        if let Value::Table(table) = value
            && !tables.contains(&table)
        {
            tables.push(table);
        }
    };
    for pair in globals.pairs::<Value, Value>() {
        add(pair?.1);
    }
    let package: Table = globals.raw_get("package")?;
    for pair in package.pairs::<Value, Value>() {
        add(pair?.1);
    }
    if let Some(metatable) = lua.type_metatable::<mlua::LuaString>() {
        add(Value::Table(metatable));
    }
    Ok(tables)
}

/// The libraries of a fresh machine, by the names that scripts call them.
fn names(lua: &Lua) -> Result<Vec<Arc<str>>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let globals = lua.globals();
    for pair in globals.pairs::<Value, Value>() {
        let (Value::String(name), value) = pair? else { continue };
        let name = name.to_string_lossy();
        if value == Value::Table(globals.clone()) {
            continue;
        }
        if let Value::Table(library) = &value {
            for pair in library.pairs::<Value, Value>() {
                if let (Value::String(part), Value::Function(_)) = pair? {
                    names.push(format!("{name}.{}", part.to_string_lossy()).into());
                }
            }
        }
        if matches!(value, Value::Table(_) | Value::Function(_)) {
            names.push(name.into());
        }
    }
    Ok(names)
}
