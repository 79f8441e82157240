//! From a [`Parcel`] into a machine.

use mlua::chunk::ChunkMode;
use mlua::{Error, Lua, MultiValue, Result, Value};

use crate::parcel::{Item, Parcel, Upvalue};
use crate::raw;

struct Unpacker<'m> {
    lua: &'m Lua,
    tables: Vec<mlua::Table>,
    functions: Vec<mlua::Function>,
}

/// Makes the values of a parcel. Functions get the machine's globals as theirs.
///
/// # Errors
/// When the machine runs out of memory, lacks a library, or a module cannot be required.
pub(crate) fn unpack(lua: &Lua, parcel: Parcel) -> Result<MultiValue> {
    let mut unpacker = Unpacker { lua, tables: Vec::new(), functions: Vec::new() };
    for table in &parcel.tables {
        unpacker
            .tables
            .push(lua.create_table_with_capacity(table.length.max(table.list.len()), table.pairs.len())?);
    }
    for function in &parcel.functions {
        let chunk = lua.load(function.code.as_slice()).set_mode(ChunkMode::Binary).set_name("=moved");
        unpacker.functions.push(chunk.into_function()?);
    }
    let values = parcel.variables.into_iter().map(|item| unpacker.value(item)).collect::<Result<Vec<_>>>()?;
    let mut first: Vec<Option<(usize, i32)>> = vec![None; values.len()];
    let globals = Value::Table(lua.globals());
    for (number, packed) in parcel.functions.iter().enumerate() {
        let function = &unpacker.functions[number];
        for (upvalue, index) in packed.upvalues.iter().zip(1..) {
            let variable = match upvalue {
                Upvalue::Environment => {
                    raw::set_upvalue(lua, function, index, &globals)?;
                    continue;
                }
                Upvalue::Variable(variable) => *variable as usize,
            };
            match first.get(variable).copied().flatten() {
                Some((other, other_index)) => {
                    raw::join_upvalue(lua, (function, index), (&unpacker.functions[other], other_index))?;
                }
                None => {
                    raw::set_upvalue(lua, function, index, values.get(variable).unwrap_or(&Value::Nil))?;
                    if let Some(first) = first.get_mut(variable) {
                        *first = Some((number, index));
                    }
                }
            }
        }
    }
    for (number, packed) in parcel.tables.into_iter().enumerate() {
        let table = unpacker.tables[number].clone();
        for (item, index) in packed.list.into_iter().zip(1..) {
            table.raw_seti(index, unpacker.value(item)?)?;
        }
        for (key, value) in packed.pairs {
            table.raw_set(unpacker.value(key)?, unpacker.value(value)?)?;
        }
        if let Some(metatable) = packed.metatable {
            table.set_metatable(unpacker.tables.get(metatable as usize).cloned())?;
        }
    }
    let globals = lua.globals();
    for (name, item) in parcel.globals {
        globals.raw_set(lua.create_string(&name)?, unpacker.value(item)?)?;
    }
    parcel.values.into_iter().map(|item| unpacker.value(item)).collect()
}

impl Unpacker<'_> {
    fn value(&self, item: Item) -> Result<Value> {
        let missing = || Error::runtime("a value refers to what was not packed");
        Ok(match item {
            Item::Nil => Value::Nil,
            Item::Boolean(boolean) => Value::Boolean(boolean),
            Item::Integer(integer) => Value::Integer(integer),
            Item::Number(number) => Value::Number(number),
            Item::Text(text) => Value::String(self.lua.create_string(&text)?),
            Item::Table(number) => {
                Value::Table(self.tables.get(number as usize).ok_or_else(missing)?.clone())
            }
            Item::Function(number) => {
                Value::Function(self.functions.get(number as usize).ok_or_else(missing)?.clone())
            }
            Item::Library(name) => self.library(&name)?,
            Item::Module(name) => {
                let require: mlua::Function = self.lua.globals().raw_get("require")?;
                require.call(self.lua.create_string(&name)?)?
            }
            Item::Carried(carried) => carried.unpack(self.lua)?,
        })
    }

    fn library(&self, name: &str) -> Result<Value> {
        let mut at = Value::Table(self.lua.globals());
        for part in name.split('.') {
            at = match at {
                Value::Table(table) => table.raw_get(part)?,
                _ => Value::Nil,
            };
        }
        match at {
            Value::Nil => Err(Error::runtime(format!("there is no `{name}` here"))),
            found => Ok(found),
        }
    }
}
