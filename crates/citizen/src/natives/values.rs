//! `json`, `msgpack`, and the key-value store.

use std::collections::{BTreeMap, HashMap};

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Calls, Raise, nothing, one};
use crate::raw::BuildError;
use crate::{json, msgpack};

/// What `SetResourceKvp` keeps, by resource and key, for the length of a run.
#[derive(Default)]
pub(crate) struct KeyValues {
    values: HashMap<usize, BTreeMap<String, Kept>>,
    finds: HashMap<i64, std::vec::IntoIter<String>>,
    next_find: i64,
}

#[derive(Clone)]
enum Kept {
    Text(Vec<u8>),
    Integer(i64),
    Float(f64),
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let json = define.lua.create_table()?;
    json.raw_set(
        "encode",
        define.make("json.encode", Calls::Recorded, |_, _, lua, args| {
            let mut options = json::Options::default();
            if let Value::Table(table) = args.get(1) {
                let on = |name: &str| -> mlua::Result<bool> {
                    Ok(!matches!(table.get::<Value>(name)?, Value::Nil | Value::Boolean(false)))
                };
                options.indent = on("indent")? || on("pretty")?;
                options.sort_keys = on("sort_keys")?;
                options.empty_as_object = on("empty_table_as_object")?
                    || matches!(table.get("empty_table_as_array")?, Value::Boolean(false));
            }
            let text = json::encode(lua, args.get(0), options)
                .map_err(|problem| format!("json.encode: {problem}"))?;
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
    store(define)
}

fn store<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["SetResourceKvp", "SetResourceKvpNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            let (key, value) = (args.text(0)?, args.bytes(1)?);
            host.store.borrow_mut().values.entry(resource.id).or_default().insert(key, Kept::Text(value));
            nothing()
        })?;
    }
    define.global("SetResourceKvpInt", Calls::Recorded, |host, resource, _, args| {
        let (key, value) = (args.text(0)?, args.integer(1)?);
        host.store.borrow_mut().values.entry(resource.id).or_default().insert(key, Kept::Integer(value));
        nothing()
    })?;
    define.global("SetResourceKvpFloat", Calls::Recorded, |host, resource, _, args| {
        let (key, value) = (args.text(0)?, args.number(1)?);
        host.store.borrow_mut().values.entry(resource.id).or_default().insert(key, Kept::Float(value));
        nothing()
    })?;
    define.global("GetResourceKvpString", Calls::Recorded, |host, resource, lua, args| {
        let key = args.text(0)?;
        match kept(host, resource, &key) {
            Some(Kept::Text(bytes)) => one(lua, lua.create_string(bytes)?),
            _ => one(lua, Value::Nil),
        }
    })?;
    define.global("GetResourceKvpInt", Calls::Recorded, |host, resource, lua, args| {
        let key = args.text(0)?;
        match kept(host, resource, &key) {
            Some(Kept::Integer(value)) => one(lua, value),
            _ => one(lua, 0),
        }
    })?;
    define.global("GetResourceKvpFloat", Calls::Recorded, |host, resource, lua, args| {
        let key = args.text(0)?;
        match kept(host, resource, &key) {
            Some(Kept::Float(value)) => one(lua, value),
            _ => one(lua, 0.0),
        }
    })?;
    for name in ["DeleteResourceKvp", "DeleteResourceKvpNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            let key = args.text(0)?;
            if let Some(values) = host.store.borrow_mut().values.get_mut(&resource.id) {
                values.remove(&key);
            }
            nothing()
        })?;
    }
    define.global("StartFindKvp", Calls::Recorded, |host, resource, lua, args| {
        let prefix = args.text(0)?;
        let mut store = host.store.borrow_mut();
        let keys: Vec<_> = store
            .values
            .get(&resource.id)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect();
        if keys.is_empty() {
            return one(lua, -1);
        }
        store.next_find += 1;
        let handle = store.next_find;
        store.finds.insert(handle, keys.into_iter());
        one(lua, handle)
    })?;
    define.global("FindKvp", Calls::Silent, |host, _, lua, args| {
        let handle = args.integer(0)?;
        let key = host.store.borrow_mut().finds.get_mut(&handle).and_then(Iterator::next);
        one(lua, key)
    })?;
    define.global("EndFindKvp", Calls::Silent, |host, _, _, args| {
        let handle = args.integer(0)?;
        host.store.borrow_mut().finds.remove(&handle);
        nothing()
    })
}

fn kept<R: Recorder + 'static>(
    host: &crate::host::Host<R>,
    resource: &crate::resource::Resource,
    key: &str,
) -> Option<Kept> {
    host.store.borrow().values.get(&resource.id)?.get(key).cloned()
}
