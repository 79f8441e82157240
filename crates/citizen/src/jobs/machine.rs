//! What a worker's machine has beside Lua's own libraries: the types of CfxLua, `glm`, `json`, and `msgpack` for values without
//! functions. All of it is the same code as on the server's thread; natives, events and exports stay there.

use std::sync::Arc;

use mlua::{IntoLua, Lua, MultiValue, Table, Value};
use tickscope_worker::Carried;

use crate::raw::{self, BuildError};
use crate::values::{Matrix, Vector};
use crate::{json, msgpack};

const PART: &str = include_str!("../lua/worker.lua");

/// For [`Options::prepare`](tickscope_worker::Options::prepare).
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    raw::install_values(lua)?;
    let package: Table = lua.globals().raw_get("package")?;
    let preload: Table = package.raw_get("preload")?;
    preload.raw_set("glm", raw::glm_function(lua)?)?;
    let host = lua.create_table()?;
    host.raw_set("encode", lua.create_function(encode)?)?;
    host.raw_set("decode", lua.create_function(decode)?)?;
    host.raw_set("pack", lua.create_function(pack)?)?;
    host.raw_set("unpack", lua.create_function(unpack)?)?;
    host.raw_set("null", Value::NULL)?;
    lua.load(PART).set_name("@citizen:/worker.lua").call(host)
}

/// For [`Options::carry`](tickscope_worker::Options::carry).
pub(super) fn carry(lua: &Lua, value: &Value) -> Option<Arc<dyn Carried>> {
    match raw::from_value(lua, value) {
        Some(vector) => Some(Arc::new(vector)),
        None => raw::matrix_from_value(lua, value).map(|matrix| Arc::new(matrix) as Arc<dyn Carried>),
    }
}

impl Carried for Vector {
    fn unpack(&self, lua: &Lua) -> mlua::Result<Value> {
        raw::into_value(lua, *self)
    }
}

impl Carried for Matrix {
    fn unpack(&self, lua: &Lua) -> mlua::Result<Value> {
        raw::matrix_into_value(lua, *self)
    }
}

/// True and what it answers, or false and what is wrong: the part in Lua raises that where the call is.
fn answer<T: IntoLua>(lua: &Lua, result: Result<T, String>) -> mlua::Result<(bool, Value)> {
    Ok(match result {
        Ok(value) => (true, value.into_lua(lua)?),
        Err(problem) => (false, problem.into_lua(lua)?),
    })
}

fn encode(lua: &Lua, (value, chosen): (Value, Option<Table>)) -> mlua::Result<(bool, Value)> {
    let mut options = json::Options::default();
    if let Some(chosen) = chosen {
        options.read(&chosen)?;
    }
    answer(
        lua,
        json::encode(lua, &value, options)
            .and_then(|text| lua.create_string(text).map_err(|e| e.to_string())),
    )
}

fn decode(lua: &Lua, (references, text): (Table, mlua::LuaString)) -> mlua::Result<MultiValue> {
    match json::decode(lua, &references, &text.as_bytes()) {
        Ok(value) => Ok(MultiValue::from_vec(vec![value])),
        Err(BuildError::Input { offset, problem }) => json::not_json(lua, offset, problem),
        Err(BuildError::Lua(error)) => Err(error),
    }
}

fn pack(lua: &Lua, values: MultiValue) -> mlua::Result<(bool, Value)> {
    let mut functions = false;
    let packed = msgpack::pack(lua, &values.into_vec(), crate::references::MAX_PARCEL, &mut |_| {
        functions = true;
        String::new()
    });
    let packed = packed.and_then(|packed| match functions {
        true => Err("a function cannot be called from elsewhere while it is on a worker".to_owned()),
        false => lua.create_string(packed.bytes).map_err(|error| error.to_string()),
    });
    answer(lua, packed)
}

fn unpack(lua: &Lua, (references, text): (Table, mlua::LuaString)) -> mlua::Result<MultiValue> {
    // References are of the server's thread, which holds them; here they can be passed on and not called.
    match msgpack::unpack_message(lua, &references, &text.as_bytes(), &mut Vec::new()) {
        Ok(mut values) => {
            values.push_front(Value::Boolean(true));
            Ok(values)
        }
        Err(error) => Ok(MultiValue::from_vec(vec![
            Value::Boolean(false),
            Value::String(lua.create_string(error.to_string())?),
        ])),
    }
}
