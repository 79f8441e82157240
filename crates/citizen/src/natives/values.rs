//! `json` and `msgpack`.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Calls, Raise, nothing, one};
use crate::raw::BuildError;
use crate::{json, msgpack};

/// Where a VM keeps the function that puts the answers of `exception` into what json is to write.
pub(super) const WRITABLE: &str = "json writable";

/// Functions that choose between forms, and what they set.
const MSGPACK_SETTINGS: [(&str, &str); 4] = [
    ("msgpack.set_integer", "integer"),
    ("msgpack.set_number", "number"),
    ("msgpack.set_array", "array"),
    ("msgpack.set_string", "string"),
];

/// How the scripts of a VM want json to be written unless a call says otherwise.
fn defaults(lua: &mlua::Lua) -> json::Options {
    lua.app_data_ref::<json::Options>().map_or_else(json::Options::default, |options| *options)
}

/// How the scripts of a VM want messages to be written.
fn chosen(lua: &mlua::Lua) -> msgpack::Options {
    lua.app_data_ref::<msgpack::Options>().map_or_else(msgpack::Options::default, |options| *options)
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let json = define.lua.create_table()?;
    json.raw_set(
        "encode",
        define.make("json.encode", Calls::Recorded, |_, _, lua, args| {
            let mut options = defaults(lua);
            let mut value = args.get(0).clone();
            if let Value::Table(table) = args.get(1) {
                options.read(table)?;
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
                Err(BuildError::Input { offset, problem }) => Ok(json::not_json(lua, offset, problem)?),
                Err(BuildError::Lua(error)) => Err(error.into()),
            }
        })?,
    )?;
    json.raw_set(
        "setoption",
        define.make("json.setoption", Calls::Silent, |_, _, lua, args| {
            let mut options = defaults(lua);
            // the others are how this host always writes and reads
            options.choose(&args.text(0)?, !matches!(args.get(1), Value::Nil | Value::Boolean(false)));
            lua.set_app_data(options);
            nothing()
        })?,
    )?;
    json.raw_set(
        "getoption",
        define.make("json.getoption", Calls::Silent, |_, _, lua, args| {
            one(lua, defaults(lua).get(&args.text(0)?))
        })?,
    )?;
    json.raw_set("version", concat!("tickscope ", env!("CARGO_PKG_VERSION")))?;
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
                lua.set_app_data(msgpack::Options { ignore_invalid, ..chosen(lua) });
            }
            nothing()
        })?,
    )?;
    for (name, setting) in MSGPACK_SETTINGS {
        let set = define.host.native(
            define.resource,
            define.lua,
            name,
            Calls::Silent,
            move |_, _, lua, args| {
                let (word, mut options) = (args.text(0)?, chosen(lua));
                if !options.choose(setting, &word) {
                    let problem = format!("bad argument #1 to '{name}' (this host does not write '{word}')");
                    return Err(Raise::Text(problem));
                }
                lua.set_app_data(options);
                nothing()
            },
        )?;
        msgpack_table.raw_set(&name["msgpack.".len()..], set)?;
    }
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
