//! State bags; what scripts index (`GlobalState`, `Player(1).state`) is in `lua/state.lua`.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Args, Calls, Raise, nothing, one};
use crate::msgpack::Packed;
use crate::references::Parcel;
use crate::state_bags::Writer;

/// What a filter chooses; nil and the empty text choose everything.
fn filter(args: &Args, index: usize) -> Result<Option<String>, Raise> {
    Ok(Some(args.text_or(index, "")?).filter(|text| !text.is_empty()))
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false) | Value::Integer(0))
}

/// The number in `kind:number`.
fn number_of(bag: &str, kind: &str) -> Option<u32> {
    bag.strip_prefix(kind)?.strip_prefix(':')?.parse().ok()
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.private("set_state", Calls::Recorded, |host, resource, lua, args| {
        let (bag, key) = (args.text(0)?, args.text(1)?);
        let value = std::slice::from_ref(args.get(2));
        let value = host
            .make_parcel(resource, lua, value)
            .map_err(|problem| format!("state bag {bag}, key {key}: {problem}"))?;
        host.set_state(&bag, &key, value, truthy(args.get(3)), Writer::Server);
        nothing()
    })?;
    define.private("ensure_bag", Calls::Silent, |host, _, _, args| {
        host.state_bags.ensure(&args.text(0)?);
        nothing()
    })?;
    define.global("SetStateBagValue", Calls::Recorded, |host, _, _, args| {
        let (bag, key, mut bytes) = (args.text(0)?, args.text(1)?, args.bytes(2)?);
        if !args.get(3).is_nil() {
            bytes.truncate(usize::try_from(args.integer(3)?).unwrap_or(0));
        }
        let value = Parcel::new(Packed { bytes, count: 1 }, Vec::new(), &host.references);
        host.set_state(&bag, &key, value, truthy(args.get(4)), Writer::Server);
        nothing()
    })?;
    define.global("GetStateBagValue", Calls::Silent, |host, resource, lua, args| {
        one(lua, host.state_value(resource, lua, &args.text(0)?, &args.text(1)?)?)
    })?;
    define.global("GetStateBagKeys", Calls::Silent, |host, _, lua, args| {
        let keys = host.state_bags.keys(&args.text(0)?);
        one(lua, lua.create_sequence_from(keys.iter().map(|key| &**key))?)
    })?;
    define.global("StateBagHasKey", Calls::Silent, |host, _, lua, args| {
        one(lua, host.state_bags.get(&args.text(0)?, &args.text(1)?).is_some())
    })?;
    define.global("AddStateBagChangeHandler", Calls::Silent, |host, resource, lua, args| {
        let (key, bag) = (filter(&args, 0)?, filter(&args, 1)?);
        let id = host.add_change_handler(resource, key, bag, args.callable(lua, 2)?);
        one(lua, id.cast_signed())
    })?;
    define.global("RemoveStateBagChangeHandler", Calls::Silent, |host, _, _, args| {
        host.state_bags.remove_handler(args.integer(0)?.cast_unsigned());
        nothing()
    })?;
    define.global("GetPlayerFromStateBagName", Calls::Silent, |host, _, lua, args| {
        let source = number_of(&args.text(0)?, "player").unwrap_or(0);
        let there = host.world.players.borrow().get(source).is_some();
        one(lua, if there { source } else { 0 })
    })
}
