//! `json` and `msgpack`.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Calls, Raise, nothing, one};
use crate::raw::BuildError;
use crate::{json, msgpack};

/// Where a VM keeps the function that puts the answers of `exception` into what json is to write.
pub(super) const WRITABLE: &str = "json writable";

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let json = define.lua.create_table()?;
    json.raw_set(
        "encode",
        define.make("json.encode", Calls::Recorded, |_, _, lua, args| {
            let mut options = json::Options::default();
            let mut value = args.get(0).clone();
            if let Value::Table(table) = args.get(1) {
                let on = |name: &str| -> mlua::Result<bool> {
                    Ok(!matches!(table.get::<Value>(name)?, Value::Nil | Value::Boolean(false)))
                };
                options.indent = on("indent")? || on("pretty")?;
                options.sort_keys = on("sort_keys")?;
                options.empty_as_object = on("empty_table_as_object")?
                    || matches!(table.get("empty_table_as_array")?, Value::Boolean(false));
                if let Value::Function(exception) = table.get("exception")? {
                    let writable: mlua::Function = lua.named_registry_value(WRITABLE)?;
                    value = writable.call((value, exception))?;
                }
            }
            let text =
                json::encode(lua, &value, options).map_err(|problem| format!("json.encode: {problem}"))?;
            one(lua, lua.create_string(text)?)
        })?,
    )?;
    json.raw_set(
        "decode",
        define.make("json.decode", Calls::Recorded, |_, resource, lua, args| {
            let Value::String(text) = args.get(0) else {
                args.bytes(0)?;
                return one(lua, args.get(0).clone()); // a number is its own JSON
            };
            let Some(machine) = resource.machine() else { return nothing() };
            match json::decode(lua, &machine.references, &text.as_bytes()) {
                Ok(value) => one(lua, value),
                Err(BuildError::Input { offset, problem }) => {
                    let message = lua.create_string(format!("{problem} at byte {}", offset + 1))?;
                    let position = Value::Integer(offset as i64 + 1);
                    Ok(mlua::MultiValue::from_vec(vec![Value::Nil, position, Value::String(message)]))
                }
                Err(BuildError::Lua(error)) => Err(error.into()),
            }
        })?,
    )?;
    json.raw_set("null", Value::NULL)?;
    define.globals.raw_set("json", json)?;

    let msgpack_table = define.lua.create_table()?;
    let pack = |host: &std::rc::Rc<crate::host::Host<R>>,
                resource: &std::rc::Rc<crate::resource::Resource>,
                lua: &mlua::Lua,
                args: crate::host::Args|
     -> Answer {
        let packed =
            msgpack::pack(lua, &args.values.into_vec(), crate::references::MAX_PARCEL, &mut |function| {
                host.refer(resource, function).1
            })?;
        one(lua, lua.create_string(packed.bytes)?)
    };
    msgpack_table.raw_set("pack", define.make("msgpack.pack", Calls::Recorded, pack)?)?;
    msgpack_table.raw_set(
        "pack_args",
        define.make("msgpack.pack_args", Calls::Recorded, |host, resource, lua, args| {
            let values = args.values.into_vec();
            let packed = msgpack::pack_list(lua, &values, crate::references::MAX_PARCEL, &mut |function| {
                host.refer(resource, function).1
            })?;
            one(lua, lua.create_string(packed)?)
        })?,
    )?;
    msgpack_table.raw_set(
        "setoption",
        define.make("msgpack.setoption", Calls::Silent, |_, _, lua, args| {
            // the others choose between forms of the same values
            if args.text(0)? == "ignore_invalid" {
                let ignore_invalid = !matches!(args.get(1), Value::Nil | Value::Boolean(false));
                lua.set_app_data(msgpack::Options { ignore_invalid });
            }
            nothing()
        })?,
    )?;
    msgpack_table.raw_set(
        "unpack",
        define.make("msgpack.unpack", Calls::Recorded, |host, resource, lua, args| {
            let Value::String(text) = args.get(0) else {
                return Err(Raise::Text("msgpack.unpack: expected a string".into()));
            };
            let Some(machine) = resource.machine() else { return nothing() };
            let mut seen = Vec::new();
            let values = msgpack::unpack_message(lua, &machine.references, &text.as_bytes(), &mut seen);
            host.references.retain(&seen);
            values.map_err(|error| Raise::Text(format!("msgpack.unpack: {error}")))
        })?,
    )?;
    msgpack_table.raw_set("null", Value::NULL)?;
    define.globals.raw_set("msgpack", msgpack_table)?;
    Ok(())
}
